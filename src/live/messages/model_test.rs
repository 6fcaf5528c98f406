//! The log against a model that is slow and plain, over random stories.
//!
//! The model keeps each room's messages in a vector. What readers and followers are given must be
//! what the model has.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::state::REMEMBERED;
use super::tests::{START, is_woken, new_message, renderer};
use super::*;
use crate::clock::FixedClock;
use crate::domain::{Lifespan, MessageId, NonceId, RoomId, SiteTime, Timestamp, UserId};
use crate::live::redis::test_redis::{TestRedis, link_as, site_clock};
use crate::live::redis::{Link, Unavailable};
use crate::security::tokens::Token;

const ROOMS: usize = 3;
const PEOPLE: i64 = 3;

/// The next step of a story. A message is named by its distance behind the room's newest.
#[derive(Debug, Clone, Copy)]
enum Step {
    Post {
        room: usize,
        author: i64,
        nonce: u8,
        length: usize,
        lifespan: u64,
    },
    /// More messages at once than a page holds.
    Burst {
        room: usize,
        lifespan: u64,
    },
    ReadOlder {
        room: usize,
        behind: u64,
    },
    Poll {
        follower: usize,
    },
    /// A follower's reader ignores this person, or no longer does.
    Ignore {
        follower: usize,
        person: i64,
    },
    Delete {
        room: usize,
        behind: u64,
    },
    DeleteBy {
        room: usize,
        author: i64,
    },
    DeleteEverywhereBy {
        author: i64,
    },
    Clear {
        room: usize,
    },
    SetLifespan {
        room: usize,
        lifespan: u64,
    },
    NoteRoomChange {
        room: usize,
    },
    /// A right is taken away.
    RaiseVersion {
        room: usize,
    },
    /// Somebody posts by a right that was taken away.
    PostByOldVersion {
        room: usize,
    },
    /// Time passes.
    Clock {
        seconds: u64,
    },
    /// Time passes until the next deadline in a room.
    ClockToDeadline {
        room: usize,
    },
    Sweep,
    Forget {
        room: usize,
    },
    /// Another process takes the place of the one that follows the log on Redis.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let room = || 0..ROOMS;
    let author = || 1..=PEOPLE;
    let lifespan = || prop_oneof![Just(10_u64), Just(30), Just(60), Just(100)];
    let post = (room(), author(), 0..12_u8, 1..300_usize, lifespan()).prop_map(
        |(room, author, nonce, length, lifespan)| Step::Post {
            room,
            author,
            nonce,
            length,
            lifespan,
        },
    );
    let near = || (room(), 0..9_u64);
    let in_room = || (room(), lifespan());
    prop_oneof![
        24 => post,
        1 => in_room().prop_map(|(room, lifespan)| Step::Burst { room, lifespan }),
        3 => near().prop_map(|(room, behind)| Step::ReadOlder { room, behind }),
        12 => (0..FOLLOWERS.len()).prop_map(|follower| Step::Poll { follower }),
        1 => (0..FOLLOWERS.len(), author())
            .prop_map(|(follower, person)| Step::Ignore { follower, person }),
        5 => near().prop_map(|(room, behind)| Step::Delete { room, behind }),
        1 => (room(), author()).prop_map(|(room, author)| Step::DeleteBy { room, author }),
        1 => author().prop_map(|author| Step::DeleteEverywhereBy { author }),
        1 => room().prop_map(|room| Step::Clear { room }),
        3 => in_room().prop_map(|(room, lifespan)| Step::SetLifespan { room, lifespan }),
        2 => room().prop_map(|room| Step::NoteRoomChange { room }),
        2 => room().prop_map(|room| Step::RaiseVersion { room }),
        2 => room().prop_map(|room| Step::PostByOldVersion { room }),
        5 => (0..20_u64).prop_map(|seconds| Step::Clock { seconds }),
        4 => room().prop_map(|room| Step::ClockToDeadline { room }),
        4 => Just(Step::Sweep),
        1 => room().prop_map(|room| Step::Forget { room }),
        1 => Just(Step::Restart),
    ]
}

fn capacity() -> impl Strategy<Value = Capacity> {
    let capacity = |messages_per_room, bytes| Capacity {
        messages_per_room,
        bytes,
    };
    prop_oneof![
        19 => Just(capacity(5, 6_000)),
        // Rooms of more than one page, which take long to look through.
        1 => Just(capacity(130, 150_000)),
    ]
}

/// Returns the number of random steps: ten million when `MIRAGE_LONG` is set.
#[expect(clippy::disallowed_methods, reason = "a test has no settings")]
fn steps() -> u32 {
    match std::env::var_os("MIRAGE_LONG") {
        Some(_) => 10_000_000,
        None => 200_000,
    }
}

#[test]
fn the_log_gives_the_models_answers() {
    tell_stories(steps(), World::new);
}

#[test]
fn the_log_on_redis_gives_the_models_answers_to_two_processes() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let runtime: &'static _ = Box::leak(Box::new(runtime));
    RUNTIME.set(Some(runtime));
    let redis = TestRedis::start();
    let story = AtomicUsize::new(0);
    tell_stories(steps() / 100, |capacity| {
        let site = story.fetch_add(1, Ordering::Relaxed).to_string();
        World::on_redis(capacity, &redis, &site)
    });
    RUNTIME.set(None);
}

fn tell_stories(steps: u32, world: impl Fn(Capacity) -> World) {
    const LONGEST: u32 = 80;
    let config = ProptestConfig {
        // A failing story is printed; the checkout is left alone.
        failure_persistence: None,
        // Stories are half as long on average.
        ..ProptestConfig::with_cases(steps / (LONGEST / 2))
    };
    let taken = AtomicUsize::new(0);
    let stories = prop::collection::vec(step(), 1..=usize::try_from(LONGEST).unwrap());
    let told = TestRunner::new(config).run(&(capacity(), stories), |(capacity, story)| {
        taken.fetch_add(story.len(), Ordering::Relaxed);
        let mut world = world(capacity);
        for (number, step) in story.into_iter().enumerate() {
            world.take(step);
            // Each step checks its own subject. Checking everything takes long.
            if number.is_multiple_of(5) {
                world.check();
            }
        }
        world.check();
        world.end();
        Ok(())
    });
    if let Err(error) = told {
        panic!("{error}");
    }
    eprintln!("{} random steps", taken.load(Ordering::Relaxed));
}

/// A message as the model knows it.
#[derive(Debug, Clone)]
struct Said {
    id: MessageId,
    author: UserId,
    posted_at: SiteTime,
    deadline: SiteTime,
    bytes: usize,
}

/// A used nonce as the model knows it.
struct Used {
    nonce: NonceId,
    /// The length of the text, by which texts differ here.
    length: usize,
    message: MessageId,
    first_deadline: SiteTime,
}

#[derive(Default)]
struct ModelRoom {
    /// What is in memory, in the order of posting; expired messages until they are freed.
    held: Vec<Said>,
    /// All submissions that led to a message, ever.
    used: Vec<Used>,
    /// The latest id given out.
    newest: Option<MessageId>,
    /// The room's version in the database.
    version: i64,
    /// Whether the log was told a version since it last began to hold the room. None when it depends on
    /// which tombstones and nonces were dropped.
    is_version_known: Option<bool>,
    /// How often the room itself changed.
    changes: usize,
}

impl ModelRoom {
    fn live(&self, now: SiteTime) -> Vec<Said> {
        let live = self.held.iter().filter(|said| now < said.deadline);
        live.cloned().collect()
    }

    fn free_expired(&mut self, now: SiteTime) {
        self.held.retain(|said| now < said.deadline);
    }

    fn bytes(&self) -> usize {
        self.held.iter().map(|said| said.bytes).sum()
    }

    /// Returns whether the log must hold the room: for a live message or the newest nonce, which is dropped last.
    fn must_be_held(&self, now: SiteTime) -> bool {
        let newest = self.used.last();
        newest.is_some_and(|used| now < used.first_deadline) || !self.live(now).is_empty()
    }

    /// Returns whether all messages, tombstones and used nonces have expired.
    fn is_over(&self, now: SiteTime) -> bool {
        self.used.iter().all(|used| used.first_deadline <= now)
    }

    /// The id that is so far behind the newest; perhaps no message has it.
    fn behind(&self, by: u64) -> MessageId {
        MessageId(self.newest.map_or(0, |newest| newest.0 - by))
    }
}

/// The followers: their rooms, and whether they subscribe.
const FOLLOWERS: [(usize, bool); 6] = [
    (0, false),
    (0, true),
    (1, false),
    (1, false),
    (2, false),
    (2, false),
];

/// A page that follows a room: it treats each answer as a browser does.
#[derive(Default)]
struct Follower {
    room: usize,
    waits: bool,
    subscription: Option<Subscription>,
    cursor: Option<Cursor>,
    shown: Vec<(MessageId, SiteTime)>,
    ignores: Vec<UserId>,
    /// Whether other people are ignored than at the latest poll.
    is_ignoring_anew: bool,
    /// The oldest message of the latest reset, if the room had older ones.
    from: Option<MessageId>,
    /// How often the room itself had changed at the latest poll.
    changes: usize,
}

impl Follower {
    fn take(&mut self, since: Since, now: SiteTime) {
        self.cursor = Some(since.cursor());
        match since {
            Since::Nothing(_) => {}
            Since::News { added, removed, .. } => {
                self.shown.retain(|(id, _)| !removed.contains(id));
                self.shown.extend(id_and_deadline(&added));
            }
            Since::Reset(page) => {
                self.shown = id_and_deadline(&page.messages);
                let first = page.messages.first().map(|message| message.id);
                self.from = first.filter(|_| page.has_older);
            }
        }
        self.shown.retain(|(_, deadline)| now < *deadline);
    }

    /// Returns what the page must show.
    fn expected(&self, model: &ModelRoom, now: SiteTime) -> Vec<(MessageId, SiteTime)> {
        let mut live = model.live(now);
        live.retain(|said| Some(said.id) >= self.from);
        live.retain(|said| !self.ignores.contains(&said.author));
        expected(&live)
    }

    /// Returns the same page, without its subscription.
    fn page(&self) -> Self {
        Self {
            room: self.room,
            waits: false,
            subscription: None,
            cursor: self.cursor,
            shown: self.shown.clone(),
            ignores: self.ignores.clone(),
            is_ignoring_anew: self.is_ignoring_anew,
            from: self.from,
            changes: self.changes,
        }
    }
}

struct World {
    messages: Messages,
    /// The log as another process sees it, if it is on Redis.
    elsewhere: Option<Messages>,
    /// The port of Redis and the name of the site.
    site: (u16, String),
    clock: Arc<FixedClock>,
    links: Vec<Arc<Link>>,
    drivers: Vec<tokio::task::JoinHandle<()>>,
    capacity: Capacity,
    now: SiteTime,
    rooms: Vec<ModelRoom>,
    followers: Vec<Follower>,
}

thread_local! {
    /// Where futures of a log on Redis run.
    static RUNTIME: Cell<Option<&'static tokio::runtime::Runtime>> = const { Cell::new(None) };
}

/// Runs a future of a log. A log in memory never waits.
fn drive<T>(future: impl Future<Output = T>) -> T {
    if let Some(runtime) = RUNTIME.get() {
        return runtime.block_on(future);
    }
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the log waits"),
    }
}

/// Starts a process that follows the logs of a site on Redis.
fn process(
    (port, site): &(u16, String),
    clock: &Arc<FixedClock>,
    capacity: Capacity,
) -> (Messages, Arc<Link>, tokio::task::JoinHandle<()>) {
    let clock = site_clock(clock);
    let patient = ["--link-timeout", "30s"];
    let linked = link_as(site, *port, &patient, clock.clone());
    let (link, driver) = drive(linked).unwrap();
    let driver = RUNTIME.get().unwrap().spawn(driver.run());
    let longest = Lifespan(Duration::from_secs(100));
    let messages = drive(async {
        Messages::on_redis(link.clone(), clock, capacity, longest, &[7; 32], renderer())
    });
    (messages, link, driver)
}

fn run<T>(future: impl Future<Output = Result<T, Unavailable>>) -> T {
    drive(future).unwrap()
}

fn id_of(room: usize) -> RoomId {
    RoomId(i64::try_from(room).unwrap())
}

fn id_and_deadline(messages: &[Arc<Message>]) -> Vec<(MessageId, SiteTime)> {
    let shown = |message: &Arc<Message>| {
        let attributes = format!(
            "<li id=\"m{}\" data-deadline=\"{}\"",
            message.id, message.deadline.0
        );
        assert!(message.html_for(UserId(0)).starts_with(&attributes));
        (message.id, message.deadline)
    };
    messages.iter().map(shown).collect()
}

fn expected<'a>(said: impl IntoIterator<Item = &'a Said>) -> Vec<(MessageId, SiteTime)> {
    let said = said.into_iter();
    said.map(|said| (said.id, said.deadline)).collect()
}

impl World {
    fn new(capacity: Capacity) -> Self {
        let messages = Messages::in_memory(capacity, 42, START, renderer());
        Self::of(capacity, messages)
    }

    fn on_redis(capacity: Capacity, redis: &TestRedis, site: &str) -> Self {
        let clock = Arc::new(FixedClock::at(Timestamp(START.0)));
        let site = (redis.port(), site.to_owned());
        let (messages, link, driver) = process(&site, &clock, capacity);
        let (other, other_link, other_driver) = process(&site, &clock, capacity);
        Self {
            elsewhere: Some(other),
            site,
            clock,
            links: vec![link, other_link],
            drivers: vec![driver, other_driver],
            ..Self::of(capacity, messages)
        }
    }

    /// Another process takes the place of the second one.
    fn restart(&mut self) {
        if self.elsewhere.is_some() {
            let (messages, link, driver) = process(&self.site, &self.clock, self.capacity);
            self.elsewhere = Some(messages);
            self.links[1] = link;
            std::mem::replace(&mut self.drivers[1], driver).abort();
        }
    }

    fn of(capacity: Capacity, messages: Messages) -> Self {
        Self {
            messages,
            elsewhere: None,
            site: (0, String::new()),
            clock: Arc::new(FixedClock::at(Timestamp(START.0))),
            links: Vec::new(),
            drivers: Vec::new(),
            capacity,
            now: START,
            rooms: (0..ROOMS)
                .map(|_| ModelRoom {
                    is_version_known: Some(false),
                    ..ModelRoom::default()
                })
                .collect(),
            followers: FOLLOWERS
                .map(|(room, waits)| Follower {
                    room,
                    waits,
                    ..Follower::default()
                })
                .into(),
        }
    }

    fn go_on_to(&mut self, then: SiteTime) {
        self.clock.advance(then.since(self.now));
        self.now = then;
    }

    /// Waits until all processes have heard all events.
    fn settle(&self) {
        drive(self.messages.settle());
        if let Some(elsewhere) = &self.elsewhere {
            drive(elsewhere.settle());
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Post {
                room,
                author,
                nonce,
                length,
                lifespan,
            } => self.post(room, author, nonce, length, lifespan),
            Step::Burst { room, lifespan } => {
                // Where a room holds few, twice as many show as much as more would, and sooner.
                let most = u8::try_from(2 * self.capacity.messages_per_room).unwrap_or(u8::MAX);
                for nonce in 100..100 + most.min(110) {
                    self.post(room, 1, nonce, 1, lifespan);
                }
            }
            Step::ReadOlder { room, behind } => self.read_older(room, behind),
            Step::Poll { follower } => self.poll(follower),
            Step::Ignore { follower, person } => {
                let follower = &mut self.followers[follower];
                let before = follower.ignores.len();
                follower
                    .ignores
                    .retain(|ignored| *ignored != UserId(person));
                if follower.ignores.len() == before {
                    follower.ignores.push(UserId(person));
                }
                follower.is_ignoring_anew = true;
            }
            Step::Delete { room, behind } => self.delete(room, behind),
            Step::DeleteBy { room, author } => {
                let author = UserId(author);
                run(self.messages.delete_by(author, id_of(room), self.now));
                self.remove_where(room, |said| said.author == author);
            }
            Step::DeleteEverywhereBy { author } => {
                let author = UserId(author);
                run(self.messages.forget_person(author, self.now));
                for room in 0..ROOMS {
                    self.remove_where(room, |said| said.author == author);
                }
            }
            Step::Clear { room } => {
                run(self.messages.clear(id_of(room), EVERY_VERSION, self.now));
                self.remove_where(room, |_| true);
            }
            Step::SetLifespan { room, lifespan } => self.set_lifespan(room, lifespan),
            Step::NoteRoomChange { room } => {
                // The event has the time of the room's latest read.
                self.read_older(room, 0);
                let version = i64::try_from(self.rooms[room].changes).unwrap() + 1;
                run(self.messages.note_room_change(id_of(room), version));
                self.rooms[room].free_expired(self.now);
                self.rooms[room].changes += 1;
            }
            Step::RaiseVersion { room } => {
                let model = &mut self.rooms[room];
                model.version += 1;
                run(self.messages.raise_version(id_of(room), model.version));
                // A telling that comes late changes nothing.
                run(self.messages.raise_version(id_of(room), model.version - 1));
            }
            Step::PostByOldVersion { room } => self.post_by_old_version(room),
            Step::Clock { seconds } => {
                self.go_on_to(self.now.plus(Duration::from_secs(seconds)));
            }
            Step::ClockToDeadline { room } => {
                let live = self.rooms[room].live(self.now);
                let deadline = live.iter().map(|said| said.deadline).min();
                self.go_on_to(deadline.unwrap_or(self.now));
            }
            Step::Sweep => self.sweep(),
            Step::Forget { room } => {
                run(self.messages.forget(id_of(room)));
                let model = &mut self.rooms[room];
                model.held.clear();
                model.used.clear();
                model.is_version_known = Some(false);
                for follower in self.followers.iter_mut().filter(|f| f.room == room) {
                    follower.subscription = None;
                }
            }
            Step::Restart => self.restart(),
        }
    }

    fn post(&mut self, room: usize, author: i64, nonce: u8, length: usize, lifespan: u64) {
        let lifespan = Duration::from_secs(lifespan);
        let new = new_message(author, &"x".repeat(length), nonce, lifespan);
        let appended = self.append(room, &new);

        let now = self.now;
        let model = &mut self.rooms[room];
        let is_this = |used: &&Used| used.nonce == new.nonce && now < used.first_deadline;
        let before = model.used.iter().rev().find(is_this);
        let id = match appended {
            Appended::New(id) => id,
            Appended::Repeated(id) => {
                assert_eq!(
                    before.map(|used| (used.message, used.length)),
                    Some((id, length))
                );
                return;
            }
            Appended::NonceReused => {
                assert!(before.is_some_and(|used| used.length != length));
                return;
            }
            other => panic!("{other:?}"),
        };
        // An unexpired nonce may only be dropped when many submissions came after it.
        if let Some(before) = before {
            let since = model.used.iter().filter(|u| u.message > before.message);
            assert!(since.count() >= self.capacity.messages_per_room * REMEMBERED);
        }
        assert!(model.newest < Some(id), "an id was given out twice");
        model.free_expired(now);
        model.newest = Some(id);
        let deadline = now.plus(lifespan);
        model.used.push(Used {
            nonce: new.nonce,
            length,
            message: id,
            first_deadline: deadline,
        });
        while model.held.len() >= self.capacity.messages_per_room {
            model.held.remove(0);
        }
        model.held.push(Said {
            id,
            author: new.author,
            posted_at: now,
            deadline,
            bytes: Message::new(id_of(room), id, now, &new, 0, &renderer()).bytes(),
        });
        self.evict();
    }

    /// Appends as a service does: when the version is stale, it tells the log the version and tries again.
    fn append(&mut self, room: usize, new: &NewMessage) -> Appended {
        let model = &mut self.rooms[room];
        let session_ended = AtomicBool::new(false);
        let wish = Wish {
            version: model.version,
            message: new.clone(),
            session: Token::received("").digest(),
            session_ended: &session_ended,
            quota: Quota::UNLIMITED,
        };
        let appended = run(self.messages.append(id_of(room), &wish, self.now));
        // Redis knows a version for longer than any process.
        if let Some(is_known) = model.is_version_known
            && self.elsewhere.is_none()
        {
            assert_eq!(appended != Appended::Stale, is_known);
        }
        model.is_version_known = Some(true);
        if appended != Appended::Stale {
            return appended;
        }
        run(run(self.messages.open(id_of(room))).raise_version(model.version));
        run(self.messages.append(id_of(room), &wish, self.now))
    }

    fn post_by_old_version(&self, room: usize) {
        let Some(version) = self.rooms[room].version.checked_sub(1) else {
            return;
        };
        let wish = Wish {
            version,
            message: new_message(1, "x", 0, Duration::from_secs(10)),
            session: Token::received("").digest(),
            session_ended: &AtomicBool::new(false),
            quota: Quota::UNLIMITED,
        };
        let appended = run(self.messages.append(id_of(room), &wish, self.now));
        assert_eq!(appended, Appended::Stale);
    }

    /// Frees the expired messages of the largest room, and then evicts its oldest messages.
    fn evict(&mut self) {
        while self.bytes() > self.capacity.bytes {
            let largest = (0..ROOMS).max_by_key(|room| (self.rooms[*room].bytes(), *room));
            let largest = &mut self.rooms[largest.unwrap()];
            let held = largest.held.len();
            largest.free_expired(self.now);
            if largest.held.len() == held {
                largest.held.remove(0);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.rooms.iter().map(ModelRoom::bytes).sum()
    }

    fn read_older(&self, room: usize, behind: u64) {
        let before = self.rooms[room].behind(behind);
        let page = run(self
            .messages
            .page(id_of(room), Some(before), &Ignored::NOBODY, self.now));

        let mut older = self.rooms[room].live(self.now);
        older.retain(|said| said.id < before);
        let from = older.len().saturating_sub(PAGE_SIZE);
        assert_eq!(id_and_deadline(&page.messages), expected(&older[from..]));
        assert_eq!(page.has_older, from > 0);
    }

    fn poll(&mut self, follower: usize) {
        self.settle();
        let (messages, now) = (&self.messages, self.now);
        let follower = &mut self.followers[follower];
        let room = id_of(follower.room);
        let model = &self.rooms[follower.room];
        let is_quiet = match &mut follower.subscription {
            Some(subscription) => !drive(is_woken(subscription)),
            None => false,
        };
        if follower.waits && !is_quiet {
            follower.subscription = Some(run(messages.subscribe(room)));
        }

        let ignored = follower.ignores.iter().copied().collect();
        let since = run(messages.since(room, follower.cursor, &ignored, now));
        if let Some(elsewhere) = &self.elsewhere {
            let other = run(elsewhere.since(room, follower.cursor, &ignored, now));
            // A process that began to follow later may not be able to tell what went.
            let is_reset = |since: &Since| matches!(since, Since::Reset(_));
            if !is_reset(&other) && !is_reset(&since) {
                assert_eq!(other, since, "two processes differ");
            }
            let mut page = follower.page();
            page.take(other, now);
            assert_eq!(
                page.shown,
                page.expected(model, now),
                "a follower was misled elsewhere"
            );
        }

        if is_quiet && !std::mem::take(&mut follower.is_ignoring_anew) {
            assert!(matches!(since, Since::Nothing(_)), "nobody was woken");
        }
        let has_changed = follower.changes < model.changes;
        follower.changes = model.changes;
        match &since {
            Since::Nothing(_) => assert!(!has_changed),
            Since::News { is_changed, .. } => assert_eq!(*is_changed, has_changed),
            Since::Reset(_) => {}
        }
        follower.take(since, now);
        assert_eq!(
            follower.shown,
            follower.expected(model, now),
            "a follower was misled"
        );
    }

    fn delete(&mut self, room: usize, behind: u64) {
        let id = self.rooms[room].behind(behind);
        let is_there = run(self.messages.delete(id_of(room), id, self.now));

        let live = self.rooms[room].live(self.now);
        assert_eq!(is_there, live.iter().any(|said| said.id == id));
        self.remove_where(room, |said| said.id == id);
    }

    /// Removes messages from the model. An event that removes a live one frees the expired ones, too.
    fn remove_where(&mut self, room: usize, is_meant: impl Fn(&Said) -> bool) {
        let model = &mut self.rooms[room];
        if model.live(self.now).iter().any(&is_meant) {
            model.free_expired(self.now);
            model.held.retain(|said| !is_meant(said));
        }
    }

    fn set_lifespan(&mut self, room: usize, lifespan: u64) {
        let lifespan = Lifespan(Duration::from_secs(lifespan));
        run(self
            .messages
            .shorten(id_of(room), lifespan, EVERY_VERSION, self.now));

        let now = self.now;
        let model = &mut self.rooms[room];
        let shortened = |said: &Said| said.deadline.min(said.posted_at.plus(lifespan.0));
        let moves = |said: &Said| shortened(said) < said.deadline;
        if model.live(now).iter().any(moves) {
            model.free_expired(now);
            for said in &mut model.held {
                said.deadline = shortened(said);
            }
            model.free_expired(now);
        }
    }

    fn sweep(&mut self) {
        run(self.messages.sweep(self.now));
        for (number, model) in self.rooms.iter_mut().enumerate() {
            model.free_expired(self.now);
            let mut followers = self.followers.iter();
            let is_followed = followers.any(|f| f.room == number && f.subscription.is_some());
            if is_followed || model.must_be_held(self.now) {
                continue;
            }
            if model.is_over(self.now) {
                model.is_version_known = Some(false);
            } else if model.is_version_known == Some(true) {
                model.is_version_known = None;
            }
        }
    }

    /// Checks what must hold at any time.
    fn check(&self) {
        self.settle();
        let mut active = Vec::new();
        for (number, model) in self.rooms.iter().enumerate() {
            let room = id_of(number);
            let live = model.live(self.now);
            assert!(live.len() <= self.capacity.messages_per_room);

            let page = run(self.messages.page(room, None, &Ignored::NOBODY, self.now));
            let from = live.len().saturating_sub(PAGE_SIZE);
            assert_eq!(id_and_deadline(&page.messages), expected(&live[from..]));
            assert_eq!(page.has_older, from > 0);

            for behind in 0..7 {
                let id = model.behind(behind);
                let found = run(self.messages.find(room, id, self.now));
                let said = live.iter().find(|said| said.id == id);
                assert_eq!(found.map(|m| m.deadline), said.map(|said| said.deadline));

                let after = (behind > 0).then_some(id);
                let reader = UserId(1);
                let new = live.iter().filter(|said| {
                    said.author != reader && after.is_none_or(|after| said.id > after)
                });
                assert_eq!(
                    run(self
                        .messages
                        .new_for(room, reader, &Ignored::NOBODY, after, self.now)),
                    new.count()
                );
            }
            active.extend(live.last().map(|said| (room, said.posted_at)));
        }
        assert_eq!(run(self.messages.bytes()), self.bytes());
        assert!(self.bytes() <= self.capacity.bytes);
        let mut activity = self.activity();
        activity.sort();
        assert_eq!(activity, active);
    }

    fn activity(&self) -> Vec<(RoomId, SiteTime)> {
        let all = |activity: &Activity| activity.newest_first().collect();
        run(self.messages.activity(self.now, all))
    }

    /// All followers catch up, everything expires, and nothing is left in memory.
    fn end(mut self) {
        self.settle();
        for follower in 0..self.followers.len() {
            self.poll(follower);
        }
        self.followers.clear();
        self.go_on_to(self.now.plus(Duration::from_secs(100)));
        self.sweep();

        assert_eq!(run(self.messages.bytes()), 0);
        assert_eq!(self.activity(), []);
        for driver in &self.drivers {
            driver.abort();
        }
        if let Some(link) = self.links.first() {
            let mut keys = redis::cmd("KEYS");
            keys.arg({
                let texts = link.keys().room(RoomId(0), "text:*");
                texts.replace(":r0}", ":r*}")
            });
            assert_eq!(run(link.run::<Vec<String>>(&keys)), Vec::<String>::new());
            return;
        }
        for room in 0..ROOMS {
            // A room that is not held knows no version.
            let wish = Wish {
                version: i64::MAX,
                message: new_message(1, "x", 0, Duration::from_secs(10)),
                session: Token::received("").digest(),
                session_ended: &AtomicBool::new(false),
                quota: Quota::UNLIMITED,
            };
            let appended = run(self.messages.append(id_of(room), &wish, self.now));
            assert_eq!(appended, Appended::Stale);
        }
    }
}
