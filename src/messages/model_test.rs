//! The whole buffer against a model that is slow and plain, over random stories.
//!
//! The model keeps each room's messages in a vector. What readers and followers are given must be
//! what the model says is there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::room_buffer::REMEMBERED;
use super::*;

const START: Timestamp = Timestamp(1_795_352_700_000);
const ROOMS: usize = 3;
const PEOPLE: i64 = 3;

/// What happens next in a story. A message is named by how far it is behind the room's newest.
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
    Delete {
        room: usize,
        behind: u64,
    },
    SetLifespan {
        room: usize,
        lifespan: u64,
    },
    /// The clock steps, perhaps back.
    Clock {
        seconds: i64,
    },
    /// The clock steps to the next deadline in a room.
    ClockToDeadline {
        room: usize,
    },
    Sweep,
    Forget {
        room: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let room = || 0..ROOMS;
    let lifespan = || prop_oneof![Just(10_u64), Just(30), Just(60), Just(100)];
    let post = (room(), 1..=PEOPLE, 0..12_u8, 1..300_usize, lifespan()).prop_map(
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
        5 => near().prop_map(|(room, behind)| Step::Delete { room, behind }),
        3 => in_room().prop_map(|(room, lifespan)| Step::SetLifespan { room, lifespan }),
        5 => (-30..20_i64).prop_map(|seconds| Step::Clock { seconds }),
        4 => room().prop_map(|room| Step::ClockToDeadline { room }),
        4 => Just(Step::Sweep),
        1 => room().prop_map(|room| Step::Forget { room }),
    ]
}

fn capacity() -> impl Strategy<Value = Capacity> {
    let capacity = |messages_a_room, bytes| Capacity {
        messages_a_room,
        bytes,
    };
    prop_oneof![
        19 => Just(capacity(5, 6_000)),
        // Rooms of more than one page, which take long to look through.
        1 => Just(capacity(130, 150_000)),
    ]
}

/// How many random steps are taken: ten million when `MIRAGE_LONG` is set.
#[expect(clippy::disallowed_methods, reason = "a test has no settings")]
fn steps() -> u32 {
    match std::env::var_os("MIRAGE_LONG") {
        Some(_) => 10_000_000,
        None => 200_000,
    }
}

#[test]
fn the_buffer_gives_what_the_model_says() {
    const LONGEST: u32 = 80;
    let config = ProptestConfig {
        // A failing story is printed; the checkout is left alone.
        failure_persistence: None,
        // Stories are half as long in the mean.
        ..ProptestConfig::with_cases(steps() / (LONGEST / 2))
    };
    let taken = AtomicUsize::new(0);
    let stories = prop::collection::vec(step(), 1..=usize::try_from(LONGEST).unwrap());
    let told = TestRunner::new(config).run(&(capacity(), stories), |(capacity, story)| {
        taken.fetch_add(story.len(), Ordering::Relaxed);
        let mut world = World::new(capacity);
        for (number, step) in story.into_iter().enumerate() {
            world.take(step);
            // Each step looks at what it is about. To look at everything takes long.
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
    sent_at: Timestamp,
    deadline: Timestamp,
    bytes: usize,
}

/// A used nonce as the model knows it.
struct Used {
    nonce: NonceId,
    /// The length of the text, which here is all there is to tell texts apart by.
    length: usize,
    message: MessageId,
    first_deadline: Timestamp,
}

#[derive(Default)]
struct ModelRoom {
    /// What is in memory, in the order it came; expired messages until they are freed.
    held: Vec<Said>,
    /// All sendings that led to a message, ever.
    used: Vec<Used>,
    /// The latest name given out.
    newest: Option<MessageId>,
}

impl ModelRoom {
    fn live(&self, t: Timestamp) -> Vec<Said> {
        let live = self.held.iter().filter(|said| t < said.deadline);
        live.cloned().collect()
    }

    fn free_expired(&mut self, t: Timestamp) {
        self.held.retain(|said| t < said.deadline);
    }

    fn bytes(&self) -> usize {
        self.held.iter().map(|said| said.bytes).sum()
    }

    /// The name that is so far behind the newest; perhaps no message has it.
    fn behind(&self, by: u64) -> MessageId {
        MessageId(self.newest.map_or(0, |newest| newest.0 - by))
    }
}

/// The followers: their rooms, and whether they wait to be woken.
const FOLLOWERS: [(usize, bool); 6] = [
    (0, false),
    (0, true),
    (1, false),
    (1, false),
    (2, false),
    (2, false),
];

/// A page that follows a room: it does with each answer what a browser does.
#[derive(Default)]
struct Follower {
    room: usize,
    waits: bool,
    events: Option<watch::Receiver<()>>,
    cursor: Option<Cursor>,
    shown: Vec<(MessageId, Timestamp)>,
    /// When it last began anew, older messages than this one were not given to it.
    from: Option<MessageId>,
}

struct World {
    messages: Messages,
    capacity: Capacity,
    clock: Timestamp,
    /// The latest time that the clock has shown.
    t: Timestamp,
    rooms: Vec<ModelRoom>,
    followers: Vec<Follower>,
}

fn id_of(room: usize) -> RoomId {
    RoomId(i64::try_from(room).unwrap())
}

fn span(seconds: u64) -> Lifespan {
    Lifespan(Duration::from_secs(seconds))
}

fn name_and_deadline(messages: &[Arc<Message>]) -> Vec<(MessageId, Timestamp)> {
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

fn expected<'a>(said: impl IntoIterator<Item = &'a Said>) -> Vec<(MessageId, Timestamp)> {
    let said = said.into_iter();
    said.map(|said| (said.id, said.deadline)).collect()
}

impl World {
    fn new(capacity: Capacity) -> Self {
        Self {
            messages: Messages::new(capacity, 42, START),
            capacity,
            clock: START,
            t: START,
            rooms: (0..ROOMS).map(|_| ModelRoom::default()).collect(),
            followers: FOLLOWERS
                .map(|(room, waits)| Follower {
                    room,
                    waits,
                    ..Follower::default()
                })
                .into(),
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
                // Where a room holds few, twice as many say as much as more would, and sooner.
                let most = u8::try_from(2 * self.capacity.messages_a_room).unwrap_or(u8::MAX);
                for nonce in 100..100 + most.min(110) {
                    self.post(room, 1, nonce, 1, lifespan);
                }
            }
            Step::ReadOlder { room, behind } => self.read_older(room, behind),
            Step::Poll { follower } => self.poll(follower),
            Step::Delete { room, behind } => self.delete(room, behind),
            Step::SetLifespan { room, lifespan } => self.set_lifespan(room, span(lifespan)),
            Step::Clock { seconds } => self.set_clock(Timestamp(self.clock.0 + seconds * 1_000)),
            Step::ClockToDeadline { room } => {
                let live = self.rooms[room].live(self.t);
                if let Some(deadline) = live.iter().map(|said| said.deadline).min() {
                    self.set_clock(deadline);
                }
            }
            Step::Sweep => {
                self.messages.sweep(self.clock);
                for room in &mut self.rooms {
                    room.free_expired(self.t);
                }
            }
            Step::Forget { room } => {
                self.messages.forget(id_of(room));
                self.rooms[room].held.clear();
                self.rooms[room].used.clear();
            }
        }
    }

    fn set_clock(&mut self, clock: Timestamp) {
        self.clock = clock;
        self.t = self.t.max(clock);
        // The buffer knows only the times at which it is asked something.
        drop(self.messages.latest_times(clock));
    }

    fn post(&mut self, room: usize, author: i64, nonce: u8, length: usize, lifespan: u64) {
        let draft = Draft {
            author: UserId(author),
            author_name: Arc::from("ada"),
            text: MessageText::parse(&"x".repeat(length)).unwrap(),
            nonce: [nonce; 16],
            lifespan: span(lifespan),
        };
        let is_used = self.messages.has_used(id_of(room), draft.nonce, self.clock);
        let posted = self.messages.post(id_of(room), &draft, self.clock).unwrap();
        assert_eq!(is_used, !matches!(posted, Posted::New(_)));

        let t = self.t;
        let model = &mut self.rooms[room];
        model.free_expired(t);
        let is_this = |used: &&Used| used.nonce == draft.nonce && t < used.first_deadline;
        let before = model.used.iter().rev().find(is_this);
        let id = match posted {
            Posted::Before(id) => {
                assert_eq!(
                    before.map(|used| (used.message, used.length)),
                    Some((id, length))
                );
                return;
            }
            Posted::OtherText => {
                assert!(before.is_some_and(|used| used.length != length));
                return;
            }
            Posted::New(id) => id,
        };
        // A bound nonce may only be forgotten when many sendings came after it.
        if let Some(before) = before {
            let since = model.used.iter().filter(|u| u.message > before.message);
            assert!(since.count() >= self.capacity.messages_a_room * REMEMBERED);
        }
        assert!(model.newest < Some(id), "a name was given twice");
        model.newest = Some(id);
        let deadline = t.plus(draft.lifespan.0);
        model.used.push(Used {
            nonce: draft.nonce,
            length,
            message: id,
            first_deadline: deadline,
        });
        while model.held.len() >= self.capacity.messages_a_room {
            model.held.remove(0);
        }
        let rendered = Message::render(id_of(room), id, &draft, t).unwrap();
        model.held.push(Said {
            id,
            author: draft.author,
            sent_at: t,
            deadline,
            bytes: rendered.bytes(),
        });
        self.make_way();
    }

    /// The largest room gives up what expired, and then its oldest messages.
    fn make_way(&mut self) {
        while self.bytes() > self.capacity.bytes {
            let largest = (0..ROOMS).max_by_key(|room| (self.rooms[*room].bytes(), *room));
            let largest = &mut self.rooms[largest.unwrap()];
            let held = largest.held.len();
            largest.free_expired(self.t);
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
        let page = self.messages.page(id_of(room), Some(before), self.clock);

        let mut older = self.rooms[room].live(self.t);
        older.retain(|said| said.id < before);
        let from = older.len().saturating_sub(PAGE);
        assert_eq!(name_and_deadline(&page.messages), expected(&older[from..]));
        assert_eq!(page.has_older, from > 0);
    }

    fn poll(&mut self, follower: usize) {
        let (messages, clock, t) = (&self.messages, self.clock, self.t);
        let follower = &mut self.followers[follower];
        let room = id_of(follower.room);
        let is_quiet = match &follower.events {
            Some(events) => matches!(events.has_changed(), Ok(false)),
            None => false,
        };
        if follower.waits && !is_quiet {
            follower.events = Some(messages.watch(room));
        }

        let since = messages.since(room, follower.cursor, clock);

        if is_quiet {
            assert!(matches!(since, Since::Nothing(_)), "nobody was woken");
        }
        follower.cursor = Some(match since {
            Since::Nothing(cursor) => cursor,
            Since::News {
                came, gone, cursor, ..
            } => {
                follower.shown.retain(|(id, _)| !gone.contains(id));
                follower.shown.extend(name_and_deadline(&came));
                cursor
            }
            Since::Reset(page) => {
                follower.shown = name_and_deadline(&page.messages);
                let first = page.messages.first().map(|message| message.id);
                follower.from = first.filter(|_| page.has_older);
                page.cursor
            }
        });
        follower.shown.retain(|(_, deadline)| t < *deadline);

        let mut live = self.rooms[follower.room].live(t);
        live.retain(|said| Some(said.id) >= follower.from);
        assert_eq!(follower.shown, expected(&live), "a follower was misled");
    }

    fn delete(&mut self, room: usize, behind: u64) {
        let id = self.rooms[room].behind(behind);
        let is_there = self.messages.delete(id_of(room), id, self.clock);

        let live = self.rooms[room].live(self.t);
        assert_eq!(is_there, live.iter().any(|said| said.id == id));
        if is_there {
            self.rooms[room].held.retain(|said| said.id != id);
        }
    }

    fn set_lifespan(&mut self, room: usize, lifespan: Lifespan) {
        self.messages
            .shorten(id_of(room), lifespan, self.clock)
            .unwrap();

        for said in &mut self.rooms[room].held {
            said.deadline = said.deadline.min(said.sent_at.plus(lifespan.0));
        }
        self.rooms[room].free_expired(self.t);
    }

    /// What must hold at any time.
    fn check(&self) {
        let mut latest = Vec::new();
        for (number, model) in self.rooms.iter().enumerate() {
            let room = id_of(number);
            let live = model.live(self.t);
            assert!(live.len() <= self.capacity.messages_a_room);

            let page = self.messages.page(room, None, self.clock);
            let from = live.len().saturating_sub(PAGE);
            assert_eq!(name_and_deadline(&page.messages), expected(&live[from..]));
            assert_eq!(page.has_older, from > 0);

            for behind in 0..7 {
                let id = model.behind(behind);
                let found = self.messages.find(room, id, self.clock);
                let said = live.iter().find(|said| said.id == id);
                assert_eq!(found.map(|m| m.deadline), said.map(|said| said.deadline));

                let after = (behind > 0).then_some(id);
                let reader = UserId(1);
                let new = live.iter().filter(|said| {
                    said.author != reader && after.is_none_or(|after| said.id > after)
                });
                assert_eq!(
                    self.messages.new_for(room, reader, after, self.clock),
                    new.count()
                );
            }
            latest.extend(live.last().map(|said| (room, said.sent_at)));
        }
        let mut latest_times = self.messages.latest_times(self.clock);
        latest_times.sort();
        assert_eq!(latest_times, latest);
        assert_eq!(self.messages.bytes(), self.bytes());
        assert!(self.messages.bytes() <= self.capacity.bytes);
    }

    /// All followers catch up, everything expires, and nothing is left in memory.
    fn end(mut self) {
        for follower in 0..self.followers.len() {
            self.poll(follower);
        }
        self.followers.clear();
        self.messages.sweep(self.t.plus(Duration::from_secs(100)));

        let rooms = self.messages.lock();
        assert_eq!((rooms.bytes, rooms.by_size.len()), (0, 0));
        assert!(rooms.buffers.is_empty());
    }
}
