//! Crash safety: the server, or one of three, is killed at random moments while people change data. After a restart,
//! every confirmed change is there, and every unconfirmed change is there completely or not at all.
//!
//! All runs share one database, so the changes of a run must also survive the kills after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::RngExt;
use proptest::test_runner::TestRng;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, QueryResult, Statement};
use tokio::sync::watch;

use crate::postgres::PostgresDatabase;
use crate::processes::{HUNG, Site};
use crate::redis_server;
use crate::support::{Browser, PASSWORD, is_long, seeded_rng};

const SEED: u64 = 10;

/// The number of groups that act concurrently. Each sends one request after the other, so a kill leaves at
/// most one request per group unanswered.
const GROUPS: usize = 5;

/// The most people per group who still act. The earliest ones keep their rooms and memberships.
const ACTING: usize = 5;

/// Flags without rate limits, and with a log of nothing but warnings and the address.
const FLAGS: [&str; 5] = [
    "--limits=off",
    // A connection that the server closes when a request is on its way looks like a kill.
    "--keep-alive=1min",
    "--rooms-per-person=1000000",
    "--link-timeout=30s",
    "--log=warn,sqlx=off,mirage=info,mirage::web::request_log=warn",
];

/// The expected or actual state of the database, as sentences.
type Facts = BTreeSet<String>;

fn account(name: &str) -> String {
    format!("{name} has an account")
}

fn owned(room: &str, name: &str) -> String {
    format!("{room} is {name}'s")
}

fn member_of(room: &str, name: &str, role: &str) -> String {
    format!("{name} is in {room} as {role}")
}

fn banned(room: &str, name: &str) -> String {
    format!("{name} is banned from {room}")
}

/// The facts that a request adds and removes.
struct Change {
    kind: &'static str,
    removed: Vec<String>,
    added: Vec<String>,
}

impl Change {
    fn apply(&self, facts: &mut Facts) {
        for fact in &self.removed {
            assert!(facts.remove(fact), "{fact}: it was not so");
        }
        facts.extend(self.added.iter().cloned());
    }
}

/// The one action of a group in a run that needs a password hash.
#[derive(Clone, Copy)]
enum Password {
    SignUp,
    Change,
}

/// The server that was asked was killed before it answered the request.
struct Unanswered;

struct Person {
    name: String,
    /// Known once the account has been read from the database.
    id: Option<i64>,
    /// The newest password is last. There are two while it is unknown whether a change succeeded.
    passwords: Vec<String>,
    /// Whether this person must sign in after the restart.
    is_to_sign_in: bool,
    browser: Browser,
}

impl Person {
    fn new(name: &str, addresses: &[String]) -> Self {
        Self {
            name: name.to_owned(),
            id: None,
            passwords: vec![PASSWORD.to_owned()],
            is_to_sign_in: true,
            browser: Browser::new(&addresses[0]).among(addresses.to_vec()),
        }
    }
}

#[derive(Clone)]
struct Room {
    id: i64,
    name: String,
    owner: String,
}

/// How many requests of a run were answered, with and without a password hash.
#[derive(Debug, Default)]
struct Answered {
    hashed: usize,
    other: usize,
}

/// The state that the groups of a run share.
struct Run {
    /// The addresses of the servers.
    addresses: Vec<String>,
    /// Rooms that people of any group may join.
    rooms: Vec<Room>,
    answered: watch::Sender<Answered>,
    is_killed: AtomicBool,
}

impl Run {
    fn new(site: &Site, rooms: Vec<Room>) -> Self {
        Self {
            addresses: site.addresses.all(),
            rooms,
            answered: watch::Sender::default(),
            is_killed: AtomicBool::new(false),
        }
    }
}

/// People whose data only their own group's requests change, so that the expected state is known.
struct Group {
    number: usize,
    rng: TestRng,
    people: Vec<Person>,
    /// The rooms that people of this group own.
    rooms: Vec<Room>,
    facts: Facts,
    in_flight: Option<Change>,
    names: usize,
    answered: BTreeMap<&'static str, usize>,
}

impl Group {
    fn new(number: usize) -> Self {
        Self {
            number,
            rng: seeded_rng(SEED + 1 + u64::try_from(number).unwrap()),
            people: Vec::new(),
            rooms: Vec::new(),
            facts: Facts::new(),
            in_flight: None,
            names: 0,
            answered: BTreeMap::new(),
        }
    }

    /// Sends random requests one after the other, to each server in turn, until one is not answered.
    async fn act(mut self, run: Arc<Run>, password: Option<Password>) -> Self {
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
        self.rng.random_range(0..of)
    }

    fn new_name(&mut self, of: &str) -> String {
        self.names += 1;
        format!("{of}-{}-{}", self.number, self.names)
    }

    /// Submits a form, asserts a redirect to a path that starts with `to`, and returns the path.
    async fn change(
        &mut self,
        run: &Run,
        person: usize,
        (path, form, to): (&str, &[(&str, &str)], &str),
        change: Change,
    ) -> Result<String, Unanswered> {
        let browser = &self.people[person].browser;
        let request = browser.client.post(browser.url(path)).form(form);
        let kind = change.kind;
        self.in_flight = Some(change);
        let response = match request.send().await {
            Ok(response) => response,
            Err(_) if run.is_killed.load(Ordering::SeqCst) => return Err(Unanswered),
            Err(error) => panic!("{kind}: {error:?}"),
        };
        let location = response.headers().get("location");
        let location = location.map_or(String::new(), |to| to.to_str().unwrap().to_owned());
        if response.status() != 303 || !location.starts_with(to) {
            let status = response.status();
            panic!("{kind}: {status} {location}: {:?}", response.text().await);
        }
        self.in_flight.take().unwrap().apply(&mut self.facts);
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

    async fn sign_up(&mut self, run: &Run) -> Result<(), Unanswered> {
        let name = self.new_name("person");
        self.people.push(Person::new(&name, &run.addresses));
        let change = Change {
            kind: "sign-up",
            removed: vec![],
            added: vec![account(&name)],
        };
        let form = [("name", name.as_str()), ("password", PASSWORD)];
        let last = self.people.len() - 1;
        self.change(run, last, ("/register", &form, "/rooms"), change)
            .await?;
        Ok(())
    }

    async fn change_password(&mut self, run: &Run) -> Result<(), Unanswered> {
        let number = self.pick(self.people.len());
        let new = self.new_name("a kettle of other fish");
        let person = &mut self.people[number];
        let current = person.passwords[0].clone();
        person.passwords.push(new.clone());
        person.is_to_sign_in = true;
        let form = [("current", current.as_str()), ("password", &new)];
        let change = Change {
            kind: "password change",
            removed: vec![],
            added: vec![],
        };
        let request = ("/account/password", &form[..], "/account?done=password");
        self.change(run, number, request, change).await?;
        self.people[number].passwords.remove(0);
        Ok(())
    }

    async fn create_room(&mut self, run: &Run) -> Result<(), Unanswered> {
        let number = self.pick(self.people.len());
        let (room, owner) = (self.new_name("room"), self.people[number].name.clone());
        let change = Change {
            kind: "room creation",
            removed: vec![],
            added: vec![owned(&room, &owner), member_of(&room, &owner, "owner")],
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

    async fn join(&mut self, run: &Run) -> Result<(), Unanswered> {
        let number = self.pick(self.people.len());
        // Mostly rooms of the own group, so that there are members to hand over to and to ban.
        let is_own_group = run.rooms.is_empty() || self.pick(4) > 0;
        let rooms = if is_own_group {
            &self.rooms
        } else {
            &run.rooms
        };
        let name = self.people[number].name.clone();
        let may_join = |room: &&Room| {
            let roles = ["member", "moderator", "owner"];
            !roles
                .iter()
                .any(|role| self.facts.contains(&member_of(&room.name, &name, role)))
                && !self.facts.contains(&banned(&room.name, &name))
        };
        let rooms: Vec<_> = rooms.iter().filter(may_join).cloned().collect();
        if rooms.is_empty() {
            return self.create_room(run).await;
        }
        let room = &rooms[self.pick(rooms.len())];
        let change = Change {
            kind: "join",
            removed: vec![],
            added: vec![member_of(&room.name, &name, "member")],
        };
        let path = format!("/rooms/{}/join", room.id);
        let to = format!("/rooms/{}?done=joined#now", room.id);
        self.change(run, number, (&path, &[("join", "1")], &to), change)
            .await?;
        Ok(())
    }

    /// Picks a room of the group, its owner, and another member from the group with their role.
    fn pick_room_and_member(&mut self) -> Option<(usize, usize, usize, &'static str)> {
        let mut pairs = Vec::new();
        for (number, room) in self.rooms.iter().enumerate() {
            let owner = self.people.iter().position(|p| p.name == room.owner);
            for (other, person) in self.people.iter().enumerate() {
                let is_in = |role: &&str| {
                    self.facts
                        .contains(&member_of(&room.name, &person.name, role))
                };
                let role = ["member", "moderator"].into_iter().find(is_in);
                if let (Some(owner), Some(role), Some(_)) = (owner, role, person.id) {
                    pairs.push((number, owner, other, role));
                }
            }
        }
        (!pairs.is_empty()).then(|| pairs[self.pick(pairs.len())])
    }

    async fn hand_over(&mut self, run: &Run) -> Result<(), Unanswered> {
        let Some((number, owner, heir, role)) = self.pick_room_and_member() else {
            return self.create_room(run).await;
        };
        let Room { id, name: room, .. } = self.rooms[number].clone();
        let (old, new) = (&self.people[owner].name, &self.people[heir].name);
        let new_owner = new.clone();
        let change = Change {
            kind: "handover",
            removed: vec![
                owned(&room, old),
                member_of(&room, old, "owner"),
                member_of(&room, new, role),
            ],
            added: vec![
                owned(&room, new),
                member_of(&room, new, "owner"),
                member_of(&room, old, "moderator"),
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

    async fn ban(&mut self, run: &Run) -> Result<(), Unanswered> {
        let Some((number, owner, other, role)) = self.pick_room_and_member() else {
            return self.create_room(run).await;
        };
        let Room { id, name: room, .. } = self.rooms[number].clone();
        let name = &self.people[other].name;
        let change = Change {
            kind: "ban",
            removed: vec![member_of(&room, name, role)],
            added: vec![banned(&room, name)],
        };
        let person = self.people[other].id.unwrap();
        let path = format!("/rooms/{id}/members/{person}/ban");
        let to = format!("/rooms/{id}/members?done=banned");
        self.change(run, owner, (&path, &[("reason", "Loud")], &to), change)
            .await?;
        Ok(())
    }

    /// Resumes from the database after a restart: drops people whose account was not created, and signs in
    /// people with a new account or password.
    async fn resume(&mut self, site: &Site, found: &Found) {
        let there = &found.people;
        self.people
            .retain(|person| there.contains_key(&person.name));
        for person in &mut self.people {
            person.id = there.get(&person.name).copied();
            person.browser = person.browser.among(site.addresses.all());
            while person.is_to_sign_in {
                let password = person.passwords.last();
                let password = password.unwrap_or_else(|| panic!("{} cannot sign in", person.name));
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

/// The content of the database.
struct Found {
    people: BTreeMap<String, i64>,
    rooms: Vec<Room>,
    facts: Facts,
}

async fn query<T>(
    database: &DatabaseConnection,
    sql: &str,
    read: impl Fn(&QueryResult) -> T,
) -> Vec<T> {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(statement).await.unwrap();
    rows.iter().map(read).collect()
}

async fn read_database(url: &str) -> Found {
    let database = Database::connect(url).await.unwrap();
    let text = |row: &QueryResult, column: usize| row.try_get_by_index::<String>(column).unwrap();
    let number = |row: &QueryResult, column: usize| row.try_get_by_index::<i64>(column).unwrap();

    if database.get_database_backend() == DbBackend::Sqlite {
        let integrity = query(&database, "PRAGMA integrity_check", |row| text(row, 0)).await;
        assert_eq!(integrity, ["ok"]);
        let dangling = query(&database, "PRAGMA foreign_key_check", |row| text(row, 0)).await;
        assert_eq!(dangling, [""; 0]);
    }
    let without_owner = "SELECT name FROM rooms WHERE NOT EXISTS (SELECT 1 FROM room_members \
                         WHERE room_id = rooms.id AND user_id = rooms.owner_id)";
    let without_owner = query(&database, without_owner, |row| text(row, 0)).await;
    assert_eq!(without_owner, [""; 0]);

    let people = "SELECT name, id FROM users";
    let people = query(&database, people, |row| (text(row, 0), number(row, 1))).await;
    let rooms = "SELECT r.id, r.name, u.name FROM rooms r JOIN users u ON u.id = r.owner_id \
                 ORDER BY r.id";
    let rooms = query(&database, rooms, |row| Room {
        id: number(row, 0),
        name: text(row, 1),
        owner: text(row, 2),
    });
    let rooms = rooms.await;
    let members = "SELECT r.name, u.name, CASE WHEN u.id = r.owner_id THEN 'owner' ELSE m.role END \
                   FROM room_members m JOIN rooms r ON r.id = m.room_id \
                   JOIN users u ON u.id = m.user_id";
    let members = query(&database, members, |row| {
        member_of(&text(row, 0), &text(row, 1), &text(row, 2))
    });
    let members = members.await;
    let bans = "SELECT r.name, u.name FROM room_bans b JOIN rooms r ON r.id = b.room_id \
                JOIN users u ON u.id = b.user_id";
    let bans = query(&database, bans, |row| banned(&text(row, 0), &text(row, 1))).await;
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

/// Lets the groups act, kills one of the servers at a random moment, and returns the groups as they are then, with the
/// number of the server.
async fn act_and_kill(
    site: &mut Site,
    run: Run,
    groups: Vec<Group>,
    number: usize,
    rng: &mut TestRng,
) -> (Vec<Group>, usize) {
    let run = Arc::new(run);
    let tasks = groups.into_iter().map(|group| {
        // Hashing is slow, so only one group uses a password, in every other run.
        let is_turn = number.is_multiple_of(2) && number / 4 % GROUPS == group.number;
        let password = is_turn.then_some(if number.is_multiple_of(4) {
            Password::SignUp
        } else {
            Password::Change
        });
        tokio::spawn(group.act(Arc::clone(&run), password))
    });
    let tasks: Vec<_> = tasks.collect();

    let mut answered = run.answered.subscribe();
    // Requests with a hash are slow and would rarely finish before the kill, so some runs wait for one.
    let enough = if number.is_multiple_of(10) {
        Answered {
            hashed: 1,
            other: 0,
        }
    } else {
        let other = rng.random_range(0..=20);
        Answered { hashed: 0, other }
    };
    let is_enough = |now: &Answered| now.hashed >= enough.hashed && now.other >= enough.other;
    let waited = tokio::time::timeout(HUNG, answered.wait_for(is_enough)).await;
    waited.unwrap().unwrap();
    // A random moment between two answers.
    tokio::time::sleep(Duration::from_micros(rng.random_range(0..5_000))).await;

    run.is_killed.store(true, Ordering::SeqCst);
    let killed = rng.random_range(0..site.processes.len());
    let (_, log) = site.end(killed, "-KILL").await;
    assert_eq!(log, "", "the server logged a problem before the kill");
    let mut groups = Vec::new();
    for task in tasks {
        groups.push(task.await.unwrap());
    }
    (groups, killed)
}

#[actix_web::test]
async fn confirmed_changes_survive_a_kill_at_any_moment() {
    let site = Site::start(1, &FLAGS.map(str::to_owned)).await;
    let folder = site.folder.path().display();
    let url = format!("sqlite://{folder}/data/mirage.db?mode=rw");
    assert_confirmed_changes_survive_kills(site, &url).await;
}

#[actix_web::test]
async fn confirmed_changes_survive_a_kill_of_any_of_three_processes() {
    let database = PostgresDatabase::migrated().await;
    let mut flags = FLAGS.map(str::to_owned).to_vec();
    flags.push(format!("--database-url={}", database.url()));
    flags.push(redis_server::shared());
    let site = Site::start(3, &flags).await;
    assert_confirmed_changes_survive_kills(site, &database.url()).await;
}

/// Kills one of the servers again and again, and looks for all changes in the database with this URL.
async fn assert_confirmed_changes_survive_kills(mut site: Site, url: &str) {
    let runs = if is_long() { 1_000 } else { 50 };
    let mut rng = seeded_rng(SEED);
    let mut groups: Vec<_> = (0..GROUPS).map(Group::new).collect();
    let run = Run::new(&site, Vec::new());
    for group in &mut groups {
        for _ in 0..3 {
            assert!(group.sign_up(&run).await.is_ok());
        }
    }
    let mut starts = Vec::new();
    // By kind, the requests in flight at a kill: how many were committed, and how many were not.
    let mut lost: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut found = read_database(url).await;

    for number in 0..runs {
        for group in &mut groups {
            group.resume(&site, &found).await;
        }
        let rooms = newest(&found.rooms, 60);
        let run = Run::new(&site, rooms);
        let killed;
        (groups, killed) = act_and_kill(&mut site, run, groups, number, &mut rng).await;

        starts.push(site.start_again(killed).await);
        found = read_database(url).await;
        let mut expected = Facts::new();
        for group in &mut groups {
            if let Some(change) = group.in_flight.take() {
                let is_done = change.added.iter().any(|fact| found.facts.contains(fact));
                if is_done {
                    change.apply(&mut group.facts);
                }
                // Which password is valid shows at the next sign-in.
                if !change.added.is_empty() {
                    lost.entry(change.kind).or_default()[usize::from(!is_done)] += 1;
                }
            }
            expected.extend(group.facts.iter().cloned());
        }
        let missing: Vec<_> = expected.difference(&found.facts).collect();
        let unexpected: Vec<_> = found.facts.difference(&expected).collect();
        assert!(
            missing.is_empty() && unexpected.is_empty(),
            "seed {SEED}, run {number}: missing {missing:?}, unexpected {unexpected:?}"
        );
    }
    for group in &mut groups {
        group.resume(&site, &found).await;
    }

    let mut answered: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, times) in groups.iter().flat_map(|h| &h.answered) {
        *answered.entry(kind).or_default() += times;
    }
    starts.sort();
    let median = starts[starts.len() / 2];
    println!("{runs} runs with seed {SEED}; confirmed and found after the kill: {answered:?}");
    println!("in flight at a kill, committed and not committed: {lost:?}");
    println!(
        "time from start to first answer: median {median:?}, maximum {:?}",
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
