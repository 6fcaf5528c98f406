//! The schema of Mirage's database: one file per migration, in chronological order.
//!
//! Tables and columns are named by strings, never through the entities, so that an old migration keeps its
//! meaning when the entities change.

pub use sea_orm_migration::prelude::MigratorTrait;

use sea_orm_migration::prelude::*;

mod m20261122_000001_accounts_and_rooms;
mod m20261122_000002_announcements;
mod m20261122_000003_roles_and_bans;
mod m20261122_000004_room_settings;
mod m20261122_000005_links;
mod m20261122_000006_changes;
mod m20261129_000007_versions;
mod m20261129_000008_name_keys;
mod m20261129_000009_ignored_people;
mod m20261129_000010_site;
mod m20261129_000011_operators;
mod m20261130_000012_lifespans_in_changes;

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_accounts_and_rooms::Migration),
            Box::new(m20261122_000002_announcements::Migration),
            Box::new(m20261122_000003_roles_and_bans::Migration),
            Box::new(m20261122_000004_room_settings::Migration),
            Box::new(m20261122_000005_links::Migration),
            Box::new(m20261122_000006_changes::Migration),
            Box::new(m20261129_000007_versions::Migration),
            Box::new(m20261129_000008_name_keys::Migration),
            Box::new(m20261129_000009_ignored_people::Migration),
            Box::new(m20261129_000010_site::Migration),
            Box::new(m20261129_000011_operators::Migration),
            Box::new(m20261130_000012_lifespans_in_changes::Migration),
        ]
    }
}
