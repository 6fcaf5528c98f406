//! Reports about the only moderator of a public room, which come to the operators.

use std::time::Duration;

use crate::support::{Browser, Page, TestApp};

struct Scene {
    app: TestApp,
    olga: Browser,
    /// The owner of the room.
    ada: Browser,
    bob: Browser,
    room: i64,
    /// The ID of ada's message.
    message: String,
}

/// A public room with a message of its owner, and an operator who is not in it.
async fn scene() -> Scene {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    ada.send(room, "go away").await.assert_status(303);
    let message = ada.room(room).await.attribute("#log li", "id")[1..].to_owned();
    Scene {
        app,
        olga,
        ada,
        bob,
        room,
        message,
    }
}

impl Scene {
    fn report_path(&self) -> String {
        format!("/rooms/{}/messages/{}/report", self.room, self.message)
    }

    async fn report(&self) {
        let form = [("reason", "He is rude")];
        let page = self.bob.post(&self.report_path(), &form).await;
        page.assert_status(303);
    }

    async fn reports(&self) -> Page {
        let page = self.olga.get("/site/reports").await;
        page.assert_status(200);
        page
    }

    async fn count(&self) -> usize {
        self.reports().await.texts("main li").len()
    }
}

#[actix_web::test]
async fn a_report_about_the_only_moderator_comes_to_the_operators_and_the_form_says_so() {
    let scene = scene().await;
    let form = scene.bob.get(&scene.report_path()).await;
    assert_eq!(
        form.texts("main p")[0],
        "ada is the only moderator here, so the operators of this site see the message and your reason, but not who sent the report."
    );

    scene.report().await;

    let page = scene.reports().await;
    assert_eq!(page.text("main h2"), "Report 1: ada in Tea");
    assert_eq!(page.text("main blockquote"), "go away");
    assert!(
        page.texts("main li p")
            .contains(&"Reason: He is rude".to_owned())
    );
    assert!(
        !page.body.contains("bob"),
        "nobody is told who sent a report"
    );
    let ada = scene.app.user_id("ada").await;
    assert_eq!(
        page.attributes("main li a", "href"),
        [
            format!("/site/people/{ada}"),
            format!("/site/rooms/{}", scene.room)
        ]
    );
    let start = scene.olga.get("/site").await;
    assert_eq!(start.text("main strong"), "1 open");
    // The owner is not shown a report of their own message.
    let moderation = format!("/rooms/{}?moderate=1", scene.room);
    let page = scene.ada.get(&moderation).await;
    assert!(!page.body.contains("He is rude"));
}

#[actix_web::test]
async fn an_operator_closes_a_report() {
    let scene = scene().await;
    scene.report().await;

    let close = format!("/site/reports/{}/{}/close", scene.room, scene.message);
    for _ in 0..2 {
        let page = scene.olga.post(&close, &[("x", "1")]).await;
        page.assert_redirect("/site/reports?done=closed");
    }

    let page = scene.olga.get("/site/reports?done=closed").await;
    assert_eq!(page.text(".done"), "Report closed.");
    assert_eq!(page.texts("main li"), [""; 0]);
}

#[actix_web::test]
async fn a_report_goes_with_the_message_s_deadline() {
    let scene = scene().await;
    scene.report().await;
    assert_eq!(scene.count().await, 1);

    scene.app.clock.advance(Duration::from_secs(86_400));

    assert_eq!(scene.count().await, 0);
}

#[actix_web::test]
async fn a_report_goes_to_the_moderators_as_soon_as_there_is_another() {
    let scene = scene().await;
    let carl = scene.app.sign_up("carl").await;
    carl.join(scene.room).await;
    scene.report().await;
    assert_eq!(scene.count().await, 1);

    scene.ada.make_moderator(scene.room, "carl").await;

    assert_eq!(scene.count().await, 0);
    let page = carl.get(&format!("/rooms/{}?moderate=1", scene.room)).await;
    assert_eq!(page.texts("#reports ~ ul blockquote"), ["go away"]);
    let close = format!("/site/reports/{}/{}/close", scene.room, scene.message);
    scene
        .olga
        .post(&close, &[("x", "1")])
        .await
        .assert_status(303);
    let page = carl.get(&format!("/rooms/{}?moderate=1", scene.room)).await;
    assert_eq!(page.texts("#reports ~ ul blockquote"), ["go away"]);
}

#[actix_web::test]
async fn a_report_is_no_longer_shown_to_operators_once_its_room_is_private() {
    let scene = scene().await;
    scene.report().await;
    assert_eq!(scene.count().await, 1);

    let path = format!("/rooms/{}/settings/password", scene.room);
    let form = [("password", "open sesame"), ("others", "all")];
    scene.ada.post(&path, &form).await.assert_status(303);

    let page = scene.reports().await;
    assert_eq!(page.texts("main li"), [""; 0]);
    assert!(!page.body.contains("go away"));
}

#[actix_web::test]
async fn reports_of_other_people_s_messages_do_not_come_to_the_operators() {
    let scene = scene().await;
    scene.bob.send(scene.room, "sorry").await.assert_status(303);
    let message = scene.bob.room(scene.room).await.attributes("#log li", "id")[1][1..].to_owned();
    let path = format!("/rooms/{}/messages/{message}/report", scene.room);
    let carl = scene.app.sign_up("carl").await;
    carl.join(scene.room).await;

    carl.post(&path, &[("reason", "Too shy")])
        .await
        .assert_status(303);

    assert_eq!(scene.count().await, 0);
}

#[actix_web::test]
async fn an_operator_is_shown_no_report_of_their_own_message() {
    let app = TestApp::spawn().await;
    let (olga, bob) = (app.operator("olga").await, app.sign_up("bob").await);
    let room = olga.create_public_room("Tea").await;
    bob.join(room).await;
    olga.send(room, "go away").await.assert_status(303);
    let message = bob.room(room).await.attribute("#log li", "id")[1..].to_owned();
    let report = format!("/rooms/{room}/messages/{message}/report");
    let nobody = bob.get(&report).await;
    assert!(nobody.texts("main p")[0].starts_with("Nobody would see this report:"));
    let oleg = app.operator("oleg").await;
    let somebody = bob.get(&report).await;
    assert!(somebody.texts("main p")[0].starts_with("olga is the only moderator here"));

    bob.post(&report, &[("reason", "Rude")])
        .await
        .assert_status(303);

    assert_eq!(oleg.get("/site/reports").await.texts("main li").len(), 1);
    assert_eq!(olga.get("/site/reports").await.texts("main li").len(), 0);
    let close = format!("/site/reports/{room}/{message}/close");
    olga.post(&close, &[("x", "1")]).await.assert_status(303);
    assert_eq!(oleg.get("/site/reports").await.texts("main li").len(), 1);
}
