//! An operator's page about one public room.

use mirage::clock::Clock;
use mirage::domain::RoomId;

use crate::support::{PASSWORD, ROOM_PASSWORD, TestApp};

#[actix_web::test]
async fn it_shows_the_owner_and_the_number_of_members() {
    let app = TestApp::spawn().await;
    let (olga, ada) = (app.operator("olga").await, app.sign_up("ada").await);
    let tea = ada.create_public_room("Tea").await;
    ada.send(tea, "hello").await.assert_status(303);

    let page = olga.get(&format!("/site/rooms/{tea}")).await;

    assert_eq!(
        page.texts("main p"),
        [
            "Public room with 1 member, created 22 November 2026 13:05 UTC.",
            "Owner: ada",
            "Open Tea",
            "Delete the room Tea"
        ]
    );
    let ada = app.user_id("ada").await;
    assert_eq!(
        page.attributes("main a", "href"),
        [
            format!("/site/people/{ada}"),
            format!("/rooms/{tea}#now"),
            format!("/site/rooms/{tea}/delete"),
        ]
    );
}

#[actix_web::test]
async fn an_operator_reads_no_private_room_on_any_page_and_cannot_delete_it() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let den = ada.create_private_room("Hidden den").await;
    let joined = bob.join_privately("Hidden den", ROOM_PASSWORD).await;
    joined.assert_status(303);
    ada.send(den, "between us").await.assert_status(303);
    let message = ada.room(den).await.attribute("#log li", "id")[1..].to_owned();
    // About its only moderator: of a public room, this would come to the operators.
    let report = format!("/rooms/{den}/messages/{message}/report");
    let reason = [("reason", "a secret reason")];
    bob.post(&report, &reason).await.assert_status(303);
    let (ada_id, bob_id) = (app.user_id("ada").await, app.user_id("bob").await);
    let password = [("password", PASSWORD)];

    for path in [
        "/site".to_owned(),
        "/site/people".to_owned(),
        format!("/site/people/{ada_id}"),
        format!("/site/people/{ada_id}/delete"),
        format!("/site/people/{bob_id}/reset-link"),
        "/site/rooms".to_owned(),
        "/site/rooms?search=den".to_owned(),
        format!("/site/rooms/{den}"),
        format!("/site/rooms/{den}/delete"),
        "/site/reports".to_owned(),
        format!("/rooms/{den}"),
        format!("/rooms/{den}?moderate=1"),
        format!("/rooms/{den}/members"),
        format!("/rooms/{den}/poll?wait=0"),
    ] {
        let page = olga.get(&path).await;

        for secret in ["between us", "Hidden den", "a secret reason"] {
            assert!(!page.body.contains(secret), "{path}");
        }
    }
    let delete = format!("/site/rooms/{den}/delete");
    olga.post(&delete, &password).await.assert_status(404);
    let close = format!("/site/reports/{den}/{message}/close");
    olga.post(&close, &[("x", "1")]).await.assert_status(303);
    assert_eq!(bob.messages(den).await, ["between us"]);
    let now = app.clock.site_time();
    let reports = app.core.messages.reports(RoomId(den), now).await;
    assert_eq!(reports.unwrap().len(), 1, "the moderators still have it");
}
