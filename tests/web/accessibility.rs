//! Accessibility checks over a table of all pages in all their states. The numbers are criteria of WCAG 2.2.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mirage::web::routes;
use reqwest::Method;
use scraper::{ElementRef, Html, Selector};
use tokio::sync::OnceCell;

use crate::another_person;
use crate::support::{
    Browser, PASSWORD, Page, ROOM_PASSWORD, TestApp, reset_link, sign_up_link, text_of,
};

/// A page in one state.
struct State {
    /// The pattern of its URL.
    pattern: &'static str,
    name: &'static str,
    page: Page,
}

const ARABIC: &str = "مريم";
const HEBREW_ROOM: &str = "חדר התה";

const SITE_NAME: &str = "Tea & <cake>";

/// All pages in all their states, created once for all tests.
async fn all_states() -> &'static [State] {
    static STATES: OnceCell<Vec<State>> = OnceCell::const_new();
    STATES.get_or_init(make_states).await
}

async fn make_states() -> Vec<State> {
    let site_name = format!("--site-name={SITE_NAME}");
    let app = TestApp::with(&[
        &site_name,
        "--about=tests/browser/about.txt",
        "--contact=help@example.org",
    ])
    .await;
    let nobody = app.anonymous();
    let mut states = Vec::new();
    let mut add = |pattern, name, page| {
        states.push(State {
            pattern,
            name,
            page,
        })
    };

    add("/", "signed out", nobody.get("/").await);
    add("/", "account deleted", nobody.get("/?done=deleted").await);
    add(
        "/accessibility",
        "signed out",
        nobody.get("/accessibility").await,
    );
    add("/about", "signed out", nobody.get("/about").await);
    add(
        "/register",
        "blank",
        nobody.get("/register?next=/rooms/new").await,
    );
    add("/register", "empty", nobody.post("/register", &[]).await);
    let wrong = [("name", "a b"), ("password", "12345678")];
    add("/register", "wrong", nobody.post("/register", &wrong).await);
    let link = sign_up_link(&app).await;
    let by_link = "/register/{token}";
    add(by_link, "blank", nobody.get(&link).await);
    add(by_link, "wrong", nobody.post(&link, &wrong).await);
    add(by_link, "dead", nobody.get("/register/x").await);
    add("/login", "blank", nobody.get("/login").await);
    add(
        "/login",
        "signed out",
        nobody.get("/login?done=signed-out").await,
    );
    add("/login", "empty", nobody.post("/login", &[]).await);
    let wrong = [("name", "nobody"), ("password", "wrong")];
    add("/login", "refused", nobody.post("/login", &wrong).await);
    let crowd = app.overload();
    add("/login", "crowd", nobody.post("/login", &wrong).await);
    drop(crowd);
    let strict = TestApp::with(&[
        &site_name,
        "--limits=on",
        "--limit-sign-in=1+1/1h",
        "--limit-links=1+1/1h",
    ])
    .await;
    let hasty = strict.anonymous();
    hasty.post("/login", &wrong).await;
    add("/login", "too often", hasty.post("/login", &wrong).await);
    hasty.get("/reset/x").await;
    add("429", "signed out", hasty.get("/reset/x").await);
    let insider = strict.sign_up("insider").await;
    let guess = [("current", "wrong"), ("password", "an owl in a willow")];
    insider.post("/account/password", &guess).await;
    for (path, form) in [
        ("/account/password", &guess[..]),
        ("/account/delete", &wrong[1..]),
    ] {
        add(path, "too often", insider.post(path, form).await);
    }
    add("404", "signed out", nobody.get("/nowhere").await);
    add(
        "405",
        "signed out",
        nobody.request(Method::DELETE, "/login").await,
    );
    let unsent = nobody.post("/rooms/1/messages", &[("text", "hello")]).await;
    add("/rooms/{room}/messages", "signed out", unsent);

    app.sign_up("zoe").await;
    let reset = reset_link(&app, "zoe").await;
    add("/reset/{token}", "blank", nobody.get(&reset).await);
    add("/reset/{token}", "empty", nobody.post(&reset, &[]).await);
    add("/reset/{token}", "dead", nobody.get("/reset/x").await);
    let zoe = app.anonymous();
    let form = [("password", "an owl in a willow")];
    let changed = zoe.post(&reset, &form).await;
    add(
        "/rooms/mine",
        "password changed",
        zoe.get(changed.location()).await,
    );

    let ada = app.sign_up("ada").await;
    add("/rooms", "empty", ada.get("/rooms").await);
    add(
        "/rooms",
        "registered",
        ada.get("/rooms?done=registered").await,
    );
    add("/rooms/mine", "empty", ada.get("/rooms/mine").await);
    let alone = ada.create_public_room("Alone").await;
    add("/rooms/{room}", "empty", ada.room(alone).await);
    let restarted = TestApp::with(&[&site_name]).await;
    let rosa = restarted.sign_up("rosa").await;
    let old = rosa.create_public_room("Old").await;
    restarted.clock.advance(Duration::from_secs(60));
    let restarted = restarted.restart().await;
    // With Redis, nothing is lost, and the page is as before.
    add("/rooms/{room}", "after a restart", rosa.room(old).await);
    drop(restarted);
    add(
        "/rooms/{room}/leave",
        "last member",
        ada.get(&format!("/rooms/{alone}/leave")).await,
    );

    let maryam = app.sign_up(ARABIC).await;
    let tea = ada.create_private_room(HEBREW_ROOM).await;
    maryam
        .join_privately(HEBREW_ROOM, ROOM_PASSWORD)
        .await
        .assert_status(303);
    add(
        "/rooms/{room}",
        "joined",
        maryam.get(&format!("/rooms/{tea}?done=joined#now")).await,
    );
    for text in ["مرحبا\nhttps://example.org/", &"x".repeat(200), "<b>&"] {
        maryam.send(tea, text).await.assert_status(303);
    }
    add("/rooms/mine", "new messages", ada.get("/rooms/mine").await);
    add("/rooms/{room}", "new messages", ada.room(tea).await);
    let sent = ada.send(tea, "mine").await;
    add(
        "/rooms/{room}",
        "sent",
        ada.get(sent.location().trim_end_matches("#message")).await,
    );
    add(
        "/rooms/{room}",
        "reading view",
        ada.get(&format!("/rooms/{tea}?reload=2")).await,
    );
    let before = ada.room(tea).await;
    add(
        "/rooms/{room}",
        "checked",
        ada.checked(tea, &before, "hello").await,
    );
    for number in 0..100 {
        ada.send(tea, &format!("message {number}"))
            .await
            .assert_status(303);
    }
    add("/rooms/{room}", "many", maryam.room(tea).await);
    // All in one minute, and the author's page has a Delete link for each.
    for _ in 0..3 {
        ada.send(tea, "the same words again")
            .await
            .assert_status(303);
    }
    add("/rooms/{room}", "equal messages", ada.room(tea).await);
    let older = ada
        .room(tea)
        .await
        .attributes("#messages-heading ~ p a", "href");
    let older = older.iter().find(|link| link.contains("before")).unwrap();
    add("/rooms/{room}", "older", ada.get(older).await);
    add("/rooms/{room}/messages", "refused", ada.send(tea, "").await);
    add(
        "/rooms/{room}/members",
        "two",
        ada.get(&format!("/rooms/{tea}/members")).await,
    );
    add(
        "/rooms/{room}/leave",
        "owner",
        ada.get(&format!("/rooms/{tea}/leave")).await,
    );
    add(
        "/rooms/{room}/leave",
        "member",
        maryam.get(&format!("/rooms/{tea}/leave")).await,
    );
    let delete = &ada.room(tea).await.attributes("#log a.delete", "href")[0];
    add(
        "/rooms/{room}/messages/{message}/delete",
        "question",
        ada.get(delete).await,
    );
    ada.post(delete, &[("delete", "1")])
        .await
        .assert_status(303);
    add(
        "/rooms/{room}/messages/{message}/delete",
        "gone",
        ada.get(delete).await,
    );

    let invites = format!("/rooms/{tea}/invites");
    add("/rooms/{room}/invites", "none", ada.get(&invites).await);
    add(
        "/rooms/{room}/invites",
        "wrong",
        ada.post(&invites, &[]).await,
    );
    add(
        "/rooms/{room}/invites",
        "created",
        ada.create_invite(tea, "hour", "one").await,
    );
    let link = ada.invite_to(tea, "week", "no-limit").await;
    add("/rooms/{room}/invites", "many", ada.get(&invites).await);
    add(
        "/rooms/{room}/invites",
        "revoked",
        ada.get(&format!("{invites}?done=revoked")).await,
    );
    add(
        "/rooms/{room}/invites",
        "not allowed",
        maryam.get(&invites).await,
    );
    add(
        "/rooms/{room}/invites",
        "public room",
        ada.get(&format!("/rooms/{alone}/invites")).await,
    );

    let eve = app.sign_up("eve").await;
    for (name, browser) in [
        ("signed out", &nobody),
        ("stranger", &eve),
        ("member", &ada),
    ] {
        add("/invite/{token}", name, browser.get(&link).await);
    }
    add("/invite/{token}", "dead", nobody.get("/invite/dead").await);
    add("/rooms/{room}", "outside", eve.room(alone).await);
    add("/rooms/{room}", "hidden", eve.room(tea).await);
    add(
        "/rooms/{room}/members",
        "outside",
        eve.get(&format!("/rooms/{alone}/members")).await,
    );
    add(
        "/rooms/{room}/messages",
        "outside",
        eve.send_with(alone, "hello", "x").await,
    );
    add(
        "/rooms/{room}/messages",
        "hidden",
        eve.send_with(tea, "hello", "x").await,
    );
    add("/rooms", "one", eve.get("/rooms").await);
    add("/rooms", "found", eve.get("/rooms?search=alone").await);
    add("/rooms", "not found", eve.get("/rooms?search=%D7%97").await);
    for number in 0..60_u8 {
        let letters = [b'a' + number / 26, b'a' + number % 26];
        ada.create_public_room(&format!("{} zz", String::from_utf8_lossy(&letters)))
            .await;
    }
    ada.create_public_room(&"W".repeat(64)).await;
    add("/rooms", "many", eve.get("/rooms").await);
    add("/rooms", "second page", eve.get("/rooms?page=2").await);
    add("/rooms/mine", "many", ada.get("/rooms/mine").await);
    add(
        "/rooms/mine",
        "left",
        eve.get("/rooms/mine?done=left").await,
    );
    add("/rooms/private", "blank", eve.get("/rooms/private").await);
    add(
        "/rooms/private",
        "empty",
        eve.post("/rooms/private", &[]).await,
    );
    add(
        "/rooms/private",
        "refused",
        eve.join_privately(HEBREW_ROOM, "wrong").await,
    );
    add("/rooms/new", "blank", eve.get("/rooms/new").await);
    add("/rooms/new", "empty", eve.post("/rooms/new", &[]).await);
    let taken = [("name", HEBREW_ROOM), ("kind", "public")];
    add("/rooms/new", "taken", eve.post("/rooms/new", &taken).await);
    add("/account", "blank", eve.get("/account").await);
    add("/account", "saved", eve.get("/account?done=saved").await);
    add("/account", "wrong", eve.post("/account", &[]).await);
    let changed = eve.get("/account?done=password").await;
    add("/account", "password changed", changed);
    let at = "/account/password";
    add(at, "blank", eve.get(at).await);
    add(at, "empty", eve.post(at, &[]).await);
    let wrong = [("current", "wrong"), ("password", "another kettle of fish")];
    add(at, "wrong password", eve.post(at, &wrong).await);
    let common = [("current", PASSWORD), ("password", "password1")];
    add(at, "common password", eve.post(at, &common).await);
    let at = "/account/sessions";
    add(at, "one", eve.get(at).await);
    for _ in 0..3 {
        app.sign_in("eve", PASSWORD).await;
    }
    add(at, "many", eve.get(at).await);
    let ended = eve.get("/account/sessions?done=ended").await;
    add(at, "one ended", ended);
    let ended = eve.get("/account/sessions?done=others-ended").await;
    add(at, "others ended", ended);
    let at = "/account/ignored";
    add(at, "none", eve.get(at).await);
    let stopped = eve.get("/account/ignored?done=stopped").await;
    add(at, "one stopped", stopped);
    let at = "/account/delete";
    add(at, "blank", eve.get(at).await);
    add(at, "empty", eve.post(at, &[]).await);
    let wrong = [("password", "wrong")];
    add(at, "wrong password", eve.post(at, &wrong).await);
    add("404", "signed in", eve.get("/nowhere").await);
    for (policy, name) in [("link", "by link only"), ("closed", "closed")] {
        let policy = format!("--sign-up={policy}");
        let app = TestApp::with(&[&policy, &site_name, "--contact=help@example.org"]).await;
        let nobody = app.anonymous();
        add("/register", name, nobody.get("/register").await);
        add("/register", name, nobody.post("/register", &[]).await);
        add("/login", name, nobody.get("/login").await);
        add("/", name, nobody.get("/").await);
    }
    states.extend(states_of_running_a_room(&app).await);
    states.extend(states_of_operators(&app).await);
    states
}

/// The pages that operators see, and what people see of what they have done.
async fn states_of_operators(app: &TestApp) -> Vec<State> {
    let olga = app.operator("olga").await;
    let (mira, loud) = (app.sign_up("מירה").await, app.sign_up("shouter").await);
    let room = loud.create_public_room("صاخب").await;
    mira.join(room).await;
    loud.send(room, "مرحبا\nhello").await.assert_status(303);
    let report = mira
        .room(room)
        .await
        .attribute("#log li", "id")
        .replace('m', "");
    let report = format!("/rooms/{room}/messages/{report}/report");
    let mut states = Vec::new();
    let mut add = |pattern, name, page| {
        states.push(State {
            pattern,
            name,
            page,
        })
    };
    let at = "/rooms/{room}/messages/{message}/report";
    add(at, "to operators", mira.get(&report).await);
    add("/site", "operator", olga.get("/site").await);
    add("/site/reports", "none", olga.get("/site/reports").await);
    let form = [("reason", "צועק")];
    mira.post(&report, &form).await.assert_status(303);
    add("/site", "a report", olga.get("/site").await);
    add("/site/reports", "one", olga.get("/site/reports").await);
    let closed = olga.get("/site/reports?done=closed").await;
    add("/site/reports", "closed", closed);
    for (name, query) in [
        ("first page", ""),
        ("found", "?search=shouter"),
        ("not found", "?search=%D7%97%D7%97"),
        ("deleted", "?done=deleted"),
    ] {
        let people = olga.get(&format!("/site/people{query}")).await;
        add("/site/people", name, people);
        let rooms = olga.get(&format!("/site/rooms{query}")).await;
        add("/site/rooms", name, rooms);
    }
    let second = olga.get("/site/rooms?page=2").await;
    add("/site/rooms", "second page", second);
    let at = "/site/rooms/{room}";
    add(at, "public", olga.get(&format!("/site/rooms/{room}")).await);

    let id = app.user_id("shouter").await;
    let person = format!("/site/people/{id}");
    let of_person = "/site/people/{person}";
    add(of_person, "active", olga.get(&person).await);
    let own = format!("/site/people/{}", app.user_id("olga").await);
    add(of_person, "own", olga.get(&own).await);
    let wrong = [("password", "wrong"), ("reason", "ضجيج")];
    for (pattern, act) in [
        ("/site/people/{person}/suspend", "suspend"),
        ("/site/people/{person}/delete", "delete"),
        ("/site/people/{person}/reset-link", "reset-link"),
    ] {
        let path = format!("{person}/{act}");
        add(pattern, "question", olga.get(&path).await);
        add(pattern, "empty", olga.post(&path, &[]).await);
        add(pattern, "wrong password", olga.post(&path, &wrong).await);
    }
    add(
        "/site/people/{person}/delete",
        "of an operator",
        olga.get(&format!("{own}/delete")).await,
    );
    let path = format!("/site/rooms/{room}/delete");
    let at = "/site/rooms/{room}/delete";
    add(at, "question", olga.get(&path).await);
    add(at, "empty", olga.post(&path, &[]).await);
    let path = "/site/sign-up-link";
    let right = [("password", PASSWORD), ("reason", "ضجيج")];
    add(path, "question", olga.get(path).await);
    add(path, "empty", olga.post(path, &[]).await);
    add(path, "created", olga.post(path, &right).await);
    let path = format!("{person}/reset-link");
    let link = olga.post(&path, &right).await;
    let reset = link
        .attribute("main p a", "href")
        .replace(&olga.shown_url(""), "");
    add("/site/people/{person}/reset-link", "created", link);

    let suspend = format!("{person}/suspend");
    olga.post(&suspend, &right).await.assert_status(303);
    let suspended = format!("{person}?done=suspended");
    add(of_person, "suspended", olga.get(&suspended).await);
    for (pattern, act) in [
        ("/site/people/{person}/suspend", "suspend"),
        ("/site/people/{person}/reset-link", "reset-link"),
    ] {
        let page = olga.get(&format!("{person}/{act}")).await;
        add(pattern, "of a suspended person", page);
    }
    let found = olga.get("/site/people?search=shouter").await;
    add("/site/people", "suspended", found);
    let at = "/site/people/{person}/lift";
    let lift = format!("{person}/lift");
    add(at, "question", olga.get(&lift).await);
    add(at, "empty", olga.post(&lift, &[]).await);
    let wrong = [("password", "wrong")];
    add(at, "wrong password", olga.post(&lift, &wrong).await);
    let form = [("name", "shouter"), ("password", PASSWORD)];
    let refused = app.anonymous().post("/login", &form).await;
    add("/login", "suspended", refused);
    olga.post(&lift, &right).await.assert_status(303);
    let lifted = format!("{person}?done=lifted");
    add(of_person, "lifted", olga.get(&lifted).await);
    app.operator("oleg").await;
    let other = format!("/site/people/{}", app.user_id("oleg").await);
    add(of_person, "another operator", olga.get(&other).await);

    let form = [("password", "an owl in a willow")];
    let loud = app.anonymous();
    loud.post(&reset, &form).await.assert_status(303);
    let told = loud.get("/account/reset?next=/rooms").await;
    add("/account/reset", "lately", told);
    add("/account", "reset", loud.get("/account").await);
    let changed = app.anonymous().get("/login?done=password").await;
    add("/login", "password changed", changed);
    states
}

impl State {
    /// Whether an operator sees the page.
    fn is_for_operators(&self) -> bool {
        self.page.has("header a[href='/site']")
    }
}

/// The pages that only owners and moderators see, in a private and in a public room.
async fn states_of_running_a_room(app: &TestApp) -> Vec<State> {
    let (owner, moderator) = (app.sign_up("dora").await, app.sign_up("דנה").await);
    let (member, loud) = (app.sign_up("emil").await, app.sign_up("loud").await);
    let mut states = Vec::new();
    for is_private in [false, true] {
        let name = if is_private { "מרתף" } else { "سطح" };
        let room = if is_private {
            owner.create_private_room(name).await
        } else {
            owner.create_public_room(name).await
        };
        for person in [&moderator, &member, &loud] {
            if is_private {
                person.join_privately(name, ROOM_PASSWORD).await;
            } else {
                person.join(room).await;
            }
            person.send(room, "مرحبا\nhello").await.assert_status(303);
        }
        owner.make_moderator(room, "דנה").await;
        let base = format!("/rooms/{room}");
        let emil = owner.member_id(room, "emil").await;
        let dana = owner.member_id(room, "דנה").await;
        let loud_one = owner.member_id(room, "loud").await;
        moderator.ban(room, "loud", "صاخب <b>").await;
        let settings = [
            ("name", name),
            ("description", "الشاي and tea"),
            ("lifespan", "1800"),
            ("slow-mode", "30"),
            ("language", "ar"),
            ("posting", "moderators"),
        ];
        let save = owner.post(&format!("{base}/settings"), &settings).await;
        save.assert_status(303);

        let mut add = |pattern: &'static str, name: &'static str, page| {
            states.push(State {
                pattern,
                name,
                page,
            });
        };
        let get = async |browser: &Browser, path: &str| browser.get(&format!("{base}{path}")).await;
        let post = async |path: &str| owner.post(&format!("{base}{path}"), &[]).await;
        add("/rooms/{room}", "run by the owner", get(&owner, "").await);
        add("/rooms/{room}", "read only", get(&member, "").await);
        let moderating = get(&moderator, "?moderate=1").await;
        let delete = moderating.attributes("#log .delete", "href")[1].clone();
        add("/rooms/{room}", "moderating", moderating);
        let deleted = get(&owner, "?moderate=1&done=deleted#now").await;
        add("/rooms/{room}", "moderated", deleted);
        let path = "/rooms/{room}/messages/{message}/delete";
        add(path, "another's", moderator.get(&delete).await);
        let unsent = member.send_with(room, "hello", "x").await;
        add("/rooms/{room}/messages", "read only", unsent);

        let path = "/rooms/{room}/members";
        add(path, "to the owner", get(&owner, "/members").await);
        let done = get(&owner, "/members?done=banned").await;
        add(path, "banned", done);
        let path = "/rooms/{room}/members/{person}";
        let person = format!("/members/{emil}");
        add(path, "a member", get(&owner, &person).await);
        add(path, "to a moderator", get(&moderator, &person).await);
        add(path, "to themselves", get(&member, &person).await);
        let dana_to_member = get(&member, &format!("/members/{dana}")).await;
        add(path, "to a member", dana_to_member);
        let dana = get(&owner, &format!("/members/{dana}")).await;
        add(path, "a moderator", dana);
        let banned = get(&owner, &format!("/members/{loud_one}")).await;
        add(path, "banned", banned);
        add(path, "nobody", get(&owner, "/members/9999").await);
        let to_member = get(&member, "/members").await;
        add("/rooms/{room}/members", "to a member", to_member);
        let path = "/rooms/{room}/members/{person}/ignore";
        let question = get(&owner, &format!("{person}/ignore")).await;
        add(path, "question", question);
        let ignored = post(&format!("{person}/ignore")).await;
        ignored.assert_status(303);
        let ignored = owner.get(ignored.location()).await;
        add("/rooms/{room}/members", "somebody ignored", ignored);
        let ignored = get(&owner, &person).await;
        add("/rooms/{room}/members/{person}", "ignored", ignored);
        let ignored = owner.get("/account/ignored").await;
        add("/account/ignored", "some", ignored);
        let stop = format!("/account/ignored/{emil}/stop");
        owner.post(&stop, &[]).await.assert_status(303);

        let choosing = get(&moderator, "?report=1").await;
        let reports = choosing.attributes("#log a.delete[aria-label^=Report]", "href");
        add("/rooms/{room}", "choosing what to report", choosing);
        let path = "/rooms/{room}/messages/{message}/report";
        for report in &reports {
            let question = moderator.get(report).await;
            add(path, "question", question);
            let form = [("reason", "صاخب <b>")];
            let sent = moderator.post(report, &form).await;
            sent.assert_status(303);
            let landed = moderator.get(sent.location()).await;
            add("/rooms/{room}", "reported", landed);
        }
        add(path, "to nobody", owner.get(&reports[0]).await);
        add(path, "empty", moderator.post(&reports[0], &[]).await);
        let gone = get(&owner, "/messages/1/report").await;
        add(path, "gone", gone);
        add("/rooms/{room}", "with reports", get(&owner, "").await);
        let moderating = get(&owner, "?moderate=1").await;
        add("/rooms/{room}", "moderating reports", moderating);
        let closed = get(&owner, "?moderate=1&done=closed").await;
        add("/rooms/{room}", "moderated, report closed", closed);

        for (path, action) in [
            ("/rooms/{room}/members/{person}/owner", "owner"),
            ("/rooms/{room}/members/{person}/remove", "remove"),
            ("/rooms/{room}/members/{person}/messages", "messages"),
            ("/rooms/{room}/members/{person}/ban", "ban"),
        ] {
            let question = get(&owner, &format!("{person}/{action}")).await;
            add(path, "question", question);
        }
        let empty = post(&format!("{person}/ban")).await;
        add("/rooms/{room}/members/{person}/ban", "empty", empty);

        let path = "/rooms/{room}/settings";
        add(path, "blank", get(&owner, "/settings").await);
        add(path, "saved", get(&owner, "/settings?done=saved").await);
        add(path, "empty", post("/settings").await);
        let path = "/rooms/{room}/settings/password";
        add(path, "blank", get(&owner, "/settings/password").await);
        add(path, "empty", post("/settings/password").await);
        for (path, action) in [
            ("/rooms/{room}/settings/clear", "clear"),
            ("/rooms/{room}/settings/delete", "delete"),
        ] {
            let question = get(&owner, &format!("/settings/{action}")).await;
            add(path, "question", question);
        }
        if is_private {
            let question = get(&owner, "/settings/public").await;
            add("/rooms/{room}/settings/public", "question", question);
        } else {
            let join = loud.post(&format!("{base}/join"), &[("x", "1")]).await;
            add("/rooms/{room}/join", "banned", join);
            add("/rooms", "described", loud.get("/rooms?search=سطح").await);
            add("/rooms/mine", "described", owner.get("/rooms/mine").await);
            add("/rooms/{room}", "to join", get(&loud, "").await);
        }
        add(
            "/rooms/mine",
            "deleted",
            owner.get("/rooms/mine?done=deleted").await,
        );
    }
    states
}

/// Whether a path is an address of a route.
fn is_address_of(pattern: &str, path: &str) -> bool {
    let (parts, places) = (path.split('/'), pattern.split('/'));
    parts.clone().count() == places.clone().count()
        && parts
            .zip(places)
            .all(|(part, place)| part == place || place.starts_with('{'))
}

#[actix_web::test]
async fn every_form_of_a_signed_in_page_says_whom_it_was_made_for() {
    let (mut seen, mut typed) = (BTreeSet::new(), BTreeSet::new());
    let routes = another_person::routes_of_forms();
    for state in all_states().await {
        let html = state.page.html();
        let reader = select(&html, "form.sign-out [name=for]");
        let reader = reader.first().and_then(|field| field.attr("value"));
        for form in select(&html, "form[method=post]") {
            let (page, action) = ((state.pattern, state.name), form.attr("action").unwrap());
            let route = routes.iter().find(|route| is_address_of(route, action));
            let all = |selector| form.select(&Selector::parse(selector).unwrap()).collect();
            let made_for: Vec<ElementRef<'_>> = all("[type=hidden][name=for]");
            let values: Vec<_> = made_for.iter().map(|field| field.attr("value")).collect();
            let Some(route) = route else {
                let is_for_nobody = |route: &&str| is_address_of(route, action);
                assert!(
                    another_person::FOR_NOBODY.iter().any(is_for_nobody),
                    "{page:?} {action}"
                );
                assert_eq!(values, [], "{page:?} {action}");
                continue;
            };
            assert_eq!(values, [reader], "{page:?} {action}");
            assert!(reader.unwrap().parse::<i64>().is_ok(), "{page:?} {action}");
            seen.insert(*route);
            let fields: Vec<ElementRef<'_>> = all("input[type=text], textarea");
            for field in fields {
                typed.insert((*route, field.attr("name").unwrap().to_owned()));
            }
        }
    }

    let expected: BTreeSet<_> = routes.into_iter().collect();
    assert_eq!(seen, expected, "each form is on one of the pages");
    // What is typed into a form is given back to another person: see `another_person`.
    typed.remove(&("/rooms/{room}/messages", "text".to_owned()));
    let given_back = another_person::TYPED.map(|(route, field, _)| (route, field.to_owned()));
    assert_eq!(typed, given_back.into_iter().collect());
}

fn select<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    html.select(&Selector::parse(selector).unwrap()).collect()
}

/// Runs `check` on every state and reports the problems of all states at once.
async fn check(check: impl Fn(&State, &Html) -> Vec<String>) {
    let states = all_states().await;
    let mut wrong = Vec::new();
    for state in states {
        let html = state.page.html();
        for complaint in check(state, &html) {
            wrong.push(format!("{} ({}): {complaint}", state.pattern, state.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[actix_web::test]
async fn every_page_route_is_in_the_table_of_states() {
    let listed: BTreeSet<_> = all_states()
        .await
        .iter()
        .map(|state| state.pattern)
        .collect();
    // These routes have no page: scripts or monitors use them, or they only redirect.
    let no_pages = [
        "/rooms/{room}/poll",
        "/healthz",
        "/assets/{file}",
        "/logout",
        "/.well-known/change-password",
        "/rooms/{room}/members/{person}/role",
        "/rooms/{room}/members/{person}/lift",
        "/account/sessions/end-others",
        "/account/sessions/{session}/end",
        "/account/ignored/{person}/stop",
        "/rooms/{room}/reports/{message}/close",
        "/rooms/{room}/invites/{invite}/revoke",
        "/site/reports/{room}/{message}/close",
    ];

    for route in routes::table() {
        assert!(
            listed.contains(route.pattern) || no_pages.contains(&route.pattern),
            "{} is missing from the table",
            route.pattern
        );
    }
}

/// 3.1.1 Language of Page, 2.4.10 Section Headings, 3.2.5 Change on Request, 3.3.9 Accessible Authentication.
#[actix_web::test]
async fn documents_have_a_language_one_h1_and_no_forbidden_markup() {
    check(|state, html| {
        let mut wrong = Vec::new();
        if select(html, "html[lang=en]").len() != 1 {
            wrong.push("no language".to_owned());
        }
        let levels: Vec<u32> = select(html, "h1, h2, h3, h4, h5, h6")
            .iter()
            .map(|heading| heading.value().name()[1..].parse().unwrap())
            .collect();
        if levels.iter().filter(|level| **level == 1).count() != 1 {
            wrong.push(format!("not one h1: {levels:?}"));
        }
        // The error summary comes before the h1, as in GOV.UK's pattern.
        let after_h1 = levels
            .iter()
            .skip_while(|level| **level != 1)
            .collect::<Vec<_>>();
        if after_h1.windows(2).any(|pair| *pair[1] > pair[0] + 1) {
            wrong.push(format!("a heading level is left out: {levels:?}"));
        }
        for selector in [
            "[target]",
            "template",
            "noscript",
            "meta[http-equiv]",
            "img",
            "iframe",
            "[style]",
            "[onclick]",
            "[accesskey]",
        ] {
            if !select(html, selector).is_empty() {
                wrong.push(format!("there is {selector}"));
            }
        }
        if state.name != "reading view" && state.page.headers.contains_key("refresh") {
            wrong.push("it reloads itself".to_owned());
        }
        wrong
    })
    .await;
}

/// 2.4.2 Page Titled.
#[actix_web::test]
async fn titles_end_with_the_site_name_and_differ_between_pages() {
    let states = all_states().await;
    let mut titles = BTreeMap::<String, BTreeSet<String>>::new();
    for state in states {
        let title = state.page.text("title");
        let rest = title.strip_suffix(&format!(" – {SITE_NAME}"));
        assert!(rest.is_some_and(|rest| rest.len() > 3), "{title}");
        let h1 = state.page.text("h1");
        titles.entry(title).or_default().insert(h1);
    }
    for (title, headings) in titles {
        assert_eq!(
            headings.len(),
            1,
            "“{title}” is the title of different pages: {headings:?}"
        );
    }
}

#[actix_web::test]
async fn every_page_calls_the_site_by_the_operator_s_name_for_it() {
    check(|state, html| {
        let mut wrong = Vec::new();
        if state.page.body.contains("Mirage") {
            wrong.push("it names the program".to_owned());
        }
        for selector in [".site", "footer"] {
            let names: String = select(html, selector)[0].text().collect();
            if !names.contains(SITE_NAME) {
                wrong.push(format!("{selector} does not name the site"));
            }
        }
        for log in select(html, "#log") {
            let title = log.attr("data-title").unwrap_or_default();
            if !title.ends_with(&format!(" – {SITE_NAME}")) {
                wrong.push(format!("the script's title is {title}"));
            }
        }
        wrong
    })
    .await;
}

/// 2.4.1 Bypass Blocks, 1.3.1 Info and Relationships; and where the link back leads.
#[actix_web::test]
async fn every_page_has_named_landmarks_and_working_skip_links() {
    check(|_, html| {
        let mut wrong = Vec::new();
        let focusable = select(
            html,
            "a[href], button, input:not([type=hidden]), textarea, [tabindex='0']",
        );
        let first = focusable[0];
        // In a room, to the start of the list.
        let is_room = !select(html, "#log").is_empty();
        let target = if is_room { "#log" } else { "#main" };
        if first.attr("href") != Some(target)
            || !first.value().classes().any(|class| class == "skip")
        {
            wrong.push(format!("the first stop is {}", first.html()));
        }
        for selector in [
            "body > header",
            "main#main[tabindex='-1']",
            "body > footer",
            "nav[aria-label=Main]",
        ] {
            if select(html, selector).len() != 1 {
                wrong.push(format!("not one {selector}"));
            }
        }
        for nav in select(
            html,
            "nav:not([aria-label], [aria-labelledby]), section:not([aria-labelledby])",
        ) {
            wrong.push(format!("without a name: {}", nav.html()));
        }
        for skip in select(html, "a.skip") {
            let target = skip.attr("href").unwrap().trim_start_matches('#');
            if select(html, &format!("[id='{target}']")).len() != 1 {
                wrong.push(format!("{target} is not there to skip to"));
            }
        }
        for back in select(html, "main .back, .back a:not([href^='/'])") {
            wrong.push(format!("a back link out of place: {}", back.html()));
        }
        wrong
    })
    .await;
}

/// 3.2.3 Consistent Navigation, 3.2.6 Consistent Help, 2.4.8 Location.
#[actix_web::test]
async fn the_navigation_is_the_same_everywhere_and_marks_the_current_page() {
    let states = all_states().await;
    let mut menus = BTreeMap::<(bool, bool, bool), BTreeSet<Vec<String>>>::new();
    for state in states {
        let is_signed_in = state.page.has("header .sign-out");
        let offers_accounts = !matches!(state.name, "by link only" | "closed");
        menus
            .entry((is_signed_in, offers_accounts, state.is_for_operators()))
            .or_default()
            .insert(state.page.texts("nav[aria-label=Main] a"));
        let here = state
            .page
            .attributes("nav[aria-label=Main] [aria-current=page]", "href");
        let is_in_menu = state
            .page
            .attributes("nav[aria-label=Main] a", "href")
            .contains(&state.pattern.to_owned());
        assert_eq!(
            here,
            if is_in_menu {
                vec![state.pattern.to_owned()]
            } else {
                vec![]
            },
            "{}",
            state.name
        );
    }
    assert!(menus.values().all(|menus| menus.len() == 1), "{menus:?}");
}

/// 4.1.2 Name, Role, Value.
#[actix_web::test]
async fn forms_use_post_and_leave_validation_to_the_server() {
    check(|state, html| {
        let mut wrong = Vec::new();
        for form in select(html, "form") {
            let is_search = form.attr("role") == Some("search");
            let method = form.attr("method");
            if method != Some(if is_search { "get" } else { "post" }) {
                wrong.push(format!("a form by {method:?}"));
            }
            let inside = |selector: &str| form.select(&Selector::parse(selector).unwrap()).count();
            if inside("[name]") == 0 {
                wrong.push("a form without a named field: Lynx sends it by GET".to_owned());
            }
            if inside("input:not([type=hidden]), textarea") > 0
                && !is_search
                && form.attr("novalidate").is_none()
            {
                wrong.push("the browser checks a form".to_owned());
            }
            if inside("button[type=submit]:not([name=check])") != 1 {
                wrong.push("not one button that submits".to_owned());
            }
        }
        for selector in [
            "[placeholder]",
            "[required]",
            "[maxlength]",
            "[pattern]",
            "input[type=number]",
            "input[type=submit]",
            "button:not([type])",
        ] {
            for element in select(html, selector) {
                wrong.push(format!("{selector}: {}", element.html()));
            }
        }
        let focus: Vec<_> = select(html, "[autofocus]")
            .iter()
            .map(|e| e.attr("role").unwrap_or("").to_owned())
            .collect();
        let has_problems = state.page.text("title").starts_with("Error: ");
        if focus
            != if has_problems {
                vec!["group".to_owned()]
            } else {
                vec![]
            }
        {
            wrong.push(format!("autofocus on {focus:?}"));
        }
        wrong
    })
    .await;
}

/// 3.3.2 Labels or Instructions, 1.3.5 Identify Input Purpose, 3.3.8 Accessible Authentication.
#[actix_web::test]
async fn fields_have_labels_hints_and_autocomplete_tokens() {
    check(|state, html| {
        let mut wrong = Vec::new();
        for field in select(html, "input:not([type=hidden]), textarea") {
            let id = field.attr("id").unwrap_or("");
            if select(html, &format!("label[for='{id}']")).len() != 1 {
                wrong.push(format!("no label for “{id}”"));
            }
            for described in field
                .attr("aria-describedby")
                .unwrap_or("")
                .split_whitespace()
            {
                if select(html, &format!("[id='{described}']")).len() != 1 {
                    wrong.push(format!("{described} is not there"));
                }
            }
            let kind = field.attr("type").unwrap_or("textarea");
            if kind == "radio" {
                continue;
            }
            let autocomplete = field.attr("autocomplete");
            let wanted = match (state.pattern, id) {
                ("/register" | "/register/{token}" | "/login" | "/reset/{token}", "name") => {
                    "username"
                }
                (
                    "/register"
                    | "/register/{token}"
                    | "/reset/{token}"
                    | "/rooms/new"
                    | "/account/password"
                    | "/rooms/{room}/settings/password",
                    "password",
                ) => "new-password",
                ("/account/password", "current") => "current-password",
                ("/login" | "/account/delete", "password") => "current-password",
                (at, "password") if at.starts_with("/site/") => "current-password",
                // Password managers must neither fill in the account's password here nor replace it.
                ("/rooms/private", "password") => "one-time-code",
                // Browsers restore the text on going back.
                _ if kind == "textarea" => "",
                _ => "off",
            };
            if autocomplete.unwrap_or_default() != wanted {
                wrong.push(format!(
                    "autocomplete of {id} is {autocomplete:?}, not {wanted:?}"
                ));
            }
            let is_typed_exactly = kind != "textarea";
            for (name, value) in [("spellcheck", "false"), ("autocapitalize", "none")] {
                if is_typed_exactly && field.attr(name) != Some(value) {
                    wrong.push(format!("{id} has {name} {:?}", field.attr(name)));
                }
            }
            if is_typed_exactly && field.attr("enterkeyhint").is_none() {
                wrong.push(format!("{id} has no enterkeyhint"));
            }
            if kind != "password" && field.attr("dir") != Some("auto") {
                wrong.push(format!("{id} has no direction of its own"));
            }
            if kind == "password" && field.attr("value").is_some() {
                wrong.push(format!("{id} has a value"));
            }
        }
        wrong
    })
    .await;
}

/// 3.3.1 Error Identification, 3.3.3 Error Suggestion.
#[actix_web::test]
async fn errors_appear_in_the_summary_and_beside_the_field_in_the_same_words() {
    let mut with_problems = 0;
    for state in all_states().await {
        let html = state.page.html();
        let first =
            "main > .problems:first-child, main > .talk:first-child > .problems:first-child";
        let summary = select(&html, first);
        let is_error = state.page.text("title").starts_with("Error: ");
        assert_eq!(
            summary.len(),
            usize::from(is_error),
            "{} ({})",
            state.pattern,
            state.name
        );
        assert_eq!(
            select(&html, "[aria-invalid]").is_empty(),
            // Radio buttons have no aria-invalid: the description of their group reports the error.
            !is_error || ["/account", "/rooms/{room}/invites"].contains(&state.pattern)
        );
        let Some(summary) = summary.first() else {
            continue;
        };
        with_problems += 1;
        assert!(matches!(state.page.status.as_u16(), 422 | 403 | 429 | 503));
        assert_eq!(summary.attr("aria-labelledby"), Some("problems"));
        assert_eq!(state.page.text("#problems"), "There is a problem");
        for link in summary.select(&Selector::parse("a").unwrap()) {
            let field = link.attr("href").unwrap().trim_start_matches('#');
            let beside = state.page.text(&format!("[id='{field}-problem']"));
            assert_eq!(beside, format!("Error: {}", text_of(link)));
            let described = format!("[aria-describedby~='{field}-problem']");
            assert_eq!(select(&html, &described).len(), 1, "{described}");
            assert_eq!(select(&html, &format!("[id='{field}']")).len(), 1);
        }
    }
    assert!(with_problems >= 8, "the table has forms with problems");
}

/// The accessible name of a link or button, which must start with its visible text.
fn name_of(element: ElementRef<'_>) -> String {
    let text = text_of(element);
    let name = element
        .attr("aria-label")
        .map_or(text.clone(), str::to_owned);
    assert!(name.starts_with(&text), "“{name}” is shown as “{text}”");
    name
}

/// 2.4.9 Link Purpose (Link Only), 2.5.3 Label in Name.
#[actix_web::test]
async fn links_and_buttons_with_the_same_name_lead_to_the_same_place() {
    check(|_, html| {
        let mut wrong = Vec::new();
        let mut places = BTreeMap::<String, BTreeSet<String>>::new();
        for link in select(html, "a[href]") {
            places
                .entry(name_of(link))
                .or_default()
                .insert(link.attr("href").unwrap().to_owned());
        }
        for form in select(html, "form") {
            for button in form.select(&Selector::parse("button").unwrap()) {
                let action = form.attr("action").unwrap().to_owned();
                places.entry(name_of(button)).or_default().insert(action);
            }
        }
        for (name, places) in places {
            if name.is_empty() || places.len() > 1 {
                wrong.push(format!("“{name}” leads to {places:?}"));
            }
        }
        wrong
    })
    .await;
}

/// What people wrote is in a `bdi` element or has a `dir` of its own.
#[actix_web::test]
async fn user_text_is_isolated_from_the_surrounding_text_direction() {
    check(|_, html| {
        let mut wrong = Vec::new();
        for node in html.root_element().descendants() {
            let Some(text) = node.value().as_text() else {
                continue;
            };
            let is_right_to_left = |c: char| ('\u{590}'..='\u{8ff}').contains(&c);
            if !text.chars().any(is_right_to_left) {
                continue;
            }
            let is_isolated = node.ancestors().filter_map(ElementRef::wrap).any(|around| {
                matches!(around.value().name(), "bdi" | "title")
                    || around.attr("dir") == Some("auto")
            });
            if !is_isolated {
                wrong.push(format!("“{}” stands bare", text.trim()));
            }
        }
        wrong
    })
    .await;
}

/// 1.3.2 Meaningful Sequence, 2.4.3 Focus Order, 2.2.1 Timing Adjustable.
#[actix_web::test]
async fn the_room_page_reads_in_a_logical_order() {
    check(|state, html| {
        let mut wrong = Vec::new();
        let is_moderating = state.name.starts_with("moderat");
        let is_choosing = is_moderating || state.name == "choosing what to report";
        for time in select(html, "time") {
            let moment = time.attr("datetime").unwrap_or("");
            if !moment.ends_with('Z') || !text_of(time).ends_with(" UTC") {
                wrong.push(format!("a time without its zone: {}", time.html()));
            }
        }
        for item in select(html, "#log li") {
            // One element around the content: Orca reads another message when a bare sibling goes.
            let parts: Vec<_> = item
                .child_elements()
                .filter(|part| part.value().name() == "div")
                .flat_map(|content| content.child_elements())
                .map(|part| part.value().name().to_owned())
                .collect();
            let is_own = item.value().classes().any(|class| class == "own");
            let has_link = parts.last().is_some_and(|part| part == "a");
            let wanted = if is_own || (is_choosing && has_link) {
                vec!["span", "time", "a"]
            } else {
                vec!["span", "time"]
            };
            if parts != wanted || item.attr("id").is_none() {
                wrong.push(format!("a message of {parts:?}"));
            }
        }
        // The status line has no role, with which readers would meet it empty.
        for live in select(
            html,
            "[aria-live]:not(#status), #status[role], [aria-busy], [aria-relevant], [aria-atomic], [role=log] [aria-label]",
        ) {
            wrong.push(format!("what screen readers disagree on: {}", live.html()));
        }
        let headings: Vec<_> = select(html, "main h2")
            .iter()
            .map(|h| text_of(*h))
            .collect();
        let is_room = select(html, "#log").len() == 1;
        let has_no_box = is_choosing || ["reading view", "read only"].contains(&state.name);
        let beside = ["Your rooms", "About this room", "Members"];
        let talk: &[&str] = if is_moderating {
            &["Reports", "Messages"]
        } else if has_no_box {
            &["Messages"]
        } else {
            &["Messages", "Write a message"]
        };
        let wanted = [talk, &beside].concat();
        let headings: Vec<_> = headings
            .iter()
            .filter(|h| *h != "There is a problem")
            .collect();
        let fits = headings.len() == wanted.len()
            && headings.iter().zip(&wanted).all(|(h, w)| h.starts_with(w));
        if is_room && !fits {
            wrong.push(format!("the parts are {headings:?}"));
        }
        let says_lifespan = select(html, "main p")
            .iter()
            .any(|p| text_of(*p).contains(" after they are sent."));
        if state.pattern == "/rooms/{room}" && state.page.status == 200 && !says_lifespan {
            wrong.push("it does not say how long messages live".to_owned());
        }
        wrong
    })
    .await;
}

/// 2.3.3 Animation from Interactions; and nothing is loaded from other sites.
#[test]
fn the_style_sheet_animates_nothing_and_loads_nothing() {
    let style = std::fs::read_to_string("assets/app.css").unwrap();
    let style: String = style
        .split("/*")
        .map(|part| part.split_once("*/").map_or(part, |(_, rest)| rest))
        .collect();

    for word in [
        "transition",
        "animation",
        "smooth",
        "url(",
        "@import",
        "@font-face",
        "user-select",
        "justify;",
        "fixed",
    ] {
        assert!(!style.contains(word), "{word}");
    }
    for word in [
        "prefers-color-scheme: dark",
        "prefers-contrast: more",
        "@media print",
        "color-scheme: light dark",
        "overflow-wrap: anywhere",
    ] {
        assert!(style.contains(word), "{word}");
    }
}

/// 2.4.3 Focus Order: each link into a room leads to what is new there, or to the box.
#[actix_web::test]
async fn every_link_into_a_room_leads_to_what_is_new() {
    let mut seen = 0;
    for state in all_states().await {
        for link in state.page.attributes("a[href^='/rooms/']", "href") {
            let path = link.split(['?', '#']).next().unwrap();
            let room = path.trim_start_matches("/rooms/");
            if room.is_empty() || !room.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            seen += 1;
            assert!(
                ["#now", "#message", "#reports"]
                    .iter()
                    .any(|fragment| link.ends_with(fragment)),
                "{}: {link}",
                state.name
            );
        }
    }
    assert!(seen > 20, "{seen}");
}

/// 3.3.4 and 3.3.6 Error Prevention: destructive actions ask first. 4.1.3 Status Messages: success is stated in words,
/// first in the title.
#[actix_web::test]
async fn success_messages_appear_on_the_page_and_first_in_the_title() {
    let mut told = 0;
    for state in all_states().await {
        for sentence in state.page.texts("main .done") {
            told += 1;
            let words = sentence.split('.').next().unwrap();
            let title = state.page.text("title");
            let said =
                title.starts_with(words) || title.starts_with(words.trim_end_matches(" the room"));
            assert!(said, "“{sentence}” is not first in “{title}”");
        }
    }
    assert!(told >= 5, "the table has pages that tell of success");
}

/// The two pages cannot be confused.
#[actix_web::test]
async fn signing_in_and_creating_an_account_have_different_headings_and_buttons() {
    let app = TestApp::spawn().await;
    let (register, login) = (
        app.anonymous().get("/register").await,
        app.anonymous().get("/login").await,
    );

    assert_eq!(
        (register.text("h1"), login.text("h1")),
        ("Create an account".to_owned(), "Sign in".to_owned())
    );
    assert_eq!(register.text("main button"), "Create account");
    assert_eq!(login.text("main button"), "Sign in");
}

/// Fetches a page compressed, as browsers do, and returns its size on the wire in bytes.
async fn size_of(browser: &Browser, path: &str) -> usize {
    let request = browser
        .client
        .get(browser.url(path))
        .header("accept-encoding", "gzip, deflate, br");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-encoding"], "gzip", "{path}");
    response.bytes().await.unwrap().len()
}

#[actix_web::test]
async fn a_room_with_fifty_messages_is_small_and_needs_four_requests() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Kettle club").await;
    bob.join(room).await;
    let lines = [
        "Is anybody in the kitchen?",
        "The kettle is on, and there are two mugs left.",
        "Then one of them is mine.",
    ];
    for number in 0..50 {
        let who = if number % 2 == 0 { &ada } else { &bob };
        let line = format!("{} ({number})", lines[number % 3]);
        who.send(room, &line).await.assert_status(303);
    }
    let page = ada.room(room).await;
    let mut files = page.attributes("link[rel=stylesheet], link[rel=icon]", "href");
    files.extend(page.attributes("script", "src"));

    assert_eq!(page.texts("#log li").len(), 50);
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files.iter().all(|file| file.starts_with("/assets/")));
    let mut sum = size_of(&ada, &format!("/rooms/{room}")).await;
    for file in files.iter().filter(|file| !file.contains("icon")) {
        sum += size_of(&ada, file).await;
    }
    assert!(sum <= 15 * 1024, "{sum} bytes");
}
