//! The logs of all rooms on Redis.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use redis::{Script, ScriptInvocation, cmd};
use sha2::{Digest, Sha256};

use super::followed::{Followed, Read};
use super::scripts::Scripts;
use super::wire::{Entry, Told, nonce_text};
use crate::clock::Clock;
use crate::domain::{Lifespan, MessageId, NonceId, Reason, RoomId, SiteTime, UserId};
use crate::live::messages::activity::Activity;
use crate::live::messages::append::{Appended, Wish};
use crate::live::messages::cursor::Cursor;
use crate::live::messages::event::Event;
use crate::live::messages::memory::Capacity;
use crate::live::messages::message::{Message, Renderer, lead_of};
use crate::live::messages::pulse::{Pulse, Pulses};
use crate::live::messages::reports::{MAX_PER_REPORTER, Report, Reported};
use crate::live::messages::state::{NEVER, Newest, RoomState};
use crate::live::messages::subscription::Subscription;
use crate::live::messages::tally::{Amount, Held, Tally, Totals};
use crate::live::redis::{Handler, Link, LinkState, Session, Unavailable};

/// How much later than the longest lifespan Redis would drop a key by itself. Redis goes by its own clock, which may be
/// set by a day.
const TTL_MARGIN: Duration = Duration::from_secs(2 * 86_400);
/// How many due rooms one sweep takes at most.
const SWEPT_AT_ONCE: usize = 10_000;
/// Deadlines are entered for the sweep by this fraction of the lifespan: rooms are visited a little too early instead
/// of once for each message.
const ENTRIES_PER_LIFESPAN: i64 = 64;
/// How long after a shortening the sweep visits the room, if nothing expires there before.
const SHORTENED_VISIT: Duration = Duration::from_secs(4);
/// How often a reader tries to get a copy of a room that is deleted again and again.
const MAX_READS: usize = 4;

/// The logs of all rooms on Redis. See the module's documentation for the keys.
pub(in crate::live::messages) struct RedisLog {
    link: Arc<Link>,
    clock: Arc<dyn Clock>,
    scripts: Scripts,
    capacity: Capacity,
    /// For how long unused keys stay, in milliseconds.
    keep_ms: u128,
    renderer: Renderer,
    rooms: RwLock<HashMap<RoomId, Arc<Followed>>>,
    pulses: Mutex<Pulses>,
    /// What this process's scripts did.
    totals: Totals,
}

/// The open reports of a room by message, and the reasons by message and reporter.
type OpenReports = (Vec<(u64, String)>, Vec<(String, String)>);

/// The number of fields that a script returns of the room.
const SUMMARY_FIELDS: usize = 15;

/// What a script says of the room after it, and what it did.
struct Summary {
    fields: [String; SUMMARY_FIELDS],
}

impl RedisLog {
    pub(in crate::live::messages) fn new(
        link: Arc<Link>,
        clock: Arc<dyn Clock>,
        capacity: Capacity,
        longest: Lifespan,
        renderer: Renderer,
    ) -> Arc<Self> {
        let log = Arc::new(Self {
            link,
            clock,
            scripts: Scripts::new(),
            capacity,
            keep_ms: (longest.0 + TTL_MARGIN).as_millis(),
            renderer,
            rooms: RwLock::new(HashMap::new()),
            pulses: Mutex::new(Pulses::default()),
            totals: Totals::default(),
        });
        tokio::spawn(follow_link(Arc::downgrade(&log), log.link.states()));
        log
    }

    /// Posts a message.
    pub(in crate::live::messages) async fn append(
        &self,
        room: RoomId,
        wish: &Wish<'_>,
        now: SiteTime,
    ) -> Result<Appended, Unavailable> {
        let session = self.link.ready().await?;
        let entry = self.entry(room);
        let is_told = entry.told_in.load(Ordering::Acquire) == session.number;
        // Redis knows the version; this process must have told its own in this session.
        let known = is_told.then_some(wish.version);
        if let Some(refusal) = wish.refusal(known) {
            return Ok(refusal);
        }
        let new = &wish.message;
        // As many bytes as the copies of the message will take.
        let id = MessageId(u64::try_from(now.0).unwrap_or(0).saturating_mul(1_000));
        let bytes = Message::new(room, id, now, new, 0, &self.renderer).bytes();
        let text = new.text.as_str();
        let mut script = self.script(&self.scripts.append, room, now);
        script
            .arg(wish.version)
            .arg(wish.session.to_hex())
            .arg(nonce_text(new.nonce))
            .arg(digest(text))
            .arg(new.author.0)
            .arg(millis(new.lifespan))
            .arg(new.sent_at.0)
            .arg(format!("{:x}", lead_of(new.author, &new.text)))
            .arg(bytes)
            .arg(&*new.author_name)
            .arg(text);
        // Both go through one connection, in this order: the sweep will know of the room before there is a message.
        let (entered, answer) = tokio::join!(
            self.enter(room, now, new.lifespan),
            self.link.script::<Vec<String>>(&script)
        );
        entered?;
        let mut answer = answer?.into_iter();
        let outcome = answer.next().unwrap_or_default();
        let id = answer.next().and_then(|id| id.parse().ok()).map(MessageId);
        Ok(match (outcome.as_str(), id) {
            ("new", Some(id)) => {
                self.account(room, Summary::of(answer), now).await?;
                Appended::New(id)
            }
            ("repeated", Some(id)) => Appended::Repeated(id),
            ("reused", _) => Appended::NonceReused,
            ("ended", _) => Appended::SessionEnded,
            _ => Appended::Stale,
        })
    }

    /// Enters a deadline for the sweep, at most a little too early.
    async fn enter(
        &self,
        room: RoomId,
        now: SiteTime,
        lifespan: Lifespan,
    ) -> Result<(), Unavailable> {
        let step = (millis(lifespan) / ENTRIES_PER_LIFESPAN).max(1);
        let deadline = now.plus(lifespan.0).0;
        self.enter_at(room, deadline.saturating_sub(deadline.rem_euclid(step)))
            .await
    }

    async fn enter_at(&self, room: RoomId, deadline: i64) -> Result<(), Unavailable> {
        let mut add = cmd("ZADD");
        add.arg(self.link.keys().site("deadlines"))
            .arg(deadline)
            .arg(format!("{room}:{deadline}"));
        self.link.run(&add).await
    }

    /// Begins to know a room's version. Returns the session in which it may be told.
    pub(in crate::live::messages) async fn open(&self) -> Result<Session, Unavailable> {
        self.link.ready().await
    }

    /// Tells the version that was read from the database since `session` was returned by [`RedisLog::open`]. A version
    /// that was told to Redis before it lost its memory may be greater: nothing is told in another session.
    pub(in crate::live::messages) async fn confirm_version(
        &self,
        room: RoomId,
        session: Session,
        version: i64,
    ) -> Result<(), Unavailable> {
        let now = self.clock.site_time();
        let mut script = self.script(&self.scripts.version, room, now);
        script.arg(version).arg(1);
        let _: u8 = self.link.script(&script).await?;
        if self.link.session() == Some(session) {
            self.entry(room)
                .told_in
                .store(session.number, Ordering::Release);
        }
        Ok(())
    }

    pub(in crate::live::messages) async fn raise_version(
        &self,
        room: RoomId,
        version: i64,
    ) -> Result<(), Unavailable> {
        self.wake(room);
        let mut script = self.script(&self.scripts.version, room, self.clock.site_time());
        script.arg(version).arg(0);
        let _: u8 = self.link.script(&script).await?;
        Ok(())
    }

    pub(in crate::live::messages) async fn has_used(
        &self,
        room: RoomId,
        nonce: NonceId,
        now: SiteTime,
    ) -> Result<bool, Unavailable> {
        let mut get = cmd("HGET");
        get.arg(self.link.keys().room(room, "nonces"))
            .arg(nonce_text(nonce));
        let used: Option<String> = self.link.run(&get).await?;
        let until = used.as_deref().and_then(|used| used.rsplit(' ').next());
        Ok(until
            .and_then(|until| until.parse().ok())
            .is_some_and(|until| now.0 < until))
    }

    /// Runs `read` on the state of a room and the time to go by.
    pub(in crate::live::messages) async fn read<T>(
        self: &Arc<Self>,
        room: RoomId,
        now: SiteTime,
        read: impl Fn(&RoomState, SiteTime) -> T,
    ) -> Result<T, Unavailable> {
        for _ in 0..MAX_READS {
            let entry = self.current(room).await?;
            let answer = entry.with_log(|log| {
                let at = log.advance(now);
                (read(log.state(), at), log.state().first_deadline())
            });
            if let Some((answer, first_deadline)) = answer {
                lock(&self.pulses).note(room, now, false, first_deadline);
                return Ok(answer);
            }
        }
        Err(Unavailable)
    }

    /// Makes sure that the next read has all events until now, also those that other processes have just added.
    pub(in crate::live::messages) async fn catch_up(
        &self,
        room: RoomId,
    ) -> Result<(), Unavailable> {
        match self.find(room) {
            Some(_) => self.link.hear_all().await,
            // The room is read when it is asked for.
            None => Ok(()),
        }
    }

    /// As [`RedisLog::catch_up`], if a page has seen more than this process.
    pub(in crate::live::messages) async fn catch_up_with(
        &self,
        room: RoomId,
        cursor: Cursor,
    ) -> Result<(), Unavailable> {
        let Some(session) = self.link.session().filter(|s| s.life == cursor.life) else {
            return Ok(());
        };
        match self.find(room) {
            Some(entry) if entry.latest_in(session) < cursor.event => self.catch_up(room).await,
            _ => Ok(()),
        }
    }

    pub(in crate::live::messages) fn is_of_this_life(&self, cursor: Cursor) -> bool {
        self.link
            .session()
            .is_some_and(|session| session.life == cursor.life)
    }

    pub(in crate::live::messages) fn pulse(&self, room: RoomId, now: SiteTime) -> Arc<Pulse> {
        let pulse = lock(&self.pulses).of(room, now);
        let copy = self.find(room);
        let first_deadline =
            copy.and_then(|copy| copy.with_log(|log| log.state().first_deadline()));
        lock(&self.pulses).note(room, now, false, first_deadline.unwrap_or(NEVER));
        pulse
    }

    pub(in crate::live::messages) fn changed(
        &self,
        since: SiteTime,
        now: SiteTime,
        most: usize,
    ) -> Option<Vec<RoomId>> {
        lock(&self.pulses).changed(since, now, most)
    }

    /// Returns the rooms with a live message.
    pub(in crate::live::messages) async fn activity(
        &self,
        now: SiteTime,
    ) -> Result<Activity, Unavailable> {
        let mut get = cmd("HGETALL");
        get.arg(self.link.keys().site("activity"));
        let rooms: HashMap<i64, String> = self.link.run(&get).await?;
        let mut activity = Activity::default();
        for (room, newest) in rooms {
            let room = RoomId(room);
            let newest = match newest_of(&newest).filter(|newest| now < newest.deadline) {
                Some(newest) => Some(newest),
                // An older message with a later deadline may still be live.
                None => self.look(room, now).await?.newest(),
            };
            activity.set(room, newest);
        }
        Ok(activity)
    }

    async fn look(&self, room: RoomId, now: SiteTime) -> Result<Summary, Unavailable> {
        let look = self.script(&self.scripts.look, room, now);
        let fields: Vec<String> = self.link.script(&look).await?;
        Ok(Summary::of(fields.into_iter()))
    }

    /// Subscribes to a room's events.
    pub(in crate::live::messages) async fn subscribe(
        self: &Arc<Self>,
        room: RoomId,
    ) -> Result<Subscription, Unavailable> {
        for _ in 0..MAX_READS {
            let entry = self.current(room).await?;
            if let Some(subscription) = entry.with_log(|log| log.subscribe()) {
                return Ok(subscription);
            }
        }
        Err(Unavailable)
    }

    pub(in crate::live::messages) fn subscriber_count(&self, room: RoomId) -> usize {
        let count = |entry: Arc<Followed>| entry.with_log(|log| log.subscriber_count());
        self.find(room).and_then(count).unwrap_or(0)
    }

    pub(in crate::live::messages) fn tally(&self) -> Tally {
        self.totals.get()
    }

    /// Returns what this process's copies hold.
    pub(in crate::live::messages) fn held(&self) -> Held {
        let mut held = Held::default();
        let copies: Vec<_> = self.rooms().values().map(Arc::clone).collect();
        for copy in copies {
            copy.with_log(|log| {
                held.rooms += 1;
                held.messages += log.state().size();
                held.bytes += log.bytes();
                held.subscribers += log.subscriber_count();
            });
        }
        held
    }

    /// Wakes all subscribers of a room in this process.
    pub(in crate::live::messages) fn wake(&self, room: RoomId) {
        if let Some(entry) = self.find(room) {
            entry.with_log(|log| log.wake());
        }
    }

    pub(in crate::live::messages) async fn delete(
        &self,
        room: RoomId,
        message: MessageId,
        now: SiteTime,
    ) -> Result<bool, Unavailable> {
        let mut script = self.script(&self.scripts.delete, room, now);
        script.arg(message.0);
        let mut answer = self.link.script::<Vec<String>>(&script).await?.into_iter();
        let was_there = answer.next().is_some_and(|was_there| was_there == "1");
        self.account(room, Summary::of(answer), now).await?;
        Ok(was_there)
    }

    pub(in crate::live::messages) async fn delete_by(
        &self,
        author: UserId,
        room: RoomId,
        is_account_deleted: bool,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        let mut script = self.script(&self.scripts.delete_by, room, now);
        script.arg(author.0).arg(u8::from(is_account_deleted));
        self.change(room, &script, now).await
    }

    /// Deletes all messages and reports of a person in all rooms.
    pub(in crate::live::messages) async fn forget_person(
        &self,
        person: UserId,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        let mut range = cmd("ZRANGE");
        range.arg(self.link.keys().site("bytes")).arg(0).arg(-1);
        let rooms: Vec<i64> = self.link.run(&range).await?;
        for room in rooms {
            self.delete_by(person, RoomId(room), true, now).await?;
        }
        Ok(())
    }

    pub(in crate::live::messages) async fn clear(
        &self,
        room: RoomId,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        let script = self.script(&self.scripts.clear, room, now);
        self.change(room, &script, now).await
    }

    pub(in crate::live::messages) async fn shorten(
        &self,
        room: RoomId,
        lifespan: Lifespan,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        // The new deadlines may be earlier than any that was entered. The sweep visits the room soon even if this
        // process dies before it enters the first of them.
        self.enter_at(room, now.plus(SHORTENED_VISIT).0).await?;
        let mut script = self.script(&self.scripts.shorten, room, now);
        script.arg(millis(lifespan));
        self.change(room, &script, now).await?;
        match self.look(room, now).await?.next_deadline() {
            Some(next) => self.enter_at(room, next).await,
            None => Ok(()),
        }
    }

    pub(in crate::live::messages) async fn note_room_change(
        &self,
        room: RoomId,
        version: i64,
    ) -> Result<(), Unavailable> {
        let now = self.clock.site_time();
        let mut script = self.script(&self.scripts.room_changed, room, now);
        script.arg(version);
        self.change(room, &script, now).await
    }

    pub(in crate::live::messages) async fn forget(&self, room: RoomId) -> Result<(), Unavailable> {
        let now = self.clock.site_time();
        let script = self.script(&self.scripts.forget, room, now);
        let fields: Vec<String> = self.link.script(&script).await?;
        if let Some(entry) = self.find(room) {
            entry.let_go();
            entry.told_in.store(0, Ordering::Release);
        }
        self.account(room, Summary::of(fields.into_iter()), now)
            .await
    }

    pub(in crate::live::messages) async fn report(
        &self,
        room: RoomId,
        message: MessageId,
        reporter: UserId,
        reason: &Reason,
        now: SiteTime,
    ) -> Result<Reported, Unavailable> {
        let mut script = self.script(&self.scripts.report, room, now);
        script
            .arg(message.0)
            .arg(reporter.0)
            .arg(reason.as_str())
            .arg(MAX_PER_REPORTER);
        let mut answer = self.link.script::<Vec<String>>(&script).await?.into_iter();
        let outcome = answer.next().unwrap_or_default();
        self.account(room, Summary::of(answer), now).await?;
        Ok(match outcome.as_str() {
            "done" => Reported::Done,
            "many" => Reported::TooManyOpen,
            _ => Reported::NoSuchMessage,
        })
    }

    /// Returns the open reports of a room, oldest first.
    pub(in crate::live::messages) async fn reports(
        &self,
        room: RoomId,
        now: SiteTime,
    ) -> Result<Vec<Report>, Unavailable> {
        let script = self.script(&self.scripts.reports, room, now);
        let (open, reasons): OpenReports = self.link.script(&script).await?;
        let mut reports: Vec<(u64, Report)> = open
            .iter()
            .filter_map(|(id, value)| self.report_of(room, MessageId(*id), value, &reasons))
            .collect();
        reports.sort_by_key(|(number, _)| *number);
        Ok(reports.into_iter().map(|(_, report)| report).collect())
    }

    /// Returns the rooms with open reports, by their ids, and these reports.
    pub(in crate::live::messages) async fn reported(
        &self,
        now: SiteTime,
    ) -> Result<Vec<(RoomId, Vec<Report>)>, Unavailable> {
        let mut members = cmd("SMEMBERS");
        members.arg(self.link.keys().site("reported"));
        let rooms: Vec<i64> = self.link.run(&members).await?;
        let mut reported = Vec::new();
        for room in rooms.into_iter().map(RoomId) {
            // The reports may have expired since the site was told.
            let reports = self.reports(room, now).await?;
            if !reports.is_empty() {
                reported.push((room, reports));
            }
        }
        reported.sort_unstable_by_key(|(room, _)| *room);
        Ok(reported)
    }

    /// Parses a report and its number.
    fn report_of(
        &self,
        room: RoomId,
        id: MessageId,
        value: &str,
        reasons: &[(String, String)],
    ) -> Option<(u64, Report)> {
        let (line, text) = value.split_once('\n')?;
        let mut fields = line.splitn(3, ' ');
        let number = fields.next()?.parse().ok()?;
        let deadline = SiteTime(fields.next()?.parse().ok()?);
        let entry = Entry::parse(fields.next()?, text)?;
        let Event::Replayed(posted) = entry.event else {
            return None;
        };
        let message = Message::new(room, id, entry.at, &posted.new, 0, &self.renderer);
        let mut given: Vec<(u64, UserId, Reason)> = reasons
            .iter()
            .filter_map(|(field, reason)| {
                let (of, by) = field.split_once(':')?;
                let (number, reason) = reason.split_once(' ')?;
                let is_of_this = of.parse() == Ok(id.0);
                let by = UserId(by.parse().ok()?);
                let number = number.parse().ok()?;
                is_of_this.then_some((number, by, Reason::parse(reason).ok()?))
            })
            .collect();
        given.sort_by_key(|(number, ..)| *number);
        let reasons = given.into_iter().map(|(_, by, reason)| (by, reason));
        let report = Report::restored(Arc::new(message), deadline, reasons.collect());
        Some((number, report))
    }

    pub(in crate::live::messages) async fn close_report(
        &self,
        room: RoomId,
        message: MessageId,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        let mut script = self.script(&self.scripts.close_report, room, now);
        script.arg(message.0);
        self.change(room, &script, now).await
    }

    /// Returns the bytes of all messages and reports of the site.
    pub(in crate::live::messages) async fn bytes(&self) -> Result<usize, Unavailable> {
        let mut get = cmd("GET");
        get.arg(self.link.keys().site("total"));
        let total: Option<usize> = self.link.run(&get).await?;
        Ok(total.unwrap_or(0))
    }

    /// Frees what has expired in this process and in Redis, whoever follows the room or nobody, and lets rooms go that
    /// nobody uses.
    pub(in crate::live::messages) async fn sweep(&self, now: SiteTime) -> Result<(), Unavailable> {
        let held: Vec<_> = self.rooms().values().map(Arc::clone).collect();
        for entry in held {
            entry.with_log(|log| {
                let at = log.advance(now);
                log.free_expired(at);
            });
            self.let_go_if_idle(&entry).await;
        }
        lock(&self.pulses).sweep();
        self.sweep_redis(now).await
    }

    async fn sweep_redis(&self, now: SiteTime) -> Result<(), Unavailable> {
        let key = self.link.keys().site("deadlines");
        let mut due = cmd("ZRANGEBYSCORE");
        due.arg(&key).arg("-inf").arg(now.0);
        due.arg("LIMIT").arg(0).arg(SWEPT_AT_ONCE);
        let due: Vec<String> = self.link.run(&due).await?;
        let mut rooms: BTreeMap<RoomId, Vec<&str>> = BTreeMap::new();
        for member in &due {
            let room = member.split(':').next().and_then(|id| id.parse().ok());
            let room = RoomId(room.unwrap_or(0));
            rooms.entry(room).or_default().push(member);
        }
        let mut swept = Ok(());
        for (room, members) in rooms {
            // What is refused for one room must not keep the texts of the others.
            let of_room = self.sweep_room(room, &members, now).await;
            swept = swept.and(of_room);
            if self.link.session().is_none() {
                break;
            }
        }
        swept
    }

    /// Sweeps a room, and takes out the entries of its deadlines that have passed.
    async fn sweep_room(
        &self,
        room: RoomId,
        passed: &[&str],
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        let script = self.script(&self.scripts.sweep, room, now);
        let fields: Vec<String> = self.link.script(&script).await?;
        let summary = Summary::of(fields.into_iter());
        // Entered before the old ones are taken out: a process that dies in between leaves one too many, and so does a
        // full Redis, which refuses the new one.
        let entered = match summary.next_deadline() {
            Some(next) => self.enter_at(room, next).await,
            None => Ok(()),
        };
        self.account(room, summary, now).await?;
        entered?;
        let mut remove = cmd("ZREM");
        remove.arg(self.link.keys().site("deadlines")).arg(passed);
        let _: u64 = self.link.run(&remove).await?;
        Ok(())
    }

    /// Lets a room go that nobody waits in, that is in nobody's held list of rooms, and that was not used since the
    /// last sweep.
    async fn let_go_if_idle(&self, entry: &Arc<Followed>) {
        let is_idle = || {
            let is_followed = entry.with_log(|log| log.subscriber_count() > 0);
            !is_followed.unwrap_or(false) && !lock(&self.pulses).is_held(entry.id)
        };
        if entry.was_used.swap(false, Ordering::AcqRel) || !is_idle() {
            return;
        }
        let _turn = entry.loading.lock().await;
        if !is_idle() {
            return;
        }
        entry.let_go();
        if entry.is_subscribed.swap(false, Ordering::AcqRel) {
            let channel = self.link.keys().room(entry.id, "events");
            self.link.unsubscribe(&channel).await;
        }
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        // The map has one reference, and the sweep has two: the entry and the list that it goes through.
        if Arc::strong_count(entry) == 2 {
            rooms.remove(&entry.id);
        }
    }

    /// Returns the room with all events that this process knows of.
    async fn current(self: &Arc<Self>, room: RoomId) -> Result<Arc<Followed>, Unavailable> {
        let session = self.link.ready().await?;
        let entry = self.entry(room);
        if !entry.is_current(session) {
            self.load(&entry).await?;
        }
        Ok(entry)
    }

    /// Brings the copy of a room up to date from its stream.
    async fn load(self: &Arc<Self>, entry: &Arc<Followed>) -> Result<(), Unavailable> {
        let _turn = entry.loading.lock().await;
        loop {
            let session = self.link.ready().await?;
            if entry.is_current(session) {
                return Ok(());
            }
            if !entry.is_subscribed.load(Ordering::Acquire) {
                let channel = self.link.keys().room(entry.id, "events");
                self.link
                    .subscribe(&channel, self.handler(entry.id))
                    .await?;
                entry.is_subscribed.store(true, Ordering::Release);
            }
            entry.begin_read(session);
            let mut script = self.script(&self.scripts.read, entry.id, self.clock.site_time());
            script.arg(entry.latest_in(session));
            let read: Read = self.link.script(&script).await?;
            // What was read in another session may be of another life.
            if self.link.session() == Some(session) {
                let most = self.capacity.messages_per_room;
                if entry.update(read, session, most, &self.renderer).is_none() {
                    tracing::error!(room = %entry.id, "cannot read the room's log in Redis");
                    return Err(Unavailable);
                }
                return Ok(());
            }
        }
    }

    fn handler(self: &Arc<Self>, room: RoomId) -> Handler {
        let log = Arc::downgrade(self);
        Arc::new(move |payload| {
            if let Some(log) = log.upgrade() {
                log.hear(room, payload);
            }
        })
    }

    /// Takes what a room's channel tells.
    fn hear(&self, room: RoomId, payload: &[u8]) {
        let Some(entry) = self.find(room) else {
            return;
        };
        match Told::parse(payload) {
            Some(Told::Event(number, told)) => {
                let at = told.at;
                let first_deadline = entry.hear(number, told, self.link.session());
                lock(&self.pulses).note(room, at, true, first_deadline);
            }
            Some(Told::Wake) => {
                entry.with_log(|log| log.wake());
            }
            Some(Told::Forgotten) => {
                entry.let_go();
                entry.told_in.store(0, Ordering::Release);
            }
            None => tracing::error!(%room, "unknown event in the room's log in Redis"),
        }
    }

    /// Runs a script that changes a room, and accounts for what it changes.
    async fn change(
        &self,
        room: RoomId,
        script: &ScriptInvocation<'_>,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        let fields: Vec<String> = self.link.script(script).await?;
        self.account(room, Summary::of(fields.into_iter()), now)
            .await
    }

    /// Tells the site what a room takes, and takes the oldest of the largest rooms until all are within the capacity.
    async fn account(
        &self,
        room: RoomId,
        summary: Summary,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        let mut changed = (room, summary);
        // Another process may be taking the same: if nothing was taken, it is left to the next change.
        let mut last = None;
        loop {
            let (room, summary) = &changed;
            self.totals.add(&summary.tally());
            if let (Some(entry), Some(latest)) = (self.find(*room), summary.latest()) {
                entry.hear_of(latest);
            }
            let keys = self.link.keys();
            let mut script = self.scripts.account.key(keys.site("bytes"));
            for part in ["revisions", "total", "activity", "reported"] {
                script.key(keys.site(part));
            }
            script.arg(room.0);
            for field in summary.told_to_the_site() {
                script.arg(field);
            }
            let (total, largest): (usize, String) = self.link.script(&script).await?;
            let largest = largest.parse().ok().map(RoomId);
            let taken = (*room, summary.fields.first().cloned());
            let is_over = total > self.capacity.bytes && last.as_ref() != Some(&taken);
            let Some(largest) = largest.filter(|_| is_over) else {
                return Ok(());
            };
            last = Some(taken);
            let shrink = self.script(&self.scripts.shrink, largest, now);
            let fields: Vec<String> = self.link.script(&shrink).await?;
            changed = (largest, Summary::of(fields.into_iter()));
        }
    }

    fn script<'a>(&self, script: &'a Script, room: RoomId, now: SiteTime) -> ScriptInvocation<'a> {
        let mut invocation = script.key(self.link.keys().room(room, ""));
        invocation
            .arg(now.0)
            .arg(self.capacity.messages_per_room)
            .arg(self.keep_ms.to_string());
        invocation
    }

    fn entry(&self, room: RoomId) -> Arc<Followed> {
        if let Some(entry) = self.find(room) {
            entry.was_used.store(true, Ordering::Release);
            return entry;
        }
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        let entry = rooms.entry(room);
        Arc::clone(entry.or_insert_with(|| Arc::new(Followed::new(room))))
    }

    fn find(&self, room: RoomId) -> Option<Arc<Followed>> {
        self.rooms().get(&room).map(Arc::clone)
    }

    fn rooms(&self) -> std::sync::RwLockReadGuard<'_, HashMap<RoomId, Arc<Followed>>> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody: what they wait for may have happened while the link was cut, or they wait in vain.
    fn wake_all(&self) {
        let held: Vec<_> = self.rooms().values().map(Arc::clone).collect();
        for entry in held {
            entry.with_log(|log| log.wake());
        }
        lock(&self.pulses).note_all(self.clock.site_time());
    }

    /// Waits until everything that was published before is heard.
    #[cfg(test)]
    pub(in crate::live::messages) async fn settle(&self) {
        let (heard, mut is_heard) = tokio::sync::watch::channel(false);
        let channel = self.link.keys().site("settled");
        let handler: Handler = Arc::new(move |_: &[u8]| {
            heard.send_replace(true);
        });
        self.link.subscribe(&channel, handler).await.unwrap();
        let mut publish = cmd("PUBLISH");
        let _: u64 = self.link.run(publish.arg(channel).arg("")).await.unwrap();
        is_heard.wait_for(|heard| *heard).await.unwrap();
    }
}

/// Wakes all readers when the link goes down and when it is up again. Ends with the log.
async fn follow_link(log: Weak<RedisLog>, mut states: tokio::sync::watch::Receiver<LinkState>) {
    while states.changed().await.is_ok() {
        let Some(log) = log.upgrade() else {
            return;
        };
        log.wake_all();
    }
}

impl Summary {
    fn of(fields: impl Iterator<Item = String>) -> Self {
        let mut all = [const { String::new() }; SUMMARY_FIELDS];
        for (field, value) in all.iter_mut().zip(fields) {
            *field = value;
        }
        Self { fields: all }
    }

    /// Returns the bytes, their revision, the newest message's times and the number of reports.
    fn told_to_the_site(&self) -> impl Iterator<Item = &String> {
        self.fields.iter().take(4).chain(self.fields.get(6))
    }

    fn newest(&self) -> Option<Newest> {
        Some(Newest {
            posted_at: SiteTime(self.number(2)?),
            deadline: SiteTime(self.number(3)?),
        })
    }

    fn next_deadline(&self) -> Option<i64> {
        self.number(4)
    }

    fn latest(&self) -> Option<u64> {
        self.number(5).and_then(|number| u64::try_from(number).ok())
    }

    /// Returns what the script did.
    fn tally(&self) -> Tally {
        let count = |field| {
            self.number(field)
                .and_then(|count| u64::try_from(count).ok())
        };
        let amount = |field: usize| Amount {
            messages: count(field).unwrap_or(0),
            bytes: count(field + 1).unwrap_or(0),
        };
        Tally {
            added: amount(7),
            expired: amount(9),
            evicted: amount(11),
            deleted: amount(13),
        }
    }

    /// Returns a number, unless it is 0.
    fn number(&self, field: usize) -> Option<i64> {
        let number = self.fields.get(field)?.parse().ok()?;
        (number != 0).then_some(number)
    }
}

/// Parses what the site knows of a room's newest message.
fn newest_of(told: &str) -> Option<Newest> {
    let (posted_at, deadline) = told.split_once(' ')?;
    Some(Newest {
        posted_at: SiteTime(posted_at.parse().ok()?),
        deadline: SiteTime(deadline.parse().ok()?),
    })
}

/// Tells a text from others with the same nonce.
fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let first = digest.first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(first))
}

fn millis(lifespan: Lifespan) -> i64 {
    i64::try_from(lifespan.0.as_millis()).unwrap_or(i64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
