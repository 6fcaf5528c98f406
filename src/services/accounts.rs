//! Creating an account, signing in, and what people do about their own account.

use std::sync::Arc;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, JoinType, QueryFilter,
    QuerySelect, RelationTrait, Set,
};

use super::sessions::{self, PendingSession};
use super::{memberships, one_time_links};
use crate::config::SignUp;
use crate::core::{Core, Fault, is_duplicate};
use crate::database::entities::{room, room_member, user};
use crate::database::feed::Change;
use crate::database::transaction::Decision::{Commit, RollBack};
use crate::domain::{AccountPassword, Announcements, PlainPassword, UserId, Username};
use crate::live::settings::Settings;
use crate::security::tokens::Token;

/// Whether somebody can create an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// They can.
    Open,
    /// Only who has a sign-up link can.
    ByLinkOnly,
    /// Nobody can.
    Closed,
    /// They came by a link that leads nowhere any more, or never did.
    DeadLink,
}

/// Whether somebody can create an account who came by this link, or without one.
///
/// A link works where everybody can create an account, too: who was given one need not know. Where
/// nobody can, it is not looked at.
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

/// What became of a wish for an account.
#[derive(Debug)]
pub enum Registered {
    /// It is made, and its owner signed in with this key.
    SignedIn(Token),
    /// Somebody has the name, or one that looks like it.
    NameTaken,
    /// The link they came by has expired or was used meanwhile.
    DeadLink,
}

/// What became of signing in.
#[derive(Debug)]
pub enum SignedIn {
    /// They are signed in with this key.
    As(Token),
    /// There is no such account, or it has another password: the same to whoever asks.
    Refused,
}

/// Makes an account and signs its owner in. A link they came by is used up when the account is made, and
/// only then. Call it when they can create one ([`admission`]).
///
/// # Errors
/// When the database or the hashing fails.
pub async fn register(
    core: &Arc<Core>,
    name: Username,
    password: AccountPassword,
    link: Option<Token>,
    user_agent: String,
) -> Result<Registered, Fault> {
    let password_hash = core.passwords.hash(password.plain().clone()).await?;
    let session = PendingSession::new(core, user_agent);
    let now = core.clock.now();
    let registering = Arc::clone(core);
    core.change(async move |transaction| {
        if let Some(link) = &link
            && !one_time_links::spend_sign_up(transaction, link, now).await?
        {
            return Ok(RollBack(Registered::DeadLink));
        }
        let keys = name.keys();
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
        let (key, changes) = session.activate(&registering, transaction, user).await?;
        Ok(Commit(Registered::SignedIn(key), changes))
    })
    .await
}

/// Signs in who has this name and password. No name at all, or one that nobody could have, is one
/// that nobody has, and takes as long.
///
/// # Errors
/// When the database or the hashing fails.
pub async fn sign_in(
    core: &Arc<Core>,
    name: Option<Username>,
    password: PlainPassword,
    user_agent: String,
) -> Result<SignedIn, Fault> {
    // Asked for a name that nobody can have, too, so that it takes as long.
    let folded = name.map(|name| name.keys().folded).unwrap_or_default();
    let named = user::Entity::find().filter(user::Column::FoldedName.eq(folded));
    loop {
        let user = named.clone().one(&core.database).await?;
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let is_right = core.passwords.verify(password.clone(), hash).await?;
        let Some(user) = user.filter(|_| is_right) else {
            return Ok(SignedIn::Refused);
        };
        let new = core.passwords.renew(password.clone(), &user.password_hash);
        let new = new.await?;
        if let Some(key) = begin_session(core, user, new, user_agent.clone()).await? {
            return Ok(SignedIn::As(key));
        }
        // There is another hash now. It may be of the same password: they signed in twice at once, and
        // it was made anew.
    }
}

/// Signs in somebody whose password was right, and keeps the `new` hash of it, if there is one. Gives
/// the key, unless the hash that was compared is not theirs any more.
async fn begin_session(
    core: &Arc<Core>,
    user: user::Model,
    new: Option<String>,
    user_agent: String,
) -> Result<Option<Token>, Fault> {
    let session = PendingSession::new(core, user_agent);
    let signing_in = Arc::clone(core);
    core.change(async move |transaction| {
        if !has_hash(transaction, user.id, &user.password_hash).await? {
            return Ok(RollBack(None));
        }
        if let Some(new) = &new {
            set_hash(transaction, user.id, new.clone()).await?;
        }
        let (key, changes) = session.activate(&signing_in, transaction, user.id).await?;
        Ok(Commit(Some(key), changes))
    })
    .await
}

/// What became of changing one's password.
#[derive(Debug)]
pub enum PasswordChanged {
    /// It is changed. They are signed in with this key, and nowhere else.
    SignedInAgain(Token),
    /// The password they gave as theirs is not, or not any more.
    WrongPassword,
}

/// Gives `user` another password, and ends all their sessions but a new one for who asks.
///
/// # Errors
/// When the database or the hashing fails.
pub async fn change_password(
    core: &Arc<Core>,
    user: UserId,
    current: PlainPassword,
    new: AccountPassword,
    user_agent: String,
) -> Result<PasswordChanged, Fault> {
    let Some(verified) = verified_hash(core, user, current).await? else {
        return Ok(PasswordChanged::WrongPassword);
    };
    let password_hash = core.passwords.hash(new.plain().clone()).await?;
    let session = PendingSession::new(core, user_agent);
    let changing = Arc::clone(core);
    core.change(async move |transaction| {
        if !has_hash(transaction, user, &verified).await? {
            return Ok(RollBack(PasswordChanged::WrongPassword));
        }
        let ended = replace_password(transaction, user, &password_hash).await?;
        let (key, changes) = session.activate(&changing, transaction, user).await?;
        let changes = ended.into_iter().chain(changes).collect();
        Ok(Commit(PasswordChanged::SignedInAgain(key), changes))
    })
    .await
}

/// What became of choosing a new password by a link.
#[derive(Debug)]
pub enum Reset {
    /// It is changed, and the person signed in with this key, and with no other.
    SignedIn(Token),
    /// The link has expired or was used, or never was.
    DeadLink,
}

/// Gives the person whose link this is a new password.
///
/// # Errors
/// When the database or the hashing fails.
pub async fn reset_password(
    core: &Arc<Core>,
    link: Token,
    password: AccountPassword,
    user_agent: String,
) -> Result<Reset, Fault> {
    let password_hash = core.passwords.hash(password.plain().clone()).await?;
    let session = PendingSession::new(core, user_agent);
    let now = core.clock.now();
    let resetting = Arc::clone(core);
    core.change(async move |transaction| {
        let Some(user) = one_time_links::spend_reset(transaction, &link, now).await? else {
            return Ok(RollBack(Reset::DeadLink));
        };
        let ended = replace_password(transaction, user, &password_hash).await?;
        let (key, changes) = session.activate(&resetting, transaction, user).await?;
        let changes = ended.into_iter().chain(changes).collect();
        Ok(Commit(Reset::SignedIn(key), changes))
    })
    .await
}

/// Gives `user` a new password, and deletes all their sessions and links to a new password. Returns the
/// sessions that end by this.
async fn replace_password(
    transaction: &DatabaseTransaction,
    user: UserId,
    password_hash: &str,
) -> Result<Vec<Change>, Fault> {
    set_hash(transaction, user, password_hash.to_owned()).await?;
    one_time_links::delete_resets(transaction, user).await?;
    sessions::delete_all(transaction, user).await
}

/// What became of deleting one's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Done,
    /// The password they gave as theirs is not, or not any more.
    WrongPassword,
}

/// Deletes the account of `user`, and all that is theirs.
///
/// # Errors
/// When the database or the hashing fails.
pub async fn delete_account(
    core: &Arc<Core>,
    user: UserId,
    password: PlainPassword,
) -> Result<Deleted, Fault> {
    let Some(verified) = verified_hash(core, user, password).await? else {
        return Ok(Deleted::WrongPassword);
    };
    core.change(async move |transaction| {
        if !has_hash(transaction, user, &verified).await? {
            return Ok(RollBack(Deleted::WrongPassword));
        }
        Ok(Commit(Deleted::Done, delete(transaction, user).await?))
    })
    .await
}

/// What `user` has chosen. Costs no query for people who are here.
///
/// # Errors
/// When the database fails.
pub async fn settings(core: &Core, user: UserId) -> Result<Settings, Fault> {
    let read = async || {
        let row = user::Entity::find_by_id(user).one(&core.database).await?;
        Ok::<_, Fault>(row.map(|row| Settings {
            announcements: row.announcements,
        }))
    };
    let held = core.settings.get(user, read).await?;
    Ok(held.map_or(
        Settings {
            announcements: Announcements::Each,
        },
        |settings| *settings,
    ))
}

/// Changes what `user` has chosen.
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

/// Deletes a person's account: they leave all rooms, and each passes on or goes as when they leave it
/// themselves. Call it within a transaction, and make the changes known after its commit.
pub(super) async fn delete(
    database: &impl ConnectionTrait,
    user: UserId,
) -> Result<Vec<Change>, Fault> {
    let left = room::Entity::find()
        .join(JoinType::InnerJoin, room_member::Relation::Room.def().rev())
        .filter(room_member::Column::UserId.eq(user));
    let left = left.all(database).await?;
    room_member::Entity::delete_many()
        .filter(room_member::Column::UserId.eq(user))
        .exec(database)
        .await?;
    // The person first: their polls end because they are signed out, not because they have left.
    let mut changes = vec![Change::AccountDeleted(user)];
    for room in left {
        changes.push(memberships::settle_after_leaving(database, &room).await?);
    }
    user::Entity::delete_by_id(user).exec(database).await?;
    Ok(changes)
}

/// The hash of the password of `user`, if that password is this one.
async fn verified_hash(
    core: &Core,
    user: UserId,
    password: PlainPassword,
) -> Result<Option<String>, Fault> {
    let row = user::Entity::find_by_id(user).one(&core.database).await?;
    let hash = row.map(|row| row.password_hash);
    let is_right = core.passwords.verify(password, hash.as_deref()).await?;
    Ok(hash.filter(|_| is_right))
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

/// Whether the password of `user` still is the one that was compared: comparing takes a while, in which
/// it may have been changed, or the account deleted.
async fn has_hash(
    database: &impl ConnectionTrait,
    user: UserId,
    hash: &str,
) -> Result<bool, Fault> {
    let row = user::Entity::find_by_id(user).one(database).await?;
    Ok(row.is_some_and(|row| row.password_hash == hash))
}
