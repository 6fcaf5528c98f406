//! The style sheet, the scripts and the icon.

use std::path::Path;

use crate::support::{Page, TestApp};

/// Asks for an asset as a browser does that takes compressed answers and knows the tag of an earlier one.
async fn get(app: &TestApp, path: &str, encoding: &str, known_tag: &str) -> Page {
    let browser = app.anonymous();
    let request = browser.client.get(browser.url(path));
    let request = request
        .header("accept-encoding", encoding)
        .header("if-none-match", known_tag);
    crate::support::Browser::answer(request).await
}

async fn style_address(app: &TestApp) -> String {
    let home = app.anonymous().get("/").await;
    home.attribute("link[rel=stylesheet]", "href")
}

#[actix_web::test]
async fn the_plain_and_the_compressed_forms_have_each_a_strong_tag() {
    let app = TestApp::spawn().await;

    let plain = get(&app, "/assets/room.js", "identity", "").await;
    let compressed = get(&app, "/assets/room.js", "gzip", "").await;
    let smallest = get(&app, "/assets/room.js", "gzip, zstd", "").await;

    let (plain, compressed) = (plain.header("etag"), compressed.header("etag"));
    assert_ne!(plain, compressed);
    assert!(![plain, compressed].contains(&smallest.header("etag")));
    for tag in [plain, compressed] {
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        for encoding in ["identity", "gzip"] {
            let again = get(&app, "/assets/room.js", encoding, tag).await;
            let is_sent = again.status == 200;
            assert_eq!(is_sent, tag == compressed && encoding == "identity");
            if !is_sent {
                assert_eq!((again.status.as_u16(), again.header("etag")), (304, tag));
                assert!(again.body.is_empty());
            }
        }
    }
}

#[actix_web::test]
async fn a_folder_replaces_the_assets_of_the_program_and_is_never_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    for name in ["app.css", "room.js", "password.js", "icon.svg"] {
        std::fs::copy(ours.join(name), folder.path().join(name)).unwrap();
    }
    let style = folder.path().join("app.css");
    std::fs::write(&style, "p { color: red }").unwrap();
    let app = TestApp::with(&[&format!("--assets={}", folder.path().display())]).await;
    let address = style_address(&app).await;

    for text in ["p { color: red }", "p { color: green }"] {
        std::fs::write(&style, text).unwrap();
        for path in [&address, "/assets/app.css?v=0"] {
            let page = app.anonymous().get(path).await;
            assert_eq!((page.status.as_u16(), page.body.as_str()), (200, text));
            assert_eq!(page.header("cache-control"), "no-cache");
        }
    }

    std::fs::remove_file(&style).unwrap();
    assert_eq!(app.anonymous().get(&address).await.status, 404);
}

#[actix_web::test]
async fn without_a_folder_the_assets_are_those_of_the_program() {
    let app = TestApp::spawn().await;

    let address = style_address(&app).await;
    let page = app.anonymous().get(&address).await;

    assert!(address.contains("?v="), "{address}");
    let source = include_str!("../../assets/app.css");
    let mut lines = source.lines().map(str::trim);
    // In order, and all that is left out is comments.
    assert!(page.body.lines().all(|line| lines.any(|next| next == line)));
    assert!(!page.body.contains("/*") && page.body.ends_with("}\n}\n"));
    assert!(page.body.len() > source.len() / 2);
}
