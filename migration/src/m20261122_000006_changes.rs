//! The change feed: changes made on the command line, for a running server to apply.

use sea_orm_migration::{prelude::*, schema::*};

/// Creates `changes`.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("changes")
                    .col(pk_auto("id").big_integer())
                    .col(string("kind"))
                    .col(big_integer("subject_id"))
                    .col(big_integer("made_at"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("changes").to_owned())
            .await
    }
}
