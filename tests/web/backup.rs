//! Backups made while the server writes, and migrations from the schema of every earlier version.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use migration::{Migrator, MigratorTrait};
use mirage::config::{DatabaseUrl, Storage};
use mirage::database::connection;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

use tokio_util::sync::CancellationToken;

use crate::support::{PASSWORD, TestApp, dump, is_long};

/// Runs `mirage backup` on the database of `app`.
async fn back_up(database_url: String, file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirage"));
    command
        .env_clear()
        .env("MIRAGE_DATABASE_URL", database_url)
        .arg("backup")
        .arg(file)
        .stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// The one-sentence error of a command that failed.
#[track_caller]
fn error_line(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

async fn open(file: &Path) -> DatabaseConnection {
    let url = format!("sqlite://{}?mode=rw", file.display());
    Database::connect(url).await.unwrap()
}

/// Runs a query and returns the first column of its rows.
async fn first_column(database: &DatabaseConnection, sql: &str) -> Vec<String> {
    let ask = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(ask).await.unwrap();
    rows.iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect()
}

async fn rooms_in(database: &DatabaseConnection) -> usize {
    first_column(database, "SELECT name FROM rooms").await.len()
}

async fn assert_sound(database: &DatabaseConnection) {
    assert_eq!(
        first_column(database, "PRAGMA integrity_check").await,
        ["ok"]
    );
    assert!(
        first_column(database, "PRAGMA foreign_key_check")
            .await
            .is_empty()
    );
}

#[actix_web::test]
async fn a_backup_is_complete_and_readable_only_by_its_owner() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    ada.invite_to(room, "day", "ten").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it's a copy.db");

    let output = back_up(app.database_url(), &file).await;

    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        printed,
        format!("Copied the database to {}.\n", file.display())
    );
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names = std::fs::read_dir(folder.path()).unwrap();
    assert_eq!(names.count(), 1, "nothing else is left");
    let copy = open(&file).await;
    assert_sound(&copy).await;
    assert_eq!(
        dump(&copy).await,
        dump(app.core.database.connections()).await
    );
}

#[actix_web::test]
async fn a_backup_never_overwrites_a_file() {
    let app = TestApp::spawn().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.txt");
    std::fs::write(&file, "Dear ada").unwrap();
    let nowhere = folder.path().join("nowhere/copy.db");

    let there = back_up(app.database_url(), &file).await;
    let missing = back_up(app.database_url(), &nowhere).await;
    let nothing = format!("sqlite://{}/missing.db?mode=rwc", folder.path().display());
    let empty = back_up(nothing, &folder.path().join("copy.db")).await;

    assert!(error_line(&there).contains("letter.txt"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "Dear ada");
    assert!(error_line(&missing).contains("nowhere/copy.db"));
    assert!(error_line(&empty).contains("no Mirage database"));
    let names = std::fs::read_dir(folder.path()).unwrap();
    assert_eq!(names.count(), 1, "nothing was made");
}

#[actix_web::test]
async fn a_backup_made_during_writes_is_a_consistent_snapshot_that_can_be_served() {
    let app = TestApp::with(&["--rooms-per-person=100000"]).await;
    let stop = CancellationToken::new();
    let mut writers = Vec::new();
    for name in ["ada", "bob", "cleo", "dan"] {
        let browser = app.sign_up(name).await;
        let stop = stop.clone();
        let writes = async move {
            let mut rooms = Vec::new();
            while !stop.is_cancelled() {
                let room = format!("{name} {}", rooms.len());
                rooms.push(browser.create_public_room(&room).await);
            }
            rooms.len()
        };
        writers.push(tokio::spawn(writes));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut copies = Vec::new();
    let mut sizes = Vec::new();

    for number in 0..if is_long() { 100 } else { 5 } {
        let made = async || rooms_in(app.core.database.connections()).await;
        let before = made().await;
        // Each backup starts after at least one more room was created, so there are writes meanwhile.
        while made().await == before {}
        let file = folder.path().join(format!("{number}.db"));
        let output = back_up(app.database_url(), &file).await;
        assert!(output.status.success(), "{output:?}");
        copies.push((before, file, made().await));
    }
    stop.cancel();
    let mut in_all = 0;
    for writer in writers {
        in_all += writer.await.unwrap();
    }

    for (before, file, after) in &copies {
        let copy = open(file).await;
        assert_sound(&copy).await;
        let count = rooms_in(&copy).await;
        assert!(
            (before..=after).contains(&&count),
            "{before} {count} {after}"
        );
        // A room and its owner's membership are inserted in one transaction.
        let members = first_column(&copy, "SELECT CAST(count(*) AS TEXT) FROM room_members").await;
        assert_eq!(members, [count.to_string()]);
        copy.close().await.unwrap();
        sizes.push(count);
    }
    eprintln!("copies of {sizes:?} rooms, while {in_all} rooms were made");

    let (_, last, _) = copies.last().unwrap();
    let served = TestApp::with_database(last).await;
    let ada = served.sign_in("ada", PASSWORD).await;
    assert!(
        ada.get("/rooms/mine")
            .await
            .texts("h2")
            .contains(&"ada 0".to_owned())
    );
}

/// The tables of the database, each with its columns.
async fn tables_in(database: &DatabaseConnection) -> Vec<(String, Vec<String>)> {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' \
                  AND name NOT LIKE 'sqlite_%' AND name != 'seaql_migrations'";
    let mut found = Vec::new();
    for table in first_column(database, tables).await {
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns = first_column(database, &columns).await;
        found.push((table, columns));
    }
    found
}

/// The rows of these tables, in these columns.
async fn rows_of(
    database: &DatabaseConnection,
    tables: &[(String, Vec<String>)],
) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (table, columns) in tables {
        let columns: Vec<_> = columns.iter().map(|c| format!("quote({c})")).collect();
        let columns = columns.join(" || ', ' || ");
        rows.push(
            first_column(
                database,
                &format!("SELECT {columns} FROM {table} ORDER BY 1"),
            )
            .await,
        );
    }
    rows
}

/// Inserts three rows into each table: small numbers, which also serve as foreign keys, and texts.
async fn fill(database: &DatabaseConnection, tables: &[(String, Vec<String>)]) {
    for (table, columns) in tables {
        let types = format!("SELECT type FROM pragma_table_info('{table}')");
        let types = first_column(database, &types).await;
        for row in 1..=3 {
            let values: Vec<_> = columns
                .iter()
                .zip(&types)
                .map(|(column, kind)| match kind.to_ascii_lowercase().as_str() {
                    "varchar" | "text" => format!("'{column} {row}'"),
                    "boolean" => (row % 2).to_string(),
                    _ => row.to_string(),
                })
                .collect();
            let (columns, values) = (columns.join(", "), values.join(", "));
            let insert = format!("INSERT INTO {table} ({columns}) VALUES ({values})");
            database.execute_unprepared(&insert).await.unwrap();
        }
    }
}

#[actix_web::test]
async fn every_earlier_schema_is_migrated_with_all_its_rows() {
    let changes = u32::try_from(Migrator::migrations().len()).unwrap();
    for seen in 1..=changes {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/mirage.db?mode=rwc", folder.path().display());
        let mut options = ConnectOptions::new(&url);
        options.max_connections(1);
        let old = Database::connect(options).await.unwrap();
        Migrator::up(&old, Some(seen)).await.unwrap();
        let tables = tables_in(&old).await;
        // The tables are filled in any order, so rows may refer to rows that come later.
        old.execute_unprepared("PRAGMA foreign_keys = OFF")
            .await
            .unwrap();
        fill(&old, &tables).await;
        assert_sound(&old).await;
        let before = rows_of(&old, &tables).await;
        old.close().await.unwrap();

        let database_url = DatabaseUrl::Sqlite(url);
        let storage = Storage { database_url };
        let new = connection::open(&storage).await.unwrap();

        assert_sound(&new.readers).await;
        assert_eq!(
            rows_of(&new.readers, &tables).await,
            before,
            "after {seen} changes"
        );
        assert!(before.iter().all(|rows| rows.len() == 3));
        eprintln!("{} tables of {seen} changes keep their rows", tables.len());
        new.readers.close().await.unwrap();
        new.writer.close().await.unwrap();
    }
}
