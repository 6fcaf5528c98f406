//! The operators' list of public rooms.

use crate::support::TestApp;

#[actix_web::test]
async fn it_lists_public_rooms_with_their_owners_and_no_private_room() {
    let app = TestApp::spawn().await;
    let (olga, ada) = (app.operator("olga").await, app.sign_up("ada").await);
    let tea = ada.create_public_room("Tea").await;
    olga.create_public_room("Cake").await;
    ada.create_private_room("Secret attic").await;
    olga.create_private_room("Own attic").await;

    for path in ["/site/rooms", "/site/rooms?search=a"] {
        let page = olga.get(path).await;

        assert_eq!(page.texts("main h2"), ["Cake", "Tea"]);
        assert_eq!(
            page.texts("main li p")[1],
            "Owner: ada. 1 member. Created 22 November 2026 13:05 UTC."
        );
        assert_eq!(
            page.attributes("main h2 a", "href")[1],
            format!("/site/rooms/{tea}")
        );
        assert!(!page.body.contains("attic"));
    }
    let page = olga.get("/site/rooms?search=attic").await;
    assert_eq!(
        page.texts("main > p"),
        ["No public room has “attic” in its name. Show all public rooms"]
    );
}
