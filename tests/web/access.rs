//! Who gets what at every address: a row for each route of the URL table.

use mirage::routes;

use crate::support::{Browser, ROOM_PASSWORD, TestApp};

/// A route, and the status that each kind of person gets.
struct Row {
    method: &'static str,
    pattern: &'static str,
    form: &'static [(&'static str, &'static str)],
    /// Signed out, stranger, member, owner of a public room.
    public: [u16; 4],
    /// The same of a private room. Where no room is in the address, there is only the first.
    private: Option<[u16; 4]>,
}

const fn row(
    method: &'static str,
    pattern: &'static str,
    public: [u16; 4],
    private: Option<[u16; 4]>,
) -> Row {
    Row {
        method,
        pattern,
        form: &[("x", "1")],
        public,
        private,
    }
}

/// Statuses that follow from being signed in or not, and not from a room.
const fn anywhere(
    method: &'static str,
    pattern: &'static str,
    signed_out: u16,
    signed_in: u16,
) -> Row {
    row(
        method,
        pattern,
        [signed_out, signed_in, signed_in, signed_in],
        None,
    )
}

const TABLE: &[Row] = &[
    row("GET", "/", [200, 303, 303, 303], None),
    anywhere("GET", "/register", 200, 200),
    anywhere("POST", "/register", 422, 422),
    anywhere("GET", "/login", 200, 200),
    anywhere("POST", "/login", 422, 422),
    anywhere("POST", "/logout", 303, 303),
    anywhere("GET", "/rooms", 303, 200),
    anywhere("GET", "/rooms/mine", 303, 200),
    anywhere("GET", "/rooms/private", 303, 200),
    anywhere("POST", "/rooms/private", 303, 422),
    anywhere("GET", "/rooms/new", 303, 200),
    anywhere("POST", "/rooms/new", 303, 422),
    row(
        "GET",
        "/rooms/{room}",
        [303, 200, 200, 200],
        Some([303, 404, 200, 200]),
    ),
    row(
        "POST",
        "/rooms/{room}/join",
        [303, 303, 303, 303],
        Some([303, 404, 303, 303]),
    ),
    row(
        "GET",
        "/rooms/{room}/leave",
        [303, 403, 200, 200],
        Some([303, 404, 200, 200]),
    ),
    row(
        "POST",
        "/rooms/{room}/leave",
        [303, 403, 303, 303],
        Some([303, 404, 303, 303]),
    ),
    row(
        "GET",
        "/rooms/{room}/messages",
        [303, 303, 303, 303],
        Some([303, 303, 303, 303]),
    ),
    row(
        "POST",
        "/rooms/{room}/messages",
        [401, 403, 422, 422],
        Some([401, 404, 422, 422]),
    ),
    row(
        "GET",
        "/rooms/{room}/poll",
        [401, 403, 200, 200],
        Some([401, 404, 200, 200]),
    ),
    row(
        "GET",
        "/rooms/{room}/members",
        [303, 403, 200, 200],
        Some([303, 404, 200, 200]),
    ),
    row(
        "GET",
        DELETE,
        [303, 403, 404, 404],
        Some([303, 404, 404, 404]),
    ),
    row(
        "POST",
        DELETE,
        [303, 403, 404, 404],
        Some([303, 404, 404, 404]),
    ),
    anywhere("GET", "/accessibility", 200, 200),
    anywhere("GET", "/account", 303, 200),
    anywhere("POST", "/account", 303, 422),
    anywhere("GET", "/healthz", 200, 200),
    anywhere("GET", "/assets/{file}", 200, 200),
];

const DELETE: &str = "/rooms/{room}/messages/{message}/delete";

const PEOPLE: [&str; 4] = ["signed out", "a stranger", "a member", "the owner"];

fn path_of(row: &Row, room: i64) -> String {
    let room = room.to_string();
    row.pattern
        .replace("{room}", &room)
        .replace("{message}", "1")
        .replace("{file}", "app.css")
}

async fn ask(browser: &Browser, row: &Row, room: i64) -> u16 {
    let path = path_of(row, room);
    let page = match row.method {
        "GET" => browser.get(&path).await,
        _ => browser.post(&path, row.form).await,
    };
    page.status.as_u16()
}

/// The four kinds of people, and a room of the kind that some of them are in.
async fn people(app: &TestApp, is_private: bool) -> ([Browser; 4], i64) {
    let stranger = app.sign_up("stranger").await;
    let (member, owner) = (app.sign_up("member").await, app.sign_up("owner").await);
    let room = if is_private {
        let room = owner.create_private_room("Tea").await;
        member
            .join_privately("Tea", ROOM_PASSWORD)
            .await
            .assert_status(303);
        room
    } else {
        let room = owner.create_public_room("Tea").await;
        member.join(room).await;
        room
    };
    ([app.anonymous(), stranger, member, owner], room)
}

#[actix_web::test]
async fn every_route_answers_everybody_as_the_table_says() {
    for row in TABLE {
        for (expected, is_private) in [(Some(row.public), false), (row.private, true)] {
            let Some(expected) = expected else { continue };
            // A server for each: what the route changes must not change what another answers.
            let app = TestApp::spawn().await;
            let (people, room) = people(&app, is_private).await;
            for (number, browser) in people.iter().enumerate() {
                let status = ask(browser, row, room).await;

                let kind = if is_private { "private" } else { "public" };
                let who = PEOPLE[number];
                assert_eq!(
                    status, expected[number],
                    "{} {} ({kind}), {who}",
                    row.method, row.pattern
                );
            }
        }
    }
}

#[test]
fn every_route_is_in_the_table() {
    let mut routes: Vec<_> = routes::table()
        .iter()
        .map(|route| format!("{} {}", route.method, route.pattern))
        .collect();
    let mut rows: Vec<_> = TABLE
        .iter()
        .map(|row| format!("{} {}", row.method, row.pattern))
        .collect();
    routes.sort_unstable();
    rows.sort_unstable();

    assert_eq!(rows, routes);
}

#[actix_web::test]
async fn a_private_room_is_to_strangers_as_one_that_is_not_there() {
    let app = TestApp::spawn().await;
    let ([_, stranger, _, owner], room) = people(&app, true).await;
    owner.send(room, "between us").await.assert_status(303);
    let nowhere = room + 1_000;

    for row in TABLE.iter().filter(|row| row.pattern.contains("{room}")) {
        for form in [&[("text", "hello"), ("nonce", "x")][..], &[]] {
            let answer = async |room: i64| {
                let path = path_of(row, room);
                let mut page = match row.method {
                    "GET" => stranger.get(&path).await,
                    _ => stranger.post(&path, form).await,
                };
                page.headers.remove("date");
                page
            };
            let (hidden, missing) = (answer(room).await, answer(nowhere).await);
            if row.pattern == "/rooms/{room}/messages" && row.method == "GET" {
                hidden.assert_redirect(&format!("/rooms/{room}"));
                missing.assert_redirect(&format!("/rooms/{nowhere}"));
            } else {
                assert_eq!(hidden, missing, "{} {}", row.method, row.pattern);
                assert_eq!(hidden.status, 404);
            }
        }
    }
}

#[actix_web::test]
async fn a_private_room_costs_strangers_as_many_queries_as_one_that_is_not_there() {
    let app = TestApp::spawn().await;
    let ([_, stranger, _, owner], room) = people(&app, true).await;
    // Whoever asks for the first time is looked up first.
    for browser in [&owner, &stranger] {
        browser.get("/account").await.assert_status(200);
    }
    owner.room(room).await.assert_status(200);
    let cost = async |path: String, is_post: bool| {
        let before = app.db_statements();
        match is_post {
            true => stranger.post(&path, &[("join", "1")]).await,
            false => stranger.get(&path).await,
        };
        app.db_statements() - before
    };

    for (page, is_post) in [
        ("", false),
        ("/poll", false),
        ("/members", false),
        ("/join", true),
    ] {
        let hidden = cost(format!("/rooms/{room}{page}"), is_post).await;
        let missing = cost(format!("/rooms/{}{page}", room + 1_000), is_post).await;

        assert_eq!(hidden, missing, "{page}");
    }
}
