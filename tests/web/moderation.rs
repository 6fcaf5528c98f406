//! Roles and moderation.

use crate::support::{Browser, Page, ROOM_PASSWORD, TestApp, start_poll};

/// A public room with its owner, a moderator and a member.
struct Tea {
    app: TestApp,
    room: i64,
    owner: Browser,
    moderator: Browser,
    member: Browser,
}

impl Tea {
    async fn spawn() -> Self {
        let app = TestApp::spawn().await;
        let owner = app.sign_up("owner").await;
        let room = owner.create_public_room("Tea").await;
        let (moderator, member) = (app.sign_up("moderator").await, app.sign_up("member").await);
        moderator.join(room).await;
        member.join(room).await;
        owner.make_moderator(room, "moderator").await;
        Self {
            app,
            room,
            owner,
            moderator,
            member,
        }
    }

    async fn members(&self) -> Vec<String> {
        let page = self
            .owner
            .get(&format!("/rooms/{}/members", self.room))
            .await;
        let texts = page.texts(".members li");
        let without_links = |text: String| {
            let links = [" Manage ", " Ignore "].into_iter();
            let end = links.filter_map(|link| text.find(link)).min();
            text[..end.unwrap_or(text.len())].to_owned()
        };
        texts.into_iter().map(without_links).collect()
    }
}

#[actix_web::test]
async fn the_members_page_shows_roles_and_permitted_actions() {
    let tea = Tea::spawn().await;
    let offers = async |browser: &Browser| {
        let page = browser.get(&format!("/rooms/{}/members", tea.room)).await;
        page.texts("a.manage")
    };

    assert_eq!(
        tea.members().await,
        ["owner (you), owner", "moderator, moderator", "member"]
    );
    assert_eq!(
        offers(&tea.owner).await,
        ["Manage moderator", "Manage member"]
    );
    assert_eq!(offers(&tea.moderator).await, ["Manage member"]);
    assert!(offers(&tea.member).await.is_empty());
}

#[actix_web::test]
async fn the_owner_can_appoint_and_dismiss_moderators() {
    let tea = Tea::spawn().await;
    tea.owner.make_moderator(tea.room, "member").await;
    let form = [("role", "member")];
    let page = tea.owner.manage(tea.room, "moderator", "role", &form).await;

    page.assert_redirect(&format!("/rooms/{}/members?done=member", tea.room));
    assert_eq!(
        tea.members().await,
        ["owner (you), owner", "moderator", "member, moderator"]
    );
    let landed = tea.owner.get(page.location()).await;
    assert_eq!(landed.text(".done"), "Moderator removed.");
    assert!(landed.text("title").starts_with("Moderator removed – "));
}

#[actix_web::test]
async fn the_role_form_cannot_make_an_owner() {
    let tea = Tea::spawn().await;

    let form = [("role", "owner")];
    let page = tea.owner.manage(tea.room, "member", "role", &form).await;

    page.assert_status(400);
    assert_eq!(tea.members().await[0], "owner (you), owner");
}

#[actix_web::test]
async fn an_owner_can_hand_over_a_room_to_a_member() {
    let tea = Tea::spawn().await;

    let page = tea
        .owner
        .manage(tea.room, "member", "owner", &[("confirm", "1")])
        .await;

    page.assert_redirect(&format!("/rooms/{}/members?done=owner", tea.room));
    assert_eq!(
        tea.members().await,
        [
            "owner (you), moderator",
            "moderator, moderator",
            "member, owner"
        ]
    );
    let settings = format!("/rooms/{}/settings", tea.room);
    tea.owner.get(&settings).await.assert_status(403);
    tea.member.get(&settings).await.assert_status(200);
}

#[actix_web::test]
async fn a_room_cannot_be_handed_over_to_a_person_at_the_room_limit() {
    let app = TestApp::with(&["--rooms-per-person=1"]).await;
    let (owner, member) = (app.sign_up("owner").await, app.sign_up("member").await);
    let room = owner.create_public_room("Tea").await;
    member.create_public_room("Cake").await;
    member.join(room).await;

    let page = owner
        .manage(room, "member", "owner", &[("confirm", "1")])
        .await;

    page.assert_status(403);
    assert_eq!(page.text("h1"), "They cannot own another room");
    owner
        .get(&format!("/rooms/{room}/settings"))
        .await
        .assert_status(200);
}

#[actix_web::test]
async fn a_moderator_cannot_act_on_the_owner_or_another_moderator() {
    let tea = Tea::spawn().await;
    tea.owner.make_moderator(tea.room, "member").await;
    let (owner, other) = (1, tea.owner.member_id(tea.room, "member").await);
    for person in [owner, other] {
        let base = format!("/rooms/{}/members/{person}", tea.room);
        let page = tea.moderator.get(&base).await;
        assert!(!page.has("main form, main h2"), "{}", page.body);
        for (action, form) in [
            ("role", ("role", "member")),
            ("owner", ("confirm", "1")),
            ("remove", ("confirm", "1")),
            ("ban", ("reason", "Loud")),
            ("messages", ("confirm", "1")),
        ] {
            let page = tea
                .moderator
                .post(&format!("{base}/{action}"), &[form])
                .await;
            page.assert_status(403);
        }
    }
    assert_eq!(
        tea.members().await,
        [
            "owner (you), owner",
            "moderator, moderator",
            "member, moderator"
        ]
    );
}

#[actix_web::test]
async fn a_removed_member_is_out_at_once_and_may_rejoin() {
    let tea = Tea::spawn().await;
    tea.member.send(tea.room, "hello").await.assert_status(303);
    let nonce = tea.member.nonce(tea.room).await;
    let poll = start_poll(&tea.app, &tea.member, tea.room).await;

    let page = tea
        .moderator
        .manage(tea.room, "member", "remove", &[("confirm", "1")])
        .await;

    page.assert_redirect(&format!("/rooms/{}/members?done=removed", tea.room));
    assert_eq!(poll.answer().await.status, 403);
    let refused = tea.member.send_with(tea.room, "still here?", &nonce).await;
    refused.assert_status(403);
    assert_eq!(refused.text("#message"), "still here?");
    assert_eq!(tea.owner.messages(tea.room).await, ["hello"]);
    tea.member.join(tea.room).await;
}

#[actix_web::test]
async fn a_person_banned_from_a_public_room_is_told_why_when_joining() {
    let tea = Tea::spawn().await;
    let poll = start_poll(&tea.app, &tea.member, tea.room).await;

    tea.moderator
        .ban(tea.room, "member", "Too <b>loud</b> for tea")
        .await;

    assert_eq!(poll.answer().await.status, 403);
    let path = format!("/rooms/{}/join", tea.room);
    let refused = tea.member.post(&path, &[("join", "1")]).await;
    refused.assert_status(403);
    assert_eq!(refused.text("h1"), "You are banned from this room");
    assert_eq!(refused.text("blockquote"), "Too <b>loud</b> for tea");
    let by_name = tea.member.join_privately("Tea", "whatever").await;
    by_name.assert_status(403);
    assert_eq!(by_name.text("h1"), "You are banned from this room");
}

#[actix_web::test]
async fn a_ban_is_listed_with_its_reason_and_can_be_lifted() {
    let tea = Tea::spawn().await;
    tea.owner.ban(tea.room, "member", "Loud").await;
    let members = format!("/rooms/{}/members", tea.room);
    let page = tea.moderator.get(&members).await;
    assert_eq!(page.text(".rooms li p"), "member: Loud");
    assert_eq!(page.text(".rooms button"), "Lift the ban on member");
    let action = page.attribute(".rooms form", "action");

    let lifted = tea.moderator.post(&action, &[("lift", "1")]).await;

    lifted.assert_redirect(&format!("{members}?done=lifted"));
    assert!(!tea.moderator.get(&members).await.has(".rooms li"));
    tea.member.join(tea.room).await;
}

#[actix_web::test]
async fn a_ban_requires_a_reason() {
    let tea = Tea::spawn().await;

    let page = tea
        .owner
        .manage(tea.room, "member", "ban", &[("reason", " ")])
        .await;

    page.assert_status(422)
        .assert_problem("reason", "Enter a reason");
    let long = "é".repeat(301);
    let page = tea
        .owner
        .manage(tea.room, "member", "ban", &[("reason", &long)])
        .await;
    page.assert_problem("reason", "The reason must be 300 characters or fewer");
    assert_eq!(page.text("#reason"), long);
    assert_eq!(tea.members().await.len(), 3);
}

#[actix_web::test]
async fn a_person_banned_from_a_private_room_sees_what_a_stranger_sees() {
    let app = TestApp::spawn().await;
    let owner = app.sign_up("owner").await;
    let room = owner.create_private_room("Den").await;
    let (banned, stranger) = (app.sign_up("banned").await, app.sign_up("stranger").await);
    let joined = banned.join_privately("Den", ROOM_PASSWORD).await;
    joined.assert_status(303);
    let poll = start_poll(&app, &banned, room).await;

    owner.ban(room, "banned", "Loud").await;

    assert_eq!(poll.answer().await.status, 404);
    let hashes = app.hashes();
    let mine = banned.join_privately("Den", ROOM_PASSWORD).await;
    let theirs = stranger.join_privately("Den", "a wrong one").await;
    // Both the name and the id, in the field `for` of the forms.
    let strip = |page: Page, name: &str| {
        let id = page.attribute(".sign-out [name=for]", "value");
        let made_for = format!("name=\"for\" value=\"{id}\"");
        page.body.replace(name, "…").replace(&made_for, "…")
    };
    assert_eq!((mine.status, theirs.status), (theirs.status, mine.status));
    assert_eq!(strip(mine, "banned"), strip(theirs, "stranger"));
    assert_eq!(app.hashes() - hashes, 2);
}

#[actix_web::test]
async fn all_messages_of_one_person_can_be_deleted_from_every_page() {
    let tea = Tea::spawn().await;
    tea.member.send(tea.room, "buy").await.assert_status(303);
    tea.owner.send(tea.room, "no").await.assert_status(303);
    tea.member
        .send(tea.room, "buy now")
        .await
        .assert_status(303);
    let cursor = tea.owner.cursor(tea.room).await;

    let page = tea
        .moderator
        .manage(tea.room, "member", "messages", &[("confirm", "1")])
        .await;

    page.assert_redirect(&format!("/rooms/{}/members?done=messages", tea.room));
    assert_eq!(tea.member.messages(tea.room).await, ["no"]);
    tea.app.hear_all(tea.room).await;
    let poll = tea
        .owner
        .poll(tea.room, &format!("?after={cursor}&wait=0"))
        .await;
    assert_eq!(poll.removed.len(), 2);
}

#[actix_web::test]
async fn a_person_who_left_messages_behind_can_still_be_moderated() {
    let tea = Tea::spawn().await;
    tea.member.send(tea.room, "buy").await.assert_status(303);
    tea.member.leave(tea.room).await;
    let members = tea
        .moderator
        .get(&format!("/rooms/{}/members", tea.room))
        .await;
    assert_eq!(members.texts("h2"), ["Not in the room"]);

    tea.moderator
        .manage(tea.room, "member", "messages", &[("confirm", "1")])
        .await
        .assert_status(303);

    assert!(tea.owner.messages(tea.room).await.is_empty());
    // The page reveals nothing about people without any connection to the room.
    let path = format!("/rooms/{}/members/3", tea.room);
    let page = tea.moderator.get(&path).await;
    page.assert_status(404);
    assert_eq!(page.text("h1"), "This person is not in the room");
}

#[actix_web::test]
async fn moderators_delete_single_messages_in_the_moderation_view() {
    let tea = Tea::spawn().await;
    for (browser, text) in [
        (&tea.member, "buy"),
        (&tea.owner, "no"),
        (&tea.moderator, "hm"),
    ] {
        browser.send(tea.room, text).await.assert_status(303);
    }
    let path = format!("/rooms/{}?moderate=1", tea.room);
    let links = async |browser: &Browser| {
        browser
            .get(&path)
            .await
            .attributes("#log .delete", "aria-label")
    };

    // The moderator may not delete the owner's message; the owner may delete every message.
    assert_eq!(
        links(&tea.moderator).await,
        ["Delete member’s message “buy”", "Delete your message “hm”"]
    );
    assert_eq!(links(&tea.owner).await.len(), 3);
    assert_eq!(links(&tea.member).await.len(), 1);
    let view = tea.moderator.get(&path).await;
    assert!(!view.has("#write") && !view.has("[data-poll]"));

    let delete = &view.attributes("#log .delete", "href")[0];
    let question = tea.moderator.get(delete).await;
    assert_eq!(question.text("h1"), "Delete member’s message?");
    let deleted = tea.moderator.post(delete, &[("delete", "1")]).await;

    deleted.assert_redirect(&format!("/rooms/{}?moderate=1&done=deleted#now", tea.room));
    assert_eq!(tea.owner.messages(tea.room).await, ["no", "hm"]);
    let landed = tea.moderator.get(deleted.location()).await;
    assert!(landed.text("title").starts_with("Message deleted – "));
}

#[actix_web::test]
async fn a_room_without_an_owner_passes_to_the_longest_standing_moderator() {
    let tea = Tea::spawn().await;
    let late = tea.app.sign_up("late").await;
    late.join(tea.room).await;
    let form = [("role", "member")];
    tea.owner
        .manage(tea.room, "moderator", "role", &form)
        .await
        .assert_status(303);
    tea.owner.make_moderator(tea.room, "late").await;
    tea.owner.make_moderator(tea.room, "member").await;

    tea.owner.leave(tea.room).await;

    let members = tea
        .member
        .get(&format!("/rooms/{}/members", tea.room))
        .await;
    let texts = members.texts(".members li");
    assert_eq!(texts[1], "member (you), owner");
}

#[actix_web::test]
async fn a_handover_or_a_ban_that_fails_midway_is_rolled_back() {
    let tea = Tea::spawn().await;
    let before = tea.members().await;
    for (statement, action, form) in [
        ("UPDATE ON room_members", "owner", ("confirm", "1")),
        ("INSERT ON room_bans", "ban", ("reason", "Loud")),
    ] {
        tea.app.refuse(statement).await;

        let page = tea.owner.manage(tea.room, "member", action, &[form]).await;

        page.assert_status(500);
        let (_, table) = statement.split_once(" ON ").unwrap();
        tea.app.allow(table).await;
        assert_eq!(tea.members().await, before);
        tea.member.room(tea.room).await.assert_status(200);
    }
}
