//! The people whose messages a person does not want to see.

use sea_orm_migration::{prelude::*, schema::*};

/// Creates `ignored_people`.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Atomic, so that an interrupted start can be retried.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create()
            .table("ignored_people")
            .col(big_integer("user_id"))
            .col(big_integer("ignored_id"))
            .primary_key(Index::create().col("user_id").col("ignored_id"))
            .to_owned();
        for column in ["user_id", "ignored_id"] {
            table.foreign_key(
                ForeignKey::create()
                    .from("ignored_people", column)
                    .to("users", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            );
        }
        manager.create_table(table).await?;
        let by_ignored = Index::create()
            .name("ignored_people_by_ignored")
            .table("ignored_people")
            .col("ignored_id")
            .to_owned();
        manager.create_index(by_ignored).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop().table("ignored_people").to_owned();
        manager.drop_table(table).await
    }
}
