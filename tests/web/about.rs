use std::path::Path;

use crate::support::{Page, TestApp};

/// Starts a server with this text about the site.
async fn app_about(text: &str) -> TestApp {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("about.txt");
    std::fs::write(&file, text).unwrap();
    // The server reads the file when it starts, and never again.
    TestApp::with(&[&flag(&file)]).await
}

fn flag(file: &Path) -> String {
    format!("--about={}", file.display())
}

fn links_to_about(page: &Page) -> usize {
    page.attributes("a", "href")
        .iter()
        .filter(|href| *href == "/about")
        .count()
}

#[actix_web::test]
async fn the_page_shows_the_operator_s_paragraphs_lines_and_links() {
    let app =
        app_about("Be kind.\n\nAda Lovelace\nLondon\nRules: https://example.org/rules.\n").await;

    let page = app.anonymous().get("/about").await;

    page.assert_status(200);
    assert_eq!(page.text("title"), "About this site – Mirage");
    assert_eq!(page.text("h1"), "About this site");
    let paragraphs = page.texts("main p");
    assert_eq!(paragraphs.len(), 2);
    assert_eq!(paragraphs[0], "Be kind.");
    assert!(page.body.contains("Ada Lovelace<br>London<br>Rules: "));
    assert_eq!(
        page.attributes("main a", "href"),
        ["https://example.org/rules"]
    );
    assert_eq!(page.texts("main a"), ["https://example.org/rules"]);
}

#[actix_web::test]
async fn html_in_the_text_is_shown_as_text() {
    let app = app_about("<script>alert(1)</script> & <b>").await;

    let page = app.anonymous().get("/about").await;

    assert_eq!(page.text("main p"), "<script>alert(1)</script> & <b>");
    assert!(!page.has("script") && !page.has("main b"));
}

#[actix_web::test]
async fn every_footer_and_the_sign_up_page_link_to_the_page() {
    let app = app_about("Be kind.").await;
    let (nobody, ada) = (app.anonymous(), app.sign_up("ada").await);

    for page in [
        nobody.get("/").await,
        nobody.get("/about").await,
        nobody.get("/nowhere").await,
        ada.get("/rooms").await,
    ] {
        assert_eq!(
            page.attributes("footer a", "href"),
            ["/about", "/accessibility"]
        );
    }
    for page in [
        nobody.get("/register").await,
        nobody.post("/register", &[]).await,
    ] {
        assert_eq!(page.attribute("main a[href='/about']", "href"), "/about");
    }
}

#[actix_web::test]
async fn without_a_text_there_is_no_page_and_no_link_to_it() {
    let app = TestApp::spawn().await;
    let nobody = app.anonymous();

    nobody.get("/about").await.assert_status(404);
    for path in ["/", "/register", "/about"] {
        assert_eq!(links_to_about(&nobody.get(path).await), 0, "{path}");
    }
}
