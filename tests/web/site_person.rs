//! An operator's page about one account.

use crate::support::TestApp;

#[actix_web::test]
async fn it_shows_the_account_and_the_public_rooms_of_the_person_but_no_private_room() {
    let app = TestApp::spawn().await;
    let (olga, ada) = (app.operator("olga").await, app.sign_up("ada").await);
    let tea = ada.create_public_room("Tea").await;
    ada.create_private_room("Attic").await;
    let id = app.user_id("ada").await;

    let page = olga.get(&format!("/site/people/{id}")).await;

    assert_eq!(page.text("h1"), "ada");
    assert_eq!(
        page.texts("main > p:not(.onward)"),
        ["Account created 22 November 2026 13:05 UTC. In 2 rooms, signed in on 1 browser."]
    );
    assert_eq!(page.texts("main h3"), ["Tea"]);
    assert_eq!(
        page.attributes("main a", "href"),
        [
            format!("/site/people/{id}/suspend"),
            format!("/site/people/{id}/reset-link"),
            format!("/site/people/{id}/delete"),
            format!("/site/rooms/{tea}"),
        ]
    );
    assert!(!page.body.contains("Attic"));
}

#[actix_web::test]
async fn it_offers_nothing_against_operators() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    app.operator("oleg").await;
    for (name, says) in [
        ("olga", "This is you."),
        ("oleg", "This person is an operator."),
    ] {
        let id = app.user_id(name).await;

        let page = olga.get(&format!("/site/people/{id}")).await;

        assert!(page.texts("main > p")[1].starts_with(says));
        let links = page.attributes("main a", "href");
        assert!(links.iter().all(|link| link == "/account"), "{links:?}");
    }
}

#[actix_web::test]
async fn there_is_no_page_about_nobody() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;

    for path in [
        "/site/people/99",
        "/site/people/x",
        "/site/people/99/suspend",
    ] {
        let page = olga.get(path).await;

        page.assert_status(404);
        assert_eq!(page.text("h1"), "Page not found");
    }
}
