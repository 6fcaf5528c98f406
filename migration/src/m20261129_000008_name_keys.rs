//! The version of the keys that make names unique.

use sea_orm_migration::{prelude::*, schema::*};

/// Creates `name_keys`. The server computes the keys again and writes their version there.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Atomic, so that an interrupted start can be retried.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("name_keys")
            .col(big_integer("version").primary_key())
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop().table("name_keys").to_owned();
        manager.drop_table(table).await
    }
}
