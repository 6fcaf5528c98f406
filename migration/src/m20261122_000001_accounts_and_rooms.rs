//! Users, rooms, memberships and sessions.

use sea_orm_migration::sea_orm::DbBackend;
use sea_orm_migration::{prelude::*, schema::*};

/// Creates `users`, `rooms`, `room_members` and `sessions`.
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
                    .table("users")
                    .col(pk_auto("id").big_integer())
                    .col(string("name"))
                    .col(name_key(manager, "folded_name"))
                    .col(name_key(manager, "folded_skeleton"))
                    .col(name_key(manager, "typed_skeleton"))
                    .col(string("password_hash"))
                    .col(big_integer("created_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("rooms")
                    .col(pk_auto("id").big_integer())
                    .col(string("name"))
                    .col(name_key(manager, "folded_name"))
                    .col(name_key(manager, "folded_skeleton"))
                    .col(name_key(manager, "typed_skeleton"))
                    .col(boolean("is_private"))
                    .col(string_null("password_hash"))
                    .col(big_integer("owner_id"))
                    // NULL: the server's maximum.
                    .col(big_integer_null("message_lifespan"))
                    .col(big_integer("created_at"))
                    .foreign_key(
                        // A user's rooms are passed on or deleted before the user.
                        ForeignKey::create()
                            .from("rooms", "owner_id")
                            .to("users", "id")
                            .on_delete(ForeignKeyAction::Restrict),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("room_members")
                    .col(big_integer("room_id"))
                    .col(big_integer("user_id"))
                    .col(big_integer("joined_at"))
                    .primary_key(Index::create().col("room_id").col("user_id"))
                    .foreign_key(
                        ForeignKey::create()
                            .from("room_members", "room_id")
                            .to("rooms", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .from("room_members", "user_id")
                            .to("users", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("sessions")
                    .col(string("key_digest").primary_key())
                    .col(big_integer("user_id"))
                    .col(big_integer("created_at"))
                    .col(big_integer("last_seen"))
                    .col(string("user_agent"))
                    .foreign_key(
                        ForeignKey::create()
                            .from("sessions", "user_id")
                            .to("users", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        for (name, table, column) in [
            ("room_members_by_user", "room_members", "user_id"),
            ("sessions_by_user", "sessions", "user_id"),
            ("rooms_by_owner", "rooms", "owner_id"),
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
        for table in ["sessions", "room_members", "rooms", "users"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// A key of a name. SQLite compares text by its bytes, and PostgreSQL would by the rules of a language: lists would be
/// sorted differently.
fn name_key(manager: &SchemaManager<'_>, column: &'static str) -> ColumnDef {
    let mut column = string_uniq(column).to_owned();
    if manager.get_database_backend() == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}
