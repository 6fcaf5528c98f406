//! The operator's commands, which may run beside a server.
//!
//! Each change is one transaction: if the process is killed, all of the change is done or none of it. A
//! running server learns of the change from the change feed.

use std::collections::HashMap;

use sea_orm::{
    DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Set,
    TransactionTrait,
};

use super::{accounts, name_keys, one_time_links, sessions};
use crate::core::Fault;
use crate::database::count::count_by;
use crate::database::entities::{room, room_member, session, user};
use crate::database::feed::{Change, Origin};
use crate::database::transaction::{
    self,
    Decision::{Commit, RollBack},
};
use crate::domain::{NameKeys, RoomId, Timestamp, UserId};
use crate::security::tokens::Token;

/// A person in the operator's list.
#[derive(Debug)]
pub struct ListedPerson {
    /// The person's name.
    pub name: String,
    /// When the account was created.
    pub created_at: Timestamp,
    /// The number of rooms the person is a member of.
    pub rooms: u64,
    /// The number of the person's sessions that have not expired.
    pub sessions: u64,
    /// What the person may do.
    pub standing: Standing,
}

/// What a person may do on the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The person may use the site.
    Active,
    /// The person may also moderate the site.
    Operator,
    /// An operator has suspended the account: nobody can sign in to it.
    Suspended,
}

impl Standing {
    /// Returns what the person with this account may do.
    #[must_use]
    pub fn of(person: &user::Model) -> Self {
        match (person.suspended_at, person.is_operator) {
            (Some(_), _) => Self::Suspended,
            (None, true) => Self::Operator,
            (None, false) => Self::Active,
        }
    }

    /// Returns the word for lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Operator => "operator",
            Self::Suspended => "suspended",
        }
    }
}

/// Returns all people, sorted by name.
///
/// # Errors
/// When the database fails.
pub async fn people(
    database: &DatabaseConnection,
    now: Timestamp,
) -> Result<Vec<ListedPerson>, Fault> {
    let snapshot = database.begin().await?;
    let people = user::Entity::find()
        .order_by_asc(user::Column::FoldedName)
        .all(&snapshot)
        .await?;
    let memberships = room_member::Entity::find();
    let rooms: HashMap<UserId, u64> =
        count_by(&snapshot, memberships, room_member::Column::UserId).await?;
    let valid = session::Entity::find().filter(sessions::is_valid(now));
    let sessions: HashMap<UserId, u64> =
        count_by(&snapshot, valid, session::Column::UserId).await?;
    snapshot.rollback().await?;
    let listed = |person: user::Model| ListedPerson {
        rooms: rooms.get(&person.id).copied().unwrap_or(0),
        sessions: sessions.get(&person.id).copied().unwrap_or(0),
        standing: Standing::of(&person),
        name: person.name,
        created_at: person.created_at,
    };
    Ok(people.into_iter().map(listed).collect())
}

/// A room in the operator's list.
#[derive(Debug)]
pub struct ListedRoom {
    /// The room's name.
    pub name: String,
    /// Whether the room is private.
    pub is_private: bool,
    /// The owner's name.
    pub owner: String,
    /// The number of members.
    pub members: u64,
}

/// Returns all rooms, public and private, sorted by name.
///
/// # Errors
/// When the database fails.
pub async fn rooms(database: &DatabaseConnection) -> Result<Vec<ListedRoom>, Fault> {
    let snapshot = database.begin().await?;
    let rooms = room::Entity::find()
        .order_by_asc(room::Column::FoldedName)
        .all(&snapshot)
        .await?;
    let names: Vec<(UserId, String)> = user::Entity::find()
        .select_only()
        .columns([user::Column::Id, user::Column::Name])
        .into_tuple()
        .all(&snapshot)
        .await?;
    let memberships = room_member::Entity::find();
    let members: HashMap<RoomId, u64> =
        count_by(&snapshot, memberships, room_member::Column::RoomId).await?;
    snapshot.rollback().await?;
    let names: HashMap<UserId, String> = names.into_iter().collect();
    let listed = |room: room::Model| ListedRoom {
        owner: names.get(&room.owner_id).cloned().unwrap_or_default(),
        members: members.get(&room.id).copied().unwrap_or(0),
        name: room.name,
        is_private: room.is_private,
    };
    Ok(rooms.into_iter().map(listed).collect())
}

/// Returns the id and the stored name of the person whose name an operator typed, if there is such a person.
///
/// # Errors
/// When the database fails.
pub async fn find_person(
    database: &DatabaseConnection,
    typed: &str,
) -> Result<Option<(UserId, String)>, Fault> {
    let person = person(typed).one(database).await?;
    Ok(person.map(|person| (person.id, person.name)))
}

/// Returns the id and the stored name of the room whose name an operator typed, if there is such a room.
///
/// # Errors
/// When the database fails.
pub async fn find_room(
    database: &DatabaseConnection,
    typed: &str,
) -> Result<Option<(RoomId, String)>, Fault> {
    let room = name_keys::room_by(lookup_keys(typed)).one(database).await?;
    Ok(room.map(|room| (room.id, room.name)))
}

/// The outcome of making somebody an operator, or of taking that back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorSet {
    /// The person with this stored name is an operator now, or no longer one.
    Done(String),
    /// The account with this stored name is suspended, so its owner cannot become an operator.
    Suspended(String),
    /// There is no such person.
    Unknown,
}

/// Makes the person with this name an operator, who may moderate the site, or takes that back.
///
/// If it changes anything, the person is signed out everywhere: no session keeps a right that was taken away, and none
/// that somebody has stolen gains one.
///
/// # Errors
/// When the database fails.
pub async fn set_operator(
    database: &DatabaseConnection,
    typed: &str,
    is_operator: bool,
    now: Timestamp,
) -> Result<OperatorSet, Fault> {
    let set = transaction::change(database, Origin::random(), now, async |transaction| {
        let Some(person) = person(typed).one(transaction).await? else {
            return Ok::<_, Fault>(RollBack(OperatorSet::Unknown));
        };
        if is_operator && person.suspended_at.is_some() {
            return Ok(RollBack(OperatorSet::Suspended(person.name)));
        }
        if person.is_operator == is_operator {
            return Ok(RollBack(OperatorSet::Done(person.name)));
        }
        let row = user::ActiveModel {
            id: Set(person.id),
            is_operator: Set(is_operator),
            ..Default::default()
        };
        user::Entity::update(row).exec(transaction).await?;
        let ended = sessions::delete_all(transaction, person.id).await?;
        Ok(Commit(OperatorSet::Done(person.name), ended))
    });
    Ok(set.await?.0)
}

/// Deletes a person's account. Returns whether it existed.
///
/// # Errors
/// When the database fails.
pub async fn delete_person(
    database: &DatabaseConnection,
    person: UserId,
    now: Timestamp,
) -> Result<bool, Fault> {
    let deleted = transaction::change(database, Origin::random(), now, async |transaction| {
        let found = user::Entity::find_by_id(person).one(transaction).await?;
        if found.is_none() {
            return Ok::<_, Fault>(RollBack(false));
        }
        let changes = accounts::delete(transaction, person, None).await?;
        Ok(Commit(true, changes))
    });
    Ok(deleted.await?.0)
}

/// Deletes a room. Returns whether it existed.
///
/// # Errors
/// When the database fails.
pub async fn delete_room(
    database: &DatabaseConnection,
    room: RoomId,
    now: Timestamp,
) -> Result<bool, Fault> {
    let deleted = transaction::change(database, Origin::random(), now, async |transaction| {
        // The database cascades to memberships, bans and invites.
        let deleted = room::Entity::delete_by_id(room).exec(transaction).await?;
        Ok::<_, Fault>(if deleted.rows_affected > 0 {
            Commit(true, vec![Change::RoomDeleted(room)])
        } else {
            RollBack(false)
        })
    });
    Ok(deleted.await?.0)
}

/// Creates a password reset link for the person with this name, if there is such a person.
///
/// # Errors
/// When the database fails.
pub async fn reset_link(
    database: &DatabaseConnection,
    typed: &str,
    now: Timestamp,
) -> Result<Option<Token>, Fault> {
    let link = Token::random();
    let made = transaction::change(database, Origin::random(), now, async |transaction| {
        let Some(person) = person(typed).one(transaction).await? else {
            return Ok::<_, Fault>(RollBack(false));
        };
        one_time_links::insert_reset(transaction, &link, person.id, now).await?;
        Ok(Commit(true, Vec::new()))
    });
    let (is_made, _) = made.await?;
    Ok(is_made.then_some(link))
}

/// Creates a sign-up link for one account.
///
/// # Errors
/// When the database fails.
pub async fn sign_up_link(database: &DatabaseConnection, now: Timestamp) -> Result<Token, Fault> {
    let link = Token::random();
    let made = transaction::change(database, Origin::random(), now, async |transaction| {
        one_time_links::insert_sign_up(transaction, &link, now).await?;
        Ok::<_, Fault>(Commit((), Vec::new()))
    });
    made.await?;
    Ok(link)
}

fn person(typed: &str) -> Select<user::Entity> {
    name_keys::user_by(lookup_keys(typed))
}

/// Returns the keys by which a typed name is looked up.
fn lookup_keys(typed: &str) -> [String; 2] {
    let words: Vec<&str> = typed.split_whitespace().collect();
    NameKeys::lookup(&words.join(" "))
}
