use std::time::Duration;

use super::*;

const START: Timestamp = Timestamp(1_795_352_700_000);
const TEA: RoomId = RoomId(1);
const CAKE: RoomId = RoomId(2);
const HOUR: Duration = Duration::from_secs(3600);

fn messages(messages_a_room: usize, bytes: usize) -> Messages {
    Messages::new(
        Capacity {
            messages_a_room,
            bytes,
        },
        42,
        START,
    )
}

fn roomy() -> Messages {
    messages(500, 1 << 20)
}

fn draft(text: &str, nonce: u8) -> Draft {
    Draft {
        author: UserId(1),
        author_name: Arc::from("ada"),
        text: MessageText::parse(text).unwrap(),
        nonce: [nonce; 16],
        lifespan: Lifespan(HOUR),
    }
}

fn post(messages: &Messages, room: RoomId, nonce: u8, now: Timestamp) -> MessageId {
    messages
        .post(room, &draft("hello", nonce), now)
        .unwrap()
        .message()
        .unwrap()
}

impl Messages {
    /// Puts in a message that nothing stands against.
    pub(super) fn post(
        &self,
        room: RoomId,
        draft: &Draft,
        now: Timestamp,
    ) -> Result<Posted, askama::Error> {
        Ok(self.post_if(|| true, room, draft, now)?.unwrap())
    }
}

fn ids(page: &Page) -> Vec<MessageId> {
    page.messages.iter().map(|message| message.id).collect()
}

fn news(since: Since) -> (Vec<MessageId>, Vec<MessageId>, Cursor) {
    match since {
        Since::News {
            came, gone, cursor, ..
        } => (came.iter().map(|m| m.id).collect(), gone, cursor),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_is_there_until_its_deadline_and_not_at_it() {
    let messages = roomy();
    let id = post(&messages, TEA, 1, START);
    let deadline = START.plus(HOUR);
    let before = Timestamp(deadline.0 - 1);

    assert_eq!(ids(&messages.page(TEA, None, before)), [id]);
    assert!(messages.find(TEA, id, before).is_some());

    assert_eq!(ids(&messages.page(TEA, None, deadline)), []);
    assert!(messages.find(TEA, id, deadline).is_none());
}

#[test]
fn a_clock_that_steps_back_revives_nothing() {
    let messages = roomy();
    post(&messages, TEA, 1, START);
    messages.page(TEA, None, START.plus(HOUR));

    assert_eq!(ids(&messages.page(TEA, None, START)), []);
    assert!(
        matches!(messages.since(TEA, None, START), Since::Reset(page) if page.messages.is_empty())
    );
}

#[test]
fn the_newest_hundred_are_a_page_and_older_ones_the_page_before() {
    let messages = roomy();
    let posted: Vec<_> = (0..150).map(|n| post(&messages, TEA, n, START)).collect();

    let newest = messages.page(TEA, None, START);
    assert_eq!(ids(&newest), posted[50..]);
    assert!(newest.has_older);

    let older = messages.page(TEA, Some(posted[50]), START);
    assert_eq!(ids(&older), posted[..50]);
    assert!(!older.has_older);
}

#[test]
fn a_room_holds_so_many_messages_and_tells_which_it_gave_up() {
    let messages = messages(3, 1 << 20);
    let posted: Vec<_> = (0..3).map(|n| post(&messages, TEA, n, START)).collect();
    let cursor = messages.page(TEA, None, START).cursor;

    let fourth = post(&messages, TEA, 3, START);

    assert_eq!(
        ids(&messages.page(TEA, None, START)),
        [posted[1], posted[2], fourth]
    );
    let (came, gone, _) = news(messages.since(TEA, Some(cursor), START));
    assert_eq!((came, gone), (vec![fourth], vec![posted[0]]));
}

#[test]
fn the_largest_room_gives_way_first() {
    let messages = messages(500, 20_000);
    let quiet: Vec<_> = (0..5).map(|n| post(&messages, CAKE, n, START)).collect();

    for n in 0..=255 {
        post(&messages, TEA, n, START);
        assert!(messages.bytes() <= 20_000);
    }

    assert_eq!(ids(&messages.page(CAKE, None, START)), quiet);
    assert!(messages.page(TEA, None, START).messages.len() > 5);
}

#[test]
fn what_expired_gives_way_before_what_lives() {
    let messages = messages(500, 20_000);
    let mut count = 0;
    while messages.bytes() < 17_000 {
        post(&messages, TEA, count, START);
        count += 1;
    }
    let kept = post(&messages, CAKE, 0, START.plus(HOUR / 2));
    let cursor = messages.page(TEA, None, START).cursor;

    let later = START.plus(HOUR);
    for n in 0..4 {
        post(&messages, CAKE, 100 + n, later);
    }

    assert_eq!(
        messages
            .page(CAKE, None, later)
            .messages
            .first()
            .map(|m| m.id),
        Some(kept)
    );
    assert!(matches!(
        messages.since(TEA, Some(cursor), later),
        Since::Nothing(_)
    ));
}

#[test]
fn sweeping_frees_what_expired() {
    let messages = roomy();
    post(&messages, TEA, 1, START);
    assert!(messages.bytes() > 0);

    messages.sweep(START.plus(HOUR));

    assert_eq!(messages.bytes(), 0);
    assert!(messages.lock().buffers.is_empty());
}

#[test]
fn a_cursor_is_told_what_came_and_what_went_after_it() {
    let messages = roomy();
    let first = post(&messages, TEA, 1, START);
    let cursor = messages.page(TEA, None, START).cursor;
    assert!(matches!(messages.since(TEA, Some(cursor), START), Since::Nothing(c) if c == cursor));

    let second = post(&messages, TEA, 2, START);
    let third = post(&messages, TEA, 3, START);
    assert!(messages.delete(TEA, first, START));
    assert!(messages.delete(TEA, third, START));
    assert!(!messages.delete(TEA, third, START));

    let (came, gone, cursor) = news(messages.since(TEA, Some(cursor), START));
    assert_eq!((came, gone), (vec![second], vec![first]));
    assert!(matches!(
        messages.since(TEA, Some(cursor), START),
        Since::Nothing(_)
    ));
}

#[test]
fn a_cursor_that_cannot_be_followed_is_given_all_there_is() {
    let messages = messages(2, 1 << 20);
    let cursor = messages.page(TEA, None, START).cursor;
    for n in 0..20 {
        post(&messages, TEA, n, START);
    }

    let too_old = Some(Cursor {
        event: cursor.event,
        ..cursor
    });
    let of_another_start = Some(Cursor {
        start: 41,
        ..cursor
    });
    for cursor in [None, too_old, of_another_start] {
        assert!(
            matches!(messages.since(TEA, cursor, START), Since::Reset(page) if page.messages.len() == 2)
        );
    }
}

#[test]
fn names_are_not_given_twice_when_a_buffer_was_freed() {
    let messages = roomy();
    let first = post(&messages, TEA, 1, START);
    let cursor = messages.page(TEA, None, START).cursor;
    messages.sweep(START.plus(HOUR));

    let second = post(&messages, TEA, 2, START.plus(HOUR));

    assert!(second > first);
    let (came, gone, _) = news(messages.since(TEA, Some(cursor), START.plus(HOUR)));
    assert_eq!((came, gone), (vec![second], vec![]));
}

#[test]
fn a_nonce_leads_to_the_same_message_until_its_deadline() {
    let messages = roomy();
    let first = messages.post(TEA, &draft("hello", 1), START).unwrap();
    assert!(matches!(first, Posted::New(_)));

    let again = messages
        .post(TEA, &draft("hello", 1), START.plus(HOUR / 2))
        .unwrap();
    let late = messages
        .post(TEA, &draft("hello", 1), START.plus(HOUR))
        .unwrap();

    assert_eq!(again, Posted::Before(first.message().unwrap()));
    assert!(matches!(late, Posted::New(_)));
}

#[test]
fn a_nonce_of_a_deleted_message_posts_nothing() {
    let messages = roomy();
    let id = post(&messages, TEA, 1, START);
    messages.delete(TEA, id, START);

    assert_eq!(
        messages.post(TEA, &draft("hello", 1), START).unwrap(),
        Posted::Before(id)
    );
    assert!(messages.page(TEA, None, START).messages.is_empty());
}

#[test]
fn who_waits_is_woken_by_what_comes_what_goes_and_the_rooms_end() {
    let messages = roomy();
    let mut events = messages.watch(TEA);

    let id = post(&messages, TEA, 1, START);
    assert!(events.has_changed().unwrap());
    events.mark_unchanged();
    messages.delete(TEA, id, START);
    assert!(events.has_changed().unwrap());
    events.mark_unchanged();
    post(&messages, CAKE, 2, START);
    assert!(!events.has_changed().unwrap());
    messages.forget(TEA);
    assert!(events.has_changed().is_err());
}

#[test]
fn html_in_a_message_is_text() {
    let messages = roomy();
    messages
        .post(
            TEA,
            &draft("<b>&\"' https://example.org/\"onx=\"", 1),
            START,
        )
        .unwrap();

    let page = messages.page(TEA, None, START);

    let html = page.messages[0].html_for(UserId(2));
    assert!(!html.contains("<b>&"), "{html}");
    assert!(
        html.contains("&#60;b&#62;") || html.contains("&lt;b&gt;"),
        "{html}"
    );
}

fn draft_by(author: i64, nonce: u8, lifespan: Duration) -> Draft {
    Draft {
        author: UserId(author),
        lifespan: Lifespan(lifespan),
        ..draft("hello", nonce)
    }
}

#[test]
fn only_its_author_is_shown_a_link_to_delete_a_message() {
    let messages = roomy();
    let id = post(&messages, TEA, 1, START);
    let message = messages.find(TEA, id, START).unwrap();

    let (deadline, time) = (message.deadline.0, "2026-11-22T13:05:00.000Z");
    assert_eq!(
        message.html_for(UserId(2)),
        format!(
            "<li id=\"m{id}\" data-deadline=\"{deadline}\"><b class=\"author\"><bdi>ada</bdi></b>: \
             <span class=\"text\" dir=\"auto\">hello</span> \
             <time datetime=\"{time}\">13:05 UTC</time></li>"
        )
    );
    assert_eq!(
        message.html_for(UserId(1)),
        format!(
            "<li id=\"m{id}\" data-deadline=\"{deadline}\" class=\"own\"><b class=\"author\"><bdi>ada</bdi> (you)</b>: \
             <span class=\"text\" dir=\"auto\">hello</span> \
             <time datetime=\"{time}\">13:05 UTC</time> \
             <a class=\"delete\" href=\"/rooms/1/messages/{id}/delete\">Delete\
             <span class=\"vh\"> your message from \
             <time datetime=\"{time}\">13:05 UTC</time></span></a></li>"
        )
    );
}

#[test]
fn a_message_keeps_its_text_and_counts_it() {
    let messages = roomy();
    let long = "x".repeat(1_000);
    let posted = messages.post(TEA, &draft(&long, 1), START).unwrap();

    let message = messages
        .find(TEA, posted.message().unwrap(), START)
        .unwrap();

    assert_eq!(message.text.as_str(), long);
    // The text and its two renderings.
    assert!(messages.bytes() > 3_000);
}

#[test]
fn a_shorter_lifespan_acts_at_once() {
    let messages = roomy();
    let elsewhere = post(&messages, CAKE, 1, START);
    let first = post(&messages, TEA, 2, START);
    let second = post(&messages, TEA, 3, START.plus(HOUR / 2));
    let now = START.plus(HOUR * 3 / 4);

    messages.shorten(TEA, Lifespan(HOUR * 3 / 4), now).unwrap();

    assert!(messages.find(TEA, first, now).is_none());
    let kept = messages.find(TEA, second, now).unwrap();
    assert_eq!(kept.deadline, START.plus(HOUR * 5 / 4));
    let deadline = format!("data-deadline=\"{}\"", kept.deadline.0);
    assert!(kept.html_for(UserId(1)).contains(&deadline));
    assert!(kept.html_for(UserId(2)).contains(&deadline));
    let untouched = messages.find(CAKE, elsewhere, now).unwrap();
    assert_eq!(untouched.deadline, START.plus(HOUR));
}

#[test]
fn who_follows_a_room_whose_lifespan_got_shorter_is_woken_and_given_its_messages_anew() {
    let messages = roomy();
    let first = post(&messages, TEA, 1, START);
    let second = post(&messages, TEA, 2, START);
    messages.delete(TEA, first, START);
    let cursor = messages.page(TEA, None, START).cursor;
    let events = messages.watch(TEA);

    messages.shorten(TEA, Lifespan(HOUR / 2), START).unwrap();

    assert!(events.has_changed().unwrap());
    let Since::Reset(page) = messages.since(TEA, Some(cursor), START) else {
        panic!("the old deadlines stay on the page");
    };
    assert_eq!(ids(&page), [second]);
    assert!(matches!(
        messages.since(TEA, Some(page.cursor), START),
        Since::Nothing(_)
    ));
}

#[test]
fn a_longer_lifespan_touches_no_message_and_wakes_nobody() {
    let messages = roomy();
    let id = post(&messages, TEA, 1, START);
    let cursor = messages.page(TEA, None, START).cursor;
    let events = messages.watch(TEA);

    for longer in [HOUR, HOUR * 2] {
        messages.shorten(TEA, Lifespan(longer), START).unwrap();
    }

    assert!(!events.has_changed().unwrap());
    assert!(matches!(messages.since(TEA, Some(cursor), START), Since::Nothing(c) if c == cursor));
    let message = messages.find(TEA, id, START).unwrap();
    assert_eq!(message.deadline, START.plus(HOUR));
}

#[test]
fn a_nonce_outlives_the_shortening_of_its_messages_life() {
    let messages = roomy();
    let id = post(&messages, TEA, 1, START);
    messages.shorten(TEA, Lifespan(HOUR / 4), START).unwrap();
    let later = START.plus(HOUR / 2);
    messages.sweep(later);

    let again = messages.post(TEA, &draft("hello", 1), later).unwrap();

    assert_eq!(again, Posted::Before(id));
    assert_eq!(messages.bytes(), 0);
}

#[test]
fn a_message_expires_behind_one_that_lives_longer() {
    let messages = roomy();
    let long = messages
        .post(TEA, &draft_by(1, 1, HOUR * 2), START)
        .unwrap();
    post(&messages, TEA, 2, START);
    let later = START.plus(HOUR);

    assert_eq!(
        ids(&messages.page(TEA, None, later)),
        [long.message().unwrap()]
    );
    let held = messages.bytes();
    messages.sweep(later);
    assert!(messages.bytes() < held);
}

#[test]
fn a_nonce_used_again_behind_one_that_is_kept_longer_leads_to_the_new_message() {
    let messages = roomy();
    messages
        .post(TEA, &draft_by(1, 1, HOUR * 3), START)
        .unwrap();
    post(&messages, TEA, 2, START);
    let later = START.plus(HOUR);
    let new = post(&messages, TEA, 2, later);

    assert_eq!(
        messages.post(TEA, &draft("hello", 2), later).unwrap(),
        Posted::Before(new)
    );
}

#[test]
fn nothing_of_a_forgotten_room_stays_on_a_page() {
    let messages = roomy();
    post(&messages, TEA, 1, START);
    let cursor = messages.page(TEA, None, START).cursor;

    messages.forget(TEA);

    assert!(
        matches!(messages.since(TEA, Some(cursor), START), Since::Reset(page) if page.messages.is_empty())
    );
}

#[test]
fn new_messages_are_live_ones_by_others_after_a_message() {
    let messages = roomy();
    let by = |author, nonce, lifespan| {
        messages
            .post(TEA, &draft_by(author, nonce, lifespan), START)
            .unwrap()
            .message()
            .unwrap()
    };
    let first = by(1, 1, HOUR * 2);
    let second = by(2, 2, HOUR * 2);
    by(2, 3, HOUR);
    by(3, 4, HOUR * 2);
    let new_for = |reader, after, now| messages.new_for(TEA, UserId(reader), after, now);

    assert_eq!(new_for(1, None, START), 3);
    assert_eq!(new_for(1, Some(first), START), 3);
    assert_eq!(new_for(1, Some(second), START), 2);
    assert_eq!(new_for(2, None, START), 2);
    assert_eq!(new_for(1, Some(second), START.plus(HOUR)), 1);
    assert_eq!(messages.new_for(CAKE, UserId(1), None, START), 0);
}

#[test]
fn each_room_with_a_live_message_has_a_latest_time() {
    let messages = roomy();
    let later = START.plus(HOUR / 2);
    post(&messages, CAKE, 1, START);
    post(&messages, TEA, 2, START);
    let newest = post(&messages, TEA, 3, later);

    let mut times = messages.latest_times(later);
    times.sort();
    assert_eq!(times, [(TEA, later), (CAKE, START)]);

    messages.delete(TEA, newest, later);
    assert_eq!(messages.latest_times(START.plus(HOUR)), []);
}

#[test]
fn a_message_is_not_taken_by_a_right_that_is_gone() {
    let messages = roomy();

    let posted = messages.post_if(|| false, TEA, &draft("hello", 1), START);

    assert_eq!(posted.unwrap(), None);
    assert!(messages.page(TEA, None, START).messages.is_empty());
    assert_eq!(messages.bytes(), 0);
}

#[test]
fn all_messages_of_one_author_go_at_once() {
    let messages = roomy();
    let post_by = |author, nonce, room| {
        let draft = draft_by(author, nonce, HOUR);
        messages
            .post(room, &draft, START)
            .unwrap()
            .message()
            .unwrap()
    };
    let (first, kept) = (post_by(1, 1, TEA), post_by(2, 2, TEA));
    let second = post_by(1, 3, TEA);
    let elsewhere = post_by(1, 4, CAKE);
    let before = messages.page(TEA, None, START).cursor;

    messages.delete_by(UserId(1), TEA, START);

    let (came, gone, _) = news(messages.since(TEA, Some(before), START));
    assert_eq!((came, gone), (vec![], vec![first, second]));
    assert_eq!(ids(&messages.page(TEA, None, START)), [kept]);
    assert_eq!(ids(&messages.page(CAKE, None, START)), [elsewhere]);

    messages.delete_everywhere_by(UserId(1), START);
    assert!(messages.page(CAKE, None, START).messages.is_empty());
    assert_eq!(ids(&messages.page(TEA, None, START)), [kept]);
}

#[test]
fn a_cleared_room_is_empty_and_its_pages_are_told() {
    let messages = roomy();
    let id = post(&messages, TEA, 1, START);
    let before = messages.page(TEA, None, START).cursor;

    messages.clear(TEA, START);

    let (came, gone, _) = news(messages.since(TEA, Some(before), START));
    assert_eq!((came, gone), (vec![], vec![id]));
    assert_eq!(messages.bytes(), 0);
}

#[test]
fn authors_are_those_with_live_messages() {
    let messages = roomy();
    messages.post(TEA, &draft_by(1, 1, HOUR), START).unwrap();
    messages.post(TEA, &draft_by(1, 2, HOUR), START).unwrap();
    messages
        .post(TEA, &draft_by(2, 3, HOUR * 2), START)
        .unwrap();
    let authors = |now| -> Vec<UserId> {
        let authors = messages.authors(TEA, now).into_iter();
        authors.map(|(author, _)| author).collect()
    };

    assert_eq!(authors(START), [UserId(1), UserId(2)]);
    assert_eq!(authors(START.plus(HOUR)), [UserId(2)]);
    assert!(messages.authors(CAKE, START).is_empty());
}

#[test]
fn open_pages_are_told_once_that_the_room_has_changed() {
    let messages = roomy();
    post(&messages, TEA, 1, START);
    let before = messages.page(TEA, None, START).cursor;

    messages.note_change(TEA);

    let Since::News {
        is_changed: true,
        cursor,
        ..
    } = messages.since(TEA, Some(before), START)
    else {
        panic!("not told");
    };
    let after = messages.since(TEA, Some(cursor), START);
    assert!(matches!(after, Since::Nothing(_)), "{after:?}");
}

#[test]
fn who_moderates_is_shown_a_link_to_delete_a_message() {
    let messages = roomy();
    let id = post(&messages, TEA, 1, START);
    let message = messages.find(TEA, id, START).unwrap();

    let html = message.html_to_moderate(TEA).unwrap();

    let link = format!(
        "<a class=\"delete\" href=\"/rooms/1/messages/{id}/delete\">Delete\
         <span class=\"vh\"> <bdi>ada</bdi>’s message from "
    );
    assert!(html.contains(&link), "{html}");
    assert!(!html.contains("(you)"));
}
