//! What an owner sets about a room.

use sea_orm_migration::{prelude::*, schema::*};

/// Adds `rooms.description`, `slow_mode`, `language` and `posting`.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing: a start that is interrupted can be tried again.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            string("description").default("").to_owned(),
            // Milliseconds; 0 is none.
            big_integer("slow_mode").default(0).to_owned(),
            // A BCP 47 tag; nothing is none.
            string("language").default("").to_owned(),
            string("posting").default("everyone").to_owned(),
        ];
        // SQLite adds one at a time.
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
