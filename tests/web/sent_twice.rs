//! A form that is sent twice, such as by a button pressed twice, leads its own person to one success.

use std::time::Duration;

use reqwest::header::{COOKIE, USER_AGENT};
use sea_orm::{
    ConnectionTrait, Database, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use crate::support::{
    Browser, PASSWORD, Page, ROOM_PASSWORD, TestApp, db_column, is_cluster, reset_link,
    sign_up_link,
};

const REGISTER: &str = "/register";
const CHANGE: &str = "/account/password";
const NEW_PASSWORD: &str = "an owl in a willow";
const OTHER_PASSWORD: &str = "a badger in a barn";
const TEN_MINUTES: Duration = Duration::from_secs(600);
const ROUNDS: usize = 10;

/// Returns the nonce of the form at `path`.
async fn nonce_at(browser: &Browser, path: &str) -> String {
    let page = browser.get(path).await;
    page.assert_status(200);
    page.attribute("main form [name=nonce]", "value")
}

fn sign_up_form<'a>(name: &'a str, password: &'a str, nonce: &'a str) -> [(&'a str, &'a str); 3] {
    [("name", name), ("password", password), ("nonce", nonce)]
}

fn cookie_of(page: &Page) -> &str {
    page.header("set-cookie").split(';').next().unwrap()
}

async fn session_count(app: &TestApp) -> usize {
    db_column(app, "SELECT key_digest FROM sessions")
        .await
        .len()
}

/// Asserts that both answers redirect to `to` and set the same cookie, so that the browser is signed in whichever
/// arrives last, and that this cookie belongs to the only session.
async fn assert_one_success(app: &TestApp, answers: [&Page; 2], to: &str) {
    for answer in answers {
        answer.assert_redirect(to);
        assert!(cookie_of(answer).starts_with("mirage-"));
        assert_eq!(cookie_of(answer), cookie_of(answers[0]));
        let browser = app.anonymous();
        let request = browser.client.get(browser.url("/account"));
        let request = request.header(COOKIE, cookie_of(answer));
        Browser::answer(request).await.assert_status(200);
    }
    assert_eq!(session_count(app).await, 1);
}

/// Sends `form` to `path` with this cookie, as a browser that has not received the first answer yet.
async fn post_with(app: &TestApp, cookie: &str, path: &str, form: &[(&str, &str)]) -> Page {
    let browser = app.anonymous();
    let request = browser.client.post(browser.url(path)).form(form);
    Browser::answer(request.header(COOKIE, cookie)).await
}

#[actix_web::test]
async fn a_sign_up_that_is_sent_again_leads_to_the_same_account_and_session() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    let nonce = nonce_at(&browser, REGISTER).await;
    let form = sign_up_form("ada", PASSWORD, &nonce);

    let first = browser.post(REGISTER, &form).await;
    let again = browser.post(REGISTER, &form).await;
    let without_cookie = app.anonymous().post(REGISTER, &form).await;

    let to = "/rooms?done=registered";
    assert_one_success(&app, [&first, &again], to).await;
    assert_one_success(&app, [&first, &without_cookie], to).await;
    assert_eq!(
        browser.get("/rooms").await.text("header .sign-out b"),
        "ada"
    );
    assert_eq!(db_column(&app, "SELECT name FROM users").await, ["ada"]);
}

#[actix_web::test]
async fn of_two_concurrent_sign_ups_with_one_form_both_lead_to_the_same_account() {
    for _ in 0..ROUNDS {
        let app = TestApp::spawn().await;
        let nonce = nonce_at(&app.anonymous(), "/register?next=/rooms/private").await;
        let [name, password, nonce] = sign_up_form("ada", PASSWORD, &nonce);
        let form = [name, password, nonce, ("next", "/rooms/private")];
        let browser = app.anonymous();

        let (one, other) =
            tokio::join!(browser.post(REGISTER, &form), browser.post(REGISTER, &form));

        assert_one_success(&app, [&one, &other], "/rooms/private").await;
        browser.get("/rooms").await.assert_status(200);
    }
}

#[actix_web::test]
async fn a_form_is_done_once_when_its_browser_hangs_up_and_sends_it_again() {
    let app = TestApp::spawn().await;
    let nonce = nonce_at(&app.anonymous(), REGISTER).await;
    let database = Database::connect(app.database_url()).await.unwrap();
    let immediate = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    // Keeps the account from being written until the browser has hung up.
    let writing = database.begin_with_options(immediate).await.unwrap();
    if is_cluster() {
        let lock = "LOCK TABLE users IN SHARE MODE";
        writing.execute_unprepared(lock).await.unwrap();
    }
    let (first, sent) = (app.anonymous(), nonce.clone());
    let first = tokio::spawn(async move {
        let form = sign_up_form("ada", PASSWORD, &sent);
        first.post(REGISTER, &form).await
    });
    while app.hashes() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());

    let browser = app.anonymous();
    let form = sign_up_form("ada", PASSWORD, &nonce);
    let (again, ()) = tokio::join!(browser.post(REGISTER, &form), async {
        writing.rollback().await.unwrap();
    });

    assert_one_success(&app, [&again, &again], "/rooms?done=registered").await;
}

#[actix_web::test]
async fn a_stolen_nonce_without_the_password_signs_nobody_in() {
    let app = TestApp::spawn().await;
    let ada = app.anonymous();
    let nonce = nonce_at(&ada, REGISTER).await;
    let form = sign_up_form("ada", PASSWORD, &nonce);
    ada.post(REGISTER, &form).await.assert_status(303);
    let link = reset_link(&app, "ada").await;
    let reset_nonce = nonce_at(&ada, &link).await;
    let reset_form = [("password", NEW_PASSWORD), ("nonce", &reset_nonce)];
    ada.post(&link, &reset_form).await.assert_status(303);
    let change_nonce = nonce_at(&ada, CHANGE).await;
    let (current, new) = (("current", NEW_PASSWORD), ("password", OTHER_PASSWORD));
    let change_form = [current, new, ("nonce", &change_nonce)];
    ada.post(CHANGE, &change_form).await.assert_status(303);

    // The passwords before the last one do not sign in either.
    for password in ["a guess of a stranger", PASSWORD, NEW_PASSWORD] {
        let stranger = app.anonymous();
        for (nonce, path, status, location) in [
            (&nonce, REGISTER, 422, ""),
            (&reset_nonce, &link, 404, ""),
            (&change_nonce, CHANGE, 303, "/login?next=/account/password"),
        ] {
            let form = [
                ("name", "ada"),
                ("current", NEW_PASSWORD),
                ("password", password),
                ("nonce", nonce),
            ];
            let page = stranger.post(path, &form).await;

            page.assert_status(status);
            assert_eq!(page.location(), location);
            assert_eq!(page.header("set-cookie"), "");
        }
    }
    assert_eq!(session_count(&app).await, 1);
    ada.get("/rooms").await.assert_status(200);
}

#[actix_web::test]
async fn another_browser_with_the_nonce_and_the_password_has_a_session_of_its_own() {
    let app = TestApp::spawn().await;
    let ada = app.anonymous();
    let nonce = nonce_at(&ada, REGISTER).await;
    let form = sign_up_form("ada", PASSWORD, &nonce);
    ada.post(REGISTER, &form).await.assert_status(303);

    let other = app.anonymous();
    let request = other.client.post(other.url(REGISTER)).form(&form);
    let request = request.header(USER_AGENT, "Mozilla/5.0 (X11) Firefox/150.0");
    Browser::answer(request).await.assert_status(303);

    for browser in [&ada, &other] {
        browser.get("/rooms").await.assert_status(200);
    }
    assert_eq!(session_count(&app).await, 2);
}

#[actix_web::test]
async fn a_repeated_form_counts_as_a_sign_in() {
    let app = TestApp::with(&["--limits=on", "--limit-sign-in=3+1/30s"]).await;
    let ada = app.sign_up("ada").await;
    let link = reset_link(&app, "ada").await;
    let nonce = nonce_at(&ada, &link).await;
    let form = |password| [("password", password), ("nonce", nonce.as_str())];
    ada.post(&link, &form(NEW_PASSWORD))
        .await
        .assert_status(303);

    ada.post(&link, &form(NEW_PASSWORD))
        .await
        .assert_status(303);
    let stranger = app.anonymous();
    for _ in 0..2 {
        stranger
            .post(&link, &form(OTHER_PASSWORD))
            .await
            .assert_status(404);
    }

    stranger
        .post(&link, &form(NEW_PASSWORD))
        .await
        .assert_status(429);
    let sign_in = [("name", "ada"), ("password", NEW_PASSWORD)];
    stranger.post("/login", &sign_in).await.assert_status(429);
}

#[actix_web::test]
async fn a_form_can_be_repeated_for_ten_minutes() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    let nonce = nonce_at(&browser, REGISTER).await;
    let form = sign_up_form("ada", PASSWORD, &nonce);
    browser.post(REGISTER, &form).await.assert_status(303);
    app.clock.advance(TEN_MINUTES - Duration::from_millis(1));
    browser.post(REGISTER, &form).await.assert_status(303);

    app.clock.advance(Duration::from_millis(1));

    browser.post(REGISTER, &form).await.assert_status(422);
    assert_eq!(app.core.done_forms.size(), 0);
}

#[actix_web::test]
async fn a_form_without_a_valid_nonce_is_not_repeated() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    for nonce in ["", "AAAA", "%%%"] {
        let name = format!("ada{}", nonce.len());
        let form = sign_up_form(&name, PASSWORD, nonce);
        browser.post(REGISTER, &form).await.assert_status(303);
        browser.post(REGISTER, &form).await.assert_status(422);
    }
    // A nonce is for one person: this one was made for whoever is signed in.
    let of_ada = nonce_at(&browser, "/rooms/new").await;
    let form = sign_up_form("eve", PASSWORD, &of_ada);
    browser.post(REGISTER, &form).await.assert_status(303);
    browser.post(REGISTER, &form).await.assert_status(422);
}

#[actix_web::test]
async fn the_same_form_with_another_name_creates_another_account() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    let nonce = nonce_at(&browser, REGISTER).await;
    for name in ["ada", "eve"] {
        let form = sign_up_form(name, PASSWORD, &nonce);
        let page = browser.post(REGISTER, &form).await;

        page.assert_redirect("/rooms?done=registered");
        assert_eq!(browser.get("/rooms").await.text("header .sign-out b"), name);
    }
    assert_eq!(session_count(&app).await, 1);
}

#[actix_web::test]
async fn a_form_that_is_sent_again_after_signing_out_signs_in_once() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    let nonce = nonce_at(&browser, REGISTER).await;
    let form = sign_up_form("ada", PASSWORD, &nonce);
    browser.post(REGISTER, &form).await.assert_status(303);
    browser.post("/logout", &[("x", "1")]).await;
    assert_eq!(session_count(&app).await, 0);

    let (here, there) = (app.anonymous(), app.anonymous());
    let (one, other) = tokio::join!(here.post(REGISTER, &form), there.post(REGISTER, &form));

    assert_one_success(&app, [&one, &other], "/rooms?done=registered").await;
}

#[actix_web::test]
async fn a_form_that_is_sent_again_ends_the_session_of_another_account_in_the_browser() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    let nonce = nonce_at(&browser, REGISTER).await;
    let form = sign_up_form("ada", PASSWORD, &nonce);
    let first = browser.post(REGISTER, &form).await;
    let bob = app.sign_up("bob").await;

    let again = bob.post(REGISTER, &form).await;

    assert_one_success(&app, [&first, &again], "/rooms?done=registered").await;
    assert_eq!(bob.get("/rooms").await.text("header .sign-out b"), "ada");
}

#[actix_web::test]
async fn a_form_that_is_shown_again_because_the_server_is_busy_can_still_be_repeated() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    let nonce = nonce_at(&browser, REGISTER).await;
    let form = sign_up_form("ada", PASSWORD, &nonce);
    let first = browser.post(REGISTER, &form).await;
    let crowd = app.overload();

    let busy = app.anonymous().post(REGISTER, &form).await;

    busy.assert_status(503)
        .assert_value("main [name=nonce]", &nonce);
    drop(crowd);
    let again = app.anonymous().post(REGISTER, &form).await;
    assert_one_success(&app, [&first, &again], "/rooms?done=registered").await;
}

#[actix_web::test]
async fn a_sign_up_link_leads_to_the_same_account_when_its_form_is_sent_again() {
    let app = TestApp::with(&["--sign-up=link"]).await;
    for concurrent in [false, true] {
        app.execute("DELETE FROM users").await;
        let link = sign_up_link(&app).await;
        let browser = app.anonymous();
        let nonce = nonce_at(&browser, &link).await;
        let name = if concurrent { "ada" } else { "eve" };
        let form = sign_up_form(name, PASSWORD, &nonce);

        let (one, other) = if concurrent {
            tokio::join!(browser.post(&link, &form), browser.post(&link, &form))
        } else {
            let one = browser.post(&link, &form).await;
            (one, browser.post(&link, &form).await)
        };

        assert_one_success(&app, [&one, &other], "/rooms?done=registered").await;
        let stranger = sign_up_form("zoe", PASSWORD, &nonce);
        let refused = app.anonymous().post(&link, &stranger).await;
        refused.assert_status(404);
        browser.post("/logout", &[("x", "1")]).await;
    }
}

#[actix_web::test]
async fn a_reset_link_leads_to_the_same_success_when_its_form_is_sent_again() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    for concurrent in [false, true] {
        let link = reset_link(&app, "ada").await;
        let browser = app.anonymous();
        let nonce = nonce_at(&browser, &link).await;
        let form = [("password", NEW_PASSWORD), ("nonce", nonce.as_str())];

        let (one, other) = if concurrent {
            tokio::join!(browser.post(&link, &form), browser.post(&link, &form))
        } else {
            let one = browser.post(&link, &form).await;
            (one, browser.post(&link, &form).await)
        };

        assert_one_success(&app, [&one, &other], "/rooms/mine?done=password-changed").await;
        browser.get(&link).await.assert_status(404);
    }
}

#[actix_web::test]
async fn a_changed_password_leads_to_the_account_when_its_form_is_sent_again() {
    let app = TestApp::spawn().await;
    let ada = app.anonymous();
    let form = [("name", "ada"), ("password", PASSWORD)];
    let signed_up = ada.post(REGISTER, &form).await;
    let old_cookie = cookie_of(&signed_up);
    let nonce = nonce_at(&ada, CHANGE).await;
    let (current, new) = (("current", PASSWORD), ("password", NEW_PASSWORD));
    let form = [current, new, ("nonce", nonce.as_str())];

    let first = post_with(&app, old_cookie, CHANGE, &form).await;
    // The session of this cookie has ended.
    let again = post_with(&app, old_cookie, CHANGE, &form).await;
    let with_new_cookie = post_with(&app, cookie_of(&first), CHANGE, &form).await;

    let to = "/account?done=password";
    assert_one_success(&app, [&first, &again], to).await;
    assert_one_success(&app, [&first, &with_new_cookie], to).await;
}

#[actix_web::test]
async fn of_two_concurrent_password_changes_with_one_form_both_succeed() {
    for _ in 0..ROUNDS {
        let app = TestApp::spawn().await;
        let ada = app.sign_up("ada").await;
        let nonce = nonce_at(&ada, CHANGE).await;
        let (current, new) = (("current", PASSWORD), ("password", NEW_PASSWORD));
        let form = [current, new, ("nonce", nonce.as_str())];

        let (one, other) = tokio::join!(ada.post(CHANGE, &form), ada.post(CHANGE, &form));

        assert_one_success(&app, [&one, &other], "/account?done=password").await;
        ada.get("/account").await.assert_status(200);
    }
}

#[actix_web::test]
async fn the_same_form_can_change_the_password_twice() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let nonce = nonce_at(&ada, CHANGE).await;
    for (current, new) in [(PASSWORD, NEW_PASSWORD), (NEW_PASSWORD, OTHER_PASSWORD)] {
        let form = [
            ("current", current),
            ("password", new),
            ("nonce", nonce.as_str()),
        ];
        ada.post(CHANGE, &form)
            .await
            .assert_redirect("/account?done=password");
    }
    app.sign_in("ada", OTHER_PASSWORD).await;
}

#[actix_web::test]
async fn a_new_room_leads_to_the_same_room_when_its_form_is_sent_again() {
    // The second request is not refused by a limit that the first has reached.
    let app = TestApp::with(&[
        "--limits=on",
        "--limit-rooms=2+1/1h",
        "--rooms-per-person=2",
    ])
    .await;
    let ada = app.sign_up("ada").await;
    for (kind, password) in [("public", ""), ("private", ROOM_PASSWORD)] {
        let nonce = nonce_at(&ada, "/rooms/new").await;
        let form = [
            ("name", kind),
            ("kind", kind),
            ("password", password),
            ("nonce", nonce.as_str()),
        ];

        let (one, other) =
            tokio::join!(ada.post("/rooms/new", &form), ada.post("/rooms/new", &form));
        let later = ada.post("/rooms/new", &form).await;

        for page in [one, other, later.clone()] {
            page.assert_redirect(later.location());
            assert!(page.location().ends_with("?done=created#now"));
        }
        ada.get(later.location()).await.assert_status(200);
    }
    let rooms = db_column(&app, "SELECT name FROM rooms ORDER BY id").await;
    assert_eq!(rooms, ["public", "private"]);
}

#[actix_web::test]
async fn a_new_room_form_with_something_else_is_for_another_room() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let nonce = nonce_at(&ada, "/rooms/new").await;
    let form = |name, kind, password| {
        let nonce = ("nonce", nonce.as_str());
        [
            ("name", name),
            ("kind", kind),
            ("password", password),
            nonce,
        ]
    };
    let den = form("Den", "private", ROOM_PASSWORD);
    let made = ada.post("/rooms/new", &den).await;
    made.assert_status(303);

    for changed in [
        form("Den", "private", "another room password"),
        form("Den", "public", ""),
    ] {
        let page = ada.post("/rooms/new", &changed).await;
        page.assert_status(422);
        assert!(page.text("#name-problem").contains("has this name"));
    }
    bob.post("/rooms/new", &den).await.assert_status(422);
    let other = ada
        .post("/rooms/new", &form("Lair", "private", ROOM_PASSWORD))
        .await;
    other.assert_status(303);
    assert_ne!(other.location(), made.location());
}

#[actix_web::test]
async fn an_invite_with_one_use_leads_its_person_to_the_room_when_its_form_is_sent_again() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    let joined = format!("/rooms/{room}?done=joined#now");
    for (name, concurrent) in [("bob", false), ("cleo", true)] {
        let guest = app.sign_up(name).await;
        let link = ada.invite_to(room, "day", "one").await;
        let nonce = nonce_at(&guest, &link).await;
        let form = [("nonce", nonce.as_str())];

        let (one, other) = if concurrent {
            tokio::join!(guest.post(&link, &form), guest.post(&link, &form))
        } else {
            let one = guest.post(&link, &form).await;
            (one, guest.post(&link, &form).await)
        };

        one.assert_redirect(&joined);
        other.assert_redirect(&joined);
    }
}

#[actix_web::test]
async fn an_invite_whose_uses_are_spent_still_leads_members_to_the_room_until_it_expires() {
    let app = TestApp::spawn().await;
    let (ada, bob, eve) = (
        app.sign_up("ada").await,
        app.sign_up("bob").await,
        app.sign_up("eve").await,
    );
    let room = ada.create_private_room("Tea").await;
    let link = ada.invite_to(room, "day", "one").await;
    let nonce = nonce_at(&bob, &link).await;
    let form = [("nonce", nonce.as_str())];
    bob.post(&link, &form).await.assert_status(303);

    let opened = bob.get(&link).await;
    assert_eq!(opened.text("main .onward a"), "Open Tea");
    bob.accept(&link)
        .await
        .assert_redirect(&format!("/rooms/{room}#now"));
    for other in [&eve, &app.anonymous()] {
        other.get(&link).await.assert_status(404);
    }
    eve.post(&link, &form).await.assert_status(404);
    // The list has only links that let somebody in.
    let listed = ada.get(&format!("/rooms/{room}/invites")).await;
    assert!(!listed.has("main li"));

    bob.leave(room).await;
    bob.get(&link).await.assert_status(404);
    bob.post(&link, &form).await.assert_status(404);
    app.clock.advance(Duration::from_secs(86_400));
    ada.get(&link).await.assert_status(404);
}

#[actix_web::test]
async fn an_invite_form_that_is_sent_again_after_leaving_joins_again() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    let link = ada.invite_to(room, "day", "ten").await;
    let nonce = nonce_at(&bob, &link).await;
    for _ in 0..2 {
        bob.post(&link, &[("nonce", &nonce)])
            .await
            .assert_redirect(&format!("/rooms/{room}?done=joined#now"));
        bob.leave(room).await;
    }
}

#[actix_web::test]
async fn an_invite_link_is_created_once_when_its_form_is_sent_again() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    let path = format!("/rooms/{room}/invites");
    let nonce = nonce_at(&ada, &path).await;
    let form = |uses| [("life", "day"), ("uses", uses), ("nonce", nonce.as_str())];

    let first = form("one");
    let (one, other) = tokio::join!(ada.post(&path, &first), ada.post(&path, &first));
    let another = ada.post(&path, &form("ten")).await;

    let link = |page: &Page| page.attribute("main h2 + p a", "href");
    assert_eq!(link(&one), link(&other));
    assert_ne!(link(&one), link(&another));
    assert_eq!(another.texts("main li h3"), ["Link 2", "Link 1"]);

    let revoke = format!("{path}/2/revoke");
    ada.post(&revoke, &[("revoke", "1")])
        .await
        .assert_status(303);
    let after = ada.post(&path, &form("ten")).await;
    assert_ne!(link(&after), link(&another), "a revoked link is not shown");
}

/// Sends a form twice, one after the other or at the same time, and asserts where the answers lead: the first of
/// `to`, and then again there or, if there is one, to the second of `to`.
async fn assert_twice(
    browser: &Browser,
    concurrent: bool,
    (path, form): (&str, &[(&str, &str)]),
    to: &[&str],
) {
    let (one, other) = if concurrent {
        tokio::join!(browser.post(path, form), browser.post(path, form))
    } else {
        let one = browser.post(path, form).await;
        (one, browser.post(path, form).await)
    };
    let mut led_to = [one.location(), other.location()];
    if concurrent && led_to[0] != to[0] {
        led_to.reverse();
    }
    assert_eq!(led_to, [to[0], to[to.len() - 1]], "{path}\n{}", other.body);
    for answer in [one, other] {
        answer.assert_status(303);
    }
}

#[actix_web::test]
async fn every_other_form_leads_to_its_success_when_it_is_sent_twice() {
    for concurrent in [false, true] {
        let app = TestApp::spawn().await;
        let mut people = Vec::new();
        for name in ["ada", "bob", "cleo", "dan"] {
            people.push(app.sign_up(name).await);
        }
        let [ada, bob, cleo, dan] = &people[..] else {
            unreachable!("four people signed up")
        };
        let tea = ada.create_public_room("Tea").await;
        let den = ada.create_private_room("Den").await;
        let at = |room: i64, path: &str| format!("/rooms/{room}{path}");
        let confirm: &[(&str, &str)] = &[("confirm", "1")];

        // Joining again leads to the room.
        for guest in [bob, cleo, dan] {
            let path = at(tea, "/join");
            let to = [at(tea, "?done=joined#now"), at(tea, "#now")];
            assert_twice(guest, concurrent, (&path, confirm), &[&to[0], &to[1]]).await;
        }
        let form = [("name", "Den"), ("password", ROOM_PASSWORD)];
        let to = [at(den, "?done=joined#now"), at(den, "#now")];
        let form = ("/rooms/private", &form[..]);
        assert_twice(bob, concurrent, form, &[&to[0], &to[1]]).await;

        // Leaving, a public and a private room.
        for (guest, room) in [(cleo, tea), (bob, den)] {
            let path = at(room, "/leave");
            let to = ["/rooms/mine?done=left"];
            assert_twice(guest, concurrent, (&path, confirm), &to).await;
        }

        // Messages: one's own, another's, all of a person who has left, all.
        let mut sent = Vec::new();
        for author in [ada, bob, bob, dan] {
            let page = author.send(tea, "hello").await;
            let (_, id) = page.location().split_once("?sent=").unwrap();
            sent.push(id.trim_end_matches("#message").to_owned());
        }
        let done = [
            at(tea, "?done=deleted#now"),
            at(tea, "?moderate=1&done=deleted#now"),
        ];
        for (message, to) in sent.iter().zip(&done) {
            let path = at(tea, &format!("/messages/{message}/delete"));
            assert_twice(ada, concurrent, (&path, confirm), &[to]).await;
        }
        let [bob_id, dan_id] = [
            ada.member_id(tea, "bob").await,
            ada.member_id(tea, "dan").await,
        ];
        let of = |person: i64, path: &str| at(tea, &format!("/members/{person}{path}"));
        let members = |done: &str| at(tea, &format!("/members?done={done}"));
        dan.leave(tea).await;
        let path = of(dan_id, "/messages");
        assert_twice(ada, concurrent, (&path, confirm), &[&members("messages")]).await;

        // People: removed, banned, let in again, made a moderator, made the owner.
        dan.join(tea).await;
        for (path, form, done) in [
            ("/remove", ("confirm", "1"), "removed"),
            ("/ban", ("reason", "Spam"), "banned"),
            ("/lift", ("lift", "1"), "lifted"),
        ] {
            if done == "banned" {
                dan.join(tea).await;
            }
            let path = of(dan_id, path);
            assert_twice(ada, concurrent, (&path, &[form]), &[&members(done)]).await;
        }
        let path = of(bob_id, "/role");
        let form: &[_] = &[("role", "moderator")];
        assert_twice(ada, concurrent, (&path, form), &[&members("moderator")]).await;
        let path = of(bob_id, "/owner");
        assert_twice(ada, concurrent, (&path, confirm), &[&members("owner")]).await;

        // The room: saved, cleared, made public and private, its links revoked, deleted.
        let settings = |done: &str| at(den, &format!("/settings?done={done}"));
        ada.invite_to(den, "day", "one").await;
        let path = at(den, "/invites/1/revoke");
        let to = at(den, "/invites?done=revoked");
        assert_twice(ada, concurrent, (&path, confirm), &[&to]).await;
        let page = ada.get(&at(den, "/settings/public")).await;
        page.assert_status(200);
        for (path, done) in [
            ("/settings/clear", "cleared"),
            ("/settings/public", "public"),
        ] {
            let path = at(den, path);
            assert_twice(ada, concurrent, (&path, confirm), &[&settings(done)]).await;
        }
        let path = at(den, "/settings/password");
        let others = ada.get(&path).await.attribute("[name=others]", "value");
        let form: &[_] = &[("password", ROOM_PASSWORD), ("others", &others)];
        assert_twice(ada, concurrent, (&path, form), &[&settings("private")]).await;
        let form: &[_] = &[("password", "another room password"), ("others", "go")];
        assert_twice(ada, concurrent, (&path, form), &[&settings("password")]).await;
        let path = at(den, "/settings/delete");
        let to = ["/rooms/mine?done=deleted"];
        assert_twice(ada, concurrent, (&path, confirm), &to).await;

        // Sessions.
        let path = "/account/sessions/end-others";
        let to = ["/account/sessions?done=others-ended"];
        assert_twice(ada, concurrent, (path, confirm), &to).await;
        app.sign_in("bob", PASSWORD).await;
        let page = bob.get("/account/sessions").await;
        let path = page.attribute(".sessions form", "action");
        let to = ["/account/sessions?done=ended"];
        assert_twice(bob, concurrent, (&path, confirm), &to).await;
        let to = ["/login?done=signed-out"];
        assert_twice(cleo, concurrent, ("/logout", confirm), &to).await;
    }
}

#[actix_web::test]
async fn a_deleted_account_leads_to_the_start_page_when_its_form_is_sent_again() {
    let app = TestApp::spawn().await;
    for concurrent in [false, true] {
        let form = [("name", "ada"), ("password", PASSWORD)];
        let signed_up = app.anonymous().post(REGISTER, &form).await;
        let cookie = cookie_of(&signed_up);
        let delete = || post_with(&app, cookie, "/account/delete", &form);

        let (one, other) = if concurrent {
            tokio::join!(delete(), delete())
        } else {
            let one = delete().await;
            (one, delete().await)
        };

        one.assert_redirect("/?done=deleted");
        other.assert_redirect("/?done=deleted");
        assert_eq!(db_column(&app, "SELECT name FROM users").await, [""; 0]);
    }
    // Somebody who was signed out for another reason is still led to the sign-in page.
    let deleted = app.anonymous().post("/account/delete", &[]).await;
    deleted.assert_redirect("/login?next=/account/delete");
}

#[actix_web::test]
async fn what_somebody_else_has_ended_is_still_an_error() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    let joined = bob.join_privately("Tea", ROOM_PASSWORD).await;
    joined.assert_status(303);
    ada.make_moderator(room, "bob").await;
    let page = ada.send(room, "hello").await;
    let (_, id) = page.location().split_once("?sent=").unwrap();
    let id = id.trim_end_matches("#message");
    let path = format!("/rooms/{room}/messages/{id}/delete");

    ada.post(&path, &[("delete", "1")]).await.assert_status(303);
    bob.post(&path, &[("delete", "1")]).await.assert_status(404);

    let leave = format!("/rooms/{room}/leave");
    bob.post(&leave, &[("leave", "1")]).await.assert_status(303);
    app.sign_up("eve")
        .await
        .post(&leave, &[("leave", "1")])
        .await
        .assert_status(404);
    app.clock.advance(TEN_MINUTES);
    bob.post(&leave, &[("leave", "1")]).await.assert_status(404);
}
