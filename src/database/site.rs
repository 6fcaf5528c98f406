//! The key of the site: random, made once, and shared by all processes that use the database.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Set};

use super::entities::site;
use crate::security::secret::random_bytes;

/// The id of the only row.
const ONLY: i64 = 1;

/// Returns the key of the site. The first call makes it. Several processes may call this at once.
///
/// # Errors
/// When the database fails.
pub async fn key(writer: &impl ConnectionTrait) -> Result<String, DbErr> {
    if let Some(row) = site::Entity::find_by_id(ONLY).one(writer).await? {
        return Ok(row.key);
    }
    let row = site::ActiveModel {
        id: Set(ONLY),
        key: Set(format!("{:016x}", u64::from_be_bytes(random_bytes()))),
    };
    site::Entity::insert(row)
        .on_conflict_do_nothing()
        .exec_without_returning(writer)
        .await?;
    let row = site::Entity::find_by_id(ONLY).one(writer).await?;
    row.map(|row| row.key)
        .ok_or_else(|| DbErr::RecordNotFound("the site has no key".to_owned()))
}
