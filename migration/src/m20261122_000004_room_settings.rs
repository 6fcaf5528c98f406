//! Room settings.

use sea_orm_migration::{prelude::*, schema::*};

/// Adds `rooms.description`, `slow_mode`, `language` and `posting`.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Atomic, so that an interrupted start can be retried.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            string("description").default("").to_owned(),
            // In milliseconds; 0 is off.
            big_integer("slow_mode").default(0).to_owned(),
            // A BCP 47 tag; empty if not set.
            string("language").default("").to_owned(),
            string("posting").default("everyone").to_owned(),
        ];
        // SQLite can add only one column per statement.
        for column in columns {
            let change = Table::alter().table("rooms").add_column(column).to_owned();
            manager.alter_table(change).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["description", "slow_mode", "language", "posting"] {
            let change = Table::alter().table("rooms").drop_column(column).to_owned();
            manager.alter_table(change).await?;
        }
        Ok(())
    }
}
