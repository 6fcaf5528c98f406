//! Creating an account, signing in, and what people do about their own account.

use std::sync::Arc;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, JoinType, QueryFilter,
    QuerySelect, RelationTrait, Set,
};

use super::changes::Change;
use super::sessions;
use super::tokens::Token;
use super::{Cache, Fault, changes, is_duplicate, members, one_time_links, to_the_end};
use crate::app::AppState;
use crate::config::SignUp;
use crate::database;
use crate::domain::{AccountPassword, Announcements, PlainPassword, UserId, Username};
use crate::entities::{room, room_member, user};

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
pub async fn admission(app: &AppState, link: Option<&Token>) -> Result<Admission, Fault> {
    match (app.config.sign_up, link) {
        (SignUp::Closed, _) => Ok(Admission::Closed),
        (_, Some(link)) if one_time_links::opens_sign_up(app, link).await? => Ok(Admission::Open),
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
    app: &Arc<AppState>,
    name: Username,
    password: AccountPassword,
    link: Option<Token>,
    user_agent: String,
) -> Result<Registered, Fault> {
    let app = Arc::clone(app);
    let password_hash = app.passwords.hash(password.plain().clone()).await?;
    to_the_end(async move {
        let (keys, now) = (name.keys(), app.clock.now());
        let row = user::ActiveModel {
            name: Set(name.as_str().to_owned()),
            folded_name: Set(keys.folded),
            folded_skeleton: Set(keys.folded_skeleton),
            typed_skeleton: Set(keys.typed_skeleton),
            password_hash: Set(password_hash),
            announcements: Set(Announcements::Each.word().to_owned()),
            created_at: Set(now),
            ..Default::default()
        };
        let transaction = database::write(&app.database).await?;
        if let Some(link) = link
            && !one_time_links::spend_sign_up(&transaction, &link, now).await?
        {
            return Ok(Registered::DeadLink);
        }
        let user = match user::Entity::insert(row).exec(&transaction).await {
            Ok(inserted) => inserted.last_insert_id,
            Err(error) if is_duplicate(&error) => return Ok(Registered::NameTaken),
            Err(error) => return Err(error.into()),
        };
        let session = sessions::begin(&app, &transaction, user, &user_agent).await?;
        transaction.commit().await?;
        Ok(Registered::SignedIn(session.settle(&app)))
    })
    .await
}

/// Signs in who has this name and password. No name at all, or one that nobody could have, is one
/// that nobody has, and takes as long.
///
/// # Errors
/// When the database or the hashing fails.
pub async fn sign_in(
    app: &Arc<AppState>,
    name: Option<Username>,
    password: PlainPassword,
    user_agent: String,
) -> Result<SignedIn, Fault> {
    // Asked for a name that nobody can have, too, so that it takes as long.
    let folded = name.map(|name| name.keys().folded).unwrap_or_default();
    let named = user::Entity::find().filter(user::Column::FoldedName.eq(folded));
    loop {
        let user = named.clone().one(&app.database).await?;
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let is_right = app.passwords.verify(password.clone(), hash).await?;
        let Some(user) = user.filter(|_| is_right) else {
            return Ok(SignedIn::Refused);
        };
        let new = app.passwords.renew(password.clone(), &user.password_hash);
        let new = new.await?;
        if let Some(key) = begin_session(app, user, new, user_agent.clone()).await? {
            return Ok(SignedIn::As(key));
        }
        // There is another hash now. It may be of the same password: they signed in twice at once, and
        // it was made anew.
    }
}

/// Signs in somebody whose password was right, and keeps the `new` hash of it, if there is one. Gives
/// the key, unless the hash that was compared is not theirs any more.
async fn begin_session(
    app: &Arc<AppState>,
    user: user::Model,
    new: Option<String>,
    user_agent: String,
) -> Result<Option<Token>, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        if !has_hash(&transaction, user.id, &user.password_hash).await? {
            return Ok(None);
        }
        if let Some(new) = new {
            set_hash(&transaction, user.id, new).await?;
        }
        let session = sessions::begin(&app, &transaction, user.id, &user_agent).await?;
        transaction.commit().await?;
        Ok(Some(session.settle(&app)))
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
    app: &Arc<AppState>,
    user: UserId,
    current: PlainPassword,
    new: AccountPassword,
    user_agent: String,
) -> Result<PasswordChanged, Fault> {
    let app = Arc::clone(app);
    let Some(verified) = verified_hash(&app, user, current).await? else {
        return Ok(PasswordChanged::WrongPassword);
    };
    let password_hash = app.passwords.hash(new.plain().clone()).await?;
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        if !has_hash(&transaction, user, &verified).await? {
            return Ok(PasswordChanged::WrongPassword);
        }
        let key = replace_password(&app, transaction, user, password_hash, &user_agent).await?;
        Ok(PasswordChanged::SignedInAgain(key))
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
    app: &Arc<AppState>,
    link: Token,
    password: AccountPassword,
    user_agent: String,
) -> Result<Reset, Fault> {
    let app = Arc::clone(app);
    let password_hash = app.passwords.hash(password.plain().clone()).await?;
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        let now = app.clock.now();
        let Some(user) = one_time_links::spend_reset(&transaction, &link, now).await? else {
            return Ok(Reset::DeadLink);
        };
        let key = replace_password(&app, transaction, user, password_hash, &user_agent).await?;
        Ok(Reset::SignedIn(key))
    })
    .await
}

/// Gives `user` a new password and commits: all their sessions end, as do their links to a new password,
/// and one session begins, whose key this gives. Call it when they may, and run it to its end.
async fn replace_password(
    app: &AppState,
    transaction: DatabaseTransaction,
    user: UserId,
    password_hash: String,
    user_agent: &str,
) -> Result<Token, Fault> {
    set_hash(&transaction, user, password_hash).await?;
    one_time_links::delete_resets(&transaction, user).await?;
    sessions::delete_all(&transaction, user).await?;
    let session = sessions::begin(app, &transaction, user, user_agent).await?;
    transaction.commit().await?;
    sessions::end_in_memory(app, user);
    Ok(session.settle(app))
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
    app: &Arc<AppState>,
    user: UserId,
    password: PlainPassword,
) -> Result<Deleted, Fault> {
    let app = Arc::clone(app);
    let Some(verified) = verified_hash(&app, user, password).await? else {
        return Ok(Deleted::WrongPassword);
    };
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        if !has_hash(&transaction, user, &verified).await? {
            return Ok(Deleted::WrongPassword);
        }
        let made = delete(&transaction, user).await?;
        transaction.commit().await?;
        changes::apply(&app, &made);
        Ok(Deleted::Done)
    })
    .await
}

/// What a person has chosen for themselves.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How much of what is said a screen reader is told.
    pub announcements: Announcements,
}

/// The settings of the people who are here, held in memory.
pub type HeldSettings = Cache<UserId, Settings>;

/// What `user` has chosen. Costs no query for people who are here.
///
/// # Errors
/// When the database fails.
pub async fn settings(app: &AppState, user: UserId) -> Result<Settings, Fault> {
    let read = async || {
        let row = user::Entity::find_by_id(user).one(&app.database).await?;
        Ok(row.map(|row| Settings {
            announcements: Announcements::parse(&row.announcements).unwrap_or(Announcements::Each),
        }))
    };
    let held = app.settings.get(user, read).await?;
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
    app: &Arc<AppState>,
    user: UserId,
    announcements: Announcements,
) -> Result<(), Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let row = user::ActiveModel {
            id: Set(user),
            announcements: Set(announcements.word().to_owned()),
            ..Default::default()
        };
        user::Entity::update(row).exec(&app.database).await?;
        app.settings.forget(user);
        Ok(())
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
    let mut changes = vec![Change::PersonGone(user)];
    for room in left {
        let is_gone = members::settle_ownership(database, &room).await?;
        changes.push(if is_gone {
            Change::RoomGone(room.id)
        } else {
            Change::Room(room.id)
        });
    }
    user::Entity::delete_by_id(user).exec(database).await?;
    Ok(changes)
}

/// The hash of the password of `user`, if that password is this one.
async fn verified_hash(
    app: &AppState,
    user: UserId,
    password: PlainPassword,
) -> Result<Option<String>, Fault> {
    let row = user::Entity::find_by_id(user).one(&app.database).await?;
    let hash = row.map(|row| row.password_hash);
    let is_right = app.passwords.verify(password, hash.as_deref()).await?;
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
