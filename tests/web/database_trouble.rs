//! A database that cannot be written for a while: who talks goes on talking, who fills in a form can try
//! again, and nobody has to start anything anew.

use sea_orm::{ConnectionTrait, Database, Statement, TransactionTrait};

use crate::errors::BUSY;
use crate::support::{Browser, PASSWORD, Page, TestApp, wait_in};

/// Two people in a room that they have open.
async fn two_in_a_room(app: &TestApp) -> (Browser, Browser, i64) {
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    for browser in [&ada, &bob] {
        browser.room(room).await.assert_status(200);
    }
    (ada, bob, room)
}

/// That what the one says reaches the other, who waits.
async fn assert_they_talk(app: &TestApp, (ada, bob, room): &(Browser, Browser, i64), text: &str) {
    let waiting = wait_in(app, bob, *room).await;
    ada.send(*room, text).await.assert_status(303);
    assert_eq!(waiting.answer().await.came, [text]);
}

/// A form that writes: whose it is, where it goes, what is typed into its fields, and the first of them,
/// beside which the reason is said.
struct Form<'a> {
    browser: &'a Browser,
    path: String,
    typed: Vec<(&'static str, &'static str)>,
    first: &'static str,
}

/// Forms that write, each of another kind.
fn forms<'a>(nobody: &'a Browser, (ada, _, room): &'a (Browser, Browser, i64)) -> [Form<'a>; 5] {
    let form = |browser, path: &str, typed: &[_]| Form {
        browser,
        path: path.to_owned(),
        typed: typed.to_vec(),
        first: typed[0].0,
    };
    let settings = [
        ("name", "Tea with milk"),
        ("description", "No sugar"),
        ("lifespan", "longest"),
        ("slow-mode", "30"),
        ("language", "de"),
        ("posting", "everyone"),
    ];
    let (cleo, ada_too) = (
        [("name", "cleo"), ("password", PASSWORD)],
        [("name", "ada"), ("password", PASSWORD)],
    );
    let change = [("current", PASSWORD), ("password", "an owl in a willow")];
    [
        form(ada, "/rooms/new", &[("name", "Cake"), ("kind", "public")]),
        form(nobody, "/register", &cleo),
        form(nobody, "/login", &ada_too),
        form(ada, &format!("/rooms/{room}/settings"), &settings),
        form(ada, "/account/password", &change),
    ]
}

/// Sends all forms at once, and gives what they are answered.
async fn submit(forms: &[Form<'_>; 5]) -> [Page; 5] {
    let [a, b, c, d, e] = forms
        .each_ref()
        .map(|form| form.browser.post(&form.path, &form.typed));
    let (a, b, c, d, e) = tokio::join!(a, b, c, d, e);
    [a, b, c, d, e]
}

/// That a form came back with what was typed, and the word that it is to be sent again soon.
#[track_caller]
fn assert_given_back(form: &Form<'_>, page: &Page) {
    page.assert_status(503).assert_problem(form.first, BUSY);
    assert_eq!(page.header("retry-after"), "5");
    for (name, value) in &form.typed {
        match *name {
            "name" => drop(page.assert_value("#name", value)),
            "description" => assert_eq!(page.text("#description"), *value),
            "lifespan" | "slow-mode" | "language" => {
                let chosen = format!("#{name} [selected]");
                assert_eq!(page.attribute(&chosen, "value"), *value);
            }
            "kind" | "posting" => {
                let chosen = format!("[name={name}][checked]");
                assert_eq!(page.attribute(&chosen, "value"), *value);
            }
            // Passwords are typed again.
            _ => (),
        }
    }
}

/// That every form that writes is given back, and a page without a field says the same.
async fn assert_nothing_is_written(app: &TestApp, people: &(Browser, Browser, i64)) {
    let nobody = app.anonymous();
    let (forms, leave) = (forms(&nobody, people), format!("/rooms/{}/leave", people.2));

    let (pages, left) = tokio::join!(submit(&forms), people.1.post(&leave, &[("leave", "1")]));

    for (form, page) in forms.iter().zip(&pages) {
        assert_given_back(form, page);
    }
    left.assert_status(503);
    assert_eq!(left.header("retry-after"), "5");
    assert_eq!(left.text("h1"), "Mirage cannot do that right now");
}

/// That every form that writes does so, by itself, as soon as it can.
async fn assert_all_is_written(app: &TestApp, people: &(Browser, Browser, i64)) {
    let nobody = app.anonymous();
    for page in submit(&forms(&nobody, people)).await {
        page.assert_status(303);
    }
    people.1.leave(people.2).await;
}

/// Runs a statement on each connection of the server.
async fn on_all_connections(app: &TestApp, sql: &str) {
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(app.state.database.begin().await.unwrap());
    }
    for connection in held {
        connection.execute_unprepared(sql).await.unwrap();
        connection.rollback().await.unwrap();
    }
}

#[actix_web::test]
async fn a_database_that_another_has_locked() {
    let app = TestApp::spawn().await;
    let people = two_in_a_room(&app).await;
    let other = Database::connect(app.database_url()).await.unwrap();
    let lock = other.begin().await.unwrap();
    lock.execute_unprepared("UPDATE users SET created_at = created_at")
        .await
        .unwrap();

    let talk = async {
        for number in 0..20 {
            assert_they_talk(&app, &people, &format!("message {number}")).await;
        }
    };
    // Each waits for five seconds, so this is a lock of ten.
    tokio::join!(assert_nothing_is_written(&app, &people), talk);
    assert_nothing_is_written(&app, &people).await;
    assert_they_talk(&app, &people, "still here").await;
    lock.rollback().await.unwrap();

    assert_all_is_written(&app, &people).await;
}

#[actix_web::test]
async fn a_database_that_can_only_be_read() {
    let app = TestApp::spawn().await;
    let people = two_in_a_room(&app).await;
    on_all_connections(&app, "PRAGMA query_only = ON").await;

    assert_nothing_is_written(&app, &people).await;
    assert_they_talk(&app, &people, "still here").await;
    people.0.get("/rooms").await.assert_status(200);
    on_all_connections(&app, "PRAGMA query_only = OFF").await;

    assert_all_is_written(&app, &people).await;
}

#[actix_web::test]
async fn a_disk_that_is_full() {
    let app = TestApp::spawn().await;
    let people = two_in_a_room(&app).await;
    // Fewer than it has, which means: no more than it has.
    on_all_connections(&app, "PRAGMA max_page_count = 1").await;

    let mut made = 0;
    let refused = loop {
        let form = [
            ("name", format!("Room {made}")),
            ("kind", "public".to_owned()),
        ];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        let page = people.0.post("/rooms/new", &form).await;
        if page.status != 303 {
            break page;
        }
        made += 1;
        assert!(made < 1_000, "it is never full");
    };
    refused.assert_status(503).assert_problem("name", BUSY);
    refused.assert_value("#name", &format!("Room {made}"));
    assert_they_talk(&app, &people, "still here").await;
    people.0.get("/rooms").await.assert_status(200);
    on_all_connections(&app, "PRAGMA max_page_count = 1000000").await;

    assert_all_is_written(&app, &people).await;
    eprintln!("{made} rooms had room on the full disk");
}

#[actix_web::test]
async fn after_a_transaction_that_sqlite_ended_by_itself_what_is_answered_with_success_is_there() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    ada.create_public_room("Tea").await;
    // As it does when a commit finds the disk full: sqlx does not notice.
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(app.state.database.begin().await.unwrap());
    }
    for connection in held {
        connection.execute_unprepared("ROLLBACK").await.unwrap();
        drop(connection);
    }

    // Refused and done by turns, so that each connection has had both.
    for number in 0..8 {
        let taken = [("name", "Tea"), ("kind", "public")];
        let page = ada.post("/rooms/new", &taken).await;
        page.assert_status(422);
        ada.create_public_room(&format!("Cake {number}")).await;
    }

    let beside = Database::connect(app.database_url()).await.unwrap();
    let sql = "SELECT name FROM rooms WHERE name LIKE 'Cake %'";
    let statement = Statement::from_string(beside.get_database_backend(), sql);
    assert_eq!(beside.query_all_raw(statement).await.unwrap().len(), 8);
}
