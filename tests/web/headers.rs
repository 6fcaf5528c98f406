//! Response headers.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::support::{PASSWORD, Page, TestApp};

fn assert_guarded(page: &Page) {
    let policy = page.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(
            policy.split("; ").any(|there| there == rule),
            "{rule} is not in {policy}"
        );
    }
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "same-origin");
}

#[actix_web::test]
async fn every_kind_of_response_has_security_headers_and_is_not_cached() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;

    for page in [
        app.anonymous().get("/").await,
        app.anonymous().get("/rooms").await,
        app.anonymous().get("/nowhere").await,
        app.anonymous().post("/login", &[]).await,
        ada.room(room).await,
        ada.get(&format!("/rooms/{room}/poll")).await,
        ada.get("/rooms/999").await,
        ada.get("/rooms/999/poll").await,
        ada.post("/rooms", &[]).await,
        ada.send(room, "hello").await,
    ] {
        assert_guarded(&page);
        assert_eq!(page.header("cache-control"), "no-store, no-cache");
    }
}

#[actix_web::test]
async fn assets_are_cached_forever_under_their_fingerprinted_url() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    let style = browser
        .get("/")
        .await
        .attribute("link[rel=stylesheet]", "href");

    let page = browser.get(&style).await;
    assert_guarded(&page);
    assert_eq!(page.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(
        page.header("cache-control"),
        "public, max-age=31536000, immutable"
    );

    for other in ["/assets/app.css", "/assets/app.css?v=0"] {
        assert_eq!(browser.get(other).await.header("cache-control"), "no-cache");
    }
}

#[actix_web::test]
async fn compressed_pages_and_assets_decode_to_the_same_bytes() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();

    for path in ["/login", "/assets/app.css", "/assets/room.js"] {
        let plain = browser.get(path).await;
        for (accepted, coding) in [("gzip", "gzip"), ("gzip, deflate, br, zstd", "zstd")] {
            let request = browser.client.get(browser.url(path));
            let answer = request.header("accept-encoding", accepted).send().await;
            let answer = answer.unwrap();
            assert_eq!(answer.headers()["content-encoding"], coding, "{path}");
            let compressed = answer.bytes().await.unwrap();
            let decoded = match coding {
                "gzip" => {
                    let mut decoded = Vec::new();
                    let mut decoder = GzDecoder::new(&compressed[..]);
                    decoder.read_to_end(&mut decoded).unwrap();
                    decoded
                }
                _ => zstd::decode_all(&compressed[..]).unwrap(),
            };

            assert_eq!(decoded, plain.body.as_bytes());
            assert!(compressed.len() * 4 < decoded.len() * 3, "{path}");
        }
        assert_eq!(plain.header("content-encoding"), "");
        assert_eq!(plain.header("vary"), "accept-encoding");
    }
    let style = browser.get("/assets/app.css").await;
    let again = browser
        .client
        .get(browser.url("/assets/app.css"))
        .header("accept-encoding", "gzip")
        .header("if-none-match", style.header("etag"));
    assert_eq!(again.send().await.unwrap().status(), 304);
}

#[actix_web::test]
async fn only_the_assets_of_the_pages_are_served() {
    let app = TestApp::spawn().await;

    for path in ["/assets/", "/assets/..%2fCargo.toml", "/assets/.gitignore"] {
        app.anonymous().get(path).await.assert_status(404);
    }
}

/// The headers of every response.
const EVERYWHERE: [&str; 6] = [
    "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy: same-origin",
    "cross-origin-resource-policy: same-origin",
    "referrer-policy: same-origin",
    "x-content-type-options: nosniff",
    "x-frame-options: DENY",
];

/// The time of the server's clock, which stands still here.
const TIME: &str = "mirage-time: 1795352700000";

/// The headers of a response, without the values that differ each time.
fn headers_of(page: &Page) -> Vec<String> {
    let differs = |name: &str| matches!(name, "date" | "last-modified" | "etag");
    let there = page
        .headers
        .iter()
        .filter(|(name, _)| !differs(name.as_str()));
    let mut lines: Vec<_> = there
        .map(|(name, value)| match name.as_str() {
            "content-length" | "mirage-cursor" | "set-cookie" => format!("{name}: …"),
            _ => format!("{name}: {}", value.to_str().unwrap()),
        })
        .collect();
    lines.sort_unstable();
    lines
}

#[actix_web::test]
async fn each_kind_of_response_has_exactly_these_headers() {
    let app = TestApp::spawn().await;
    let (anonymous, ada) = (app.anonymous(), app.sign_up("ada").await);
    let room = ada.create_public_room("Tea").await;
    let style = anonymous
        .get("/")
        .await
        .attribute("link[rel=stylesheet]", "href");
    let poll = ada.get(&format!("/rooms/{room}/poll")).await;
    let nothing = format!(
        "/rooms/{room}/poll?wait=0&after={}",
        poll.header("mirage-cursor")
    );

    let fragment = [
        "content-length: …",
        "content-type: text/html; charset=utf-8",
    ];
    // Long enough to be compressed if the client accepts that.
    let html = [&fragment[..], &["vary: accept-encoding"]].concat();
    let news = [
        &fragment[..],
        &[
            "mirage-cursor: …",
            "mirage-public: 1",
            "mirage-reset: 1",
            TIME,
        ],
    ]
    .concat();
    let file = [
        "content-length: …",
        "content-type: text/css; charset=utf-8",
        "vary: accept-encoding",
    ];
    for (kind, page, status, own) in [
        ("signed out", anonymous.get("/login").await, 200, &html[..]),
        ("signed in", ada.room(room).await, 200, &html),
        ("an error page", ada.get("/nowhere").await, 404, &html),
        ("news", poll, 200, &news),
        (
            "no news",
            ada.get(&nothing).await,
            204,
            &["mirage-cursor: …", "mirage-public: 1", TIME],
        ),
        (
            "a poll refused",
            anonymous.get(&nothing).await,
            401,
            &["content-length: …"],
        ),
        ("a file", anonymous.get(&style).await, 200, &file),
        (
            "a redirect",
            anonymous.get("/rooms").await,
            303,
            &["content-length: …", "location: /login?next=/rooms"],
        ),
        (
            "a new session",
            app.anonymous()
                .post("/register", &[("name", "bob"), ("password", PASSWORD)])
                .await,
            303,
            &[
                "content-length: …",
                "location: /rooms?done=registered",
                "set-cookie: …",
            ],
        ),
        (
            "healthz",
            anonymous.get("/healthz").await,
            200,
            &[
                "content-length: …",
                "content-type: text/plain; charset=utf-8",
            ],
        ),
    ] {
        let cache = match kind {
            "a file" => "cache-control: public, max-age=31536000, immutable",
            _ => "cache-control: no-store, no-cache",
        };
        let mut expected = [&EVERYWHERE[..], own, &[cache]].concat();
        expected.sort_unstable();
        assert_eq!(headers_of(&page), expected, "{kind}");
        assert_eq!(page.status, status, "{kind}");
    }
}
