use crate::support::TestApp;

#[actix_web::test]
async fn the_home_page_says_what_mirage_is_and_how_to_get_in() {
    let app = TestApp::spawn().await;

    let page = app.anonymous().get("/").await;

    page.assert_status(200);
    assert_eq!(page.text("h1"), "Group chat in rooms that forget");
    assert_eq!(page.attributes("main a", "href"), ["/register", "/login"]);
    assert!(
        page.text(".lead")
            .starts_with("Mirage is for conversations")
    );
}

#[actix_web::test]
async fn a_named_site_says_its_name_in_the_title_the_bar_and_the_text() {
    let app = TestApp::with(&["--site-name= The  “Kettle” & spoon "]).await;

    let page = app.anonymous().get("/").await;

    let name = "The “Kettle” & spoon";
    assert_eq!(
        page.text("title"),
        format!("Group chat in rooms that forget – {name}")
    );
    assert_eq!(page.text(".site"), name);
    assert!(page.text(".lead").starts_with(&format!("{name} is for")));
    assert!(page.text("footer").starts_with(&format!("{name} forgets")));
    assert!(!page.body.contains("Mirage"));
}

#[actix_web::test]
async fn a_signed_in_person_is_redirected_to_the_public_rooms_and_later_to_their_own() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    ada.get("/").await.assert_redirect("/rooms");

    ada.create_public_room("Kettle club").await;

    ada.get("/").await.assert_redirect("/rooms/mine");
}

#[actix_web::test]
async fn the_health_check_succeeds() {
    let app = TestApp::spawn().await;

    let page = app.anonymous().get("/healthz").await;

    page.assert_status(200);
    assert_eq!(page.body, "ok\n");
}

#[actix_web::test]
async fn the_health_check_fails_without_the_database() {
    let app = TestApp::spawn().await;
    app.close_database().await;

    app.anonymous().get("/healthz").await.assert_status(503);
}
