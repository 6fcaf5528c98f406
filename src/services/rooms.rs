//! Rooms: making them, finding them, and who may see what of them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, RelationTrait, Set,
};

use super::{Cache, Fault, is_duplicate, members, to_the_end};
use crate::app::AppState;
use crate::database;
use crate::domain::{
    Language, Lifespan, NameKeys, Posting, Role, RoomId, RoomName, RoomPassword, SlowMode,
    Timestamp, UserId,
};
use crate::entities::{room, room_member, user};

/// How many public rooms a page lists.
pub const LIST_PAGE: usize = 50;

/// A room and who is in it, as held in memory.
#[derive(Debug)]
pub struct Room {
    /// Names it.
    pub id: RoomId,
    /// What it is called.
    pub name: String,
    /// Whether it takes a password to join, and membership to know that it is there.
    pub is_private: bool,
    /// What it is about; may be empty.
    pub description: String,
    /// How long its messages live.
    pub lifespan: Lifespan,
    /// How long a person waits between two messages. Not the owner and the moderators.
    pub slow_mode: SlowMode,
    /// The language most is said in, if the owner has chosen one.
    pub language: Option<Language>,
    /// Who may write.
    pub posting: Posting,
    /// Who owns it.
    pub owner: UserId,
    /// Its members, those who have been there longest first.
    pub members: Vec<Member>,
    roles: HashMap<UserId, Role>,
}

/// Somebody who is in a room.
#[derive(Debug)]
pub struct Member {
    /// Who it is.
    pub user_id: UserId,
    /// What they are called.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

impl Room {
    /// What `user` may do in the room, if they are in it.
    #[must_use]
    pub fn role_of(&self, user: UserId) -> Option<Role> {
        self.roles.get(&user).copied()
    }

    /// Whether `user` may write in it.
    #[must_use]
    pub fn may_post(&self, user: UserId) -> bool {
        self.role_of(user)
            .is_some_and(|role| self.posting.allows(role))
    }
}

/// The rooms in use, held in memory.
pub type Rooms = Cache<RoomId, Room>;

/// How a person stands to a room.
#[derive(Debug)]
pub enum Access {
    /// They are in it.
    Member(Arc<Room>),
    /// They are not in it; it is public, so they may know that it is there, and join.
    Outside(Arc<Room>),
    /// There is no such room, or they must not know that there is.
    Hidden,
}

/// How `user` stands to `room`. Costs no query when the room is in use.
///
/// # Errors
/// When the database fails.
pub async fn access(app: &AppState, room: RoomId, user: UserId) -> Result<Access, Fault> {
    match find(app, room).await? {
        Some(room) if room.role_of(user).is_some() => Ok(Access::Member(room)),
        Some(room) if !room.is_private => Ok(Access::Outside(room)),
        Some(hidden) => {
            // The work that a room that is not there takes: the time must not tell them apart. Boxed, as
            // every poll that waits holds a place for it.
            Box::pin(room::Entity::find_by_id(hidden.id).one(&app.database)).await?;
            Ok(Access::Hidden)
        }
        None => Ok(Access::Hidden),
    }
}

/// The room, whoever asks. Costs no query when it is in use.
pub(super) async fn find(app: &AppState, room: RoomId) -> Result<Option<Arc<Room>>, Fault> {
    app.rooms.get(room, async || read(app, room).await).await
}

/// What kind of room somebody wants.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Listed for everybody, and joined with one click.
    Public,
    /// Listed for its members only, and joined by this password.
    Private(RoomPassword),
}

/// What became of a wish for a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there, and its maker is its owner and first member.
    Room(RoomId),
    /// A room has the name, or one that looks like it.
    NameTaken,
    /// They own as many rooms as one may.
    OwnsTooMany,
    /// There are as many public rooms as there may be.
    TooManyPublic,
}

/// Makes a room that `owner` owns and is in.
///
/// # Errors
/// When the database or the hashing fails.
pub async fn create(
    app: &Arc<AppState>,
    owner: UserId,
    name: RoomName,
    kind: Kind,
) -> Result<Created, Fault> {
    let app = Arc::clone(app);
    let password_hash = match &kind {
        Kind::Public => None,
        Kind::Private(password) => Some(app.passwords.hash(password.plain().clone()).await?),
    };
    to_the_end(async move {
        let (keys, now) = (name.keys(), app.clock.now());
        let is_private = password_hash.is_some();
        let row = room::ActiveModel {
            name: Set(name.as_str().to_owned()),
            folded_name: Set(keys.folded),
            folded_skeleton: Set(keys.folded_skeleton),
            typed_skeleton: Set(keys.typed_skeleton),
            is_private: Set(is_private),
            password_hash: Set(password_hash),
            owner_id: Set(owner),
            message_lifespan: Set(None),
            description: Set(String::new()),
            slow_mode: Set(0),
            language: Set(String::new()),
            posting: Set(Posting::Everyone.word().to_owned()),
            created_at: Set(now),
            ..Default::default()
        };
        let transaction = database::write(&app.database).await?;
        if owns_too_many(&app, &transaction, owner).await? {
            return Ok(Created::OwnsTooMany);
        }
        if !is_private && are_too_many_public(&app, &transaction).await? {
            return Ok(Created::TooManyPublic);
        }
        let room = match room::Entity::insert(row).exec(&transaction).await {
            Ok(inserted) => inserted.last_insert_id,
            Err(error) if is_duplicate(&error) => return Ok(Created::NameTaken),
            Err(error) => return Err(error.into()),
        };
        members::insert(&transaction, room, owner, now).await?;
        transaction.commit().await?;
        app.public_rooms.forget(());
        Ok(Created::Room(room))
    })
    .await
}

/// The list of public rooms while it is in use, held in memory.
pub type PublicRooms = Cache<(), PublicNames>;

/// The names of the public rooms, in their order.
#[derive(Debug)]
pub struct PublicNames(Vec<PublicName>);

#[derive(Debug)]
struct PublicName {
    id: RoomId,
    folded_name: String,
}

/// A room in the list of public rooms.
#[derive(Debug)]
pub struct ListedRoom {
    /// The room.
    pub room: Arc<Room>,
    /// How many have it open.
    pub here: usize,
    /// Whether who asks is in it.
    pub is_member: bool,
}

/// A page of the list of public rooms.
#[derive(Debug)]
pub struct RoomList {
    /// The rooms: those with a message first, the latest message first; then the others by name.
    pub rooms: Vec<ListedRoom>,
    /// Which page this is, from 1.
    pub page: usize,
    /// How many pages there are; at least 1.
    pub pages: usize,
}

/// A page of the public rooms whose names contain `search`, whatever the letter case, for `user`. A page
/// after the last is the last. Costs no query when the rooms are in use.
///
/// # Errors
/// When the database fails.
pub async fn public_list(
    app: &AppState,
    user: UserId,
    search: &str,
    page: usize,
) -> Result<RoomList, Fault> {
    let now = app.clock.now();
    let words: Vec<&str> = search.split_whitespace().collect();
    let searched = NameKeys::of(&words.join(" ")).folded;
    let public = app
        .public_rooms
        .get((), async || Ok(Some(read_public(app).await?)));
    let public = public.await?;
    let public = public.iter().flat_map(|public| &public.0);
    let mut found: Vec<&PublicName> = public
        // Asked first, the length spares preparing for a long search.
        .filter(|room| room.folded_name.len() >= searched.len())
        .filter(|room| room.folded_name.contains(&searched))
        .collect();
    let latest: HashMap<RoomId, Timestamp> = app.messages.latest_times(now).into_iter().collect();
    found.sort_by_cached_key(|room| Reverse(latest.get(&room.id)));

    let pages = found.len().div_ceil(LIST_PAGE).max(1);
    let page = page.clamp(1, pages);
    let mut rooms = Vec::new();
    for listed in found.iter().skip((page - 1) * LIST_PAGE).take(LIST_PAGE) {
        // It may have gone, or gone private, since the list was read.
        if let Some(room) = find(app, listed.id).await?.filter(|room| !room.is_private) {
            rooms.push(ListedRoom {
                here: app.presence.count(room.id, now),
                is_member: room.role_of(user).is_some(),
                room,
            });
        }
    }
    Ok(RoomList { rooms, page, pages })
}

async fn read_public(app: &AppState) -> Result<PublicNames, Fault> {
    let rows: Vec<(RoomId, String)> = room::Entity::find()
        .select_only()
        .column(room::Column::Id)
        .column(room::Column::FoldedName)
        .filter(room::Column::IsPrivate.eq(false))
        .order_by_asc(room::Column::FoldedName)
        .into_tuple()
        .all(&app.database)
        .await?;
    let rooms = rows
        .into_iter()
        .map(|(id, folded_name)| PublicName { id, folded_name });
    Ok(PublicNames(rooms.collect()))
}

/// A room in the list of one's own rooms.
#[derive(Debug)]
pub struct OwnRoom {
    /// Names it.
    pub id: RoomId,
    /// What it is called.
    pub name: String,
    /// Whether it is private.
    pub is_private: bool,
    /// What it is about; may be empty.
    pub description: String,
    /// The language most is said in, if the owner has chosen one.
    pub language: Option<Language>,
    /// How many are in it.
    pub members: usize,
    /// How many messages of others have come since they last looked.
    pub new: usize,
}

/// The rooms `user` is in, by name.
///
/// # Errors
/// When the database fails.
pub async fn own_list(app: &AppState, user: UserId) -> Result<Vec<OwnRoom>, Fault> {
    let rows = room::Entity::find()
        .join(JoinType::InnerJoin, room_member::Relation::Room.def().rev())
        .filter(room_member::Column::UserId.eq(user))
        .order_by_asc(room::Column::FoldedName)
        .all(&app.database)
        .await?;
    let ids: Vec<RoomId> = rows.iter().map(|room| room.id).collect();
    let counts = member_counts(app, &ids).await?;
    let now = app.clock.now();
    let new = |room| {
        let seen = app.read_marks.find(user, room);
        app.messages.new_for(room, user, seen, now)
    };
    let own = |room: room::Model| OwnRoom {
        new: new(room.id),
        members: counts.get(&room.id).copied().unwrap_or(0),
        language: Language::parse(&room.language),
        id: room.id,
        name: room.name,
        description: room.description,
        is_private: room.is_private,
    };
    Ok(rows.into_iter().map(own).collect())
}

/// Whether `user` is in any room.
///
/// # Errors
/// When the database fails.
pub async fn has_any(app: &AppState, user: UserId) -> Result<bool, Fault> {
    let membership = room_member::Entity::find().filter(room_member::Column::UserId.eq(user));
    Ok(membership.one(&app.database).await?.is_some())
}

/// The room of this name, whoever asks. Asked for a name that no room can have (none), it takes as long.
pub(super) async fn by_name(
    app: &AppState,
    name: Option<&RoomName>,
) -> Result<Option<room::Model>, Fault> {
    let folded = name.map(|name| name.keys().folded).unwrap_or_default();
    let named = room::Entity::find().filter(room::Column::FoldedName.eq(folded));
    Ok(named.one(&app.database).await?)
}

async fn member_counts(app: &AppState, rooms: &[RoomId]) -> Result<HashMap<RoomId, usize>, Fault> {
    let rows: Vec<(RoomId, i64)> = room_member::Entity::find()
        .select_only()
        .column(room_member::Column::RoomId)
        .column_as(room_member::Column::UserId.count(), "members")
        .filter(room_member::Column::RoomId.is_in(rooms.to_vec()))
        .group_by(room_member::Column::RoomId)
        .into_tuple()
        .all(&app.database)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(room, count)| (room, usize::try_from(count).unwrap_or(0)))
        .collect())
}

async fn read(app: &AppState, id: RoomId) -> Result<Option<Room>, Fault> {
    let Some(room) = room::Entity::find_by_id(id).one(&app.database).await? else {
        return Ok(None);
    };
    let rows: Vec<(UserId, String, String)> = room_member::Entity::find()
        .select_only()
        .column(room_member::Column::UserId)
        .column(user::Column::Name)
        .column(room_member::Column::Role)
        .join(JoinType::InnerJoin, room_member::Relation::User.def())
        .filter(room_member::Column::RoomId.eq(id))
        .order_by_asc(room_member::Column::JoinedAt)
        .order_by_asc(room_member::Column::UserId)
        .into_tuple()
        .all(&app.database)
        .await?;
    let members: Vec<Member> = rows
        .into_iter()
        .map(|(user_id, name, role)| Member {
            user_id,
            name,
            role: role_in(&room, user_id, &role),
        })
        .collect();
    Ok(Some(Room {
        roles: members.iter().map(|m| (m.user_id, m.role)).collect(),
        lifespan: lifespan(app, &room),
        slow_mode: SlowMode(millis(room.slow_mode)),
        language: Language::parse(&room.language),
        posting: Posting::parse(&room.posting).unwrap_or(Posting::Everyone),
        id,
        name: room.name,
        description: room.description,
        is_private: room.is_private,
        owner: room.owner_id,
        members,
    }))
}

/// The role of a member whose row says `word`.
fn role_in(room: &room::Model, member: UserId, word: &str) -> Role {
    if room.owner_id == member {
        Role::Owner
    } else {
        Role::parse(word).unwrap_or(Role::Member)
    }
}

/// A room and what `user` may do in it, as the database has it now. For changes: what is held in memory
/// may have changed by the time that the change is made.
pub(super) async fn standing(
    database: &impl ConnectionTrait,
    room: RoomId,
    user: UserId,
) -> Result<Option<(room::Model, Role)>, Fault> {
    let membership = room_member::Entity::find_by_id((room, user));
    let Some(membership) = membership.one(database).await? else {
        return Ok(None);
    };
    let found = room::Entity::find_by_id(room).one(database).await?;
    Ok(found.map(|found| {
        let role = role_in(&found, user, &membership.role);
        (found, role)
    }))
}

/// Writes down who owns a room. Call it within the transaction that decides it.
pub(super) async fn set_owner(
    database: &impl ConnectionTrait,
    room: RoomId,
    owner: UserId,
) -> Result<(), Fault> {
    let row = room::ActiveModel {
        id: Set(room),
        owner_id: Set(owner),
        ..Default::default()
    };
    room::Entity::update(row).exec(database).await?;
    Ok(())
}

/// Whether `user` owns as many rooms as one may.
pub(super) async fn owns_too_many(
    app: &AppState,
    database: &impl ConnectionTrait,
    user: UserId,
) -> Result<bool, Fault> {
    let owned = room::Entity::find().filter(room::Column::OwnerId.eq(user));
    Ok(owned.count(database).await? >= app.config.rooms_per_person)
}

/// Whether there are as many public rooms as there may be.
pub(super) async fn are_too_many_public(
    app: &AppState,
    database: &impl ConnectionTrait,
) -> Result<bool, Fault> {
    let Some(most) = app.config.public_rooms else {
        return Ok(false);
    };
    let public = room::Entity::find().filter(room::Column::IsPrivate.eq(false));
    Ok(public.count(database).await? >= most)
}

/// Makes a committed change of a room known: it is read again, and who waits in it looks again.
pub(super) fn changed(app: &AppState, room: RoomId) {
    app.rooms.forget(room);
    app.messages.wake(room);
}

/// Drops all that is held of a room that is gone; who waits in it looks again.
pub(super) fn gone(app: &AppState, room: RoomId) {
    app.rooms.forget(room);
    app.public_rooms.forget(());
    app.messages.forget(room);
}

/// How long messages live in a room: as it says, at most as long as the server allows.
fn lifespan(app: &AppState, room: &room::Model) -> Lifespan {
    let most = app.config.message_lifespan;
    let chosen = room.message_lifespan.map(millis);
    Lifespan(chosen.map_or(most, |chosen| chosen.min(most)))
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
