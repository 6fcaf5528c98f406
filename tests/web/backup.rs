//! Backups made while the server writes, and migrations from the schema of every earlier version.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use migration::{Migrator, MigratorTrait};
use mirage::config::Storage;
use mirage::database::connection;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement,
};
use tokio_util::sync::CancellationToken;

use crate::postgres::PostgresDatabase;
use crate::program::run;
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
async fn a_backup_of_a_postgresql_database_is_left_to_its_own_tools() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");

    // No server is asked: there is none.
    let url = "postgres://mirage@127.0.0.1:1/mirage";
    let output = back_up(url.to_owned(), &file).await;

    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("use pg_dump"), "{said}");
    assert!(!file.exists());
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

/// The tables of the database, each with its columns and their types.
async fn tables_in(database: &DatabaseConnection) -> Vec<(String, Vec<(String, String)>)> {
    let is_postgres = database.get_database_backend() == DbBackend::Postgres;
    let tables = if is_postgres {
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename != 'seaql_migrations'"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table' \
         AND name NOT LIKE 'sqlite_%' AND name != 'seaql_migrations'"
    };
    let mut found = Vec::new();
    for table in first_column(database, tables).await {
        let of = |what: &str| {
            if is_postgres {
                let what = what
                    .replace("type", "data_type")
                    .replace("name", "column_name");
                format!(
                    "SELECT {what}::text FROM information_schema.columns \
                     WHERE table_name = '{table}' ORDER BY ordinal_position"
                )
            } else {
                format!("SELECT {what} FROM pragma_table_info('{table}')")
            }
        };
        let names = first_column(database, &of("name")).await;
        let types = first_column(database, &of("type")).await;
        found.push((table, names.into_iter().zip(types).collect()));
    }
    found
}

/// The rows of these tables, in these columns.
async fn rows_of(
    database: &DatabaseConnection,
    tables: &[(String, Vec<(String, String)>)],
) -> Vec<Vec<String>> {
    let quote = match database.get_database_backend() {
        DbBackend::Postgres => "quote_nullable",
        _ => "quote",
    };
    let mut rows = Vec::new();
    for (table, columns) in tables {
        let columns: Vec<_> = columns
            .iter()
            .map(|(column, _)| format!("{quote}({column})"))
            .collect();
        let columns = columns.join(" || ', ' || ");
        let select = format!("SELECT {columns} FROM {table} ORDER BY 1");
        rows.push(first_column(database, &select).await);
    }
    rows
}

/// Inserts three rows into each table: small numbers, which also serve as foreign keys, and texts. The tables are filled
/// in any order, so rows may refer to rows that come later.
async fn fill(database: &DatabaseConnection, tables: &[(String, Vec<(String, String)>)]) {
    let (unchecked, truths) = match database.get_database_backend() {
        DbBackend::Postgres => ("SET session_replication_role = replica", ["FALSE", "TRUE"]),
        _ => ("PRAGMA foreign_keys = OFF", ["0", "1"]),
    };
    database.execute_unprepared(unchecked).await.unwrap();
    for (table, columns) in tables {
        for row in 1..=3 {
            let value = |(column, kind): &(String, String)| match kind.to_ascii_lowercase().as_str()
            {
                "varchar" | "text" | "character varying" => format!("'{column} {row}'"),
                "boolean" => truths[row % 2].to_owned(),
                _ => row.to_string(),
            };
            let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
            let values: Vec<_> = columns.iter().map(value).collect();
            let (names, values) = (names.join(", "), values.join(", "));
            let insert = format!("INSERT INTO {table} ({names}) VALUES ({values})");
            database.execute_unprepared(&insert).await.unwrap();
        }
    }
}

/// Makes the schema of the version that had the first `seen` migrations.
async fn old_schema(url: &str, seen: u32) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    // What is set for a connection holds for all statements.
    options.max_connections(1);
    let old = Database::connect(options).await.unwrap();
    Migrator::up(&old, Some(seen)).await.unwrap();
    old
}

fn migrations() -> u32 {
    u32::try_from(Migrator::migrations().len()).unwrap()
}

/// Makes a database of an earlier version at `url`, fills it, opens it as this version does, and makes sure that all its
/// rows are there.
async fn migrate(url: &str, seen: u32) -> connection::Connections {
    let old = old_schema(url, seen).await;
    let tables = tables_in(&old).await;
    fill(&old, &tables).await;
    let before = rows_of(&old, &tables).await;
    old.close().await.unwrap();

    let storage = Storage {
        database_url: url.parse().unwrap(),
    };
    let new = connection::open(&storage).await.unwrap();

    let after = rows_of(&new.readers, &tables).await;
    assert_eq!(after, before, "after {seen} migrations");
    assert!(before.len() >= 4 && before.iter().all(|rows| rows.len() == 3));
    let applied = Migrator::get_applied_migrations(&new.writer).await;
    assert_eq!(applied.unwrap().len(), Migrator::migrations().len());
    new
}

#[actix_web::test]
async fn every_earlier_schema_is_migrated_with_all_its_rows() {
    for seen in 1..=migrations() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/mirage.db?mode=rwc", folder.path().display());

        let new = migrate(&url, seen).await;

        assert_sound(&new.readers).await;
        new.readers.close().await.unwrap();
        new.writer.close().await.unwrap();
    }
}

#[actix_web::test]
async fn every_earlier_schema_of_postgresql_is_migrated_with_all_its_rows() {
    for seen in 1..=migrations() {
        let database = PostgresDatabase::empty().await;

        let new = migrate(&database.url(), seen).await;

        new.readers.close().await.unwrap();
        new.writer.close().await.unwrap();
    }
}

#[actix_web::test]
async fn the_account_of_every_earlier_version_can_sign_in_and_finds_its_room() {
    let first = TestApp::with_sqlite().await;
    let ada = first.sign_up("ada").await;
    let room = ada.create_private_room("Attic").await;
    let current = first.stop().await;
    let attach = format!(
        "ATTACH DATABASE '{}/mirage.db' AS current",
        current.path().display()
    );
    for seen in 1..=migrations() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.db");
        let old = old_schema(&format!("sqlite://{}?mode=rwc", file.display()), seen).await;
        old.execute_unprepared(&attach).await.unwrap();
        for (table, columns) in tables_in(&old).await {
            if ["users", "rooms", "room_members"].contains(&table.as_str()) {
                let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
                let names = names.join(", ");
                let copy = format!(
                    "INSERT INTO main.{table} ({names}) SELECT {names} FROM current.{table}"
                );
                old.execute_unprepared(&copy).await.unwrap();
            }
        }
        old.close().await.unwrap();

        let app = TestApp::with_database(&file).await;

        let ada = app.sign_in("ada", PASSWORD).await;
        assert_eq!(ada.members(room).await, ["ada (you), owner"]);
        ada.send(room, "still here").await.assert_status(303);
        assert_eq!(ada.messages(room).await, ["still here"]);
    }
}

#[actix_web::test]
async fn a_postgresql_database_of_a_newer_version_is_refused_and_left_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let database = PostgresDatabase::migrated().await;
    database
        .execute("INSERT INTO seaql_migrations VALUES ('m29990101_000001_the_future', 0)")
        .await;
    let open = Database::connect(database.url()).await.unwrap();
    let before = dump(&open).await;

    for words in [&["serve"][..], &["user", "list"], &["check"]] {
        let url = database.url();
        let words = [words, &["--database-url", &url]].concat();
        let output = run(folder.path(), &words);

        assert_eq!(output.status.code(), Some(1), "{words:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("m29990101_000001_the_future"), "{said}");
    }
    assert_eq!(dump(&open).await, before);
}
