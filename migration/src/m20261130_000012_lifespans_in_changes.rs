//! A change feed that tells by how much a room's messages are to live shorter.

use sea_orm_migration::{prelude::*, schema::*};

/// Adds `changes.lifespan`.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Atomic, so that an interrupted start can be retried.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = big_integer_null("lifespan");
        let change = Table::alter()
            .table("changes")
            .add_column(column)
            .to_owned();
        manager.alter_table(change).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let change = Table::alter()
            .table("changes")
            .drop_column("lifespan")
            .to_owned();
        manager.alter_table(change).await
    }
}
