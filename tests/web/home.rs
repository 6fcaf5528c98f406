use crate::support::TestApp;

#[actix_web::test]
async fn the_home_page_says_what_mirage_is_and_how_to_get_in() {
    let app = TestApp::spawn().await;

    let page = app.anonymous().get("/").await;

    page.assert_status(200);
    assert_eq!(page.text("h1"), "Group chat in rooms that forget");
    assert_eq!(page.attributes("main a", "href"), ["/register", "/login"]);
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
