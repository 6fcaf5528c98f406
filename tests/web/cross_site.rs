//! Cross-site requests to every route that changes data, and proof that all other routes change none.

use mirage::clock::Clock;
use mirage::domain::{RoomId, UserId};
use mirage::live::messages::Ignored;
use mirage::web::routes::{self, Endpoint};
use reqwest::Method;

use crate::support::{
    Browser, PASSWORD, Page, ROOM_PASSWORD, TestApp, db_column, dump, is_cluster, reset_link,
    sign_up_link,
};

/// The values of `Sec-Fetch-Site`.
const SITES: [Option<&str>; 5] = [
    None,
    Some("same-origin"),
    Some("none"),
    Some("same-site"),
    Some("cross-site"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Absent,
    Ours,
    OtherPort,
    OtherScheme,
    Null,
    Foreign,
}

const ORIGINS: [Origin; 6] = [
    Origin::Absent,
    Origin::Ours,
    Origin::OtherPort,
    Origin::OtherScheme,
    Origin::Null,
    Origin::Foreign,
];

impl Origin {
    /// The `Origin` header for a server whose own origin is `ours`.
    fn header(self, ours: &str) -> Option<String> {
        let (scheme, authority) = ours.split_once("://").unwrap();
        let (host, _) = authority.rsplit_once(':').unwrap_or((authority, ""));
        let other = if scheme == "http" { "https" } else { "http" };
        match self {
            Self::Absent => None,
            Self::Ours => Some(ours.to_owned()),
            Self::OtherPort => Some(format!("{scheme}://{host}:1")),
            Self::OtherScheme => Some(format!("{other}://{authority}")),
            Self::Null => Some("null".to_owned()),
            Self::Foreign => Some("https://example.org".to_owned()),
        }
    }

    /// Returns whether the server accepts this origin as its own. Without a public URL it cannot know its scheme.
    fn is_ours(self, has_public_url: bool) -> bool {
        match self {
            Self::Absent | Self::Ours => true,
            Self::OtherScheme => !has_public_url,
            Self::OtherPort | Self::Null | Self::Foreign => false,
        }
    }
}

/// A server with a room, a message, an invite, a ban and a session to act on.
struct Fixture {
    app: TestApp,
    /// The owner, a member, and a person who is not in the room.
    people: [Browser; 3],
    room: i64,
    message: String,
    person: String,
    session: String,
    invite: String,
    links: [(&'static str, String); 3],
}

impl Fixture {
    async fn create() -> Self {
        let app = TestApp::spawn().await;
        let owner = app.operator("ada").await;
        let (member, stranger) = (app.sign_up("bob").await, app.sign_up("cleo").await);
        let loud = app.sign_up("dan").await;
        let room = owner.create_private_room("Tea").await;
        let public = owner.create_public_room("Cake").await;
        member.join(public).await;
        for browser in [&member, &loud] {
            let joined = browser.join_privately("Tea", ROOM_PASSWORD).await;
            joined.assert_status(303);
        }
        owner.ban(room, "dan", "Loud").await;
        member.send(room, "hello").await.assert_status(303);
        owner.send(room, "welcome").await.assert_status(303);
        app.sign_in("ada", PASSWORD).await;
        let message = owner.room(room).await.attributes("#log li", "id")[0][1..].to_owned();
        // The newest row first.
        let place = if is_cluster() { "ctid" } else { "rowid" };
        let others =
            format!("SELECT key_digest FROM sessions WHERE user_id = 1 ORDER BY {place} DESC");
        let links = [
            ("/invite/{token}", owner.invite_to(room, "day", "ten").await),
            ("/register/{token}", sign_up_link(&app).await),
            ("/reset/{token}", reset_link(&app, "bob").await),
        ];
        Self {
            message,
            person: app.user_id("bob").await.to_string(),
            session: db_column(&app, &others).await[0].clone(),
            invite: db_column(&app, "SELECT CAST(id AS TEXT) FROM invites").await[0].clone(),
            links,
            app,
            people: [owner, member, stranger],
            room,
        }
    }

    /// The path of a pattern, with the IDs of existing things.
    fn path_of(&self, pattern: &str) -> String {
        let link = self.links.iter().find(|(of, _)| *of == pattern);
        let path = link.map_or(pattern, |(_, link)| link);
        let path = path
            .replace("{room}", &self.room.to_string())
            .replace("{message}", &self.message)
            .replace("{person}", &self.person)
            .replace("{session}", &self.session)
            .replace("{invite}", &self.invite)
            .replace("{file}", "room.js");
        assert!(!path.contains('{'), "what stands in {pattern}?");
        path
    }

    /// The whole database, and the messages of the room.
    async fn snapshot(&self) -> (Vec<String>, String) {
        let state = &self.app.core;
        let now = self.app.clock.site_time();
        let page = state
            .messages
            .page(RoomId(self.room), None, &Ignored::NOBODY, now)
            .await;
        (
            dump(state.database.connections()).await,
            format!("{page:?}"),
        )
    }

    /// A nonce for the owner.
    fn nonce(&self) -> String {
        self.app.core.nonces.make(UserId(1), RoomId(self.room))
    }
}

/// A form with every field that a route could read.
fn full_form(nonce: &str) -> [(&str, &str); 12] {
    [
        ("name", "mallory"),
        ("password", "twelve angry geese"),
        ("current", PASSWORD),
        ("kind", "public"),
        ("text", "hello"),
        ("nonce", nonce),
        ("reason", "Loud"),
        ("role", "moderator"),
        ("life", "day"),
        ("uses", "ten"),
        ("announcements", "all"),
        ("x", "1"),
    ]
}

async fn send(
    browser: &Browser,
    method: Method,
    path: &str,
    headers: &[(&str, String)],
    form: &[(&str, &str)],
) -> Page {
    let mut request = browser.client.request(method, browser.url(path));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    Browser::answer(request.form(form)).await
}

fn headers_of(site: Option<&str>, origin: Origin, ours: &str) -> Vec<(&'static str, String)> {
    let site = site.map(|site| ("sec-fetch-site", site.to_owned()));
    let origin = origin.header(ours).map(|origin| ("origin", origin));
    site.into_iter().chain(origin).collect()
}

fn method_of(route: &Endpoint) -> Method {
    Method::from_bytes(route.method.as_str().as_bytes()).unwrap()
}

fn is_refused(page: &Page) -> bool {
    page.status == 403 && page.texts("h1") == ["This request came from another site"]
}

/// Sends every combination of headers to each route that changes data; returns how many requests were
/// refused and how many were accepted.
async fn send_every_combination(
    fixture: &Fixture,
    browser: &Browser,
    public_url: Option<&str>,
) -> [u32; 2] {
    let own = format!("http://{}", fixture.app.address);
    let ours = public_url.unwrap_or(&own);
    let ways = SITES.into_iter().flat_map(|site| {
        ORIGINS.map(|origin| {
            let is_accepted = match site {
                Some(site) => matches!(site, "same-origin" | "none"),
                None => origin.is_ours(public_url.is_some()),
            };
            (headers_of(site, origin, ours), is_accepted)
        })
    });
    let (allowed, refused): (Vec<_>, Vec<_>) = ways.partition(|(_, is_accepted)| *is_accepted);
    let nonce = fixture.nonce();
    let form = full_form(&nonce);
    let before = fixture.snapshot().await;
    let routes = routes::table();
    let unsafe_routes = routes.iter().filter(|route| route.method != "GET");
    let unsafe_routes: Vec<_> = unsafe_routes.collect();

    // Requests that must be refused come first, because some of the accepted ones end the session.
    for route in &unsafe_routes {
        let path = fixture.path_of(route.pattern);
        for (headers, _) in &refused {
            let page = send(browser, method_of(route), &path, headers, &form).await;
            assert!(is_refused(&page), "{path} {headers:?}: {}", page.status);
        }
        assert!(fixture.snapshot().await == before, "{path} has changed");
    }
    for route in &unsafe_routes {
        let path = fixture.path_of(route.pattern);
        for (number, (headers, _)) in allowed.iter().enumerate() {
            // A full form makes the server hash a password, so it is sent only once per route.
            let form = if number == 0 {
                form.as_slice()
            } else {
                &[("x", "1")]
            };
            let page = send(browser, method_of(route), &path, headers, form).await;
            assert!(!is_refused(&page), "{path} {headers:?}");
            assert!(!page.status.is_server_error(), "{path}: {}", page.body);
        }
    }
    if public_url.is_none() {
        assert!(
            fixture.snapshot().await != before,
            "what is let in does something"
        );
    }
    [refused.len(), allowed.len()].map(|ways| u32::try_from(ways * unsafe_routes.len()).unwrap())
}

#[actix_web::test]
async fn every_route_that_changes_data_refuses_cross_site_requests() {
    let fixture = Fixture::create().await;
    let [refused, allowed] = send_every_combination(&fixture, &fixture.people[0], None).await;
    eprintln!("without a public URL: {refused} refused, {allowed} let in");

    let ours = "https://chat.example.org";
    // The client does not send `Secure` cookies over HTTP, so this browser is signed out.
    let fixture = Fixture {
        app: TestApp::with(&["--public-url=https://chat.example.org"]).await,
        ..Fixture::create().await
    };
    let [refused, allowed] =
        send_every_combination(&fixture, &fixture.app.anonymous(), Some(ours)).await;
    eprintln!("behind a proxy: {refused} refused, {allowed} let in");
}

#[actix_web::test]
async fn other_unsafe_methods_are_refused_cross_site_too() {
    let fixture = Fixture::create().await;
    let headers = headers_of(Some("cross-site"), Origin::Foreign, "http://127.0.0.1");
    let nonce = fixture.nonce();
    let form = full_form(&nonce);
    let before = fixture.snapshot().await;

    for route in routes::table() {
        let path = fixture.path_of(route.pattern);
        for method in [
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::from_bytes(b"NONSENSE").unwrap(),
        ] {
            let page = send(&fixture.people[0], method.clone(), &path, &headers, &form).await;
            assert!(is_refused(&page), "{method} {path}: {}", page.status);
        }
    }
    assert!(fixture.snapshot().await == before);
}

#[actix_web::test]
async fn no_get_request_changes_anything() {
    const QUERY: &str = "?done=deleted&moderate=1&before=9&after=9&at=9&held=1&reload=1&wait=0\
                         &search=a&page=2&next=/rooms&sent=9&x=1";
    let fixture = Fixture::create().await;
    let before = fixture.snapshot().await;
    let anonymous = fixture.app.anonymous();
    let mut asked = 0;

    for route in routes::table() {
        if route.method != "GET" {
            continue;
        }
        let path = fixture.path_of(route.pattern);
        for browser in fixture.people.iter().chain([&anonymous]) {
            for (method, query) in [(Method::GET, ""), (Method::HEAD, ""), (Method::GET, QUERY)] {
                let page = browser.request(method, &format!("{path}{query}")).await;
                assert!(!page.status.is_server_error(), "{path}{query}");
                asked += 1;
            }
        }
        assert!(fixture.snapshot().await == before, "{path} has changed");
    }
    eprintln!("{asked} requests to look have changed nothing");
}
