use crate::support::TestApp;

#[actix_web::test]
async fn members_see_who_is_in_the_room() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    app.clock.advance(std::time::Duration::from_secs(1));
    bob.join(room).await;

    let page = bob.get(&format!("/rooms/{room}/members")).await;

    assert_eq!(page.text("h1"), "Members of Tea");
    assert_eq!(
        page.texts("main li"),
        ["ada, owner Ignore ada", "bob (you)"]
    );
}

#[actix_web::test]
async fn outsiders_see_how_to_join_a_public_room_but_not_its_members() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;

    let page = bob.get(&format!("/rooms/{room}/members")).await;

    page.assert_status(403);
    assert_eq!(page.text("main button"), "Join Tea");
    assert!(!page.body.contains("ada"));
}
