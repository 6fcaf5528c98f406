//! The program killed at any moment while people change things: what was answered with success is there
//! when it starts again, and what was not is there wholly or not at all.
//!
//! One database goes through all runs, so what a run did must outlive those after it too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mirage::clock::Stopwatch;
use proptest::prelude::RngExt;
use proptest::test_runner::TestRng;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, QueryResult, Statement};
use tokio::sync::watch;

use crate::program::Running;
use crate::support::{Browser, PASSWORD, chance, is_long};

const SEED: u64 = 10;

/// They act at the same time, each doing one thing after the other: of each, the answer to one thing
/// at most is lost.
const HOUSEHOLDS: usize = 5;

/// The most people of a household who act. Those who came first keep what they have.
const ACTING: usize = 5;

/// Requests are not to be refused, and the log is to have nothing but what is wrong and the address.
const FLAGS: [&str; 3] = [
    "--limits=off",
    "--rooms-per-person=1000000",
    "--log=warn,mirage=info,mirage::logging=warn",
];

/// How long a program may take to start before the test takes it for hung.
const HUNG: Duration = Duration::from_secs(60);

/// What there is, as sentences.
type Facts = BTreeSet<String>;

fn account(name: &str) -> String {
    format!("{name} has an account")
}

fn owned(room: &str, name: &str) -> String {
    format!("{room} is {name}'s")
}

fn inside(room: &str, name: &str, role: &str) -> String {
    format!("{name} is in {room} as {role}")
}

fn banned(room: &str, name: &str) -> String {
    format!("{name} is banned from {room}")
}

/// What a request changes.
struct Change {
    kind: &'static str,
    gone: Vec<String>,
    new: Vec<String>,
}

impl Change {
    fn apply(&self, facts: &mut Facts) {
        for fact in &self.gone {
            assert!(facts.remove(fact), "{fact}: it was not so");
        }
        facts.extend(self.new.iter().cloned());
    }
}

/// What a household does in a run that has a password to hash.
#[derive(Clone, Copy)]
enum Password {
    SignUp,
    Change,
}

/// The server was killed before it answered.
struct Lost;

struct Person {
    name: String,
    /// Known once the account was seen in the database.
    id: Option<i64>,
    /// The latest is the last. More than one, if it is not known whether the latest was taken.
    passwords: Vec<String>,
    /// Whether somebody is to sign in after the restart.
    is_to_sign_in: bool,
    browser: Browser,
}

impl Person {
    fn new(name: &str, address: &str) -> Self {
        Self {
            name: name.to_owned(),
            id: None,
            passwords: vec![PASSWORD.to_owned()],
            is_to_sign_in: true,
            browser: Browser::of(address),
        }
    }
}

#[derive(Clone)]
struct Room {
    id: i64,
    name: String,
    owner: String,
}

/// How many requests of a run were answered: with passwords to hash, and without.
#[derive(Debug, Default)]
struct Answered {
    hashed: usize,
    other: usize,
}

/// What the households of a run share.
struct Run {
    address: String,
    /// Rooms that anybody may join.
    rooms: Vec<Room>,
    answered: watch::Sender<Answered>,
    is_killed: AtomicBool,
}

impl Run {
    fn on(running: &Running, rooms: Vec<Room>) -> Self {
        Self {
            address: running.browser.address.clone(),
            rooms,
            answered: watch::Sender::default(),
            is_killed: AtomicBool::new(false),
        }
    }
}

/// People whose memberships only their own requests change, so that it is known what there must be.
struct Household {
    number: usize,
    chance: TestRng,
    people: Vec<Person>,
    /// Those that its people own.
    rooms: Vec<Room>,
    facts: Facts,
    under_way: Option<Change>,
    names: usize,
    answered: BTreeMap<&'static str, usize>,
}

impl Household {
    fn new(number: usize) -> Self {
        Self {
            number,
            chance: chance(SEED + 1 + u64::try_from(number).unwrap()),
            people: Vec::new(),
            rooms: Vec::new(),
            facts: Facts::new(),
            under_way: None,
            names: 0,
            answered: BTreeMap::new(),
        }
    }

    /// Changes one thing after the other until the server is killed.
    async fn live(mut self, run: Arc<Run>, password: Option<Password>) -> Self {
        let at = self.pick(3);
        for step in 0.. {
            let password = password.filter(|_| step == at);
            let done = match (password, self.pick(10)) {
                (Some(Password::SignUp), _) => self.sign_up(&run).await,
                (Some(Password::Change), _) => self.change_password(&run).await,
                (None, 0..3) => self.create_room(&run).await,
                (None, 3..7) => self.join(&run).await,
                (None, 7..9) => self.hand_over(&run).await,
                (None, _) => self.ban(&run).await,
            };
            if done.is_err() {
                break;
            }
        }
        self
    }

    fn pick(&mut self, of: usize) -> usize {
        self.chance.random_range(0..of)
    }

    fn new_name(&mut self, of: &str) -> String {
        self.names += 1;
        format!("{of}-{}-{}", self.number, self.names)
    }

    /// Sends a form that is to lead to a page whose address begins with `to`, and gives that address.
    async fn change(
        &mut self,
        run: &Run,
        person: usize,
        (path, form, to): (&str, &[(&str, &str)], &str),
        change: Change,
    ) -> Result<String, Lost> {
        let browser = &self.people[person].browser;
        let request = browser.client.post(browser.url(path)).form(form);
        let kind = change.kind;
        self.under_way = Some(change);
        let response = match request.send().await {
            Ok(response) => response,
            Err(_) if run.is_killed.load(Ordering::SeqCst) => return Err(Lost),
            Err(error) => panic!("{kind}: {error:?}"),
        };
        let location = response.headers().get("location");
        let location = location.map_or(String::new(), |to| to.to_str().unwrap().to_owned());
        if response.status() != 303 || !location.starts_with(to) {
            let status = response.status();
            panic!("{kind}: {status} {location}: {:?}", response.text().await);
        }
        self.under_way.take().unwrap().apply(&mut self.facts);
        *self.answered.entry(kind).or_default() += 1;
        run.answered.send_modify(|answered| {
            if matches!(kind, "sign-up" | "password change") {
                answered.hashed += 1;
            } else {
                answered.other += 1;
            }
        });
        Ok(location)
    }

    async fn sign_up(&mut self, run: &Run) -> Result<(), Lost> {
        let name = self.new_name("person");
        self.people.push(Person::new(&name, &run.address));
        let change = Change {
            kind: "sign-up",
            gone: vec![],
            new: vec![account(&name)],
        };
        let form = [("name", name.as_str()), ("password", PASSWORD)];
        let last = self.people.len() - 1;
        self.change(run, last, ("/register", &form, "/rooms"), change)
            .await?;
        Ok(())
    }

    async fn change_password(&mut self, run: &Run) -> Result<(), Lost> {
        let number = self.pick(self.people.len());
        let new = self.new_name("a kettle of other fish");
        let person = &mut self.people[number];
        let current = person.passwords[0].clone();
        person.passwords.push(new.clone());
        person.is_to_sign_in = true;
        let form = [("current", current.as_str()), ("password", &new)];
        let change = Change {
            kind: "password change",
            gone: vec![],
            new: vec![],
        };
        let request = ("/account/password", &form[..], "/account?done=password");
        self.change(run, number, request, change).await?;
        self.people[number].passwords.remove(0);
        Ok(())
    }

    async fn create_room(&mut self, run: &Run) -> Result<(), Lost> {
        let number = self.pick(self.people.len());
        let (room, owner) = (self.new_name("room"), self.people[number].name.clone());
        let change = Change {
            kind: "room creation",
            gone: vec![],
            new: vec![owned(&room, &owner), inside(&room, &owner, "owner")],
        };
        let form = [("name", room.as_str()), ("kind", "public")];
        let location = self
            .change(run, number, ("/rooms/new", &form, "/rooms/"), change)
            .await?;
        let (id, _) = location["/rooms/".len()..].split_once('?').unwrap();
        self.rooms.push(Room {
            id: id.parse().unwrap(),
            name: room,
            owner,
        });
        Ok(())
    }

    async fn join(&mut self, run: &Run) -> Result<(), Lost> {
        let number = self.pick(self.people.len());
        // Mostly at home, so that there is somebody to hand over to and to ban.
        let is_at_home = run.rooms.is_empty() || self.pick(4) > 0;
        let rooms = if is_at_home { &self.rooms } else { &run.rooms };
        let name = self.people[number].name.clone();
        let may_join = |room: &&Room| {
            let roles = ["member", "moderator", "owner"];
            !roles
                .iter()
                .any(|role| self.facts.contains(&inside(&room.name, &name, role)))
                && !self.facts.contains(&banned(&room.name, &name))
        };
        let rooms: Vec<_> = rooms.iter().filter(may_join).cloned().collect();
        if rooms.is_empty() {
            return self.create_room(run).await;
        }
        let room = &rooms[self.pick(rooms.len())];
        let change = Change {
            kind: "join",
            gone: vec![],
            new: vec![inside(&room.name, &name, "member")],
        };
        let path = format!("/rooms/{}/join", room.id);
        let to = format!("/rooms/{}?done=joined", room.id);
        self.change(run, number, (&path, &[("join", "1")], &to), change)
            .await?;
        Ok(())
    }

    /// A room of the household, its owner, and another of the household who is in it, with their role.
    fn pair(&mut self) -> Option<(usize, usize, usize, &'static str)> {
        let mut pairs = Vec::new();
        for (number, room) in self.rooms.iter().enumerate() {
            let owner = self.people.iter().position(|p| p.name == room.owner);
            for (other, person) in self.people.iter().enumerate() {
                let is_in =
                    |role: &&str| self.facts.contains(&inside(&room.name, &person.name, role));
                let role = ["member", "moderator"].into_iter().find(is_in);
                if let (Some(owner), Some(role), Some(_)) = (owner, role, person.id) {
                    pairs.push((number, owner, other, role));
                }
            }
        }
        (!pairs.is_empty()).then(|| pairs[self.pick(pairs.len())])
    }

    async fn hand_over(&mut self, run: &Run) -> Result<(), Lost> {
        let Some((number, owner, heir, role)) = self.pair() else {
            return self.create_room(run).await;
        };
        let Room { id, name: room, .. } = self.rooms[number].clone();
        let (old, new) = (&self.people[owner].name, &self.people[heir].name);
        let new_owner = new.clone();
        let change = Change {
            kind: "handover",
            gone: vec![
                owned(&room, old),
                inside(&room, old, "owner"),
                inside(&room, new, role),
            ],
            new: vec![
                owned(&room, new),
                inside(&room, new, "owner"),
                inside(&room, old, "moderator"),
            ],
        };
        let person = self.people[heir].id.unwrap();
        let path = format!("/rooms/{id}/members/{person}/owner");
        let to = format!("/rooms/{id}/members?done=owner");
        self.change(run, owner, (&path, &[("go", "1")], &to), change)
            .await?;
        self.rooms[number].owner = new_owner;
        Ok(())
    }

    async fn ban(&mut self, run: &Run) -> Result<(), Lost> {
        let Some((number, owner, other, role)) = self.pair() else {
            return self.create_room(run).await;
        };
        let Room { id, name: room, .. } = self.rooms[number].clone();
        let name = &self.people[other].name;
        let change = Change {
            kind: "ban",
            gone: vec![inside(&room, name, role)],
            new: vec![banned(&room, name)],
        };
        let person = self.people[other].id.unwrap();
        let path = format!("/rooms/{id}/members/{person}/ban");
        let to = format!("/rooms/{id}/members?done=banned");
        self.change(run, owner, (&path, &[("reason", "Loud")], &to), change)
            .await?;
        Ok(())
    }

    /// Goes on from what was found: signs in who has a new password or account, and forgets whose account
    /// was never made.
    async fn settle(&mut self, address: &str, found: &Found) {
        let there = &found.people;
        self.people
            .retain(|person| there.contains_key(&person.name));
        for person in &mut self.people {
            person.id = there.get(&person.name).copied();
            person.browser.address = address.to_owned();
            while person.is_to_sign_in {
                let password = person.passwords.last();
                let password = password.unwrap_or_else(|| panic!("{} is shut out", person.name));
                let form = [("name", person.name.as_str()), ("password", password)];
                let page = person.browser.post("/login", &form).await;
                if page.status == 303 {
                    person.passwords = vec![password.clone()];
                    person.is_to_sign_in = false;
                } else {
                    page.assert_status(422);
                    person.passwords.pop();
                }
            }
        }
        let retired = self.people.len().saturating_sub(ACTING);
        self.people.drain(..retired);
        let is_ours = |room: &Room| self.people.iter().any(|person| person.name == room.owner);
        let ours: Vec<_> = found.rooms.iter().filter(|r| is_ours(r)).cloned().collect();
        self.rooms = newest(&ours, 30);
    }
}

fn newest(rooms: &[Room], most: usize) -> Vec<Room> {
    rooms[rooms.len().saturating_sub(most)..].to_vec()
}

/// What the database says.
struct Found {
    people: BTreeMap<String, i64>,
    rooms: Vec<Room>,
    facts: Facts,
}

async fn ask<T>(
    database: &DatabaseConnection,
    sql: &str,
    read: impl Fn(&QueryResult) -> T,
) -> Vec<T> {
    let ask = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(ask).await.unwrap();
    rows.iter().map(read).collect()
}

async fn look(folder: &Path) -> Found {
    let url = format!("sqlite://{}/data/mirage.db?mode=rw", folder.display());
    let database = Database::connect(url).await.unwrap();
    let text = |row: &QueryResult, column: usize| row.try_get_by_index::<String>(column).unwrap();
    let number = |row: &QueryResult, column: usize| row.try_get_by_index::<i64>(column).unwrap();

    let integrity = ask(&database, "PRAGMA integrity_check", |row| text(row, 0)).await;
    assert_eq!(integrity, ["ok"]);
    let dangling = ask(&database, "PRAGMA foreign_key_check", |row| text(row, 0)).await;
    assert_eq!(dangling, [""; 0]);
    let without_owner = "SELECT name FROM rooms WHERE NOT EXISTS (SELECT 1 FROM room_members \
                         WHERE room_id = rooms.id AND user_id = rooms.owner_id)";
    let without_owner = ask(&database, without_owner, |row| text(row, 0)).await;
    assert_eq!(without_owner, [""; 0]);

    let people = "SELECT name, id FROM users";
    let people = ask(&database, people, |row| (text(row, 0), number(row, 1))).await;
    let rooms = "SELECT r.id, r.name, u.name FROM rooms r JOIN users u ON u.id = r.owner_id \
                 ORDER BY r.id";
    let rooms = ask(&database, rooms, |row| Room {
        id: number(row, 0),
        name: text(row, 1),
        owner: text(row, 2),
    });
    let rooms = rooms.await;
    let members = "SELECT r.name, u.name, CASE WHEN u.id = r.owner_id THEN 'owner' ELSE m.role END \
                   FROM room_members m JOIN rooms r ON r.id = m.room_id \
                   JOIN users u ON u.id = m.user_id";
    let members = ask(&database, members, |row| {
        inside(&text(row, 0), &text(row, 1), &text(row, 2))
    });
    let members = members.await;
    let bans = "SELECT r.name, u.name FROM room_bans b JOIN rooms r ON r.id = b.room_id \
                JOIN users u ON u.id = b.user_id";
    let bans = ask(&database, bans, |row| banned(&text(row, 0), &text(row, 1))).await;
    database.close().await.unwrap();

    let accounts = people.iter().map(|(name, _)| account(name));
    let owners = rooms.iter().map(|room| owned(&room.name, &room.owner));
    let facts = accounts.chain(owners).chain(members).chain(bans);
    Found {
        facts: facts.collect(),
        people: people.into_iter().collect(),
        rooms,
    }
}

/// Starts the program on the files in `folder`; gives how long it took to its first answer, too.
async fn start(folder: &Path) -> (Running, Duration) {
    let watch = Stopwatch::start();
    let folder = folder.to_owned();
    let starting = tokio::task::spawn_blocking(move || Running::start(&folder, &FLAGS));
    let running = tokio::time::timeout(HUNG, starting).await;
    let running = running.unwrap().unwrap();
    let answer = tokio::time::timeout(HUNG, running.browser.get("/healthz")).await;
    answer.unwrap().assert_status(200);
    (running, watch.elapsed())
}

/// Lets the households live, kills the server at some moment, and gives them back as they then are.
async fn live_and_kill(
    running: Running,
    run: Run,
    households: Vec<Household>,
    number: usize,
    chance: &mut TestRng,
) -> Vec<Household> {
    let run = Arc::new(run);
    let lives = households.into_iter().map(|household| {
        // Passwords take long: one household has to do with them, in every other run.
        let is_turn = number.is_multiple_of(2) && number / 4 % HOUSEHOLDS == household.number;
        let password = is_turn.then_some(if number.is_multiple_of(4) {
            Password::SignUp
        } else {
            Password::Change
        });
        tokio::spawn(household.live(Arc::clone(&run), password))
    });
    let lives: Vec<_> = lives.collect();

    let mut answered = run.answered.subscribe();
    // What takes long would seldom be answered before the kill, were it not waited for now and then.
    let enough = if number.is_multiple_of(10) {
        Answered {
            hashed: 1,
            other: 0,
        }
    } else {
        let other = chance.random_range(0..=20);
        Answered { hashed: 0, other }
    };
    let is_enough = |now: &Answered| now.hashed >= enough.hashed && now.other >= enough.other;
    let waited = tokio::time::timeout(HUNG, answered.wait_for(is_enough)).await;
    waited.unwrap().unwrap();
    // Some moment between two answers.
    tokio::time::sleep(Duration::from_micros(chance.random_range(0..5_000))).await;

    run.is_killed.store(true, Ordering::SeqCst);
    let kill = tokio::task::spawn_blocking(move || running.stop("-KILL"));
    let mut households = Vec::new();
    for life in lives {
        households.push(life.await.unwrap());
    }
    let (_, log) = kill.await.unwrap();
    assert_eq!(log, "", "something went wrong before");
    households
}

#[actix_web::test]
async fn confirmed_changes_survive_a_kill_at_any_moment() {
    let runs = if is_long() { 1_000 } else { 50 };
    let folder = tempfile::tempdir().unwrap();
    let mut chance = chance(SEED);
    let (mut running, _) = start(folder.path()).await;
    let mut households: Vec<_> = (0..HOUSEHOLDS).map(Household::new).collect();
    let run = Run::on(&running, Vec::new());
    for household in &mut households {
        for _ in 0..3 {
            assert!(household.sign_up(&run).await.is_ok());
        }
    }
    let mut starts = Vec::new();
    // Of each kind, what was under way at a kill: found done, and not done.
    let mut lost: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut found = look(folder.path()).await;

    for number in 0..runs {
        for household in &mut households {
            household.settle(&running.browser.address, &found).await;
        }
        let rooms = newest(&found.rooms, 60);
        let run = Run::on(&running, rooms);
        households = live_and_kill(running, run, households, number, &mut chance).await;

        let took;
        (running, took) = start(folder.path()).await;
        starts.push(took);
        found = look(folder.path()).await;
        let mut expected = Facts::new();
        for household in &mut households {
            if let Some(change) = household.under_way.take() {
                let is_done = change.new.iter().any(|fact| found.facts.contains(fact));
                if is_done {
                    change.apply(&mut household.facts);
                }
                // Which password holds shows when they sign in.
                if !change.new.is_empty() {
                    lost.entry(change.kind).or_default()[usize::from(!is_done)] += 1;
                }
            }
            expected.extend(household.facts.iter().cloned());
        }
        let missing: Vec<_> = expected.difference(&found.facts).collect();
        let unexpected: Vec<_> = found.facts.difference(&expected).collect();
        assert!(
            missing.is_empty() && unexpected.is_empty(),
            "seed {SEED}, run {number}: missing {missing:?}, unexpected {unexpected:?}"
        );
    }
    for household in &mut households {
        household.settle(&running.browser.address, &found).await;
    }

    let mut answered: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, times) in households.iter().flat_map(|h| &h.answered) {
        *answered.entry(kind).or_default() += times;
    }
    starts.sort();
    let median = starts[starts.len() / 2];
    println!("{runs} runs of seed {SEED}; answered with success and there: {answered:?}");
    println!("under way at a kill, found done and not done: {lost:?}");
    println!(
        "from the start to the first answer: {median:?} in the middle, {:?} at most",
        starts[starts.len() - 1]
    );
    for kind in [
        "sign-up",
        "password change",
        "room creation",
        "join",
        "handover",
        "ban",
    ] {
        assert!(answered.contains_key(kind), "nobody was answered a {kind}");
    }
    if is_long() {
        assert!(median < Duration::from_secs(1));
    }
}
