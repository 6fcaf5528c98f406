//! The start page of operators, and that nobody else learns of it.

use crate::support::{Browser, Page, TestApp};

/// The response without what differs between any two: the time and the ID of the request.
fn comparable(mut page: Page) -> Page {
    page.headers.remove("date");
    page
}

#[actix_web::test]
async fn the_navigation_leads_operators_to_the_page_and_nobody_else() {
    let app = TestApp::spawn().await;
    let (olga, ada) = (app.operator("olga").await, app.sign_up("ada").await);
    let link = "header nav[aria-label=Main] a[href='/site']";

    assert_eq!(olga.get("/rooms").await.text(link), "Site moderation");
    assert!(!ada.get("/rooms").await.has(link));
    let page = olga.get("/site").await;
    assert_eq!(page.text("h1"), "Site moderation");
    assert_eq!(
        page.attributes("main a", "href"),
        [
            "/site/people",
            "/site/rooms",
            "/site/reports",
            "/site/sign-up-link"
        ]
    );
}

#[actix_web::test]
async fn others_get_the_answer_of_a_page_that_does_not_exist() {
    let app = TestApp::spawn().await;
    app.operator("olga").await;
    let ada = app.sign_up("ada").await;
    let id = app.user_id("ada").await;
    let nowhere = comparable(ada.get("/nowhere").await);
    nowhere.assert_status(404);
    let posted = comparable(ada.post("/nowhere", &[("password", "x")]).await);

    for path in [
        "/site".to_owned(),
        "/site/people".to_owned(),
        format!("/site/people/{id}"),
        "/site/people/99".to_owned(),
        "/site/people/nobody".to_owned(),
        format!("/site/people/{id}/suspend"),
        "/site/rooms/1".to_owned(),
        "/site/reports".to_owned(),
    ] {
        assert_eq!(comparable(ada.get(&path).await), nowhere, "{path}");
    }
    for path in [
        format!("/site/people/{id}/suspend"),
        "/site/people/99/delete".to_owned(),
        "/site/sign-up-link".to_owned(),
        "/site/reports/1/1/close".to_owned(),
    ] {
        // As if another person were signed in now, which forms of other pages are told.
        for form in [&[("password", "x")][..], &[("for", "99")]] {
            let page = comparable(ada.post(&path, form).await);
            assert_eq!(page, posted, "{path}");
        }
    }
}

#[actix_web::test]
async fn an_operator_who_is_one_no_longer_is_shown_nothing_more() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    let open = async |browser: &Browser| browser.get("/site/people").await.status.as_u16();
    assert_eq!(open(&olga).await, 200);

    // Without the end of the session, which another process may not have heard of yet.
    app.execute("UPDATE users SET is_operator = FALSE").await;

    assert_eq!(open(&olga).await, 404);
}
