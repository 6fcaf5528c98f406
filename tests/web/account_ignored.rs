//! Ignoring people.

use crate::support::{
    Browser, PASSWORD, ROOM_PASSWORD, TestApp, db_column, dump, is_cluster, start_poll,
    start_poll_from,
};

const AT: &str = "/account/ignored";

/// A public room of ada's, in which she ignores bob, and cleo does not.
struct Tea {
    app: TestApp,
    room: i64,
    ada: Browser,
    bob: Browser,
    cleo: Browser,
    bob_id: i64,
}

impl Tea {
    /// Nobody ignores anybody yet.
    async fn spawn() -> Self {
        let app = TestApp::spawn().await;
        let [ada, bob, cleo] = [
            app.sign_up("ada").await,
            app.sign_up("bob").await,
            app.sign_up("cleo").await,
        ];
        let room = ada.create_public_room("Tea").await;
        bob.join(room).await;
        cleo.join(room).await;
        let bob_id = app.user_id("bob").await.0;
        Self {
            app,
            room,
            ada,
            bob,
            cleo,
            bob_id,
        }
    }

    async fn ignore_bob(&self, browser: &Browser) {
        let path = format!("/rooms/{}/members/{}/ignore", self.room, self.bob_id);
        let page = browser.post(&path, &[("confirm", "1")]).await;
        page.assert_redirect(&format!("/rooms/{}/members?done=ignored", self.room));
    }

    async fn stop_ignoring_bob(&self, browser: &Browser) {
        let path = browser.get(AT).await.attribute("main form", "action");
        let page = browser.post(&path, &[("stop", "1")]).await;
        page.assert_redirect("/account/ignored?done=stopped");
    }
}

async fn new_counts(browser: &Browser) -> Vec<String> {
    browser.get("/rooms/mine").await.texts(".rooms strong")
}

#[actix_web::test]
async fn a_member_can_ignore_another_from_their_entry_or_their_page() {
    let tea = Tea::spawn().await;
    let members = format!("/rooms/{}/members", tea.room);

    // Cleo is neither owner nor moderator.
    let list = tea.cleo.get(&members).await;
    assert_eq!(list.texts("a.ignore"), ["Ignore ada", "Ignore bob"]);
    let person = format!("{members}/{}", tea.bob_id);
    assert!(list.attributes(".members a", "href").contains(&person));
    let page = tea.cleo.get(&person).await;
    assert_eq!(page.text("h1"), "bob");
    assert!(!page.has("main h2"), "the actions of moderators");
    let question = page.attribute("main .onward a", "href");
    assert_eq!(list.attributes("a.ignore", "href")[1], question);

    let question = tea.cleo.get(&question).await;
    assert_eq!(question.text("h1"), "Ignore bob?");
    let path = question.attribute("main form", "action");
    let done = tea.cleo.post(&path, &[("confirm", "1")]).await;
    let landed = tea.cleo.get(done.location()).await;
    assert_eq!(landed.text(".done"), "Person ignored.");
    assert_eq!(landed.texts(".members li")[1], "bob, ignored");
    assert_eq!(landed.texts("a.ignore"), ["Ignore ada"]);
    assert!(
        tea.cleo
            .get(&person)
            .await
            .has("main a[href='/account/ignored']")
    );
}

#[actix_web::test]
async fn messages_of_an_ignored_person_are_not_shown_or_counted_in_any_room() {
    let tea = Tea::spawn().await;
    let cake = tea.ada.create_private_room("Cake").await;
    let joined = tea.bob.join_privately("Cake", ROOM_PASSWORD).await;
    joined.assert_status(303);
    tea.ignore_bob(&tea.ada).await;
    for room in [tea.room, cake] {
        tea.bob.send(room, "buy").await.assert_status(303);
    }
    assert!(new_counts(&tea.ada).await.is_empty());
    tea.cleo.send(tea.room, "hello").await.assert_status(303);
    assert_eq!(new_counts(&tea.ada).await, ["1 new message."]);

    let page = tea.ada.room(tea.room).await;
    assert_eq!(page.texts("#log .text"), ["hello"]);
    assert!(page.text("title").starts_with("1 new – Tea – "));
    assert!(tea.ada.messages(cake).await.is_empty());

    // Others see them, and bob sees nothing else than before.
    assert_eq!(tea.cleo.messages(tea.room).await, ["buy", "hello"]);
    assert_eq!(tea.bob.messages(tea.room).await, ["buy", "hello"]);
    assert_eq!(tea.bob.messages(cake).await, ["buy"]);
}

#[actix_web::test]
async fn a_poll_does_not_answer_with_messages_of_an_ignored_person() {
    let tea = Tea::spawn().await;
    tea.ignore_bob(&tea.ada).await;
    let cursor = tea.ada.cursor(tea.room).await;
    let waiting = start_poll_from(&tea.app, &tea.ada, tea.room, &cursor).await;

    tea.bob.send(tea.room, "buy").await.assert_status(303);
    tea.app.hear_all(tea.room).await;
    let at_once = format!("?after={cursor}&wait=0");
    assert_eq!(tea.ada.poll(tea.room, &at_once).await.status, 204);
    tea.cleo.send(tea.room, "hello").await.assert_status(303);

    assert_eq!(waiting.answer().await.added, ["hello"]);
}

#[actix_web::test]
async fn an_open_page_loses_and_regains_messages_when_its_reader_ignores_somebody_elsewhere() {
    let tea = Tea::spawn().await;
    tea.bob.send(tea.room, "buy").await.assert_status(303);
    tea.cleo.send(tea.room, "hello").await.assert_status(303);
    let open = start_poll(&tea.app, &tea.ada, tea.room).await;

    let elsewhere = tea.app.sign_in("ada", PASSWORD).await;
    tea.ignore_bob(&elsewhere).await;

    let told = open.answer().await;
    assert!(told.is_reset && !told.is_restart);
    assert_eq!(told.added, ["hello"]);

    let open = start_poll_from(&tea.app, &tea.ada, tea.room, &told.cursor).await;
    tea.stop_ignoring_bob(&elsewhere).await;
    let told = open.answer().await;
    assert!(told.is_reset);
    assert_eq!(told.added, ["buy", "hello"]);
}

#[actix_web::test]
async fn a_person_is_ignored_until_it_is_undone_in_the_account() {
    let mut tea = Tea::spawn().await;
    tea.ignore_bob(&tea.ada).await;
    // Twice is once.
    tea.ignore_bob(&tea.ada).await;
    tea.bob.send(tea.room, "buy").await.assert_status(303);
    // Leaving the room and coming back changes nothing.
    tea.bob.leave(tea.room).await;
    tea.bob.join(tea.room).await;
    assert!(tea.ada.messages(tea.room).await.is_empty());

    let page = tea.ada.get(AT).await;
    assert_eq!(page.texts("main li b"), ["bob"]);
    assert_eq!(page.text("main button"), "Stop ignoring bob");
    // The other's list is empty.
    assert!(!tea.bob.get(AT).await.has("main form"));

    tea.app = tea.app.restart().await;
    tea.bob
        .send(tea.room, "after the restart")
        .await
        .assert_status(303);
    assert!(tea.ada.messages(tea.room).await.is_empty());

    tea.stop_ignoring_bob(&tea.ada).await;
    let messages = tea.ada.messages(tea.room).await;
    // Messages in Redis outlive the restart.
    let all = ["buy", "after the restart"];
    let first = if is_cluster() { 0 } else { 1 };
    assert_eq!(messages, all[first..]);
    let landed = tea.ada.get("/account/ignored?done=stopped").await;
    assert_eq!(landed.text(".done"), "No longer ignored.");
    assert!(!landed.has("main form"));
}

#[actix_web::test]
async fn owners_and_moderators_can_act_although_they_are_ignored_or_ignore() {
    let tea = Tea::spawn().await;
    // Bob becomes a moderator, whom cleo ignores; the owner ignores bob, too.
    tea.ada.make_moderator(tea.room, "bob").await;
    tea.ignore_bob(&tea.cleo).await;
    tea.ignore_bob(&tea.ada).await;
    tea.cleo.send(tea.room, "buy").await.assert_status(303);
    tea.bob.send(tea.room, "no").await.assert_status(303);

    // The ignored moderator deletes and removes.
    let view = format!("/rooms/{}?moderate=1", tea.room);
    let delete = tea.bob.get(&view).await.attributes("#log .delete", "href");
    let deleted = tea.bob.post(&delete[0], &[("delete", "1")]).await;
    deleted.assert_status(303);
    assert!(tea.cleo.messages(tea.room).await.is_empty());
    let open = start_poll(&tea.app, &tea.cleo, tea.room).await;
    let confirm = [("confirm", "1")];
    let removed = tea.bob.manage(tea.room, "cleo", "remove", &confirm).await;
    removed.assert_status(303);
    assert_eq!(open.answer().await.status, 403);

    // The owner, who ignores bob, sees and deletes his message in the moderation view.
    assert!(tea.ada.messages(tea.room).await.is_empty());
    let page = tea.ada.get(&view).await;
    assert_eq!(page.texts("#log .text"), ["no"]);
    let delete = page.attribute("#log .delete", "href");
    let deleted = tea.ada.post(&delete, &[("delete", "1")]).await;
    deleted.assert_status(303);
    assert!(tea.bob.messages(tea.room).await.is_empty());
}

#[actix_web::test]
async fn nobody_can_ignore_themselves_or_a_person_whom_they_may_not_know() {
    let tea = Tea::spawn().await;
    let dora = tea.app.sign_up("dora").await;
    let dora_id = tea.app.user_id("dora").await.0;
    let path = |person: i64| format!("/rooms/{}/members/{person}/ignore", tea.room);
    let confirm = [("confirm", "1")];
    let before = dump(tea.app.core.database.connections()).await;

    for person in [dora_id, tea.bob_id, 9_999] {
        tea.bob
            .post(&path(person), &confirm)
            .await
            .assert_status(404);
    }
    dora.post(&path(tea.bob_id), &confirm)
        .await
        .assert_status(403);
    // A member is not told who is banned.
    assert_eq!(dump(tea.app.core.database.connections()).await, before);
    dora.join(tea.room).await;
    tea.ada.ban(tea.room, "dora", "Loud").await;
    tea.bob.get(&path(dora_id)).await.assert_status(404);
}

#[actix_web::test]
async fn an_ignored_account_that_is_deleted_leaves_nothing_behind() {
    let tea = Tea::spawn().await;
    tea.ignore_bob(&tea.ada).await;
    tea.ignore_bob(&tea.cleo).await;
    let delete = [("password", PASSWORD)];

    tea.cleo
        .post("/account/delete", &delete)
        .await
        .assert_status(303);
    let rows = "SELECT CAST(user_id AS TEXT) FROM ignored_people";
    assert_eq!(db_column(&tea.app, rows).await.len(), 1);
    tea.bob
        .post("/account/delete", &delete)
        .await
        .assert_status(303);

    assert!(db_column(&tea.app, rows).await.is_empty());
    assert!(!tea.ada.get(AT).await.has("main form"));
}

#[actix_web::test]
async fn a_warm_poll_of_a_person_who_ignores_somebody_costs_no_query() {
    let tea = Tea::spawn().await;
    tea.ignore_bob(&tea.ada).await;
    // Each server holds what it has read.
    let ada = tea.ada.at(&tea.app.address);
    let cursor = ada.cursor(tea.room).await;
    let after = format!("?after={cursor}&wait=0");
    ada.poll(tea.room, &after).await;

    tea.bob.send(tea.room, "buy").await.assert_status(303);
    tea.app.hear_all(tea.room).await;
    let sent = tea.app.db_statements();
    assert_eq!(ada.poll(tea.room, &after).await.status, 204);

    assert_eq!(tea.app.db_statements(), sent);
}
