use crate::support::TestApp;

#[actix_web::test]
async fn without_rooms_the_page_says_how_to_join_one() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    let page = ada.get("/rooms/mine").await;

    assert_eq!(
        page.attributes("main a", "href"),
        ["/rooms", "/rooms/private", "/rooms/new"]
    );
}

#[actix_web::test]
async fn each_room_is_described_with_links_to_open_and_leave_it() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_private_room("Tea").await;
    let cake = bob.create_public_room("Cake").await;
    bob.create_public_room("Not mine").await;
    ada.join(cake).await;

    let page = ada.get("/rooms/mine").await;

    assert_eq!(page.texts(".rooms h2"), ["Cake", "Tea"]);
    assert_eq!(
        page.texts(".rooms p"),
        [
            "Public room, 2 members.",
            "Leave Cake",
            "Private room, 1 member.",
            "Leave Tea"
        ]
    );
    assert_eq!(
        page.attributes(".rooms a", "href"),
        [
            format!("/rooms/{cake}#now"),
            format!("/rooms/{cake}/leave"),
            format!("/rooms/{tea}#now"),
            format!("/rooms/{tea}/leave")
        ]
    );
}

#[actix_web::test]
async fn rooms_with_new_messages_come_first() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    for name in ["Apple", "Bread", "Cake", "Date"] {
        let room = ada.create_public_room(name).await;
        bob.join(room).await;
        if matches!(name, "Bread" | "Date") {
            ada.send(room, "hello").await;
        }
    }

    let page = bob.get("/rooms/mine").await;

    assert_eq!(page.texts(".rooms h2"), ["Bread", "Date", "Apple", "Cake"]);
}
