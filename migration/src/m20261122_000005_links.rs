//! Invite, sign-up and password reset links, which expire or work a limited number of times.

use sea_orm_migration::{prelude::*, schema::*};

/// Creates `invites`, `signup_links` and `password_resets`.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Atomic, so that an interrupted start can be retried.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("invites")
                    .col(pk_auto("id").big_integer())
                    .col(string_uniq("token_digest"))
                    .col(big_integer("room_id"))
                    .col(big_integer("created_at"))
                    .col(big_integer("expires_at"))
                    // NULL: unlimited.
                    .col(big_integer_null("uses_left"))
                    .foreign_key(
                        ForeignKey::create()
                            .from("invites", "room_id")
                            .to("rooms", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("signup_links")
                    .col(string("token_digest").primary_key())
                    .col(big_integer("expires_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("password_resets")
                    .col(string("token_digest").primary_key())
                    .col(big_integer("user_id"))
                    .col(big_integer("expires_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .from("password_resets", "user_id")
                            .to("users", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        for (name, table, column) in [
            ("invites_by_room", "invites", "room_id"),
            ("password_resets_by_user", "password_resets", "user_id"),
        ] {
            let index = Index::create()
                .name(name)
                .table(table)
                .col(column)
                .to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["password_resets", "signup_links", "invites"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}
