//! Races between three processes of one site, of which one is killed at a random moment. Of two conflicting forms that are
//! sent at once to two processes, each again to the next process until one answers, exactly one changes something, the
//! answers say which one, and all processes show the same afterwards.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::RngExt;
use tokio::sync::{Barrier, watch};

use crate::postgres::PostgresDatabase;
use crate::processes::{Addresses, HUNG, Site};
use crate::redis_server;
use crate::support::{Browser, PASSWORD, Page, is_long, seeded_rng};

const SEED: u64 = 17;
const PROCESSES: usize = 3;

/// The number of races in each round, each with two forms.
const RACES: usize = 6;

/// A race with a form that ends something. If its process is killed meanwhile, the next one waits 3 s for the end of the
/// form's turn (`done_forms`), so only every second round has one.
enum Ending {
    Inheritance,
    Handover,
}

impl Ending {
    fn of_round(number: usize) -> Option<Self> {
        match number % 4 {
            0 => Some(Self::Inheritance),
            2 => Some(Self::Handover),
            _ => None,
        }
    }
}

const OTHER_PASSWORD: &str = "an owl in a willow";

const FLAGS: [&str; 6] = [
    "--limits=off",
    // A connection that the server closes when a request is on its way looks like a kill.
    "--keep-alive=1min",
    "--members-per-room=3",
    "--rooms-per-person=2",
    "--link-timeout=30s",
    "--log=warn,sqlx=off,mirage=info,mirage::web::request_log=warn",
];

/// A form: who sends it, its path and its fields.
type Form<'a> = (&'a Browser, &'a str, &'a [(&'a str, &'a str)]);

/// The answer to a form.
struct Answer {
    page: Page,
    /// Whether an earlier process was asked in vain. It may have done what the form says before it was killed.
    is_retried: bool,
}

impl Answer {
    /// Asserts that the answer says whether the form has changed something: a redirect if so, or else this status. A form
    /// that was sent again may be told that what it asks for was done before.
    #[track_caller]
    fn assert_says(&self, is_done: bool, refused: u16) {
        let status = self.page.status.as_u16();
        let is_right = match status {
            303 => is_done,
            _ => status == refused && (!is_done || self.is_retried),
        };
        assert!(
            is_right,
            "done: {is_done}, sent again: {}, answered {status}: {}",
            self.is_retried, self.page.body
        );
    }
}

/// Asserts that exactly one of two forms has changed something, and that the answers say which one.
#[track_caller]
fn assert_one_won(answers: &[Answer; 2], won: [bool; 2], refused: u16) {
    assert!(won[0] != won[1], "won: {won:?}");
    for (answer, won) in answers.iter().zip(won) {
        answer.assert_says(won, refused);
    }
}

/// People who race with each other alone, each known by a name and a number.
struct Group<const N: usize> {
    name: &'static str,
    people: [Browser; N],
}

impl<const N: usize> Group<N> {
    async fn sign_up(site: &Site, name: &'static str) -> Self {
        let people = std::array::from_fn(|_| Browser::new(&site.addresses.of(0)));
        let made = Self { name, people };
        for (number, person) in made.people.iter().enumerate() {
            let form = [("name", &*made.named(number)), ("password", PASSWORD)];
            person.post("/register", &form).await.assert_status(303);
        }
        made
    }

    /// The name of a person.
    fn named(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }
}

/// What the races of a round share.
struct Round {
    number: usize,
    addresses: Arc<Addresses>,
    /// Whether a process is killed during this round.
    is_kill: bool,
    /// Passed when all races may begin.
    ready: Barrier,
    /// Passed when all forms are answered, and all processes run.
    over: Barrier,
    /// The number of answers.
    answers: watch::Sender<usize>,
    retried: AtomicUsize,
}

impl Round {
    fn new(number: usize, site: &Site, is_kill: bool) -> Self {
        // What kills, too.
        let parties = 1 + RACES + usize::from(Ending::of_round(number).is_some());
        Self {
            number,
            addresses: Arc::clone(&site.addresses),
            is_kill,
            ready: Barrier::new(parties),
            over: Barrier::new(parties),
            answers: watch::Sender::new(0),
            retried: AtomicUsize::new(0),
        }
    }

    /// The same person, who asks each of the processes that run now in turn.
    fn now(&self, person: &Browser) -> Browser {
        person.among(self.addresses.all())
    }

    /// The people of a group.
    fn people<const N: usize>(&self, group: &Group<N>) -> [Browser; N] {
        group.people.each_ref().map(|person| self.now(person))
    }

    /// Sends two forms at once to different processes, when all races begin. Returns the answers when the round is over.
    async fn race(&self, forms: [Form<'_>; 2]) -> [Answer; 2] {
        self.ready.wait().await;
        let first = self.number;
        let second = first + 1 + self.number / PROCESSES % (PROCESSES - 1);
        let [one, other] = forms;
        let (one, other) = tokio::join!(self.send(first, one), self.send(second, other));
        self.over.wait().await;
        [one, other]
    }

    async fn send(&self, first: usize, (browser, path, form): Form<'_>) -> Answer {
        let post = |site: &str| browser.client.post(format!("{site}{path}")).form(form);
        let (page, by) = self.addresses.ask(first, post).await;
        let is_retried = by != first;
        assert!(self.is_kill || !is_retried, "{path}: no answer");
        self.retried
            .fetch_add(usize::from(is_retried), Ordering::SeqCst);
        self.answers.send_modify(|answers| *answers += 1);
        Answer { page, is_retried }
    }

    /// Returns what a person sees at each process. What a killed process has told nobody of comes a little later.
    async fn agreed<T: PartialEq + Debug>(
        &self,
        person: &Browser,
        look: impl AsyncFn(&Browser) -> T,
    ) -> T {
        let looking = async {
            loop {
                let mut shown = Vec::new();
                for address in self.addresses.all() {
                    shown.push(look(&person.at(&address)).await);
                }
                if shown.iter().all(|other| *other == shown[0]) {
                    return shown.swap_remove(0);
                }
                assert!(self.is_kill, "the processes differ: {shown:?}");
            }
        };
        let agreed = tokio::time::timeout(HUNG, looking).await;
        agreed.unwrap_or_else(|_| panic!("the processes never agree"))
    }

    /// Returns the members of a room as all processes show them.
    async fn members(&self, person: &Browser, room: i64) -> Vec<String> {
        let look = async |person: &Browser| person.members(room).await;
        self.agreed(person, look).await
    }

    /// Returns the names of a person's rooms as all processes show them.
    async fn rooms(&self, person: &Browser) -> Vec<String> {
        let look = async |person: &Browser| person.get("/rooms/mine").await.texts(".rooms h2");
        self.agreed(person, look).await
    }

    async fn delete(&self, owner: &Browser, room: i64) {
        let path = format!("/rooms/{room}/settings/delete");
        let deleted = self.now(owner).post(&path, &[("confirm", "1")]).await;
        deleted.assert_status(303);
    }

    /// Deletes the person's room with this name.
    async fn delete_named(&self, owner: &Browser, name: &str) {
        let own = self.now(owner).get("/rooms/mine").await;
        let names = own.texts(".rooms h2");
        let links = own.attributes(".rooms h2 a", "href");
        let mut rooms = names.iter().zip(links);
        let (_, link) = rooms.find(|(found, _)| *found == name).unwrap();
        let room = link.trim_start_matches("/rooms/").trim_end_matches("#now");
        self.delete(owner, room.parse().unwrap()).await;
    }
}

fn has(list: &[String], item: &str) -> bool {
    list.iter().any(|found| found == item)
}

/// Two people join a room that has one place left.
async fn last_place(round: &Round, group: &Group<4>) {
    let [owner, guest, one, other] = &round.people(group);
    let room = owner.create_public_room(group.name).await;
    guest.join(room).await;
    let path = format!("/rooms/{room}/join");

    let form: &[_] = &[("join", "1")];
    let answers = round.race([(one, &path, form), (other, &path, form)]).await;

    let members = round.members(owner, room).await;
    assert_eq!(members.len(), 3, "{members:?}");
    let won = [2, 3].map(|number| has(&members, &group.named(number)));
    assert_one_won(&answers, won, 403);
    round.delete(owner, room).await;
}

/// Two people accept an invite that one of them may use.
async fn last_use(round: &Round, group: &Group<3>) {
    let [owner, one, other] = &round.people(group);
    let room = owner.create_private_room(group.name).await;
    let invite = owner.create_invite(room, "hour", "one").await;
    // The site has the address of a process that may have been killed long ago.
    let link = invite.attribute("main h2 + p a", "href");
    let path = &link[link.rfind("/invite/").unwrap()..];

    let form: &[_] = &[("join", "1")];
    let answers = round.race([(one, path, form), (other, path, form)]).await;

    let members = round.members(owner, room).await;
    let won = [1, 2].map(|number| has(&members, &group.named(number)));
    assert_one_won(&answers, won, 404);
    let loser = if won[0] { other } else { one };
    round.now(loser).accept(path).await.assert_status(404);
    round.delete(owner, room).await;
}

/// Two people create a room with the same name: names that look alike are one name.
async fn room_name(round: &Round, group: &Group<2>) {
    let [one, other] = &round.people(group);
    let names = ["room", "ROOM"].map(|word| format!("{word} {}", round.number));

    let forms = names
        .each_ref()
        .map(|name| [("name", name.as_str()), ("kind", "public")]);
    let path = "/rooms/new";
    let answers = round
        .race([(one, path, &forms[0]), (other, path, &forms[1])])
        .await;

    let own = [round.rooms(one).await, round.rooms(other).await];
    let won = [0, 1].map(|number| has(&own[number], &names[number]));
    assert_one_won(&answers, won, 422);
    let (winner, name) = if won[0] {
        (one, &names[0])
    } else {
        (other, &names[1])
    };
    round.delete_named(winner, name).await;
}

/// A person who may own one more room creates two.
async fn last_room(round: &Round, group: &Group<1>) {
    let [owner] = &round.people(group);
    let kept = owner.create_public_room("kept").await;
    let names = ["first", "second"].map(|word| format!("{word} {}", round.number));

    let forms = names
        .each_ref()
        .map(|name| [("name", name.as_str()), ("kind", "public")]);
    let path = "/rooms/new";
    let answers = round
        .race([(owner, path, &forms[0]), (owner, path, &forms[1])])
        .await;

    let own = round.rooms(owner).await;
    let won = [0, 1].map(|number| has(&own, &names[number]));
    assert_one_won(&answers, won, 422);
    round.delete_named(owner, &names[usize::from(won[1])]).await;
    round.delete(owner, kept).await;
}

/// Two people sign up with the same name: names that look alike are one name.
async fn username(round: &Round, site_address: &str) {
    let names = ["ann", "ANN"].map(|word| format!("{word}-{}", round.number));
    let passwords = [PASSWORD, OTHER_PASSWORD];
    let people = [0, 1].map(|_| Browser::new(site_address));

    let forms = [0, 1].map(|number| [("name", &*names[number]), ("password", passwords[number])]);
    let path = "/register";
    let answers = round
        .race([(&people[0], path, &forms[0]), (&people[1], path, &forms[1])])
        .await;

    let mut won = [false; 2];
    for number in [0, 1] {
        let is_answered = answers[number].page.status == 303;
        let sign_in = people[number].at(&round.addresses.of(round.number));
        won[number] = is_answered || sign_in.post("/login", &forms[number]).await.status == 303;
    }
    assert_one_won(&answers, won, 422);
}

/// The owner makes a moderator an ordinary member, who bans somebody meanwhile.
async fn demotion(round: &Round, group: &Group<3>) {
    let [owner, moderator, other] = &round.people(group);
    let room = owner.create_public_room(group.name).await;
    for person in [moderator, other] {
        person.join(room).await;
    }
    owner.make_moderator(room, &group.named(1)).await;
    let path_to = async |number, act| {
        let person = owner.member_id(room, &group.named(number)).await;
        format!("/rooms/{room}/members/{person}/{act}")
    };
    let (demote, ban) = (path_to(1, "role").await, path_to(2, "ban").await);

    let answers = round
        .race([
            (owner, &demote, &[("role", "member")]),
            (moderator, &ban, &[("reason", "Loud")]),
        ])
        .await;

    let members = round.members(owner, room).await;
    // An ordinary member now.
    assert!(has(&members, &group.named(1)), "{members:?}");
    let is_banned = !has(&members, &group.named(2));
    answers[0].page.assert_status(303);
    answers[1].assert_says(is_banned, 403);
    let look = async |owner: &Browser| {
        let page = owner.get(&format!("/rooms/{room}/members")).await;
        page.texts(".rooms li b").len()
    };
    let banned = round.agreed(owner, look).await;
    assert_eq!(banned, usize::from(is_banned), "{members:?}");
    round.delete(owner, room).await;
}

/// The owner leaves, and removes the moderator who is the heir.
async fn heir(round: &Round, group: &Group<3>) {
    let [owner, moderator, last] = &round.people(group);
    let room = owner.create_public_room(group.name).await;
    for person in [moderator, last] {
        person.join(room).await;
    }
    owner.make_moderator(room, &group.named(1)).await;
    let person = owner.member_id(room, &group.named(1)).await;
    let remove = format!("/rooms/{room}/members/{person}/remove");
    let leave = format!("/rooms/{room}/leave");

    let answers = round
        .race([
            (owner, &leave, &[("leave", "1")]),
            (owner, &remove, &[("confirm", "1")]),
        ])
        .await;

    let members = round.members(last, room).await;
    let [_, moderator_name, last_name] = [0, 1, 2].map(|number| group.named(number));
    let is_removed = members == [format!("{last_name} (you), owner")];
    let inherited = [
        format!("{moderator_name}, owner"),
        format!("{last_name} (you)"),
    ];
    assert!(is_removed || members == inherited, "{members:?}");
    answers[0].assert_says(true, 403);
    answers[1].assert_says(is_removed, 403);
    round
        .delete(if is_removed { last } else { moderator }, room)
        .await;
}

/// The owner hands the room over to two people.
async fn handover(round: &Round, group: &Group<3>) {
    let [owner, one, other] = &round.people(group);
    let room = owner.create_public_room(group.name).await;
    let mut paths = Vec::new();
    for (number, person) in [(1, one), (2, other)] {
        person.join(room).await;
        let person = owner.member_id(room, &group.named(number)).await;
        paths.push(format!("/rooms/{room}/members/{person}/owner"));
    }

    let form: &[_] = &[("confirm", "1")];
    let answers = round
        .race([(owner, &paths[0], form), (owner, &paths[1], form)])
        .await;

    let members = round.members(owner, room).await;
    let before = format!("{} (you), moderator", group.named(0));
    assert!(members.len() == 3 && has(&members, &before), "{members:?}");
    let won = [1, 2].map(|number| has(&members, &format!("{}, owner", group.named(number))));
    assert_one_won(&answers, won, 403);
    round.delete(if won[0] { one } else { other }, room).await;
}

#[actix_web::test]
async fn of_two_conflicting_changes_one_wins_while_any_of_three_processes_is_killed() {
    let rounds = if is_long() { 1_000 } else { 50 };
    let mut rng = seeded_rng(SEED);
    let database = PostgresDatabase::migrated().await;
    let mut flags = FLAGS.map(str::to_owned).to_vec();
    flags.push(format!("--database-url={}", database.url()));
    flags.push(redis_server::shared());
    let mut site = Site::start(PROCESSES, &flags).await;
    let place = Group::sign_up(&site, "place").await;
    let invited = Group::sign_up(&site, "invited").await;
    let namers = Group::sign_up(&site, "namers").await;
    let makers = Group::sign_up(&site, "makers").await;
    let demoted = Group::sign_up(&site, "demoted").await;
    let heirs = Group::sign_up(&site, "heirs").await;
    let handed = Group::sign_up(&site, "handed").await;
    let (mut kills, mut retried) = (0, 0);

    for number in 0..rounds {
        // In some rounds none is killed: then all is answered at once, and seen everywhere at once.
        let is_kill = rng.random_range(0..3) > 0;
        let round = Round::new(number, &site, is_kill);
        let address = site.addresses.of(number);
        let killing = async {
            round.ready.wait().await;
            if is_kill {
                let enough = rng.random_range(0..2 * RACES);
                let mut answers = round.answers.subscribe();
                let waited = tokio::time::timeout(HUNG, answers.wait_for(|now| *now >= enough));
                drop(waited.await.unwrap().unwrap());
                // A random moment between two answers.
                tokio::time::sleep(Duration::from_micros(rng.random_range(0..5_000))).await;
                let victim = rng.random_range(0..PROCESSES);
                let (_, log) = site.replace(victim, "-KILL").await;
                assert_eq!(log, "", "the server logged a problem before the kill");
            }
            round.over.wait().await;
        };
        tokio::join!(
            killing,
            last_place(&round, &place),
            last_use(&round, &invited),
            room_name(&round, &namers),
            last_room(&round, &makers),
            username(&round, &address),
            demotion(&round, &demoted),
            async {
                match Ending::of_round(number) {
                    Some(Ending::Inheritance) => heir(&round, &heirs).await,
                    Some(Ending::Handover) => handover(&round, &handed).await,
                    None => {}
                }
            },
        );
        kills += usize::from(is_kill);
        retried += round.retried.into_inner();
    }

    println!("{rounds} rounds with seed {SEED}: {kills} kills, {retried} forms sent again");
    assert!(retried > 0, "no kill hit a form on its way");
}
