//! Links that work once: sign-up links, and password reset links.
//!
//! Expired links, used links and links that never existed look the same to the person who opens them.

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};

use crate::core::{Core, Fault};
use crate::database::entities::{password_reset, signup_link, user};
use crate::domain::{Timestamp, UserId};
use crate::security::tokens::Token;

/// How long a sign-up link works.
const SIGN_UP_LIFETIME: Duration = Duration::from_secs(7 * 86_400);
/// How long a password reset link works.
const RESET_LIFETIME: Duration = Duration::from_secs(86_400);

/// Stores `link` as a sign-up link for one account.
pub(super) async fn insert_sign_up(
    database: &impl ConnectionTrait,
    link: &Token,
    now: Timestamp,
) -> Result<(), Fault> {
    let row = signup_link::ActiveModel {
        token_digest: Set(link.digest().to_hex()),
        expires_at: Set(now.plus(SIGN_UP_LIFETIME)),
    };
    signup_link::Entity::insert(row)
        .exec_without_returning(database)
        .await?;
    Ok(())
}

/// Stores `link` as a password reset link for `user`.
pub(super) async fn insert_reset(
    database: &impl ConnectionTrait,
    link: &Token,
    user: UserId,
    now: Timestamp,
) -> Result<(), Fault> {
    let row = password_reset::ActiveModel {
        token_digest: Set(link.digest().to_hex()),
        user_id: Set(user),
        expires_at: Set(now.plus(RESET_LIFETIME)),
    };
    password_reset::Entity::insert(row)
        .exec_without_returning(database)
        .await?;
    Ok(())
}

/// Returns whether `link` is a valid sign-up link.
pub(super) async fn opens_sign_up(core: &Core, link: &Token) -> Result<bool, Fault> {
    let found = signup_link::Entity::find_by_id(link.digest().to_hex())
        .filter(signup_link::Column::ExpiresAt.gt(core.clock.now()))
        .one(&core.database)
        .await?;
    Ok(found.is_some())
}

/// Returns the name of the person whose password `link` can reset, if the link is valid.
///
/// # Errors
/// When the database fails.
pub async fn reset_owner(core: &Core, link: &Token) -> Result<Option<String>, Fault> {
    let found = password_reset::Entity::find_by_id(link.digest().to_hex())
        .filter(password_reset::Column::ExpiresAt.gt(core.clock.now()))
        .find_also_related(user::Entity)
        .one(&core.database)
        .await?;
    Ok(found.and_then(|(_, user)| user).map(|user| user.name))
}

/// Spends a sign-up link. Returns whether the link was valid. Call this within the transaction that creates
/// the account.
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

/// Spends a password reset link. Returns the person whose link it was, if it was valid. Call this within the
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

/// Deletes all password reset links of `user`.
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

/// Deletes the expired links.
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
