//! Rooms in use, held in memory. Services read them from the database.

use std::sync::{Arc, OnceLock};

use foldhash::HashMap;

use super::cache::Cache;
use super::messages::Pulse;
use crate::domain::{
    Audience, Language, Lifespan, Posting, Role, RoomId, SlowMode, Timestamp, UserId,
};

/// The rooms in use.
pub type Rooms = Cache<RoomId, Room>;

/// A room and its members.
#[derive(Debug)]
pub struct Room {
    /// The room's id.
    pub id: RoomId,
    /// The version of the rights in this room. It grows whenever somebody loses a right, or the rules for new
    /// messages change.
    pub version: i64,
    /// The name as displayed.
    pub name: String,
    /// Whether the room is private: people join with its password or an invite link, and only members may know that
    /// the room exists.
    pub is_private: bool,
    /// The description; may be empty.
    pub description: String,
    /// How long a message lives.
    pub lifespan: Lifespan,
    /// How long a member waits between two messages. The owner and the moderators do not wait.
    pub slow_mode: SlowMode,
    /// The main language of the conversation, if the owner has chosen one.
    pub language: Option<Language>,
    /// Who may post.
    pub posting: Posting,
    /// When the room was created.
    pub created_at: Timestamp,
    /// The owner.
    pub owner: UserId,
    /// The members, the longest-standing first.
    pub members: Vec<Member>,
    /// The role of each member.
    pub roles: HashMap<UserId, Role>,
    /// The room's entry in the list of public rooms.
    pub entry: ListEntry,
}

/// The HTML of a room's entry in the list of public rooms, made when somebody first looks at it.
///
/// It consists of pieces, between which is what differs from reader to reader.
#[derive(Debug, Default)]
pub struct ListEntry {
    /// For members.
    pub for_members: OnceLock<Vec<Box<str>>>,
    /// For everybody else.
    pub for_others: OnceLock<Vec<Box<str>>>,
}

/// A member of a room.
#[derive(Debug)]
pub struct Member {
    /// The person's id.
    pub user_id: UserId,
    /// The person's name.
    pub name: String,
    /// The person's role in the room.
    pub role: Role,
}

impl Room {
    /// Returns the role of `user` in the room, if they are a member.
    #[must_use]
    pub fn role_of(&self, user: UserId) -> Option<Role> {
        self.roles.get(&user).copied()
    }

    /// Returns who can read what is written in the room.
    #[must_use]
    pub fn audience(&self) -> Audience {
        Audience::of_room(self.is_private)
    }

    /// Returns whether `user` may post in the room.
    #[must_use]
    pub fn may_post(&self, user: UserId) -> bool {
        self.role_of(user)
            .is_some_and(|role| self.posting.allows(role))
    }
}

/// The rooms of the people who are using the site.
pub type OwnRooms = Cache<UserId, RoomLabels>;

/// A person's rooms.
#[derive(Debug, Default)]
pub struct RoomLabels {
    by_name: Vec<RoomLabel>,
    /// The positions in `by_name`, in the order of the rooms' ids.
    by_id: Vec<usize>,
}

impl RoomLabels {
    /// Makes the list of these rooms, which are sorted by name.
    #[must_use]
    pub fn new(by_name: Vec<RoomLabel>) -> Self {
        let mut by_id: Vec<usize> = (0..by_name.len()).collect();
        by_id.sort_unstable_by_key(|position| by_name.get(*position).map(|label| label.id));
        Self { by_name, by_id }
    }

    /// Returns the rooms, sorted by name.
    #[must_use]
    pub fn by_name(&self) -> &[RoomLabel] {
        &self.by_name
    }

    /// Returns a room of the list. Takes as long as it takes to halve the list until one room is left.
    #[must_use]
    pub fn find(&self, room: RoomId) -> Option<&RoomLabel> {
        let label = |position: &usize| self.by_name.get(*position);
        let id = |position: &usize| label(position).map(|label| label.id);
        let found = self.by_id.binary_search_by_key(&Some(room), id).ok()?;
        label(self.by_id.get(found)?)
    }
}

/// A room in a person's list.
#[derive(Debug, Clone)]
pub struct RoomLabel {
    /// The room's id.
    pub id: RoomId,
    /// The name as displayed.
    pub name: Arc<str>,
    /// When the room's messages last changed.
    pub pulse: Arc<Pulse>,
}

/// The list of public rooms, held while it is in use.
pub type PublicRooms = Cache<(), PublicNames>;

/// The names of the public rooms.
#[derive(Debug)]
pub struct PublicNames {
    /// The rooms, sorted by folded name.
    pub by_name: Vec<PublicName>,
    /// The index of each room in `by_name`.
    pub positions: HashMap<RoomId, usize>,
}

/// The name of a public room.
#[derive(Debug)]
pub struct PublicName {
    /// The room's id.
    pub id: RoomId,
    /// The folded name, in which searches look.
    pub folded_name: String,
}
