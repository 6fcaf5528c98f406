//! Links that open something once: a new account to whoever has one, a new password to a person.
//!
//! A link that has expired, one that was used and one that never was are the same to whoever tries it.

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};

use crate::core::{Core, Fault};
use crate::database::entities::{password_reset, signup_link, user};
use crate::domain::{Timestamp, UserId};
use crate::security::tokens::Token;

/// How long one can create an account by a link.
pub const SIGN_UP_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// How long one can choose a new password by a link.
pub const RESET_LIFE: Duration = Duration::from_secs(86_400);

/// Makes `link` open the page for one new account.
pub(super) async fn insert_sign_up(
    database: &impl ConnectionTrait,
    link: &Token,
    now: Timestamp,
) -> Result<(), Fault> {
    let row = signup_link::ActiveModel {
        token_digest: Set(link.digest().to_hex()),
        expires_at: Set(now.plus(SIGN_UP_LIFE)),
    };
    signup_link::Entity::insert(row)
        .exec_without_returning(database)
        .await?;
    Ok(())
}

/// Makes `link` open the page for a new password of `user`.
pub(super) async fn insert_reset(
    database: &impl ConnectionTrait,
    link: &Token,
    user: UserId,
    now: Timestamp,
) -> Result<(), Fault> {
    let row = password_reset::ActiveModel {
        token_digest: Set(link.digest().to_hex()),
        user_id: Set(user),
        expires_at: Set(now.plus(RESET_LIFE)),
    };
    password_reset::Entity::insert(row)
        .exec_without_returning(database)
        .await?;
    Ok(())
}

/// Whether one can create an account by `link`.
pub(super) async fn opens_sign_up(core: &Core, link: &Token) -> Result<bool, Fault> {
    let found = signup_link::Entity::find_by_id(link.digest().to_hex())
        .filter(signup_link::Column::ExpiresAt.gt(core.clock.now()))
        .one(&core.database)
        .await?;
    Ok(found.is_some())
}

/// Who can choose a new password by `link`, if anybody can: their name.
///
/// # Errors
/// When the database fails.
pub async fn whose_reset(core: &Core, link: &Token) -> Result<Option<String>, Fault> {
    let found = password_reset::Entity::find_by_id(link.digest().to_hex())
        .filter(password_reset::Column::ExpiresAt.gt(core.clock.now()))
        .find_also_related(user::Entity)
        .one(&core.database)
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
pub async fn delete_expired(core: &Core) -> Result<(), Fault> {
    let now = core.clock.now();
    signup_link::Entity::delete_many()
        .filter(signup_link::Column::ExpiresAt.lte(now))
        .exec(&core.writer)
        .await?;
    password_reset::Entity::delete_many()
        .filter(password_reset::Column::ExpiresAt.lte(now))
        .exec(&core.writer)
        .await?;
    Ok(())
}
