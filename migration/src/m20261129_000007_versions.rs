//! Versions of the rights in a room, and a change feed that carries every change.

use sea_orm_migration::{prelude::*, schema::*};

/// Adds `rooms.version`, `changes.origin`, `changes.version` and `changes.key_digest`.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Atomic, so that an interrupted start can be retried.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [
            ("rooms", big_integer("version").default(0).to_owned()),
            ("changes", big_integer("origin").default(0).to_owned()),
            ("changes", big_integer_null("version")),
            ("changes", string_null("key_digest")),
        ] {
            let change = Table::alter().table(table).add_column(column).to_owned();
            manager.alter_table(change).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [
            ("rooms", "version"),
            ("changes", "origin"),
            ("changes", "version"),
            ("changes", "key_digest"),
        ] {
            let change = Table::alter().table(table).drop_column(column).to_owned();
            manager.alter_table(change).await?;
        }
        Ok(())
    }
}
