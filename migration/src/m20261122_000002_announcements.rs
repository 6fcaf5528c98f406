//! Which new messages screen readers announce.

use sea_orm_migration::{prelude::*, schema::*};

/// Adds `users.announcements`.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = string("announcements").default("each").to_owned();
        let change = Table::alter().table("users").add_column(column).to_owned();
        manager.alter_table(change).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let change = Table::alter()
            .table("users")
            .drop_column("announcements")
            .to_owned();
        manager.alter_table(change).await
    }
}
