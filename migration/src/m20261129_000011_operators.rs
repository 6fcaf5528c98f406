//! Operators' accounts, suspensions, and when a reset link changed a person's password.

use sea_orm_migration::{prelude::*, schema::*};

/// Adds `users.is_operator`, `users.suspended_at`, `users.suspension_reason` and `users.reset_at`.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Atomic, so that an interrupted start can be retried.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            boolean("is_operator").default(false).to_owned(),
            big_integer_null("suspended_at"),
            string_null("suspension_reason"),
            big_integer_null("reset_at"),
        ] {
            let change = Table::alter().table("users").add_column(column).to_owned();
            manager.alter_table(change).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            "is_operator",
            "suspended_at",
            "suspension_reason",
            "reset_at",
        ] {
            let change = Table::alter().table("users").drop_column(column).to_owned();
            manager.alter_table(change).await?;
        }
        Ok(())
    }
}
