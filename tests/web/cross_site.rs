//! Every route that changes something, asked from everywhere; and every other, which changes nothing.

use mirage::clock::Clock;
use mirage::domain::{RoomId, UserId};
use mirage::routes::{self, Endpoint};
use reqwest::Method;

use crate::support::{
    Browser, PASSWORD, Page, ROOM_PASSWORD, TestApp, db_column, dump, reset_link, sign_up_link,
};

/// What browsers say of where a request comes from.
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
    /// The header, of the server that people reach by the scheme and authority of `ours`.
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

    /// Whether it is ours. Without a public URL the server cannot know its own scheme.
    fn is_ours(self, has_public_url: bool) -> bool {
        match self {
            Self::Absent | Self::Ours => true,
            Self::OtherScheme => !has_public_url,
            Self::OtherPort | Self::Null | Self::Foreign => false,
        }
    }
}

/// A server with a room in which there is one of everything.
struct Place {
    app: TestApp,
    /// The owner, a member, and somebody who is not in the room.
    people: [Browser; 3],
    room: i64,
    message: String,
    person: String,
    session: String,
    invite: String,
    links: [(&'static str, String); 3],
}

impl Place {
    async fn furnish() -> Self {
        let app = TestApp::spawn().await;
        let owner = app.sign_up("ada").await;
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
        let others = "SELECT key_digest FROM sessions \
                      WHERE user_id = 1 ORDER BY rowid DESC";
        let links = [
            ("/invite/{token}", owner.invite_to(room, "day", "ten").await),
            ("/register/{token}", sign_up_link(&app).await),
            ("/reset/{token}", reset_link(&app, "bob").await),
        ];
        Self {
            message,
            person: app.user_id("bob").await.to_string(),
            session: db_column(&app, others).await[0].clone(),
            invite: db_column(&app, "SELECT CAST(id AS TEXT) FROM invites").await[0].clone(),
            links,
            app,
            people: [owner, member, stranger],
            room,
        }
    }

    /// The address of something that is there.
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

    /// All that lasts, and all that was said.
    async fn all_there_is(&self) -> (Vec<String>, String) {
        let state = &self.app.state;
        let now = self.app.clock.now();
        let page = state.messages.page(RoomId(self.room), None, now);
        (dump(&state.database).await, format!("{page:?}"))
    }

    /// A nonce of the owner.
    fn nonce(&self) -> String {
        self.app.state.nonces.make(UserId(1), RoomId(self.room))
    }
}

/// A form that has whatever a route could ask for.
fn whatever(nonce: &str) -> [(&str, &str); 12] {
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

/// Asks each route that changes something in each way; gives how often it was refused and let in.
async fn ask_in_every_way(place: &Place, browser: &Browser, public_url: Option<&str>) -> [u32; 2] {
    let own = format!("http://{}", place.app.address);
    let ours = public_url.unwrap_or(&own);
    let ways = SITES.into_iter().flat_map(|site| {
        ORIGINS.map(|origin| {
            let is_let_in = match site {
                Some(site) => matches!(site, "same-origin" | "none"),
                None => origin.is_ours(public_url.is_some()),
            };
            (headers_of(site, origin, ours), is_let_in)
        })
    });
    let (allowed, refused): (Vec<_>, Vec<_>) = ways.partition(|(_, is_let_in)| *is_let_in);
    let nonce = place.nonce();
    let form = whatever(&nonce);
    let before = place.all_there_is().await;
    let routes = routes::table();
    let unsafe_routes = routes.iter().filter(|route| route.method != "GET");
    let unsafe_routes: Vec<_> = unsafe_routes.collect();

    // What is refused comes first: of what is let in, some ends the session.
    for route in &unsafe_routes {
        let path = place.path_of(route.pattern);
        for (headers, _) in &refused {
            let page = send(browser, method_of(route), &path, headers, &form).await;
            assert!(is_refused(&page), "{path} {headers:?}: {}", page.status);
        }
        assert!(place.all_there_is().await == before, "{path} has changed");
    }
    for route in &unsafe_routes {
        let path = place.path_of(route.pattern);
        for (number, (headers, _)) in allowed.iter().enumerate() {
            // Once is enough of what takes long to do.
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
            place.all_there_is().await != before,
            "what is let in does something"
        );
    }
    [refused.len(), allowed.len()].map(|ways| u32::try_from(ways * unsafe_routes.len()).unwrap())
}

#[actix_web::test]
async fn every_route_that_changes_something_refuses_what_another_site_sent() {
    let place = Place::furnish().await;
    let [refused, allowed] = ask_in_every_way(&place, &place.people[0], None).await;
    eprintln!("without a public URL: {refused} refused, {allowed} let in");

    let ours = "https://chat.example.org";
    // Cookies of https do not come here over http, so who asks is signed out.
    let place = Place {
        app: TestApp::with(&["--public-url=https://chat.example.org"]).await,
        ..Place::furnish().await
    };
    let [refused, allowed] = ask_in_every_way(&place, &place.app.anonymous(), Some(ours)).await;
    eprintln!("behind a proxy: {refused} refused, {allowed} let in");
}

#[actix_web::test]
async fn other_unsafe_methods_are_refused_from_other_sites_too() {
    let place = Place::furnish().await;
    let headers = headers_of(Some("cross-site"), Origin::Foreign, "http://127.0.0.1");
    let nonce = place.nonce();
    let form = whatever(&nonce);
    let before = place.all_there_is().await;

    for route in routes::table() {
        let path = place.path_of(route.pattern);
        for method in [
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::from_bytes(b"NONSENSE").unwrap(),
        ] {
            let page = send(&place.people[0], method.clone(), &path, &headers, &form).await;
            assert!(is_refused(&page), "{method} {path}: {}", page.status);
        }
    }
    assert!(place.all_there_is().await == before);
}

#[actix_web::test]
async fn no_get_changes_anything() {
    const QUERY: &str = "?done=deleted&moderate=1&before=9&after=9&at=9&held=1&reload=1&wait=0\
                         &search=a&page=2&next=/rooms&sent=9&x=1";
    let place = Place::furnish().await;
    let before = place.all_there_is().await;
    let anonymous = place.app.anonymous();
    let mut asked = 0;

    for route in routes::table() {
        if route.method != "GET" {
            continue;
        }
        let path = place.path_of(route.pattern);
        for browser in place.people.iter().chain([&anonymous]) {
            for (method, query) in [(Method::GET, ""), (Method::HEAD, ""), (Method::GET, QUERY)] {
                let page = browser.request(method, &format!("{path}{query}")).await;
                assert!(!page.status.is_server_error(), "{path}{query}");
                asked += 1;
            }
        }
        assert!(place.all_there_is().await == before, "{path} has changed");
    }
    eprintln!("{asked} requests to look have changed nothing");
}
