//! Roles of members, and bans.

use sea_orm_migration::{prelude::*, schema::*};

/// Adds `room_members.role` and creates `room_bans`.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Atomic, so that an interrupted start can be retried.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let role = string("role").default("member").to_owned();
        let change = Table::alter()
            .table("room_members")
            .add_column(role)
            .to_owned();
        manager.alter_table(change).await?;
        manager
            .create_table(
                Table::create()
                    .table("room_bans")
                    .col(big_integer("room_id"))
                    .col(big_integer("user_id"))
                    .col(string("reason"))
                    .col(big_integer("banned_at"))
                    .primary_key(Index::create().col("room_id").col("user_id"))
                    .foreign_key(
                        ForeignKey::create()
                            .from("room_bans", "room_id")
                            .to("rooms", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .from("room_bans", "user_id")
                            .to("users", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        let by_user = Index::create()
            .name("room_bans_by_user")
            .table("room_bans")
            .col("user_id")
            .to_owned();
        manager.create_index(by_user).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("room_bans").to_owned())
            .await?;
        let change = Table::alter()
            .table("room_members")
            .drop_column("role")
            .to_owned();
        manager.alter_table(change).await
    }
}
