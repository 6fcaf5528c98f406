//! Operator commands: the real program, run on the database of a server that must apply the changes within
//! two seconds.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use mirage::clock::{Clock, SystemClock};
use mirage::database::connection::Connections;
use mirage::database::feed::{ChangeFeed, Origin};
use mirage::domain::RoomId;
use mirage::services::operators;
use sea_orm::Database;

use crate::support::{
    Browser, PASSWORD, ROOM_PASSWORD, TestApp, db_column, is_cluster, start_poll_from,
};

/// How long a server may take to apply the changes of a command here. It looks for them each second, on a machine that may
/// be busy.
const SOON: Duration = Duration::from_secs(10);

/// Starts a server with the system time, which the commands use, too.
async fn spawn() -> TestApp {
    let app = TestApp::spawn().await;
    app.clock.advance_to(SystemClock::start().now());
    app
}

fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirage"));
    command.env_clear().args(words).stdin(Stdio::null());
    command
}

/// Runs a command on the database of `app`.
async fn run(app: &TestApp, words: &[&str]) -> Output {
    let mut command = program(words);
    command
        .env("MIRAGE_DATABASE_URL", app.database_url())
        .env("MIRAGE_BIND", &app.address);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// The standard output of a command, which must succeed and print no error.
#[track_caller]
fn printed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one-sentence error of a command that failed with this exit code.
#[track_caller]
fn error_line(output: &Output, code: i32) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty());
    assert_eq!(said.lines().count(), 1, "{said}");
    said.trim_end().to_owned()
}

/// Waits until `condition` holds, at most two seconds.
async fn wait_until(condition: impl AsyncFn() -> bool) {
    let comes_true = async { while !condition().await {} };
    tokio::time::timeout(SOON, comes_true).await.unwrap();
}

#[actix_web::test]
async fn a_deleted_account_disappears_from_a_running_server() {
    let app = spawn().await;
    let (ada, bob, cleo) = (
        app.sign_up("Ada").await,
        app.sign_up("bob").await,
        app.sign_up("cleo").await,
    );
    let tea = ada.create_public_room("Tea").await;
    cleo.join(tea).await;
    app.clock.advance(Duration::from_millis(1));
    bob.join(tea).await;
    ada.send(tea, "mine").await.assert_status(303);
    bob.send(tea, "yours").await.assert_status(303);
    let cursor = ada.cursor(tea).await;
    let waiting = start_poll_from(&app, &ada, tea, &cursor).await;
    let watching = start_poll_from(&app, &bob, tea, &cursor).await;

    let output = run(&app, &["user", "delete", "aDA", "--yes"]).await;

    assert_eq!(printed(&output), "Deleted the user Ada.\n");
    wait_until(async || {
        let page = bob.room(tea).await;
        page.texts("#log li .text") == ["yours"]
            && bob.members(tea).await == ["cleo, owner", "bob (you)"]
    })
    .await;
    // Each server hears of a command by itself, and one may delete the messages before the other ends the session.
    let ended = waiting.answer_within(SOON).await;
    let is_told = is_cluster() && ended.status == 200 && ended.added.is_empty();
    assert!(ended.status == 401 || is_told, "{ended:?}");
    assert_eq!(watching.answer_within(SOON).await.removed.len(), 1);
    wait_until(async || {
        let pages = [ada.get("/rooms").await, ada.get("/rooms").await];
        pages.iter().all(|page| page.status == 303)
    })
    .await;
    let form = [("name", "Ada"), ("password", PASSWORD)];
    let stranger = app.anonymous();
    stranger.post("/login", &form).await.assert_status(422);
    stranger.post("/register", &form).await.assert_status(303);
}

#[actix_web::test]
async fn rooms_of_a_deleted_account_pass_to_a_moderator_first_then_to_the_longest_standing_member()
{
    let app = spawn().await;
    let (ada, bob, cleo) = (
        app.sign_up("ada").await,
        app.sign_up("bob").await,
        app.sign_up("cleo").await,
    );
    let tea = ada.create_private_room("Tea").await;
    let cake = ada.create_private_room("Cake").await;
    let alone = ada.create_public_room("Alone").await;
    for (browser, room) in [
        (&bob, "Tea"),
        (&cleo, "Cake"),
        (&cleo, "Tea"),
        (&bob, "Cake"),
    ] {
        app.clock.advance(Duration::from_millis(1));
        browser
            .join_privately(room, ROOM_PASSWORD)
            .await
            .assert_status(303);
    }
    let moderate = "UPDATE room_members SET role = 'moderator' \
                    WHERE room_id = (SELECT id FROM rooms WHERE name = 'Tea') \
                    AND user_id = (SELECT id FROM users WHERE name = 'cleo')";
    app.execute(moderate).await;
    // Loads both rooms into the cache, so that the server must apply the change to it.
    for room in [tea, cake] {
        bob.room(room).await.assert_status(200);
    }
    cleo.get(&format!("/rooms/{alone}"))
        .await
        .assert_status(200);

    printed(&run(&app, &["user", "delete", "ada", "--yes"]).await);

    wait_until(async || {
        cleo.get(&format!("/rooms/{alone}")).await.status == 404
            && bob.members(cake).await[0] == "cleo, owner"
            && bob.members(tea).await.contains(&"cleo, owner".to_owned())
    })
    .await;
    let rooms = printed(&run(&app, &["room", "list"]).await);
    assert_eq!(rooms, "Cake\tprivate\tcleo\t2\nTea\tprivate\tcleo\t2\n");
}

#[actix_web::test]
async fn a_deleted_room_disappears_for_its_members() {
    let app = spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_public_room("Kettle club").await;
    bob.join(tea).await;
    ada.send(tea, "anybody?").await.assert_status(303);
    let cursor = ada.cursor(tea).await;
    let polls = [
        start_poll_from(&app, &ada, tea, &cursor).await,
        start_poll_from(&app, &bob, tea, &cursor).await,
    ];

    let output = run(&app, &["room", "delete", " KETTLE   club", "--yes"]).await;

    assert_eq!(printed(&output), "Deleted the room Kettle club.\n");
    wait_until(async || ada.room(tea).await.status == 404).await;
    for poll in polls {
        assert_eq!(poll.answer_within(SOON).await.status, 404);
    }
    wait_until(async || app.core.messages.bytes().await.unwrap() == 0).await;
    assert_eq!(
        bob.get("/rooms").await.texts("main p")[0],
        "There are no public rooms yet. Create the first one and invite people, or join a private room."
    );
    ada.create_public_room("Kettle club").await;
}

#[actix_web::test]
async fn what_an_operator_confirmed_is_deleted_and_not_what_has_taken_its_name_since() {
    let app = spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_public_room("Tea").await;
    let database = &app.core.writer;
    let (person, _) = operators::find_person(database, "ADA")
        .await
        .unwrap()
        .unwrap();
    let (room, _) = operators::find_room(database, "tea")
        .await
        .unwrap()
        .unwrap();
    let confirm = [("confirm", "1")];
    let path = format!("/rooms/{tea}/settings/delete");
    ada.post(&path, &confirm).await.assert_status(303);
    let password = [("password", PASSWORD)];
    ada.post("/account/delete", &password)
        .await
        .assert_status(303);
    let heir = app.sign_up("ada").await;
    let new_tea = bob.create_public_room("Tea").await;

    let now = app.clock.now();
    assert!(
        !operators::delete_person(database, person, now)
            .await
            .unwrap()
    );
    assert!(!operators::delete_room(database, room, now).await.unwrap());

    heir.get("/rooms").await.assert_status(200);
    bob.room(new_tea).await.assert_status(200);
}

#[actix_web::test]
async fn polling_the_change_feed_is_not_counted_as_request_statements() {
    let app = spawn().await;
    let ada = app.sign_up("ada").await;
    let tea = ada.create_public_room("Tea").await;
    ada.send(tea, "anybody?").await.assert_status(303);
    let before = app.db_statements();

    let now = app.clock.now();
    let beside = Database::connect(app.database_url()).await.unwrap();
    let deleted = operators::delete_room(&beside, RoomId(tea), now).await;
    assert!(deleted.unwrap());
    wait_until(async || {
        tokio::task::yield_now().await;
        app.core.messages.bytes().await.unwrap() == 0
    })
    .await;

    assert_eq!(app.db_statements(), before);
    assert_eq!(app.waiting_polls(tea), 0);
}

#[actix_web::test]
async fn the_change_feed_keeps_changes_for_an_hour() {
    let app = spawn().await;
    let ada = app.sign_up("ada").await;
    let tea = ada.create_public_room("Tea").await;
    let cake = ada.create_public_room("Cake").await;
    let connections = Connections {
        readers: app.core.database.connections().clone(),
        writer: app.core.writer.clone(),
    };
    let delete = async |room| {
        let now = app.clock.now();
        let deleted = operators::delete_room(&app.core.writer, RoomId(room), now).await;
        assert!(deleted.unwrap());
        ChangeFeed::follow(connections.clone(), Origin::random())
            .await
            .unwrap()
    };
    let kept = async || {
        let kinds = "SELECT kind FROM changes";
        db_column(&app, kinds).await.len()
    };
    let first = delete(tea).await;
    let both = delete(cake).await;

    both.delete_old(app.clock.now()).await.unwrap();
    // Two rooms were created and deleted, and ada's list of rooms changed twice.
    assert_eq!(kept().await, 6);
    app.clock.advance(Duration::from_secs(3600));
    first.delete_old(app.clock.now()).await.unwrap();
    assert_eq!(kept().await, 1);
    both.delete_old(app.clock.now()).await.unwrap();
    assert_eq!(kept().await, 0);
}

#[actix_web::test]
async fn a_starting_server_skips_changes_from_before() {
    let app = spawn().await;
    let ada = app.sign_up("ada").await;
    ada.create_public_room("Tea").await;
    printed(&run(&app, &["room", "delete", "Tea", "--yes"]).await);

    let app = app.restart().await;

    let latest = async || db_column(&app, "SELECT CAST(MAX(id) AS TEXT) FROM changes").await;
    let before = latest().await;
    let cake = ada.create_public_room("Cake").await;
    ada.send(cake, "mine").await.assert_status(303);
    printed(&run(&app, &["room", "delete", "Cake", "--yes"]).await);
    wait_until(async || ada.room(cake).await.status == 404).await;
    assert_ne!(latest().await, before);
}

#[actix_web::test]
async fn an_operator_is_made_and_unmade_and_signed_out_each_time() {
    let app = spawn().await;
    let ada = app.sign_up("Ada").await;
    let is_signed_out = async |browser: &Browser| browser.get("/account").await.status == 303;
    ada.get("/site").await.assert_status(404);
    let standing = async || {
        let list = printed(&run(&app, &["user", "list"]).await);
        list.trim_end().rsplit('\t').next().unwrap().to_owned()
    };

    let made = printed(&run(&app, &["user", "make-operator", "aDA"]).await);

    assert_eq!(made, "Ada is an operator, from the next sign-in on.\n");
    wait_until(async || is_signed_out(&ada).await).await;
    let ada = app.sign_in("ada", PASSWORD).await;
    ada.get("/site").await.assert_status(200);
    assert_eq!(standing().await, "operator");
    // Once more changes nothing.
    printed(&run(&app, &["user", "make-operator", "ada"]).await);
    ada.get("/site").await.assert_status(200);

    let unmade = printed(&run(&app, &["user", "remove-operator", "ada"]).await);

    assert_eq!(unmade, "Ada is not an operator.\n");
    wait_until(async || is_signed_out(&ada).await).await;
    let ada = app.sign_in("ada", PASSWORD).await;
    let page = ada.get("/site").await;
    page.assert_status(404);
    assert!(!page.has("header a[href='/site']"));
    assert_eq!(standing().await, "active");
}

#[actix_web::test]
async fn a_suspended_person_cannot_become_an_operator() {
    let app = spawn().await;
    app.sign_up("ada").await;
    app.execute("UPDATE users SET suspended_at = 1, suspension_reason = 'Spam'")
        .await;

    let output = run(&app, &["user", "make-operator", "ada"]).await;

    assert!(error_line(&output, 1).contains("ada is suspended"));
    let list = printed(&run(&app, &["user", "list"]).await);
    assert!(list.ends_with("\tsuspended\n"), "{list}");
}

#[actix_web::test]
async fn a_reset_link_from_the_command_line_changes_a_password() {
    let app = spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.cursor(room).await;
    let waiting = start_poll_from(&app, &ada, room, &cursor).await;

    let link = printed(&run(&app, &["user", "reset-password", "ADA"]).await);

    let origin = format!("http://{}", app.address);
    let path = link.trim_end().strip_prefix(&origin).unwrap();
    let browser = app.anonymous();
    browser.get(path).await.assert_value("#name", "ada");
    browser
        .post(path, &[("password", "an owl in a willow")])
        .await
        .assert_redirect("/rooms/mine?done=password-changed");
    assert_eq!(waiting.answer_within(SOON).await.status, 401);
    ada.get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
}

#[actix_web::test]
async fn a_sign_up_link_from_the_command_line_creates_an_account() {
    let app = TestApp::with(&["--sign-up=link"]).await;
    app.clock.advance_to(SystemClock::start().now());

    let link = printed(&run(&app, &["signup-link"]).await);

    let origin = format!("http://{}", app.address);
    let path = link.trim_end().strip_prefix(&origin).unwrap();
    let form = [("name", "ada"), ("password", PASSWORD)];
    app.anonymous()
        .post(path, &form)
        .await
        .assert_redirect("/rooms?done=registered");
}

#[actix_web::test]
async fn links_begin_with_the_public_url() {
    let app = spawn().await;
    app.sign_up("ada").await;
    let public = "--public-url=https://chat.example.org";

    let sign_up = printed(&run(&app, &["signup-link", public]).await);
    let reset = printed(&run(&app, &["user", "reset-password", "ada", public]).await);

    assert!(sign_up.starts_with("https://chat.example.org/register/"));
    assert!(reset.starts_with("https://chat.example.org/reset/"));
    let output = run(&app, &["signup-link", "--bind=127.0.0.1:0"]).await;
    assert!(error_line(&output, 2).contains("--public-url"));
}

#[actix_web::test]
async fn lists_print_one_line_per_entry_for_people_and_for_pipes() {
    let app = spawn().await;
    let now = app.clock.now().to_rfc3339();
    assert_eq!(printed(&run(&app, &["user", "list"]).await), "");
    assert_eq!(printed(&run(&app, &["room", "list"]).await), "");
    let (bob, ada) = (app.sign_up("bob").await, app.sign_up("Ada").await);
    let form = [("name", "ada"), ("password", PASSWORD)];
    app.anonymous()
        .post("/login", &form)
        .await
        .assert_status(303);
    let tea = ada.create_public_room("tea & cake").await;
    bob.join(tea).await;
    ada.create_private_room("Attic").await;

    let people = printed(&run(&app, &["user", "list"]).await);
    let rooms = printed(&run(&app, &["room", "list"]).await);

    assert_eq!(
        people,
        format!("Ada\t{now}\t2\t2\tactive\nbob\t{now}\t1\t1\tactive\n")
    );
    assert_eq!(
        rooms,
        "Attic\tprivate\tAda\t1\ntea & cake\tpublic\tAda\t2\n"
    );
    app.clock.advance(Duration::from_secs(31 * 86_400));
    let later = operators::people(app.core.database.connections(), app.clock.now())
        .await
        .unwrap();
    assert!(later.iter().all(|person| person.sessions == 0));
}

#[actix_web::test]
async fn an_unknown_name_fails_with_one_sentence_and_exit_code_1() {
    let app = spawn().await;
    app.sign_up("ada").await;

    for words in [
        &["user", "delete", "bob", "--yes"][..],
        &["user", "reset-password", "bob"],
        &["room", "delete", "bob", "--yes"],
        &["user", "delete", "", "--yes"],
    ] {
        let output = run(&app, words).await;

        let sentence = format!("mirage: there is no {} named {}", words[0], words[2]);
        assert_eq!(error_line(&output, 1), sentence.trim_end());
    }
    assert_eq!(db_column(&app, "SELECT name FROM users").await, ["ada"]);
}

#[actix_web::test]
async fn nothing_is_deleted_without_confirmation() {
    let app = spawn().await;
    let ada = app.sign_up("ada").await;
    ada.create_public_room("Tea").await;

    for words in [["user", "delete", "ada"], ["room", "delete", "Tea"]] {
        let output = run(&app, &words).await;

        assert!(error_line(&output, 2).contains("--yes"));
    }
    assert_eq!(db_column(&app, "SELECT name FROM users").await, ["ada"]);
    assert_eq!(db_column(&app, "SELECT name FROM rooms").await, ["Tea"]);
}

#[actix_web::test]
async fn on_a_terminal_the_command_asks_and_only_yes_deletes() {
    use std::io::Write;
    let app = spawn().await;
    app.sign_up("ada").await;
    let answer = async |answer: &'static str| {
        let program = env!("CARGO_BIN_EXE_mirage");
        let command = format!("{program} user delete ADA");
        // Runs the command in a terminal.
        let mut script = Command::new("script");
        script
            .args(["-qec", &command, "/dev/null"])
            .env("MIRAGE_DATABASE_URL", app.database_url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let ended = tokio::task::spawn_blocking(move || {
            let mut child = script.spawn().unwrap();
            let mut terminal = child.stdin.take().unwrap();
            terminal.write_all(answer.as_bytes()).unwrap();
            drop(terminal);
            child.wait_with_output().unwrap()
        });
        let output = ended.await.unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(
            shown.contains("Delete the user ada and all their messages?"),
            "{shown}"
        );
        output.status.code()
    };

    assert_eq!(answer("no\n").await, Some(1));
    assert_eq!(db_column(&app, "SELECT name FROM users").await, ["ada"]);
    assert_eq!(answer("yes\n").await, Some(0));
    assert!(db_column(&app, "SELECT name FROM users").await.is_empty());
}

#[test]
fn a_command_creates_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    drop(std::fs::File::create(path("empty.db")).unwrap());
    let complains = |url: &str| {
        let flag = format!("--database-url={url}");
        let output = program(&["user", "list", &flag]).output().unwrap();
        error_line(&output, 1)
    };

    let missing = complains(&format!("sqlite://{}?mode=rwc", path("missing.db")));
    let elsewhere = complains(&format!("sqlite://{}/a/b.db?mode=rwc", path("missing")));
    let empty = complains(&format!("sqlite://{}?mode=rwc", path("empty.db")));
    let in_memory = complains("sqlite::memory:");

    for sentence in [&missing, &elsewhere, &empty, &in_memory] {
        assert!(sentence.contains("no Mirage database"), "{sentence}");
    }
    assert!(!Path::new(&path("missing.db")).exists() && !Path::new(&path("missing")).exists());
    assert_eq!(std::fs::metadata(path("empty.db")).unwrap().len(), 0);
}

#[actix_web::test]
async fn a_database_of_a_newer_version_is_refused_and_left_untouched() {
    let app = spawn().await;
    app.sign_up("ada").await;
    let url = app.database_url();
    let newer = "INSERT INTO seaql_migrations VALUES ('m29990101_000001_the_future', 0)";
    app.execute(newer).await;
    let folder = app.stop().await;
    let file = folder.path().join("mirage.db");
    let before = std::fs::read(&file).unwrap();

    let flag = format!("--database-url={url}");
    let output = program(&["user", "delete", "ada", "--yes", &flag])
        .output()
        .unwrap();

    assert!(error_line(&output, 1).contains("m29990101_000001_the_future"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn every_command_has_help() {
    for (words, says) in [
        (&["--help"][..], "signup-link"),
        (&["user", "--help"], "reset-password"),
        (&["room", "--help"], "delete"),
        (&["user", "delete", "--help"], "--yes"),
        (&["help", "user", "list"], "separated by tabs"),
    ] {
        let output = program(words).output().unwrap();

        assert!(printed(&output).contains(says), "{words:?}");
    }
}

#[test]
fn an_invalid_command_fails_with_one_sentence_and_exit_code_2() {
    for words in [&["user"][..], &["user", "delete"], &["usr", "list"]] {
        error_line(&program(words).output().unwrap(), 2);
    }
}
