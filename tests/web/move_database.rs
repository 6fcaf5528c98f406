//! `mirage move-database`: copying an SQLite database to a new PostgreSQL database.

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::sync::Arc;

use mirage::database::transfer::NOT_COPIED;

use crate::postgres::PostgresDatabase;
use crate::support::{ROOM_PASSWORD, TestApp, db_column};

/// Runs the command from one database to another.
async fn run(from: &str, to: &str) -> Output {
    let (from, to) = (from.to_owned(), to.to_owned());
    let run = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_mirage"))
            .args(["move-database", "--to", &to])
            .env("MIRAGE_DATABASE_URL", from)
            .output()
    });
    run.await.unwrap().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[actix_web::test]
async fn a_moved_server_goes_on_with_its_people_and_rooms() {
    let app = TestApp::with_sqlite().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("Bob").await);
    let tea = ada.create_private_room("Tea").await;
    let gone = ada.create_public_room("Gone").await;
    bob.join_privately("Tea", ROOM_PASSWORD)
        .await
        .assert_status(303);
    app.sign_up("cleo").await.join(gone).await;
    ada.ban(gone, "cleo", "Loud").await;
    let link = ada.invite_to(tea, "day", "ten").await;
    ada.post(
        &format!("/rooms/{gone}/settings/delete"),
        &[("name", "Gone")],
    )
    .await;
    let (from, address) = (app.database_url(), app.address.clone());
    let target = PostgresDatabase::empty().await;

    let running = run(&from, &target.url()).await;
    assert!(said(&running).contains("another server is using the database"));
    let files = app.stop().await;
    let moved = run(&from, &target.url()).await;

    assert!(moved.status.success(), "{}", said(&moved));
    let counts = String::from_utf8(moved.stdout).unwrap();
    assert!(counts.contains("users\t3\n"), "{counts}");
    let again = run(&from, &target.url()).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("it is not empty"), "{}", said(&again));

    let app = TestApp::with_postgres(files, Arc::new(target), address, &[]).await;
    // Their cookies still work, and so do names, passwords, roles and links.
    assert_eq!(ada.members(tea).await, ["ada (you), owner", "Bob"]);
    app.sign_in("BOB", crate::support::PASSWORD).await;
    let dan = app.sign_up("dan").await;
    dan.accept(&link).await.assert_status(303);
    // The number of a room that was deleted is not given to another one.
    let next = ada.create_public_room("Next").await;
    assert!(next > gone, "{next}");
}

#[actix_web::test]
async fn a_database_with_other_tables_is_refused() {
    let app = TestApp::with_sqlite().await;
    let from = app.database_url();
    let _files = app.stop().await;
    let target = PostgresDatabase::empty().await;
    target.execute("CREATE TABLE shop (id bigint)").await;

    let moved = run(&from, &target.url()).await;

    assert_eq!(moved.status.code(), Some(1));
    assert!(said(&moved).contains("is not empty"), "{}", said(&moved));
}

#[actix_web::test]
async fn a_move_of_which_rows_do_not_arrive_is_refused_and_leaves_nothing() {
    let app = TestApp::with_sqlite().await;
    app.sign_up("ada").await;
    app.sign_up("bob").await;
    let from = app.database_url();
    let _files = app.stop().await;
    let target = PostgresDatabase::migrated().await;
    for sql in [
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TRIGGER skipped BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.name = 'bob') \
         EXECUTE FUNCTION skip()",
    ] {
        target.execute(sql).await;
    }

    let moved = run(&from, &target.url()).await;

    assert_eq!(moved.status.code(), Some(1));
    let said = said(&moved);
    assert!(said.contains("1 of 2 rows of the table users"), "{said}");
    target.execute("DROP TRIGGER skipped ON users").await;
    let again = run(&from, &target.url()).await;
    assert!(again.status.success(), "{again:?}");
}

#[actix_web::test]
async fn every_table_is_copied_or_named() {
    let app = TestApp::with_sqlite().await;
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let tables: BTreeSet<String> = db_column(&app, tables).await.into_iter().collect();
    let from = app.database_url();
    let _files = app.stop().await;
    let target = PostgresDatabase::empty().await;

    let moved = run(&from, &target.url()).await;

    let printed = String::from_utf8(moved.stdout).unwrap();
    let copied = printed
        .lines()
        .filter_map(|line| Some(line.split_once('\t')?.0));
    let known: BTreeSet<String> = copied.chain(NOT_COPIED).map(str::to_owned).collect();
    assert_eq!(known, tables);
}
