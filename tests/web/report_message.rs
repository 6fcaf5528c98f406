//! Reporting messages to the moderators.

use std::time::Duration;

use crate::support::{Browser, PASSWORD, Page, TestApp};

/// A public room with its owner, a moderator, and two members: ann, who writes, and bob, who reports.
struct Tea {
    app: TestApp,
    room: i64,
    owner: Browser,
    moderator: Browser,
    ann: Browser,
    bob: Browser,
}

impl Tea {
    async fn spawn() -> Self {
        Self::with(&[]).await
    }

    async fn with(flags: &[&str]) -> Self {
        let app = TestApp::with(flags).await;
        let owner = app.sign_up("owner").await;
        let room = owner.create_public_room("Tea").await;
        let [moderator, ann, bob] = [
            app.sign_up("moderator").await,
            app.sign_up("ann").await,
            app.sign_up("bob").await,
        ];
        for person in [&moderator, &ann, &bob] {
            person.join(room).await;
        }
        owner.make_moderator(room, "moderator").await;
        Self {
            app,
            room,
            owner,
            moderator,
            ann,
            bob,
        }
    }

    /// Bob reports the latest message that he can report.
    async fn report(&self, reason: &str) -> Page {
        self.report_by(&self.bob, reason).await
    }

    async fn report_by(&self, browser: &Browser, reason: &str) -> Page {
        let links = report_links(&browser.get(&self.path("?report=1")).await);
        let form = [("reason", reason)];
        browser.post(links.last().unwrap(), &form).await
    }

    async fn view(&self, browser: &Browser) -> Page {
        browser.get(&self.path("?moderate=1")).await
    }

    /// The reported texts that the moderator sees.
    async fn reported(&self) -> Vec<String> {
        self.view(&self.moderator).await.texts("main li blockquote")
    }

    fn path(&self, rest: &str) -> String {
        format!("/rooms/{}{rest}", self.room)
    }
}

fn report_links(page: &Page) -> Vec<String> {
    page.attributes("#log a[aria-label^=Report]", "href")
}

#[actix_web::test]
async fn a_member_reports_a_message_and_the_moderators_see_it_with_the_text() {
    let tea = Tea::spawn().await;
    tea.ann
        .send(tea.room, "buy <b>\nnow")
        .await
        .assert_status(303);
    tea.bob.send(tea.room, "no").await.assert_status(303);
    let room = tea.bob.room(tea.room).await;
    assert!(report_links(&room).is_empty());
    assert!(
        room.attributes("main a", "href")
            .contains(&tea.path("?report=1#now"))
    );

    let choosing = tea.bob.get(&tea.path("?report=1")).await;
    assert_eq!(
        choosing.attributes("#log a", "aria-label"),
        [
            "Report ann’s message “buy <b> now”",
            "Delete your message “no”"
        ]
    );
    assert!(!choosing.has("#write") && !choosing.has("[data-poll]"));
    let form = tea.bob.get(&report_links(&choosing)[0]).await;
    assert_eq!(form.text("h1"), "Report ann’s message?");
    assert_eq!(form.text("blockquote"), "buy <b>now");
    let sent = tea.report("Spam <i>").await;

    sent.assert_redirect(&tea.path("?done=reported#now"));
    let landed = tea.bob.get(sent.location()).await;
    assert_eq!(landed.text(".done"), "Report sent.");
    assert!(landed.text("title").starts_with("Report sent – "));
    for browser in [&tea.owner, &tea.moderator] {
        let room = browser.room(tea.room).await;
        assert_eq!(room.text("main a[href$='#reports']"), "1 open report");
        let view = tea.view(browser).await;
        assert_eq!(view.text("main li blockquote"), "buy <b>now");
        assert_eq!(view.texts("main li h3"), ["Report 1: ann"]);
        assert!(
            view.texts("main li p")
                .contains(&"Reason: Spam <i>".to_owned())
        );
        assert!(
            !view.text("main ul.sessions").contains("bob"),
            "who reported"
        );
    }
    for browser in [&tea.ann, &tea.bob] {
        let room = browser.get(&tea.path("?moderate=1")).await;
        assert!(!room.has("#reports"));
    }
}

#[actix_web::test]
async fn moderators_delete_remove_and_ban_from_a_report() {
    let tea = Tea::spawn().await;
    tea.ann.send(tea.room, "buy").await.assert_status(303);
    tea.report("Spam").await.assert_status(303);
    let links = async || {
        let view = tea.view(&tea.moderator).await;
        let (texts, addresses) = (
            view.texts("main ul.sessions a"),
            view.attributes("main ul.sessions a", "href"),
        );
        texts.into_iter().zip(addresses).collect::<Vec<_>>()
    };

    let [delete, remove, ban] = <[_; 3]>::try_from(links().await).unwrap();
    assert_eq!(delete.0, "Delete message of report 1");
    let deleted = tea.moderator.post(&delete.1, &[("delete", "1")]).await;
    deleted.assert_redirect(&tea.path("?moderate=1&done=deleted#now"));
    assert_eq!(links().await, [remove.clone(), ban.clone()]);
    assert_eq!(remove.0, "Remove ann from the room");
    let removed = tea.moderator.post(&remove.1, &[("confirm", "1")]).await;
    removed.assert_status(303);
    assert_eq!(links().await, std::slice::from_ref(&ban));
    // Ann is neither a member nor the author of a live message.
    assert_eq!(ban.0, "Ban ann");
    tea.moderator.get(&ban.1).await.assert_status(200);
    let banned = tea.moderator.post(&ban.1, &[("reason", "Spam")]).await;
    banned.assert_redirect(&tea.path("/members?done=banned"));

    let close = tea
        .view(&tea.moderator)
        .await
        .attribute("main ul form", "action");
    let closed = tea.moderator.post(&close, &[("close", "1")]).await;
    closed.assert_redirect(&tea.path("?moderate=1&done=closed#now"));
    assert!(tea.reported().await.is_empty());
    let landed = tea.moderator.get(closed.location()).await;
    assert!(landed.text("title").starts_with("Report closed – "));
}

#[actix_web::test]
async fn a_moderator_does_not_see_or_close_a_report_of_their_own_message() {
    let tea = Tea::spawn().await;
    tea.moderator.send(tea.room, "buy").await.assert_status(303);
    tea.report("Spam").await.assert_status(303);
    let close = tea
        .view(&tea.owner)
        .await
        .attribute("main ul form", "action");

    assert!(tea.reported().await.is_empty());
    assert!(
        !tea.moderator
            .room(tea.room)
            .await
            .has("main a[href$='#reports']")
    );
    let closed = tea.moderator.post(&close, &[("close", "1")]).await;
    // As if there were no such report.
    let other = tea
        .moderator
        .post(&tea.path("/reports/7/close"), &[("close", "1")])
        .await;
    assert_eq!(
        (closed.status, closed.location()),
        (other.status, other.location())
    );
    assert!(tea.view(&tea.owner).await.has("main ul form"));

    // A moderator sees a report of the owner's message, and may only close it.
    tea.owner.send(tea.room, "rent").await.assert_status(303);
    tea.report("Rude").await.assert_status(303);
    let view = tea.view(&tea.moderator).await;
    assert_eq!(view.texts("main li blockquote"), ["rent"]);
    assert!(!view.has("main ul.sessions a"));
    let close = view.attribute("main ul form", "action");
    tea.moderator
        .post(&close, &[("close", "1")])
        .await
        .assert_status(303);
    assert!(tea.reported().await.is_empty());
}

#[actix_web::test]
async fn the_form_says_beforehand_where_there_is_no_other_moderator() {
    let tea = Tea::spawn().await;
    let warning = async |author: &Browser, reporter: &Browser| {
        author.send(tea.room, "hello").await.assert_status(303);
        let choosing = reporter.get(&tea.path("?report=1")).await;
        let form = reporter.get(report_links(&choosing).last().unwrap()).await;
        form.texts("main strong").concat()
    };
    assert_eq!(warning(&tea.owner, &tea.bob).await, "");
    assert_eq!(
        warning(&tea.owner, &tea.moderator).await,
        "Nobody but you would see this report:"
    );

    let form = [("role", "member")];
    let page = tea.owner.manage(tea.room, "moderator", "role", &form).await;
    page.assert_status(303);

    assert_eq!(
        warning(&tea.owner, &tea.bob).await,
        "Nobody would see this report:"
    );
    assert_eq!(
        warning(&tea.ann, &tea.owner).await,
        "Nobody but you would see this report:"
    );
    assert_eq!(warning(&tea.ann, &tea.bob).await, "");
}

#[actix_web::test]
async fn a_report_outlives_eviction_and_deletion_by_the_author_who_is_told_so() {
    let tea = Tea::with(&["--max-messages=1"]).await;
    tea.ann.send(tea.room, "evicted").await.assert_status(303);
    tea.report("Spam").await.assert_status(303);
    tea.ann.send(tea.room, "deleted").await.assert_status(303);
    tea.report("Spam").await.assert_status(303);

    let delete = tea
        .ann
        .room(tea.room)
        .await
        .attribute("#log .delete", "href");
    let question = tea.ann.get(&delete).await;
    assert!(question.text("main").contains("the moderators keep a copy"));
    tea.ann
        .post(&delete, &[("delete", "1")])
        .await
        .assert_status(303);

    assert!(tea.bob.messages(tea.room).await.is_empty());
    assert_eq!(tea.reported().await, ["evicted", "deleted"]);
}

#[actix_web::test]
async fn a_report_goes_with_the_deadline_of_its_message() {
    let tea = Tea::spawn().await;
    tea.ann.send(tea.room, "buy").await.assert_status(303);
    tea.report("Spam").await.assert_status(303);
    assert_eq!(tea.reported().await, ["buy"]);

    tea.app.clock.advance(Duration::from_secs(86_400));

    assert!(tea.reported().await.is_empty());
}

#[actix_web::test]
async fn reports_go_with_the_authors_account_and_with_a_clearing_of_the_room() {
    let tea = Tea::spawn().await;
    let eve = tea.app.sign_up("eve").await;
    eve.join(tea.room).await;
    for author in [&tea.ann, &eve] {
        author.send(tea.room, "buy").await.assert_status(303);
        tea.report("Spam").await.assert_status(303);
    }
    assert_eq!(tea.reported().await.len(), 2);

    let delete = [("password", PASSWORD)];
    eve.post("/account/delete", &delete)
        .await
        .assert_status(303);
    assert_eq!(tea.reported().await.len(), 1);
    let clear = tea.path("/settings/clear");
    tea.owner
        .post(&clear, &[("confirm", "1")])
        .await
        .assert_status(303);
    assert!(tea.reported().await.is_empty());
    assert_eq!(tea.app.core.messages.bytes().await.unwrap(), 0);
}

#[actix_web::test]
async fn a_report_needs_a_reason_and_keeps_what_was_typed() {
    let tea = Tea::spawn().await;
    tea.ann.send(tea.room, "buy").await.assert_status(303);

    let page = tea.report(" ").await;
    page.assert_status(422)
        .assert_problem("reason", "Enter a reason");
    let long = "é".repeat(301);
    let page = tea.report(&long).await;
    page.assert_problem("reason", "The reason must be 300 characters or fewer");
    assert_eq!(page.text("#reason"), long);
    assert!(tea.reported().await.is_empty());
}

#[actix_web::test]
async fn reports_are_limited_like_messages_but_counted_by_themselves() {
    let flags = [
        "--limits=on",
        "--limit-messages=2+1/1s",
        "--limit-changes=100+1/1s",
    ];
    let tea = Tea::with(&flags).await;
    tea.ann.send(tea.room, "buy").await.assert_status(303);
    for _ in 0..2 {
        tea.bob.send(tea.room, "no").await.assert_status(303);
    }
    for _ in 0..2 {
        tea.report("Spam").await.assert_status(303);
    }

    let refused = tea.report("Spam again").await;

    refused.assert_status(429);
    assert_eq!(refused.text("#reason"), "Spam again");
    assert_eq!(refused.header("retry-after"), "1");
    tea.app.clock.advance(Duration::from_secs(1));
    tea.report("Spam again").await.assert_status(303);
}

#[actix_web::test]
async fn own_and_missing_messages_cannot_be_reported() {
    let tea = Tea::spawn().await;
    tea.ann.send(tea.room, "mine").await.assert_status(303);
    let choosing = tea.bob.get(&tea.path("?report=1")).await;
    let own = &report_links(&choosing)[0];
    let missing = tea.path("/messages/7/report");

    for path in [own, &missing] {
        tea.ann.get(path).await.assert_status(404);
        let page = tea.ann.post(path, &[("reason", "Spam")]).await;
        page.assert_status(404);
        assert_eq!(page.text("h1"), "You cannot report this message");
    }
    assert!(tea.reported().await.is_empty());
}

#[actix_web::test]
async fn a_removed_moderator_sees_no_more_reports() {
    let tea = Tea::spawn().await;
    tea.ann.send(tea.room, "buy").await.assert_status(303);
    tea.report("Spam").await.assert_status(303);
    let form = [("role", "member")];
    let page = tea.owner.manage(tea.room, "moderator", "role", &form).await;
    page.assert_status(303);

    assert!(tea.reported().await.is_empty());
    let close = tea
        .view(&tea.owner)
        .await
        .attribute("main ul form", "action");
    tea.moderator
        .post(&close, &[("close", "1")])
        .await
        .assert_status(403);
}
