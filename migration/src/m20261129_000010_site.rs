//! The random id of the site, by which keys in a shared Redis tell this site's from another's.

use sea_orm_migration::{prelude::*, schema::*};

/// Creates `site`, whose only row the server inserts.
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
            .table("site")
            .col(big_integer("id").primary_key())
            .col(string("key"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop().table("site").to_owned();
        manager.drop_table(table).await
    }
}
