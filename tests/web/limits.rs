//! Rate limits: a refused form comes back with the time to wait.

use std::time::Duration;

use crate::support::{
    Browser, PASSWORD, Page, ROOM_PASSWORD, TestApp, reset_link, room_from_redirect, sign_up_link,
};

/// Starts a server with limits that trusts the test as its proxy, so that requests can come from any address.
async fn behind_a_proxy(flags: &[&str]) -> TestApp {
    TestApp::with(&[&["--limits=on", "--trusted-proxies=127.0.0.1"], flags].concat()).await
}

async fn post_from(address: &str, browser: &Browser, path: &str, form: &[(&str, &str)]) -> Page {
    let request = browser.client.post(browser.url(path)).form(form);
    Browser::answer(request.header("x-forwarded-for", address)).await
}

async fn get_from(address: &str, browser: &Browser, path: &str) -> Page {
    let request = browser.client.get(browser.url(path));
    Browser::answer(request.header("x-forwarded-for", address)).await
}

/// Asserts that the form came back with 429, the time to wait, and the typed name.
#[track_caller]
fn assert_rate_limited(page: &Page, name: &str, wait_s: u64, words: &str) {
    let sentence = format!("Too many attempts. Wait {words}, then try again");
    page.assert_status(429)
        .assert_problem("name", &sentence)
        .assert_value("#name", name);
    assert_eq!(page.header("retry-after"), wait_s.to_string());
}

#[actix_web::test]
async fn sign_in_attempts_are_limited_per_name_and_address() {
    let app = behind_a_proxy(&[]).await;
    let ada = app.sign_up("Ada").await;
    let thief = app.anonymous();
    let wrong = [("name", "ADA"), ("password", "a kettle of cats")];
    let right = [("name", "ada"), ("password", PASSWORD)];
    for _ in 0..10 {
        let page = post_from("192.0.2.1", &thief, "/login", &wrong).await;
        page.assert_status(422);
    }
    let hashes = app.hashes();

    let refused = post_from("192.0.2.1", &thief, "/login", &wrong).await;
    let with_the_password = post_from("192.0.2.1", &thief, "/login", &right).await;

    assert_rate_limited(&refused, "ADA", 30, "30 seconds");
    assert_rate_limited(&with_the_password, "ada", 30, "30 seconds");
    assert_eq!(app.hashes(), hashes, "nothing was hashed");
    ada.get("/rooms").await.assert_status(200);
    let elsewhere = post_from("192.0.2.2", &app.anonymous(), "/login", &right).await;
    elsewhere.assert_status(303);
    app.clock.advance(Duration::from_secs(30));
    let later = post_from("192.0.2.1", &thief, "/login", &right).await;
    later.assert_status(303);
}

#[actix_web::test]
async fn password_guesses_while_signed_in_count_towards_the_sign_in_limit() {
    let app = behind_a_proxy(&["--limit-sign-in=3+1/30s"]).await;
    let ada = app.sign_up("Ada").await;
    let change = [
        ("current", "a kettle of cats"),
        ("password", "an owl in a willow"),
    ];
    let delete = [("password", "a kettle of cats")];
    let from = "192.0.2.1";
    let guess = async |path, form: &[(&str, &str)]| post_from(from, &ada, path, form).await;
    // An empty form checks no password and does not count.
    guess("/account/password", &[]).await.assert_status(422);
    guess("/account/delete", &[]).await.assert_status(422);
    for _ in 0..2 {
        guess("/account/password", &change).await.assert_status(422);
    }
    guess("/account/delete", &delete).await.assert_status(422);
    let hashes = app.hashes();

    let sentence = "Too many attempts. Wait 30 seconds, then try again";
    for (path, form, field) in [
        ("/account/password", &change[..], "current"),
        ("/account/delete", &delete, "password"),
    ] {
        let page = guess(path, form).await;
        page.assert_status(429).assert_problem(field, sentence);
        assert_eq!(page.header("retry-after"), "30");
    }

    let right = [("name", "ada"), ("password", PASSWORD)];
    guess("/login", &right).await.assert_status(429);
    assert_eq!(app.hashes(), hashes, "nothing was hashed");
    let elsewhere = post_from(
        "192.0.2.2",
        &ada,
        "/account/delete",
        &[("password", PASSWORD)],
    );
    elsewhere.await.assert_redirect("/?done=deleted");
}

#[actix_web::test]
async fn an_unknown_name_is_limited_after_as_many_attempts() {
    let app = TestApp::with(&["--limits=on"]).await;
    let browser = app.anonymous();
    for name in ["nobody", "!?"] {
        let form = [("name", name), ("password", PASSWORD)];
        for _ in 0..10 {
            browser.post("/login", &form).await.assert_status(422);
        }

        let page = browser.post("/login", &form).await;

        assert_rate_limited(&page, name, 30, "30 seconds");
    }
}

#[actix_web::test]
async fn an_ipv6_network_counts_as_one_address() {
    let app = behind_a_proxy(&["--limit-sign-in=2+1/30s"]).await;
    let browser = app.anonymous();
    let form = [("name", "ada"), ("password", PASSWORD)];
    let mut statuses = Vec::new();

    for address in [
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8::ffff:3",
        "2001:db8:0:1::1",
    ] {
        let page = post_from(address, &browser, "/login", &form).await;
        statuses.push(page.status.as_u16());
    }

    assert_eq!(statuses, [422, 422, 429, 422]);
}

#[actix_web::test]
async fn sign_in_attempts_across_names_are_limited_per_address() {
    let app = TestApp::with(&["--limits=on", "--limit-sign-in-address=3+1/1s"]).await;
    let browser = app.anonymous();
    for name in ["one", "two", "three"] {
        let form = [("name", name), ("password", PASSWORD)];
        browser.post("/login", &form).await.assert_status(422);
    }

    let form = [("name", "four"), ("password", PASSWORD)];
    let page = browser.post("/login", &form).await;

    assert_rate_limited(&page, "four", 1, "1 second");
}

#[actix_web::test]
async fn a_forged_proxy_header_does_not_evade_the_rate_limit() {
    let app = TestApp::with(&["--limits=on", "--limit-sign-in=2+1/30s"]).await;
    let browser = app.anonymous();
    let form = [("name", "ada"), ("password", PASSWORD)];
    let mut statuses = Vec::new();

    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        let page = post_from(address, &browser, "/login", &form).await;
        statuses.push(page.status.as_u16());
    }

    assert_eq!(statuses, [422, 422, 429]);
}

#[actix_web::test]
async fn requests_without_an_address_beyond_the_proxies_are_limited_too() {
    let trusted = "--trusted-proxies=127.0.0.0/8,10.0.0.0/8";
    let app = TestApp::with(&["--limits=on", trusted, "--limit-sign-in=2+1/30s"]).await;
    let form = [("name", "ada"), ("password", PASSWORD)];
    let try_from = async |forwarded: Option<&str>| {
        let browser = app.anonymous();
        let page = match forwarded {
            Some(address) => post_from(address, &browser, "/login", &form).await,
            None => browser.post("/login", &form).await,
        };
        page.status.as_u16()
    };

    for forwarded in [
        None,
        Some("10.1.2.3"),
        Some("10.1.2.4, 10.0.0.1"),
        Some("?"),
    ] {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(try_from(forwarded).await);
        }
        assert_eq!(statuses, [422, 422, 429], "{forwarded:?}");
    }
}

#[actix_web::test]
async fn new_accounts_are_limited_per_address_and_hour() {
    let app = behind_a_proxy(&["--limit-sign-up=2+2/1h"]).await;
    let sign_up = async |address: &str, name: &str| {
        let form = [("name", name), ("password", PASSWORD)];
        post_from(address, &app.anonymous(), "/register", &form).await
    };
    sign_up("192.0.2.1", "ada").await.assert_status(303);
    // An invalid form does not count.
    sign_up("192.0.2.1", "?").await.assert_status(422);
    sign_up("192.0.2.1", "bob").await.assert_status(303);

    let refused = sign_up("192.0.2.1", "eve").await;

    assert_rate_limited(&refused, "eve", 1800, "30 minutes");
    sign_up("192.0.2.2", "eve").await.assert_status(303);
    app.clock.advance(Duration::from_secs(1800));
    sign_up("192.0.2.1", "zoe").await.assert_status(303);
}

#[actix_web::test]
async fn estimates_of_new_passwords_are_limited_per_address() {
    let app = TestApp::with(&["--limits=on", "--limit-sign-in-address=2+1/1s"]).await;
    let browser = app.anonymous();
    let register = async |name, password| {
        let form = [("name", name), ("password", password)];
        browser.post("/register", &form).await
    };
    // With a mistake in the name, the password is not estimated.
    for _ in 0..3 {
        let page = register("!", "qwertyuiop").await;
        page.assert_status(422);
        assert_eq!(page.texts(".problems a").len(), 1, "only the name");
    }
    for _ in 0..2 {
        let page = register("ada", "qwertyuiop").await;
        page.assert_status(422);
        assert_eq!(page.texts("#password-problem").len(), 1);
    }

    let page = register("ada", "qwertyuiop").await;

    assert_rate_limited(&page, "ada", 1, "1 second");
}

#[actix_web::test]
async fn a_new_password_is_estimated_only_within_the_sign_in_limit() {
    let app = TestApp::with(&["--limits=on", "--limit-sign-in=2+1/30s"]).await;
    let ada = app.sign_up("ada").await;
    let form = [("current", PASSWORD), ("password", "qwertyuiop")];
    for _ in 0..2 {
        let page = ada.post("/account/password", &form).await;
        page.assert_status(422);
        assert_eq!(page.texts("#password-problem").len(), 1);
    }

    let page = ada.post("/account/password", &form).await;

    let sentence = "Too many attempts. Wait 30 seconds, then try again";
    page.assert_status(429).assert_problem("current", sentence);
}

#[actix_web::test]
async fn attempts_to_join_private_rooms_are_limited_per_person() {
    let app = TestApp::with(&["--limits=on", "--limit-join=3+1/1min"]).await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    ada.create_private_room("Tea").await;
    for name in ["One", "Two", "Three"] {
        bob.join_privately(name, "open barley")
            .await
            .assert_status(403);
    }
    let hashes = app.hashes();

    let page = bob.join_privately("Tea", ROOM_PASSWORD).await;

    assert_rate_limited(&page, "Tea", 60, "1 minute");
    assert_eq!(app.hashes(), hashes, "nothing was hashed");
    app.clock.advance(Duration::from_secs(60));
    bob.join_privately("Tea", ROOM_PASSWORD)
        .await
        .assert_status(303);
}

#[actix_web::test]
async fn rate_limited_private_rooms_and_missing_rooms_are_refused_alike() {
    let app = TestApp::with(&["--limits=on", "--limit-join-name=2+2/1h"]).await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    ada.create_private_room("Tea").await;
    let mut pages = Vec::new();

    for names in [
        ["Tea", " tea", "tea ", "TEA"],
        ["Pie", " pie", "pie ", "PIE"],
    ] {
        let mut last = None;
        for name in names {
            last = Some(bob.join_privately(name, "open barley").await);
        }
        let page = last.unwrap();
        assert_rate_limited(&page, names[3], 3600, "1 hour");
        pages.push(page.body.replace(names[3], "NAME"));
    }

    assert_eq!(pages[0], pages[1]);
}

#[actix_web::test]
async fn wrong_passwords_of_others_keep_nobody_out_of_a_private_room() {
    let app = TestApp::with(&["--limits=on", "--limit-join-name=1+1/1h"]).await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    ada.create_private_room("Tea").await;
    for name in ["eve", "mallory"] {
        let guesser = app.sign_up(name).await;
        for status in [403, 403, 403, 429] {
            let page = guesser.join_privately("Tea", "open barley").await;
            page.assert_status(status);
        }
    }
    // Two wrong passwords, and a try that the server was too busy for.
    for _ in 0..2 {
        let page = bob.join_privately("Tea", "open barley").await;
        page.assert_status(403);
    }
    let overload = app.overload();
    bob.join_privately("Tea", ROOM_PASSWORD)
        .await
        .assert_status(503);
    drop(overload);

    let page = bob.join_privately("Tea", ROOM_PASSWORD).await;

    page.assert_status(303);
}

#[actix_web::test]
async fn new_rooms_are_limited_per_person_and_hour() {
    let app = TestApp::with(&["--limits=on", "--limit-rooms=2+2/1h"]).await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let create = async |browser: &Browser, name| {
        let form = [
            ("name", name),
            ("kind", "private"),
            ("password", ROOM_PASSWORD),
        ];
        browser.post("/rooms/new", &form).await
    };
    for name in ["Tea", "Cake"] {
        room_from_redirect(&create(&ada, name).await);
    }
    let hashes = app.hashes();

    let page = create(&ada, "Pie").await;

    assert_rate_limited(&page, "Pie", 1800, "30 minutes");
    assert!(page.has("#kind-private[checked]"));
    assert_eq!(app.hashes(), hashes, "nothing was hashed");
    room_from_redirect(&create(&bob, "Pie").await);
}

#[actix_web::test]
async fn new_passwords_of_a_room_are_limited_per_person() {
    let app = TestApp::with(&["--limits=on", "--limit-room-passwords=2+1/1min"]).await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    let path = format!("/rooms/{room}/settings/password");
    let form = [("password", "open barley"), ("others", "stay")];
    // An invalid form does not count.
    ada.post(&path, &[]).await.assert_status(422);
    for _ in 0..2 {
        ada.post(&path, &form).await.assert_status(303);
    }
    let hashes = app.hashes();

    let page = ada.post(&path, &form).await;

    let sentence = "Too many attempts. Wait 1 minute, then try again";
    page.assert_status(429).assert_problem("password", sentence);
    assert_eq!(page.header("retry-after"), "60");
    assert_eq!(app.hashes(), hashes, "nothing was hashed");
    app.clock.advance(Duration::from_secs(60));
    ada.post(&path, &form).await.assert_status(303);
}

#[actix_web::test]
async fn attempts_to_open_links_are_limited_per_address() {
    let app = behind_a_proxy(&["--limit-links=3+30/1min"]).await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    let invite = ada.invite_to(room, "week", "no-limit").await;
    let (link, reset) = (sign_up_link(&app).await, reset_link(&app, "ada").await);
    let browser = app.anonymous();
    for dead in ["/invite/x", "/register/x", "/reset/x"] {
        let page = get_from("192.0.2.1", &browser, dead).await;
        page.assert_status(404);
    }

    let form = [("name", "bob"), ("password", PASSWORD)];
    for path in [&invite, &link, &reset] {
        let page = get_from("192.0.2.1", &browser, path).await;

        page.assert_status(429);
        assert_eq!(page.text("h1"), "Too many attempts");
        let words = page.texts("main p");
        assert!(words.contains(&"Wait 2 seconds, then try again.".to_owned()));
        assert_eq!(page.header("retry-after"), "2");
    }
    for (browser, path) in [(&ada, &invite), (&browser, &reset)] {
        let page = post_from("192.0.2.1", browser, path, &form).await;
        page.assert_status(429);
    }
    let page = post_from("192.0.2.1", &browser, &link, &form).await;
    assert_rate_limited(&page, "bob", 2, "2 seconds");
    assert_eq!(page.attribute("main form", "action"), link);

    let page = get_from("192.0.2.2", &browser, &link).await;
    page.assert_status(200);
    // Sign-up without a link is not limited by the attempts at links.
    let page = post_from("192.0.2.1", &browser, "/register", &form).await;
    page.assert_status(303);
}

#[actix_web::test]
async fn joining_and_leaving_are_limited_per_person() {
    let app = TestApp::with(&["--limits=on", "--limit-changes=4+1/1min"]).await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    for _ in 0..2 {
        bob.join(room).await;
        bob.leave(room).await;
    }

    let page = bob
        .post(&format!("/rooms/{room}/join"), &[("join", "1")])
        .await;

    page.assert_status(429);
    assert_eq!(page.text("h1"), "Too many attempts");
    assert_eq!(page.header("retry-after"), "60");
    assert_eq!(ada.members(room).await.len(), 1);
    app.sign_up("eve").await.join(room).await;
    app.clock.advance(Duration::from_secs(60));
    bob.join(room).await;
}

#[actix_web::test]
async fn all_changes_of_a_person_share_one_limit() {
    let app = TestApp::with(&["--limits=on", "--limit-changes=2+1/1min"]).await;
    let (ada, bob) = (app.operator("ada").await, app.sign_up("bob").await);
    let (room, den) = (
        ada.create_public_room("Tea").await,
        ada.create_private_room("Den").await,
    );
    bob.join(room).await;
    ada.send(room, "hello").await.assert_status(303);
    let bob_id = ada.member_id(room, "bob").await;
    let link = ada.invite_to(den, "week", "no-limit").await;
    ada.post("/account", &[("announcements", "each")])
        .await
        .assert_status(303);
    let settings = [
        ("name", "Tea house"),
        ("description", ""),
        ("lifespan", "1800"),
        ("slow-mode", "30"),
        ("language", ""),
        ("posting", "moderators"),
    ];
    let (tea, den) = (format!("/rooms/{room}"), format!("/rooms/{den}"));
    let member = format!("{tea}/members/{bob_id}");

    for (path, form) in [
        ("/account".to_owned(), &[("announcements", "each")][..]),
        ("/account/sessions/end-others".to_owned(), &[]),
        (format!("/account/sessions/{}/end", "0".repeat(64)), &[]),
        (format!("{tea}/join"), &[]),
        (format!("{tea}/leave"), &[]),
        (format!("{tea}/messages/1/delete"), &[]),
        (format!("{tea}/reports/1/close"), &[]),
        (format!("/site/reports/{room}/1/close"), &[]),
        (format!("{member}/ignore"), &[]),
        (format!("/account/ignored/{bob_id}/stop"), &[]),
        (format!("{tea}/settings"), &settings),
        (format!("{tea}/settings/public"), &[]),
        (format!("{tea}/settings/clear"), &[]),
        (format!("{tea}/settings/delete"), &[]),
        (format!("{member}/role"), &[("role", "moderator")]),
        (format!("{member}/ban"), &[("reason", "Loud")]),
        (format!("{member}/lift"), &[]),
        (format!("{member}/owner"), &[]),
        (format!("{member}/remove"), &[]),
        (format!("{member}/messages"), &[]),
        (
            format!("{den}/invites"),
            &[("life", "week"), ("uses", "ten")],
        ),
        (format!("{den}/invites/1/revoke"), &[]),
        (link, &[]),
    ] {
        let page = ada.post(&path, form).await;
        assert_eq!(page.status, 429, "{path}");
        assert_eq!(page.header("retry-after"), "60", "{path}");
    }

    assert_eq!(ada.members(room).await, ["ada (you), owner", "bob"]);
    assert_eq!(ada.room(room).await.texts("#log li .text"), ["hello"]);
}

#[actix_web::test]
async fn message_rate_limits_are_configurable() {
    let app = TestApp::with(&[
        "--limits=on",
        "--limit-messages=2+1/1min",
        "--limit-messages-room=3+1/1min",
    ])
    .await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let mut statuses = Vec::new();

    for browser in [&ada, &ada, &ada, &bob, &bob] {
        statuses.push(browser.send(room, "hello").await.status.as_u16());
    }

    assert_eq!(statuses, [303, 303, 429, 303, 429]);
}

#[actix_web::test]
async fn a_message_that_is_not_posted_takes_nothing_of_the_limit() {
    let app = TestApp::with(&["--limits=on", "--limit-messages=2+1/1h"]).await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let nonce = bob.nonce(room).await;
    bob.send_with(room, "hello", &nonce)
        .await
        .assert_status(303);
    for _ in 0..5 {
        // The form was sent before, with this text and with another one.
        let again = bob.send_with(room, "hello", &nonce).await;
        again.assert_status(303);
        let other = bob.send_with(room, "another text", &nonce).await;
        other.assert_status(422);
    }
    let late = bob.nonce(room).await;
    bob.leave(room).await;
    for _ in 0..5 {
        let refused = bob.send_with(room, "too late", &late).await;
        refused.assert_status(403);
    }
    bob.join(room).await;

    bob.send(room, "the second").await.assert_status(303);
    bob.send(room, "too many").await.assert_status(429);
}
