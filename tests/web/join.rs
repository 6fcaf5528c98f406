use crate::support::TestApp;

#[actix_web::test]
async fn one_click_joins_a_public_room_and_opens_it() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;

    let page = bob
        .post(&format!("/rooms/{room}/join"), &[("join", "1")])
        .await;

    page.assert_redirect(&format!("/rooms/{room}?done=joined#now"));
    let page = bob.get(page.location()).await;
    assert_eq!(page.text(".done"), "You have joined the room.");
    assert!(
        page.text("title")
            .starts_with("You have joined the room – Tea")
    );
    assert!(
        page.texts("main p")
            .iter()
            .any(|text| text.contains("disappear 24 hours after"))
    );
}

#[actix_web::test]
async fn joining_twice_is_the_same_as_joining_once() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;

    let page = bob
        .post(&format!("/rooms/{room}/join"), &[("join", "1")])
        .await;

    page.assert_redirect(&format!("/rooms/{room}#now"));
    assert_eq!(ada.members(room).await, ["ada (you), owner", "bob"]);
}

#[actix_web::test]
async fn the_join_form_does_not_admit_to_a_private_room() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;

    let hidden = bob
        .post(&format!("/rooms/{room}/join"), &[("join", "1")])
        .await;
    let nowhere = bob.post("/rooms/999/join", &[("join", "1")]).await;

    hidden.assert_status(404);
    assert_eq!(hidden.body, nowhere.body);
    assert_eq!(ada.members(room).await, ["ada (you), owner"]);
}
