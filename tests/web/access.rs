//! Access control: the status that each kind of person gets from each route of the URL table.

use mirage::domain::RoomId;
use mirage::web::routes;

use crate::support::{Browser, Page, ROOM_PASSWORD, TestApp};

/// A route, and the status that it returns to each kind of person.
struct Row {
    method: &'static str,
    pattern: &'static str,
    form: &'static [(&'static str, &'static str)],
    /// The statuses in a public room, in the order of `PEOPLE`.
    public: [u16; 6],
    /// The statuses in a private room. `None` if the pattern has no room.
    private: Option<[u16; 6]>,
    /// The statuses that an operator gets, in a public and in a private room, in which they are not. `None`: as a stranger.
    operator: Option<[u16; 2]>,
}

const fn row(
    method: &'static str,
    pattern: &'static str,
    public: [u16; 6],
    private: Option<[u16; 6]>,
) -> Row {
    Row {
        method,
        pattern,
        form: &[("x", "1")],
        public,
        private,
        operator: None,
    }
}

/// A row of a page of operators, with the status that they get. Everybody else who is signed in gets 404.
const fn of_operators(method: &'static str, pattern: &'static str, operator: u16) -> Row {
    Row {
        operator: Some([operator, operator]),
        ..row(method, pattern, [303, 404, 404, 404, 404, 404], None)
    }
}

/// A row of an operator's page about a public room: a private room is not there for them either.
const fn of_operators_room(method: &'static str, pattern: &'static str, operator: u16) -> Row {
    const OTHERS: [u16; 6] = [303, 404, 404, 404, 404, 404];
    Row {
        operator: Some([operator, 404]),
        ..row(method, pattern, OTHERS, Some(OTHERS))
    }
}

/// A row whose statuses depend only on whether the person is signed in.
const fn anywhere(
    method: &'static str,
    pattern: &'static str,
    signed_out: u16,
    signed_in: u16,
) -> Row {
    row(
        method,
        pattern,
        [
            signed_out, signed_in, signed_in, signed_in, signed_in, signed_in,
        ],
        None,
    )
}

/// A row that only moderators and the owner may use, with the statuses that they get.
const fn of_moderators(
    method: &'static str,
    pattern: &'static str,
    moderator: u16,
    owner: u16,
) -> Row {
    row(
        method,
        pattern,
        [303, 403, 403, 403, moderator, owner],
        Some([303, 404, 404, 403, moderator, owner]),
    )
}

/// A row that only the owner may use, with the status in a public and in a private room.
const fn of_owner(method: &'static str, pattern: &'static str, public: u16, private: u16) -> Row {
    row(
        method,
        pattern,
        [303, 403, 403, 403, 403, public],
        Some([303, 404, 404, 403, 403, private]),
    )
}

const TABLE: &[Row] = &[
    row("GET", "/", [200, 303, 303, 303, 303, 303], None),
    anywhere("GET", "/register", 200, 303),
    anywhere("POST", "/register", 422, 422),
    anywhere("GET", "/register/{token}", 404, 404),
    anywhere("POST", "/register/{token}", 404, 404),
    anywhere("GET", "/reset/{token}", 404, 404),
    anywhere("POST", "/reset/{token}", 404, 404),
    anywhere("GET", "/login", 200, 303),
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
        [303, 200, 200, 200, 200, 200],
        Some([303, 404, 404, 200, 200, 200]),
    ),
    row(
        "POST",
        "/rooms/{room}/join",
        [303, 303, 403, 303, 303, 303],
        Some([303, 404, 404, 303, 303, 303]),
    ),
    row(
        "GET",
        "/rooms/{room}/leave",
        [303, 403, 403, 200, 200, 200],
        Some([303, 404, 404, 200, 200, 200]),
    ),
    row(
        "POST",
        "/rooms/{room}/leave",
        [303, 403, 403, 303, 303, 303],
        Some([303, 404, 404, 303, 303, 303]),
    ),
    row(
        "GET",
        "/rooms/{room}/messages",
        [303, 303, 303, 303, 303, 303],
        Some([303, 303, 303, 303, 303, 303]),
    ),
    row(
        "POST",
        "/rooms/{room}/messages",
        [401, 403, 403, 422, 422, 422],
        Some([401, 404, 404, 422, 422, 422]),
    ),
    row(
        "GET",
        "/rooms/{room}/poll",
        [401, 403, 403, 200, 200, 200],
        Some([401, 404, 404, 200, 200, 200]),
    ),
    row(
        "GET",
        "/rooms/{room}/members",
        [303, 403, 403, 200, 200, 200],
        Some([303, 404, 404, 200, 200, 200]),
    ),
    row(
        "GET",
        DELETE,
        [303, 403, 403, 404, 404, 404],
        Some([303, 404, 404, 404, 404, 404]),
    ),
    row(
        "POST",
        DELETE,
        [303, 403, 403, 404, 404, 404],
        Some([303, 404, 404, 404, 404, 404]),
    ),
    row(
        "GET",
        REPORT,
        [303, 403, 403, 404, 404, 404],
        Some([303, 404, 404, 404, 404, 404]),
    ),
    row(
        "POST",
        REPORT,
        [303, 403, 403, 404, 404, 404],
        Some([303, 404, 404, 404, 404, 404]),
    ),
    of_moderators("POST", "/rooms/{room}/reports/{message}/close", 303, 303),
    row(
        "GET",
        "/rooms/{room}/members/{person}",
        [303, 403, 403, 200, 200, 200],
        Some([303, 404, 404, 200, 200, 200]),
    ),
    // The member cannot ignore themselves.
    row(
        "GET",
        "/rooms/{room}/members/{person}/ignore",
        [303, 403, 403, 404, 200, 200],
        Some([303, 404, 404, 404, 200, 200]),
    ),
    row(
        "POST",
        "/rooms/{room}/members/{person}/ignore",
        [303, 403, 403, 404, 303, 303],
        Some([303, 404, 404, 404, 303, 303]),
    ),
    of_moderators("POST", "/rooms/{room}/members/{person}/role", 403, 400),
    of_moderators("GET", "/rooms/{room}/members/{person}/owner", 403, 200),
    of_moderators("POST", "/rooms/{room}/members/{person}/owner", 403, 303),
    of_moderators("GET", "/rooms/{room}/members/{person}/remove", 200, 200),
    // The moderator's request has already removed the member when the owner asks.
    of_moderators("POST", "/rooms/{room}/members/{person}/remove", 303, 404),
    of_moderators("GET", "/rooms/{room}/members/{person}/ban", 200, 200),
    of_moderators("POST", "/rooms/{room}/members/{person}/ban", 422, 422),
    of_moderators("POST", "/rooms/{room}/members/{person}/lift", 404, 404),
    of_moderators("GET", "/rooms/{room}/members/{person}/messages", 200, 200),
    of_moderators("POST", "/rooms/{room}/members/{person}/messages", 303, 303),
    of_owner("GET", "/rooms/{room}/settings", 200, 200),
    of_owner("POST", "/rooms/{room}/settings", 422, 422),
    of_owner("GET", "/rooms/{room}/settings/password", 200, 200),
    of_owner("POST", "/rooms/{room}/settings/password", 422, 422),
    of_owner("GET", "/rooms/{room}/settings/public", 303, 200),
    of_owner("POST", "/rooms/{room}/settings/public", 303, 303),
    of_owner("GET", "/rooms/{room}/settings/clear", 200, 200),
    of_owner("POST", "/rooms/{room}/settings/clear", 303, 303),
    of_owner("GET", "/rooms/{room}/settings/delete", 200, 200),
    of_owner("POST", "/rooms/{room}/settings/delete", 303, 303),
    of_moderators("GET", "/rooms/{room}/invites", 200, 200),
    row(
        "POST",
        "/rooms/{room}/invites",
        [303, 403, 403, 403, 403, 403],
        Some([303, 404, 404, 403, 422, 422]),
    ),
    of_moderators("POST", "/rooms/{room}/invites/{invite}/revoke", 303, 303),
    anywhere("GET", "/invite/{token}", 404, 404),
    anywhere("POST", "/invite/{token}", 303, 404),
    anywhere("GET", "/accessibility", 200, 200),
    anywhere("GET", "/about", 200, 200),
    anywhere("GET", "/account", 303, 200),
    anywhere("POST", "/account", 303, 422),
    anywhere("GET", "/.well-known/change-password", 303, 303),
    anywhere("GET", "/account/password", 303, 200),
    anywhere("POST", "/account/password", 303, 422),
    anywhere("GET", "/account/sessions", 303, 200),
    anywhere("POST", "/account/sessions/end-others", 303, 303),
    anywhere("POST", "/account/sessions/{session}/end", 303, 303),
    anywhere("GET", "/account/ignored", 303, 200),
    anywhere("POST", "/account/ignored/{person}/stop", 303, 303),
    anywhere("GET", "/account/delete", 303, 200),
    anywhere("POST", "/account/delete", 303, 422),
    anywhere("GET", "/account/reset", 303, 303),
    of_operators("GET", "/site", 200),
    of_operators("GET", "/site/people", 200),
    of_operators("GET", "/site/people/{person}", 200),
    of_operators("GET", "/site/people/{person}/suspend", 200),
    of_operators("POST", "/site/people/{person}/suspend", 422),
    // The member is not suspended.
    of_operators("GET", "/site/people/{person}/lift", 303),
    of_operators("POST", "/site/people/{person}/lift", 422),
    of_operators("GET", "/site/people/{person}/delete", 200),
    of_operators("POST", "/site/people/{person}/delete", 422),
    of_operators("GET", "/site/people/{person}/reset-link", 200),
    of_operators("POST", "/site/people/{person}/reset-link", 422),
    of_operators("GET", "/site/rooms", 200),
    of_operators_room("GET", "/site/rooms/{room}", 200),
    of_operators_room("GET", "/site/rooms/{room}/delete", 200),
    of_operators_room("POST", "/site/rooms/{room}/delete", 422),
    of_operators("GET", "/site/sign-up-link", 200),
    of_operators("POST", "/site/sign-up-link", 422),
    of_operators("GET", "/site/reports", 200),
    of_operators("POST", "/site/reports/{room}/{message}/close", 303),
    anywhere("GET", "/healthz", 200, 200),
    anywhere("GET", "/assets/{file}", 200, 200),
];

const DELETE: &str = "/rooms/{room}/messages/{message}/delete";
const REPORT: &str = "/rooms/{room}/messages/{message}/report";

const PEOPLE: [&str; 7] = [
    "signed out",
    "a stranger",
    "somebody banned",
    "a member",
    "a moderator",
    "the owner",
    "an operator",
];

/// The path of a row in a room. `{person}` is [`MEMBER`].
fn path_of(row: &Row, room: i64) -> String {
    let room = room.to_string();
    row.pattern
        .replace("{room}", &room)
        .replace("{message}", "1")
        .replace("{person}", MEMBER)
        .replace("{session}", &"0".repeat(64))
        .replace("{invite}", "1")
        .replace("{token}", "no-such-token")
        .replace("{file}", "app.css")
        // No link has this token.
        .replace("{token}", "x")
}

/// The ID of the member's account, which is created first.
const MEMBER: &str = "1";

async fn ask(browser: &Browser, row: &Row, room: i64) -> u16 {
    let path = path_of(row, room);
    let page = match row.method {
        "GET" => browser.get(&path).await,
        _ => browser.post(&path, row.form).await,
    };
    page.status.as_u16()
}

/// Signs up the seven kinds of people and creates a room for them.
async fn people(app: &TestApp, is_private: bool) -> ([Browser; 7], i64) {
    let member = app.sign_up("member").await;
    let stranger = app.sign_up("stranger").await;
    let banned = app.sign_up("banned").await;
    let (moderator, owner) = (app.sign_up("moderator").await, app.sign_up("owner").await);
    let room = if is_private {
        owner.create_private_room("Tea").await
    } else {
        owner.create_public_room("Tea").await
    };
    for browser in [&member, &moderator, &banned] {
        if is_private {
            let joined = browser.join_privately("Tea", ROOM_PASSWORD).await;
            joined.assert_status(303);
        } else {
            browser.join(room).await;
        }
    }
    owner.make_moderator(room, "moderator").await;
    owner.ban(room, "banned", "Loud").await;
    let operator = app.operator("operator").await;
    let nobody = app.anonymous();
    (
        [nobody, stranger, banned, member, moderator, owner, operator],
        room,
    )
}

#[actix_web::test]
async fn every_route_answers_each_kind_of_person_as_the_table_says() {
    for is_private in [false, true] {
        // GET requests change nothing, so all of them can share one server.
        let app = TestApp::with(&["--about=LICENSE"]).await;
        let (everybody, room) = people(&app, is_private).await;
        for row in TABLE.iter().filter(|row| row.method == "GET") {
            assert_row(row, is_private, &everybody, room).await;
        }
        for row in TABLE.iter().filter(|row| row.method != "GET") {
            let app = TestApp::spawn().await;
            let (everybody, room) = people(&app, is_private).await;
            assert_row(row, is_private, &everybody, room).await;
        }
    }
}

async fn assert_row(row: &Row, is_private: bool, everybody: &[Browser; 7], room: i64) {
    let (expected, kind) = match (is_private, row.private) {
        (false, _) => (row.public, "public"),
        (true, Some(private)) => (private, "private"),
        (true, None) => return,
    };
    let operator = row.operator.map(|of| of[usize::from(is_private)]);
    let expected = [&expected[..], &[operator.unwrap_or(expected[1])]].concat();
    // The operator first: the owner's requests may be the end of the room.
    let (others, operators) = everybody.iter().enumerate().partition(|(n, _)| *n < 6);
    let (others, operators): (Vec<_>, Vec<_>) = (others, operators);
    for (number, browser) in operators.into_iter().chain(others) {
        let status = ask(browser, row, room).await;

        let who = PEOPLE[number];
        assert_eq!(
            status, expected[number],
            "{} {} ({kind}), {who}",
            row.method, row.pattern
        );
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

/// The responses to a row's request in two rooms, without their timestamps.
async fn answers(browser: &Browser, row: &Row, form: Form, rooms: [i64; 2]) -> [Page; 2] {
    let answer = async |room: i64| {
        let path = path_of(row, room);
        let mut page = match row.method {
            "GET" => browser.get(&path).await,
            _ => browser.post(&path, form).await,
        };
        page.headers.remove("date");
        // Redirects name the room.
        let location = page.location().replace(&format!("/rooms/{room}"), "…");
        page.headers.remove("location");
        page.body = format!("{location}{}", page.body);
        page
    };
    [answer(rooms[0]).await, answer(rooms[1]).await]
}

type Form = &'static [(&'static str, &'static str)];

/// A message form and an empty form.
const FORMS: [Form; 2] = [&[("text", "hello"), ("nonce", "x")], &[]];

fn rows_with_a_room() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(|row| row.pattern.contains("{room}"))
}

#[actix_web::test]
async fn strangers_banned_people_and_operators_cannot_tell_a_private_room_from_a_missing_one() {
    let app = TestApp::spawn().await;
    let ([nobody, stranger, banned, _, _, owner, operator], room) = people(&app, true).await;
    owner.send(room, "between us").await.assert_status(303);

    for row in rows_with_a_room() {
        for form in FORMS {
            for browser in [&nobody, &stranger, &banned, &operator] {
                let [hidden, missing] = answers(browser, row, form, [room, room + 1_000]).await;

                assert_eq!(hidden, missing, "{} {}", row.method, row.pattern);
            }
        }
    }
}

#[actix_web::test]
async fn nobody_can_tell_a_deleted_room_from_one_that_never_existed() {
    for is_private in [false, true] {
        let app = TestApp::spawn().await;
        let (everybody, room) = people(&app, is_private).await;
        let owner = &everybody[5];
        owner.send(room, "hello").await.assert_status(303);
        let path = format!("/rooms/{room}/settings/delete");
        owner
            .post(&path, &[("confirm", "1")])
            .await
            .assert_status(303);
        // Until then, the same form of the owner leads to the same success.
        app.clock.advance(std::time::Duration::from_secs(600));

        for row in rows_with_a_room() {
            for form in FORMS {
                for (browser, who) in everybody.iter().zip(PEOPLE) {
                    let rooms = [room, room + 1_000];
                    let [deleted, missing] = answers(browser, row, form, rooms).await;

                    assert_eq!(deleted, missing, "{} {}, {who}", row.method, row.pattern);
                }
            }
        }
    }
}

#[actix_web::test]
async fn private_and_missing_rooms_cost_strangers_and_banned_people_equally_many_queries() {
    let app = TestApp::spawn().await;
    let ([_, stranger, banned, _, _, owner, _], room) = people(&app, true).await;
    // Each server holds what it has read.
    let [owner, stranger, banned] =
        [owner, stranger, banned].map(|browser| browser.at(&app.address));
    // The first request of a session loads the session from the database.
    for browser in [&owner, &stranger, &banned] {
        browser.get("/account").await.assert_status(200);
    }
    owner.room(room).await.assert_status(200);
    let cost = async |browser: &Browser, path: String, is_post: bool| {
        let before = app.db_statements();
        match is_post {
            true => browser.post(&path, &[("join", "1")]).await,
            false => browser.get(&path).await,
        };
        app.db_statements() - before
    };

    for (page, is_post) in [
        ("", false),
        ("/poll", false),
        ("/members", false),
        ("/invites", false),
        ("/join", true),
    ] {
        let nowhere = format!("/rooms/{}{page}", room + 1_000);
        let missing = cost(&stranger, nowhere, is_post).await;
        for browser in [&stranger, &banned] {
            for is_held in [true, false] {
                if !is_held {
                    for core in app.cores() {
                        core.rooms.forget(RoomId(room));
                    }
                }
                let hidden = cost(browser, format!("/rooms/{room}{page}"), is_post).await;

                assert_eq!(hidden, missing, "{page}, in memory: {is_held}");
            }
        }
    }
}
