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
        // Each report form may ask for the operators, of whom there are few.
        let index = Index::create()
            .name("users_by_is_operator")
            .table("users")
            .col("is_operator")
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop()
            .name("users_by_is_operator")
            .table("users")
            .to_owned();
        manager.drop_index(index).await?;
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
