//! Links that open something once: a new account to whoever has one, a new password to a person.
//!
//! A link that has expired, one that was used and one that never was are the same to whoever tries it.

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};

use super::Fault;
use super::tokens::Token;
use crate::app::AppState;
use crate::domain::{Timestamp, UserId};
use crate::entities::{password_reset, signup_link, user};

/// How long one can create an account by a link.
pub const SIGN_UP_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// How long one can choose a new password by a link.
pub const RESET_LIFE: Duration = Duration::from_secs(86_400);

/// Makes a link by which one person can create an account.
pub(super) async fn make_sign_up(
    database: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Token, Fault> {
    let link = Token::random();
    let row = signup_link::ActiveModel {
        token_digest: Set(link.digest().to_hex()),
        expires_at: Set(now.plus(SIGN_UP_LIFE)),
    };
    signup_link::Entity::insert(row)
        .exec_without_returning(database)
        .await?;
    Ok(link)
}

/// Makes a link by which `user` can choose a new password.
pub(super) async fn make_reset(
    database: &impl ConnectionTrait,
    user: UserId,
    now: Timestamp,
) -> Result<Token, Fault> {
    let link = Token::random();
    let row = password_reset::ActiveModel {
        token_digest: Set(link.digest().to_hex()),
        user_id: Set(user),
        expires_at: Set(now.plus(RESET_LIFE)),
    };
    password_reset::Entity::insert(row)
        .exec_without_returning(database)
        .await?;
    Ok(link)
}

/// Whether one can create an account by `link`.
pub(super) async fn opens_sign_up(app: &AppState, link: &Token) -> Result<bool, Fault> {
    let found = signup_link::Entity::find_by_id(link.digest().to_hex())
        .filter(signup_link::Column::ExpiresAt.gt(app.clock.now()))
        .one(&app.database)
        .await?;
    Ok(found.is_some())
}

/// Who can choose a new password by `link`, if anybody can: their name.
///
/// # Errors
/// When the database fails.
pub async fn whose_reset(app: &AppState, link: &Token) -> Result<Option<String>, Fault> {
    let found = password_reset::Entity::find_by_id(link.digest().to_hex())
        .filter(password_reset::Column::ExpiresAt.gt(app.clock.now()))
        .find_also_related(user::Entity)
        .one(&app.database)
        .await?;
    Ok(found.and_then(|(_, user)| user).map(|user| user.name))
}

/// Uses a link to create an account up; says whether that was still possible. Call it within the
/// transaction that makes the account.
pub(super) async fn spend_sign_up(
    database: &impl ConnectionTrait,
    link: &Token,
    now: Timestamp,
) -> Result<bool, Fault> {
    let spent = signup_link::Entity::delete_by_id(link.digest().to_hex())
        .filter(signup_link::Column::ExpiresAt.gt(now))
        .exec(database)
        .await?;
    Ok(spent.rows_affected > 0)
}

/// Uses a link to a new password up; says whose it was, if that was still possible. Call it within the
/// transaction that changes the password.
pub(super) async fn spend_reset(
    database: &impl ConnectionTrait,
    link: &Token,
    now: Timestamp,
) -> Result<Option<UserId>, Fault> {
    let found = password_reset::Entity::find_by_id(link.digest().to_hex())
        .filter(password_reset::Column::ExpiresAt.gt(now))
        .one(database)
        .await?;
    let Some(found) = found else {
        return Ok(None);
    };
    password_reset::Entity::delete_by_id(found.token_digest)
        .exec(database)
        .await?;
    Ok(Some(found.user_id))
}

/// Deletes all links of `user` to a new password: there is one.
pub(super) async fn delete_resets(
    database: &impl ConnectionTrait,
    user: UserId,
) -> Result<(), Fault> {
    password_reset::Entity::delete_many()
        .filter(password_reset::Column::UserId.eq(user))
        .exec(database)
        .await?;
    Ok(())
}

/// Deletes the links that have expired.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(app: &AppState) -> Result<(), Fault> {
    let now = app.clock.now();
    signup_link::Entity::delete_many()
        .filter(signup_link::Column::ExpiresAt.lte(now))
        .exec(&app.database)
        .await?;
    password_reset::Entity::delete_many()
        .filter(password_reset::Column::ExpiresAt.lte(now))
        .exec(&app.database)
        .await?;
    Ok(())
}
