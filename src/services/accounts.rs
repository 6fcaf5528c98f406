//! Creating an account, signing in, and managing one's own account.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, JoinType, QueryFilter,
    QuerySelect, RelationTrait, Set,
};

use super::sessions::{self, Client, PendingSession};
use super::{memberships, name_keys, one_time_links};
use crate::config::SignUp;
use crate::core::{Core, Fault};
use crate::database::entities::{ignored_person, room, room_member, user};
use crate::database::errors::is_duplicate;
use crate::database::feed::Change;
use crate::database::transaction::Decision::{Commit, RollBack};
use crate::domain::{
    AccountPassword, Announcements, PlainPassword, Requester, Timestamp, UserId, Username,
};
use crate::live::done_forms::{Made, Turn};
use crate::live::settings::Settings;
use crate::security::tokens::Token;

/// Whether a person can create an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The person can create an account.
    Open,
    /// Creating an account takes a sign-up link, and the person came without one.
    ByLinkOnly,
    /// Nobody can create an account.
    Closed,
    /// The sign-up link has expired, was used, or never existed.
    DeadLink,
}

/// Returns whether a person can create an account with this sign-up link, or without one.
///
/// A valid link also works where no link is needed, so that people who were given one need not know. Where
/// nobody can create an account, the link is not checked.
///
/// # Errors
/// When the database fails.
pub async fn admission(core: &Core, link: Option<&Token>) -> Result<Admission, Fault> {
    match (core.config.sign_up, link) {
        (SignUp::Closed, _) => Ok(Admission::Closed),
        (_, Some(link)) if one_time_links::opens_sign_up(core, link).await? => Ok(Admission::Open),
        (_, Some(_)) => Ok(Admission::DeadLink),
        (SignUp::Link, None) => Ok(Admission::ByLinkOnly),
        (SignUp::Open, None) => Ok(Admission::Open),
    }
}

/// The outcome of creating an account.
#[derive(Debug)]
pub enum Registered {
    /// The account of this person was created, and they are signed in with this key.
    SignedIn(UserId, Token),
    /// Another account has this name, or one that looks like it.
    NameTaken,
    /// The sign-up link has expired or was used in the meantime.
    DeadLink,
}

/// The outcome of signing in.
#[derive(Debug)]
pub enum SignedIn {
    /// This person is signed in with this key.
    As(UserId, Token),
    /// The account does not exist, or the password is wrong. The two cases look the same to the person.
    Refused,
    /// The name and the password are right, but an operator has suspended the account, for this reason.
    Suspended(String),
}

/// Creates an account and signs the person in. Spends the sign-up link only if the account is created.
/// Callers check [`admission`] first, and that the form was not done in an earlier `turn`.
///
/// # Errors
/// When the database or the password hashing fails.
pub async fn register(
    core: &Arc<Core>,
    turn: &Arc<Turn>,
    name: Username,
    password: AccountPassword,
    link: Option<Token>,
    client: Client,
) -> Result<Registered, Fault> {
    let requester = Requester::Address(client.address);
    let hash = core.passwords.hash(requester, password.plain().clone());
    let password_hash = hash.await?;
    let session = PendingSession::new(core, client);
    let now = core.clock.now();
    let made = |outcome: &Registered| match outcome {
        Registered::SignedIn(user, key) => Some(password_made(*user, key)),
        Registered::NameTaken | Registered::DeadLink => None,
    };
    core.change_by_form(turn, made, async move |transaction| {
        if let Some(link) = &link
            && !one_time_links::spend_sign_up(transaction, link, now).await?
        {
            return Ok(RollBack(Registered::DeadLink));
        }
        let keys = name.keys();
        if name_keys::is_user_set_aside(transaction, &keys).await? {
            return Ok(RollBack(Registered::NameTaken));
        }
        let row = user::ActiveModel {
            name: Set(name.as_str().to_owned()),
            folded_name: Set(keys.folded),
            folded_skeleton: Set(keys.folded_skeleton),
            typed_skeleton: Set(keys.typed_skeleton),
            password_hash: Set(password_hash.clone()),
            announcements: Set(Announcements::Each),
            created_at: Set(now),
            ..Default::default()
        };
        let user = match user::Entity::insert(row).exec(transaction).await {
            Ok(inserted) => inserted.last_insert_id,
            Err(error) if is_duplicate(&error) => return Ok(RollBack(Registered::NameTaken)),
            Err(error) => return Err(error.into()),
        };
        let Some((key, changes)) = session.activate(transaction, user).await? else {
            return Err(Fault::Bug("a new account is suspended".into()));
        };
        Ok(Commit(Registered::SignedIn(user, key), changes))
    })
    .await
}

/// Signs a person in by name and password. A name that is unknown or invalid (`None`) is refused, after the
/// same amount of work as a wrong password.
///
/// # Errors
/// When the database or the password hashing fails.
pub async fn sign_in(
    core: &Arc<Core>,
    name: Option<Username>,
    password: PlainPassword,
    client: Client,
) -> Result<SignedIn, Fault> {
    let requester = Requester::Address(client.address);
    // An invalid name is looked up too, so that it takes as long as a valid one.
    let keys = name.map(|name| name.lookup_keys()).unwrap_or_default();
    let named = name_keys::user_by(keys);
    loop {
        let user = named.clone().one(&core.database).await?;
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let verified = core.passwords.verify(requester, password.clone(), hash);
        let verified = verified.await?;
        let Some(user) = user.filter(|_| verified.is_right()) else {
            return Ok(SignedIn::Refused);
        };
        let hash = &user.password_hash;
        let passwords = &core.passwords;
        let renewed_hash = passwords.renew(requester, password.clone(), hash, verified);
        let renewed_hash = renewed_hash.await?;
        let signed_in = begin_session(core, user, renewed_hash, client.clone()).await?;
        if let Some(signed_in) = signed_in {
            return Ok(signed_in);
        }
        // The stored hash has changed since it was verified. It may be a renewed hash of the same password,
        // if the person signed in twice at once, so try again.
    }
}

/// Begins a session for a person whose password was right, unless the account is suspended, and stores the renewed
/// hash, if there is one. Returns `None` if the stored hash is no longer the one that was verified.
async fn begin_session(
    core: &Arc<Core>,
    user: user::Model,
    renewed_hash: Option<String>,
    client: Client,
) -> Result<Option<SignedIn>, Fault> {
    let session = PendingSession::new(core, client);
    core.change(async move |transaction| {
        let row = user::Entity::find_by_id(user.id).one(transaction).await?;
        let Some(row) = row.filter(|row| row.password_hash == user.password_hash) else {
            return Ok(RollBack(None));
        };
        if let Some(renewed) = &renewed_hash {
            set_hash(transaction, user.id, renewed.clone()).await?;
        }
        let Some((key, changes)) = session.activate(transaction, user.id).await? else {
            let reason = row.suspension_reason.unwrap_or_default();
            return Ok(RollBack(Some(SignedIn::Suspended(reason))));
        };
        Ok(Commit(Some(SignedIn::As(user.id, key)), changes))
    })
    .await
}

/// The outcome of changing one's password.
#[derive(Debug)]
pub enum PasswordChanged {
    /// The password was changed. All other sessions have ended, and the person is signed in with this key.
    SignedInAgain(Token),
    /// The current password is wrong, or was changed in the meantime.
    WrongPassword,
    /// An operator has suspended the account in the meantime, which has ended the session.
    SignedOut,
}

/// Changes the password of `user`, ends all their sessions, and begins a new session for the browser that
/// sent the request.
///
/// # Errors
/// When the database or the password hashing fails.
pub async fn change_password(
    core: &Arc<Core>,
    turn: &Arc<Turn>,
    user: UserId,
    current: PlainPassword,
    new: AccountPassword,
    client: Client,
) -> Result<PasswordChanged, Fault> {
    let requester = Requester::Person(user);
    let Some(verified) = verified_hash(core, requester, user, current).await? else {
        return Ok(PasswordChanged::WrongPassword);
    };
    let hash = core.passwords.hash(requester, new.plain().clone());
    let password_hash = hash.await?;
    let session = PendingSession::new(core, client);
    let made = move |outcome: &PasswordChanged| match outcome {
        PasswordChanged::SignedInAgain(key) => Some(password_made(user, key)),
        PasswordChanged::WrongPassword | PasswordChanged::SignedOut => None,
    };
    core.change_by_form(turn, made, async move |transaction| {
        if !has_hash(transaction, user, &verified).await? {
            return Ok(RollBack(PasswordChanged::WrongPassword));
        }
        let ended = replace_password(transaction, user, &password_hash).await?;
        let Some((key, changes)) = session.activate(transaction, user).await? else {
            return Ok(RollBack(PasswordChanged::SignedOut));
        };
        let changes = ended.into_iter().chain(changes).collect();
        Ok(Commit(PasswordChanged::SignedInAgain(key), changes))
    })
    .await
}

/// The outcome of choosing a new password with a reset link.
#[derive(Debug)]
pub enum Reset {
    /// The password of this person was changed. All other sessions have ended, and they are signed in with this key.
    SignedIn(UserId, Token),
    /// The password was changed, and nobody is signed in, because the account is suspended.
    Suspended,
    /// The reset link has expired, was used, or never existed.
    DeadLink,
}

/// Sets a new password for the person whose reset link this is, ends all their sessions, and signs them in. For
/// `RESET_TOLD_FOR`, the person is told of it.
///
/// # Errors
/// When the database or the password hashing fails.
pub async fn reset_password(
    core: &Arc<Core>,
    turn: &Arc<Turn>,
    link: Token,
    password: AccountPassword,
    client: Client,
) -> Result<Reset, Fault> {
    let requester = Requester::Address(client.address);
    let hash = core.passwords.hash(requester, password.plain().clone());
    let password_hash = hash.await?;
    let session = PendingSession::new(core, client);
    let now = core.clock.now();
    let made = |outcome: &Reset| match outcome {
        Reset::SignedIn(user, key) => Some(password_made(*user, key)),
        Reset::Suspended | Reset::DeadLink => None,
    };
    core.change_by_form(turn, made, async move |transaction| {
        let Some(user) = one_time_links::spend_reset(transaction, &link, now).await? else {
            return Ok(RollBack(Reset::DeadLink));
        };
        let ended = replace_password(transaction, user, &password_hash).await?;
        note_reset(transaction, user, now).await?;
        let Some((key, changes)) = session.activate(transaction, user).await? else {
            return Ok(Commit(Reset::Suspended, ended));
        };
        let changes = ended.into_iter().chain(changes).collect();
        Ok(Commit(Reset::SignedIn(user, key), changes))
    })
    .await
}

/// How long a person is told that a reset link has changed their password. Nothing ends it before, so that an operator
/// who uses the link instead of the person cannot hide it.
const RESET_TOLD_FOR: Duration = Duration::from_secs(30 * 86_400);

/// Returns when a reset link last changed the password of `user`, if that was in the last 30 days. Only operators make
/// such links.
///
/// # Errors
/// When the database fails.
pub async fn recent_reset(core: &Core, user: UserId) -> Result<Option<Timestamp>, Fault> {
    let row = user::Entity::find_by_id(user).one(&core.database).await?;
    let since = core.clock.now().minus(RESET_TOLD_FOR);
    let reset_at = row.and_then(|row| row.reset_at);
    Ok(reset_at.filter(|reset_at| *reset_at > since))
}

async fn note_reset(
    database: &impl ConnectionTrait,
    user: UserId,
    now: Timestamp,
) -> Result<(), Fault> {
    let row = user::ActiveModel {
        id: Set(user),
        reset_at: Set(Some(now)),
        ..Default::default()
    };
    user::Entity::update(row).exec(database).await?;
    Ok(())
}

/// A form that set a password a moment ago.
#[derive(Debug)]
pub struct DonePasswordForm {
    /// The name of the person whose password it set.
    pub name: String,
    user: UserId,
    key: Token,
}

/// Returns what the form has set in an earlier `turn`, if it set the password of an account that still exists.
///
/// # Errors
/// When the database fails.
pub async fn done_password_form(
    core: &Core,
    turn: &Turn,
) -> Result<Option<DonePasswordForm>, Fault> {
    let Some(Made::Password { user, key }) = turn.made() else {
        return Ok(None);
    };
    let row = user::Entity::find_by_id(user).one(&core.database).await?;
    Ok(row.map(|row| DonePasswordForm {
        name: row.name,
        user,
        key,
    }))
}

/// The outcome of sending a form that sets a password again.
#[derive(Debug)]
pub enum SignedInAgain {
    /// The person is signed in with this key.
    As(Token),
    /// The password is not the account's.
    WrongPassword,
    /// An operator has suspended the account in the meantime.
    Suspended,
}

/// Signs the person in whose form was `done` in an earlier `turn` and is sent again with the same new password.
///
/// The session is the one that the form has begun, or another if that one has ended or belongs to another browser.
/// Callers count an attempt at the password first.
///
/// # Errors
/// When the database or the password hashing fails.
pub async fn sign_in_again(
    core: &Arc<Core>,
    turn: &Arc<Turn>,
    done: DonePasswordForm,
    password: PlainPassword,
    client: Client,
) -> Result<SignedInAgain, Fault> {
    let DonePasswordForm { user, key, .. } = done;
    let requester = Requester::Address(client.address);
    let Some(verified) = verified_hash(core, requester, user, password).await? else {
        return Ok(SignedInAgain::WrongPassword);
    };
    let session = PendingSession::new(core, client);
    let made = move |outcome: &SignedInAgain| match outcome {
        SignedInAgain::As(key) => Some(password_made(user, key)),
        SignedInAgain::WrongPassword | SignedInAgain::Suspended => None,
    };
    core.change_by_form(turn, made, async move |transaction| {
        if !has_hash(transaction, user, &verified).await? {
            return Ok(RollBack(SignedInAgain::WrongPassword));
        }
        let begun = match session.rejoin(transaction, user, &key).await? {
            Some(changes) => Some((key.clone(), changes)),
            None => session.activate(transaction, user).await?,
        };
        Ok(match begun {
            Some((key, changes)) => Commit(SignedInAgain::As(key), changes),
            None => RollBack(SignedInAgain::Suspended),
        })
    })
    .await
}

fn password_made(user: UserId, key: &Token) -> Made {
    let key = key.clone();
    Made::Password { user, key }
}

/// Sets a new password for `user`, and deletes all their sessions and reset links. Returns the sessions that
/// end.
async fn replace_password(
    transaction: &DatabaseTransaction,
    user: UserId,
    password_hash: &str,
) -> Result<Vec<Change>, Fault> {
    set_hash(transaction, user, password_hash.to_owned()).await?;
    one_time_links::delete_resets(transaction, user).await?;
    sessions::delete_all(transaction, user).await
}

/// The outcome of deleting one's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The account was deleted.
    Done,
    /// The current password is wrong, or was changed in the meantime.
    WrongPassword,
}

/// Deletes the account of `user` and all their data.
///
/// # Errors
/// When the database or the password hashing fails.
pub async fn delete_account(
    core: &Arc<Core>,
    user: UserId,
    password: PlainPassword,
) -> Result<Deleted, Fault> {
    let requester = Requester::Person(user);
    let Some(verified) = verified_hash(core, requester, user, password).await? else {
        return Ok(Deleted::WrongPassword);
    };
    let rooms_max = Some(core.config.rooms_per_person);
    core.change(async move |transaction| {
        if !has_hash(transaction, user, &verified).await? {
            return Ok(RollBack(Deleted::WrongPassword));
        }
        let changes = delete(transaction, user, rooms_max).await?;
        Ok(Commit(Deleted::Done, changes))
    })
    .await
}

/// Returns whether `user` still has an account.
///
/// # Errors
/// When the database fails.
pub(super) async fn exists(core: &Core, user: UserId) -> Result<bool, Fault> {
    let row = user::Entity::find_by_id(user).one(&core.database).await?;
    Ok(row.is_some())
}

/// Returns the personal settings of `user`. Costs no query while they are held in memory.
///
/// # Errors
/// When the database fails.
pub async fn settings(core: &Core, user: UserId) -> Result<Arc<Settings>, Fault> {
    let held = core
        .settings
        .get(user, async || read_settings(core, user).await);
    Ok(held.await?.unwrap_or_default())
}

async fn read_settings(core: &Core, user: UserId) -> Result<Option<Settings>, Fault> {
    let Some(row) = user::Entity::find_by_id(user).one(&core.database).await? else {
        return Ok(None);
    };
    let ignored: Vec<UserId> = ignored_person::Entity::find()
        .select_only()
        .column(ignored_person::Column::IgnoredId)
        .filter(ignored_person::Column::UserId.eq(user))
        .into_tuple()
        .all(&core.database)
        .await?;
    Ok(Some(Settings {
        announcements: row.announcements,
        ignored: ignored.into_iter().collect(),
    }))
}

/// Sets how much a screen reader announces to `user`.
///
/// # Errors
/// When the database fails.
pub async fn set_announcements(
    core: &Arc<Core>,
    user: UserId,
    announcements: Announcements,
) -> Result<(), Fault> {
    core.change(async move |transaction| {
        let row = user::ActiveModel {
            id: Set(user),
            announcements: Set(announcements),
            ..Default::default()
        };
        user::Entity::update(row).exec(transaction).await?;
        Ok(Commit((), vec![Change::AccountChanged(user)]))
    })
    .await
}

/// Deletes a person's account and ends their memberships. Each room gets a new owner or is deleted, as when a
/// member leaves; `rooms_max` is the maximum number of rooms that the new owner can own, if there is one. Call this
/// within a transaction. Returns the changes to publish.
pub(super) async fn delete(
    database: &impl ConnectionTrait,
    user: UserId,
    rooms_max: Option<u64>,
) -> Result<Vec<Change>, Fault> {
    let left = room::Entity::find()
        .join(JoinType::InnerJoin, room_member::Relation::Room.def().rev())
        .filter(room_member::Column::UserId.eq(user));
    let left = left.all(database).await?;
    room_member::Entity::delete_many()
        .filter(room_member::Column::UserId.eq(user))
        .exec(database)
        .await?;
    // The deletion of the account comes first, so that the person's polls end because they are signed out,
    // not because they have left the room.
    let mut changes = vec![Change::AccountDeleted(user)];
    for room in left {
        changes.push(memberships::settle_after_leaving(database, &room, rooms_max).await?);
    }
    user::Entity::delete_by_id(user).exec(database).await?;
    Ok(changes)
}

/// Returns the password hash of `user`, if `password` is right.
pub(super) async fn verified_hash(
    core: &Core,
    requester: Requester,
    user: UserId,
    password: PlainPassword,
) -> Result<Option<String>, Fault> {
    let row = user::Entity::find_by_id(user).one(&core.database).await?;
    let hash = row.map(|row| row.password_hash);
    let verified = core.passwords.verify(requester, password, hash.as_deref());
    let verified = verified.await?;
    Ok(hash.filter(|_| verified.is_right()))
}

async fn set_hash(
    database: &impl ConnectionTrait,
    user: UserId,
    hash: String,
) -> Result<(), Fault> {
    let row = user::ActiveModel {
        id: Set(user),
        password_hash: Set(hash),
        ..Default::default()
    };
    user::Entity::update(row).exec(database).await?;
    Ok(())
}

/// Returns whether `hash` is still the password hash of `user`. Verifying takes a while, in which the
/// password can be changed or the account deleted.
pub(super) async fn has_hash(
    database: &impl ConnectionTrait,
    user: UserId,
    hash: &str,
) -> Result<bool, Fault> {
    let row = user::Entity::find_by_id(user).one(database).await?;
    Ok(row.is_some_and(|row| row.password_hash == hash))
}
