//! What operators do on the site's pages: see all accounts and public rooms, suspend and delete them, and make links.
//!
//! Each change checks within its transaction that the actor is still an operator with the password that was just
//! given, and writes one line to the log once it is committed. Operators have no power over each other here: for that,
//! there are the commands of [`super::operators`].

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::sea_query::{Expr, ExprTrait as _, LikeExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Select, Set,
};

use super::operators::Standing;
use super::{accounts, one_time_links, sessions};
use crate::core::{Core, Fault, run_to_completion};
use crate::database::count::count_by;
use crate::database::entities::{room, room_member, session, user};
use crate::database::feed::Change;
use crate::database::transaction::Decision::{self, Commit, RollBack};
use crate::domain::{NameKeys, PlainPassword, Reason, Requester, RoomId, Timestamp, UserId};
use crate::live::done_forms::{Made, Turn};
use crate::security::tokens::Token;

/// The number of entries on one page of a list.
const LIST_PAGE: u64 = 50;

/// Returns whether `user` is an operator.
///
/// # Errors
/// When the database fails.
pub async fn is_operator(core: &Core, user: UserId) -> Result<bool, Fault> {
    holds_role(&core.database, user).await
}

/// Returns the operators. There are few, and suspended ones are none.
///
/// # Errors
/// When the database fails.
pub(super) async fn operators(core: &Core) -> Result<Vec<UserId>, Fault> {
    let operators = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::IsOperator.eq(true))
        .filter(user::Column::SuspendedAt.is_null())
        .into_tuple()
        .all(&core.database);
    Ok(operators.await?)
}

async fn holds_role(database: &impl ConnectionTrait, user: UserId) -> Result<bool, Fault> {
    let row = user::Entity::find_by_id(user).one(database).await?;
    Ok(row.is_some_and(|row| Standing::of(&row) == Standing::Operator))
}

/// One page of a list.
#[derive(Debug)]
pub struct Listed<T> {
    /// The entries of this page, sorted by name.
    pub entries: Vec<T>,
    /// The number of entries on all pages.
    pub total: u64,
    /// The number of this page, from 1.
    pub page: u64,
    /// The number of pages, at least 1.
    pub pages: u64,
}

impl<T> Listed<T> {
    fn map<U>(self, entry: impl FnMut(T) -> U) -> Listed<U> {
        Listed {
            entries: self.entries.into_iter().map(entry).collect(),
            total: self.total,
            page: self.page,
            pages: self.pages,
        }
    }
}

/// A person, as operators see them.
#[derive(Debug)]
pub struct Person {
    /// The person's id.
    pub id: UserId,
    /// The person's name.
    pub name: String,
    /// What the person may do.
    pub standing: Standing,
    /// When the account was created.
    pub created_at: Timestamp,
    /// When the account was suspended and why, if it is.
    pub suspension: Option<(Timestamp, String)>,
    /// The number of rooms that the person is a member of, private ones too.
    pub rooms: u64,
    /// The number of browsers that the person is signed in with.
    pub sessions: u64,
}

/// Returns one page of the accounts whose names contain `search`, ignoring letter case. A page number after the last
/// page gives the last page.
///
/// # Errors
/// When the database fails.
pub async fn people(core: &Core, search: &str, page: u64) -> Result<Listed<Person>, Fault> {
    let found = user::Entity::find()
        .filter(contains(user::Column::FoldedName, search))
        .order_by_asc(user::Column::FoldedName);
    let found = paged(core, found, page).await?;
    let ids = || found.entries.iter().map(|person| person.id);
    let memberships = room_member::Entity::find().filter(room_member::Column::UserId.is_in(ids()));
    let rooms = count_by(&core.database, memberships, room_member::Column::UserId).await?;
    let valid = session::Entity::find()
        .filter(session::Column::UserId.is_in(ids()))
        .filter(sessions::is_valid(core.clock.now()));
    let sessions = count_by(&core.database, valid, session::Column::UserId).await?;
    Ok(found.map(|row| seen(row, &rooms, &sessions)))
}

/// Returns the person with this id, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn person(core: &Core, id: UserId) -> Result<Option<Person>, Fault> {
    match user::Entity::find_by_id(id).one(&core.database).await? {
        Some(row) => Ok(Some(with_counts(core, row).await?)),
        None => Ok(None),
    }
}

/// Returns the person with this id, before an act about them that the operator has not confirmed yet. Refuses whom the
/// act itself would refuse.
///
/// # Errors
/// When the database fails.
pub async fn person_to_act_on(core: &Core, id: UserId) -> Result<Acted<Person>, Fault> {
    Ok(match subject(&core.database, id).await? {
        Acted::Done(row) => Acted::Done(with_counts(core, row).await?),
        Acted::NotAllowed => Acted::NotAllowed,
        Acted::Gone => Acted::Gone,
        Acted::IsOperator => Acted::IsOperator,
    })
}

async fn with_counts(core: &Core, row: user::Model) -> Result<Person, Fault> {
    let id = row.id;
    let memberships = room_member::Entity::find().filter(room_member::Column::UserId.eq(id));
    let rooms = memberships.count(&core.database).await?;
    let valid = session::Entity::find()
        .filter(session::Column::UserId.eq(id))
        .filter(sessions::is_valid(core.clock.now()));
    let sessions = valid.count(&core.database).await?;
    let of = |count| HashMap::from([(id, count)]);
    Ok(seen(row, &of(rooms), &of(sessions)))
}

fn seen(row: user::Model, rooms: &HashMap<UserId, u64>, sessions: &HashMap<UserId, u64>) -> Person {
    Person {
        standing: Standing::of(&row),
        suspension: row
            .suspended_at
            .map(|at| (at, row.suspension_reason.unwrap_or_default())),
        rooms: rooms.get(&row.id).copied().unwrap_or(0),
        sessions: sessions.get(&row.id).copied().unwrap_or(0),
        id: row.id,
        name: row.name,
        created_at: row.created_at,
    }
}

/// A public room, as operators see it.
#[derive(Debug)]
pub struct PublicRoom {
    /// The room's id.
    pub id: RoomId,
    /// The room's name.
    pub name: String,
    /// When the room was created.
    pub created_at: Timestamp,
    /// The number of members.
    pub members: u64,
    /// The owner's id and name.
    pub owner: (UserId, String),
}

/// Returns one page of the public rooms whose names contain `search`, ignoring letter case. A page number after the
/// last page gives the last page.
///
/// # Errors
/// When the database fails.
pub async fn rooms(core: &Core, search: &str, page: u64) -> Result<Listed<PublicRoom>, Fault> {
    let found = public_rooms()
        .filter(contains(room::Column::FoldedName, search))
        .order_by_asc(room::Column::FoldedName);
    let found = paged(core, found, page).await?;
    let (names, members) = people_of(core, &found.entries).await?;
    Ok(found.map(|row| public_room(row, &names, &members)))
}

/// Returns the public rooms that `owner` owns, sorted by name.
///
/// # Errors
/// When the database fails.
pub async fn owned_rooms(core: &Core, owner: UserId) -> Result<Vec<PublicRoom>, Fault> {
    let owned = public_rooms()
        .filter(room::Column::OwnerId.eq(owner))
        .order_by_asc(room::Column::FoldedName)
        .all(&core.database)
        .await?;
    let (names, members) = people_of(core, &owned).await?;
    let room = |row| public_room(row, &names, &members);
    Ok(owned.into_iter().map(room).collect())
}

/// Returns the public room with this id, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn room(core: &Core, id: RoomId) -> Result<Option<PublicRoom>, Fault> {
    let found = public_rooms().filter(room::Column::Id.eq(id));
    let Some(row) = found.one(&core.database).await? else {
        return Ok(None);
    };
    let (names, members) = people_of(core, std::slice::from_ref(&row)).await?;
    Ok(Some(public_room(row, &names, &members)))
}

/// Selects the public rooms. Operators see no private room.
fn public_rooms() -> Select<room::Entity> {
    room::Entity::find().filter(room::Column::IsPrivate.eq(false))
}

/// Returns the names of the owners of `rooms`, and the number of members of each.
async fn people_of(
    core: &Core,
    rooms: &[room::Model],
) -> Result<(HashMap<UserId, String>, HashMap<RoomId, u64>), Fault> {
    let owners = rooms.iter().map(|room| room.owner_id);
    let names: Vec<(UserId, String)> = user::Entity::find()
        .select_only()
        .columns([user::Column::Id, user::Column::Name])
        .filter(user::Column::Id.is_in(owners))
        .into_tuple()
        .all(&core.database)
        .await?;
    let ids = rooms.iter().map(|room| room.id);
    let memberships = room_member::Entity::find().filter(room_member::Column::RoomId.is_in(ids));
    let members = count_by(&core.database, memberships, room_member::Column::RoomId).await?;
    Ok((names.into_iter().collect(), members))
}

fn public_room(
    row: room::Model,
    names: &HashMap<UserId, String>,
    members: &HashMap<RoomId, u64>,
) -> PublicRoom {
    let owner = names.get(&row.owner_id).cloned().unwrap_or_default();
    PublicRoom {
        members: members.get(&row.id).copied().unwrap_or(0),
        owner: (row.owner_id, owner),
        id: row.id,
        name: row.name,
        created_at: row.created_at,
    }
}

/// Selects the rows whose folded name contains `search` as typed.
fn contains(column: impl ColumnTrait, search: &str) -> Condition {
    let searched = NameKeys::searched(search);
    if searched.is_empty() {
        return Condition::all();
    }
    let mut pattern = String::from("%");
    for character in searched.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    let like = LikeExpr::new(pattern).escape('!');
    Condition::all().add(Expr::col(column.as_column_ref()).like(like))
}

/// Reads one page of `rows`, from 1.
async fn paged<E: EntityTrait>(
    core: &Core,
    rows: Select<E>,
    page: u64,
) -> Result<Listed<E::Model>, Fault>
where
    E::Model: Send + Sync,
{
    let total = rows.clone().count(&core.database).await?;
    let pages = Ord::max(total.div_ceil(LIST_PAGE), 1);
    let page = Ord::clamp(page, 1, pages);
    let rows = rows.offset((page - 1) * LIST_PAGE).limit(LIST_PAGE);
    Ok(Listed {
        entries: rows.all(&core.database).await?,
        total,
        page,
        pages,
    })
}

/// An operator who has just given their password.
#[derive(Debug, Clone)]
pub struct Confirmed {
    actor: Actor,
    /// The hash that the password was verified against.
    hash: String,
}

/// Returns proof that the operator `actor` has given their password, if it is right. Callers count an attempt at the
/// password first.
///
/// # Errors
/// When the database or the password hashing fails.
pub async fn confirm(
    core: &Core,
    actor: Actor,
    password: PlainPassword,
) -> Result<Option<Confirmed>, Fault> {
    let id = actor.id;
    let hash = accounts::verified_hash(core, Requester::Person(id), id, password).await?;
    Ok(hash.map(|hash| Confirmed { actor, hash }))
}

/// The outcome of an operator's act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted<T = ()> {
    /// The act was carried out, now or by the same form before.
    Done(T),
    /// The actor is no longer an operator, or has changed the password in the meantime.
    NotAllowed,
    /// There is no such person or public room.
    Gone,
    /// The person is an operator.
    IsOperator,
}

impl<T> Acted<T> {
    fn map<U>(self, done: impl FnOnce(T) -> U) -> Acted<U> {
        match self {
            Self::Done(value) => Acted::Done(done(value)),
            Self::NotAllowed => Acted::NotAllowed,
            Self::Gone => Acted::Gone,
            Self::IsOperator => Acted::IsOperator,
        }
    }
}

/// Suspends the account of `person`: ends all their sessions, and lets nobody sign in to it.
///
/// Their memberships stay, and so do the rooms that they own and their messages, until their deadlines. Suspending them
/// again replaces the reason.
///
/// # Errors
/// When the database fails.
pub async fn suspend(
    core: &Arc<Core>,
    actor: &Confirmed,
    person: UserId,
    reason: Reason,
) -> Result<Acted, Fault> {
    let now = core.clock.now();
    carry_out(core, actor, "suspend", async move |transaction| {
        let row = match subject(transaction, person).await? {
            Acted::Done(row) => row,
            refused => return Ok(RollBack(refused.map(|_| None))),
        };
        let reason = Some(reason.as_str().to_owned());
        if row.suspended_at.is_some() && row.suspension_reason == reason {
            return Ok(RollBack(Acted::Done(None)));
        }
        let update = user::ActiveModel {
            id: Set(person),
            suspended_at: Set(Some(row.suspended_at.unwrap_or(now))),
            suspension_reason: Set(reason),
            ..Default::default()
        };
        user::Entity::update(update).exec(transaction).await?;
        let ended = sessions::delete_all(transaction, person).await?;
        Ok(Commit(Acted::Done(Some(Subject::of(row))), ended))
    })
    .await
}

/// Lifts the suspension of `person`, who can then sign in again. Does nothing if they are not suspended.
///
/// # Errors
/// When the database fails.
pub async fn lift(core: &Arc<Core>, actor: &Confirmed, person: UserId) -> Result<Acted, Fault> {
    carry_out(core, actor, "lift", async move |transaction| {
        let row = match subject(transaction, person).await? {
            Acted::Done(row) => row,
            refused => return Ok(RollBack(refused.map(|_| None))),
        };
        if row.suspended_at.is_none() {
            return Ok(RollBack(Acted::Done(None)));
        }
        let update = user::ActiveModel {
            id: Set(person),
            suspended_at: Set(None),
            suspension_reason: Set(None),
            ..Default::default()
        };
        user::Entity::update(update).exec(transaction).await?;
        Ok(Commit(Acted::Done(Some(Subject::of(row))), Vec::new()))
    })
    .await
}

/// Deletes the account of `person` and their messages. Their rooms pass on as when a person deletes their own account.
///
/// # Errors
/// When the database fails.
pub async fn delete_person(
    core: &Arc<Core>,
    actor: &Confirmed,
    person: UserId,
) -> Result<Acted, Fault> {
    let rooms_max = Some(core.config.rooms_per_person);
    carry_out(core, actor, "delete-account", async move |transaction| {
        let row = match subject(transaction, person).await? {
            Acted::Done(row) => row,
            refused => return Ok(RollBack(refused.map(|_| None))),
        };
        let changes = accounts::delete(transaction, person, rooms_max).await?;
        Ok(Commit(Acted::Done(Some(Subject::of(row))), changes))
    })
    .await
}

/// Deletes a public room and its messages.
///
/// # Errors
/// When the database fails.
pub async fn delete_room(
    core: &Arc<Core>,
    actor: &Confirmed,
    room: RoomId,
) -> Result<Acted, Fault> {
    carry_out(core, actor, "delete-room", async move |transaction| {
        let found = public_rooms().filter(room::Column::Id.eq(room));
        let Some(row) = found.one(transaction).await? else {
            return Ok(RollBack(Acted::Gone));
        };
        // The database cascades to memberships, bans and invites.
        room::Entity::delete_by_id(room).exec(transaction).await?;
        let deleted = Acted::Done(Some(Subject::Room(room, row.name)));
        Ok(Commit(deleted, vec![Change::RoomDeleted(room)]))
    })
    .await
}

/// Makes a link with which `person` can choose a new password.
///
/// Returns the link that the form has made in an earlier `turn`, if it has. Whoever uses the link has the person's
/// account; the person is told of it ([`accounts::recent_reset`]).
///
/// # Errors
/// When the database fails.
pub async fn reset_link(
    core: &Arc<Core>,
    turn: &Turn,
    actor: &Confirmed,
    person: UserId,
) -> Result<Acted<Token>, Fault> {
    if let Some(token) = made_before(turn, Some(person)) {
        return Ok(Acted::Done(token));
    }
    let (token, now) = (Token::random(), core.clock.now());
    let link = token.clone();
    let acted = carry_out(core, actor, "reset-link", async move |transaction| {
        let row = match subject(transaction, person).await? {
            Acted::Done(row) => row,
            refused => return Ok(RollBack(refused.map(|_| None))),
        };
        one_time_links::insert_reset(transaction, &link, person, now).await?;
        Ok(Commit(Acted::Done(Some(Subject::of(row))), Vec::new()))
    });
    let acted = acted.await?.map(|()| token);
    note(core, turn, Some(person), &acted).await;
    Ok(acted)
}

/// Makes a link with which one person can create an account, or returns the link that the form has made in an earlier
/// `turn`.
///
/// # Errors
/// When the database fails.
pub async fn sign_up_link(
    core: &Arc<Core>,
    turn: &Turn,
    actor: &Confirmed,
) -> Result<Acted<Token>, Fault> {
    if let Some(token) = made_before(turn, None) {
        return Ok(Acted::Done(token));
    }
    let (token, now) = (Token::random(), core.clock.now());
    let link = token.clone();
    let acted = carry_out(core, actor, "sign-up-link", async move |transaction| {
        one_time_links::insert_sign_up(transaction, &link, now).await?;
        Ok(Commit(Acted::Done(Some(Subject::Site)), Vec::new()))
    });
    let acted = acted.await?.map(|()| token);
    note(core, turn, None, &acted).await;
    Ok(acted)
}

fn made_before(turn: &Turn, of: Option<UserId>) -> Option<Token> {
    match turn.made() {
        Some(Made::OneTimeLink { person, token }) if person == of => Some(token),
        _ => None,
    }
}

/// Notes in `turn` that its form has made this link, if it has.
async fn note(core: &Core, turn: &Turn, person: Option<UserId>, acted: &Acted<Token>) {
    if let Acted::Done(token) = acted {
        let made = Made::OneTimeLink {
            person,
            token: token.clone(),
        };
        turn.note(made, core.clock.site_time()).await;
    }
}

/// Returns the person with this id, if there is one and they are not an operator: operators have no power over each
/// other.
async fn subject(
    database: &impl ConnectionTrait,
    person: UserId,
) -> Result<Acted<user::Model>, Fault> {
    let row = user::Entity::find_by_id(person).one(database).await?;
    Ok(match row {
        None => Acted::Gone,
        Some(row) if row.is_operator => Acted::IsOperator,
        Some(row) => Acted::Done(row),
    })
}

/// Whom or what an act was about, for the log.
pub(super) enum Subject {
    /// A person.
    Person(UserId, String),
    /// A room.
    Room(RoomId, String),
    /// The report of a message: its author, and the room.
    Report((UserId, Arc<str>), (RoomId, String)),
    /// The whole site.
    Site,
}

impl Subject {
    fn of(person: user::Model) -> Self {
        Self::Person(person.id, person.name)
    }
}

impl Confirmed {
    /// Returns whether the operator still is one, with the same password.
    async fn may_act(&self, transaction: &DatabaseTransaction) -> Result<bool, Fault> {
        let id = self.actor.id;
        Ok(holds_role(transaction, id).await?
            && accounts::has_hash(transaction, id, &self.hash).await?)
    }
}

/// An operator, by id and name, for the log.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The operator's id.
    pub id: UserId,
    /// The operator's name.
    pub name: Arc<str>,
}

impl Actor {
    /// Writes an act to the log.
    fn log(&self, act: &'static str, subject: &Subject) {
        let (person, room) = match subject {
            Subject::Person(id, name) => (Some((id, name.as_str())), None),
            Subject::Room(id, name) => (None, Some((id, name.as_str()))),
            Subject::Report((author, name), (room, room_name)) => {
                (Some((author, &**name)), Some((room, room_name.as_str())))
            }
            Subject::Site => (None, None),
        };
        // A field without a value is not written.
        tracing::info!(
            act,
            operator_id = self.id.0,
            operator = &*self.name,
            person_id = person.map(|(id, _)| id.0),
            person = person.map(|(_, name)| name),
            room_id = room.map(|(id, _)| id.0),
            room = room.map(|(_, name)| name),
            "operator act"
        );
    }
}

/// Carries out an operator's act in one transaction, if the operator still may.
async fn carry_out(
    core: &Arc<Core>,
    confirmed: &Confirmed,
    act: &'static str,
    work: impl AsyncFn(&DatabaseTransaction) -> Result<Decision<Acted<Option<Subject>>>, Fault>
    + 'static,
) -> Result<Acted, Fault> {
    let (core, checked) = (Arc::clone(core), confirmed.clone());
    let change = async move {
        core.change(async move |transaction| {
            if !checked.may_act(transaction).await? {
                return Ok(RollBack(Acted::NotAllowed));
            }
            work(transaction).await
        })
        .await
    };
    logged(confirmed.actor.clone(), act, change).await
}

/// The one way of every act: does `work`, and writes the act to the log if it changed anything, which `work` says by
/// whom or what the act was about. Runs to completion, log line included, even if the client hangs up.
pub(super) async fn logged(
    actor: Actor,
    act: &'static str,
    work: impl Future<Output = Result<Acted<Option<Subject>>, Fault>> + 'static,
) -> Result<Acted, Fault> {
    run_to_completion(async move {
        let acted = work.await?;
        if let Acted::Done(Some(subject)) = &acted {
            actor.log(act, subject);
        }
        Ok(acted.map(|_| ()))
    })
    .await
}
