use crate::support::{Browser, TestApp};

/// The path of the delete page of the only message that this person may delete.
async fn delete_link(browser: &Browser, room: i64) -> String {
    browser.room(room).await.attribute("#log a.delete", "href")
}

#[actix_web::test]
async fn an_author_can_delete_a_message_after_confirming() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    ada.send(room, "one <b>\ntwo").await;
    bob.send(room, "mine").await;
    let link = delete_link(&ada, room).await;

    let question = ada.get(&link).await;
    assert_eq!(question.text("h1"), "Delete your message?");
    assert_eq!(question.text("blockquote"), "one <b>two");
    assert_eq!(ada.messages(room).await.len(), 2);

    ada.post(&link, &[("delete", "1")])
        .await
        .assert_redirect(&format!("/rooms/{room}?done=deleted#now"));

    assert_eq!(
        ada.get(&format!("/rooms/{room}?done=deleted#now"))
            .await
            .text(".done"),
        "Message deleted."
    );
    assert_eq!(bob.messages(room).await, ["mine"]);
}

#[actix_web::test]
async fn a_poll_reports_a_deleted_message() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    ada.send(room, "oops").await;
    let id = bob.room(room).await.attribute("#log li", "id");
    let cursor = bob.cursor(room).await;

    ada.post(&delete_link(&ada, room).await, &[("delete", "1")])
        .await;

    let poll = bob.poll(room, &format!("?after={cursor}")).await;
    assert_eq!((poll.added.len(), poll.removed), (0, vec![id]));
}

#[actix_web::test]
async fn other_peoples_messages_and_missing_messages_cannot_be_deleted() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    ada.send(room, "mine").await;
    assert!(!bob.room(room).await.has("#log a.delete"));
    let link = delete_link(&ada, room).await;

    for method in ["GET", "POST"] {
        let page = match method {
            "GET" => bob.get(&link).await,
            _ => bob.post(&link, &[("delete", "1")]).await,
        };
        page.assert_status(404);
        assert_eq!(page.text("h1"), "You cannot delete this message");
    }
    assert_eq!(ada.messages(room).await, ["mine"]);

    ada.post(&link, &[("delete", "1")]).await.assert_status(303);
    ada.get(&link).await.assert_status(404);
}
