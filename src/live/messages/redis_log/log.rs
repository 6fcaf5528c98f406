//! The logs of all rooms on Redis.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use foldhash::HashMap;
use futures_util::{StreamExt, stream};
use hmac::{Hmac, Mac};
use redis::{Script, ScriptInvocation, cmd};
use sha2::Sha256;

use super::followed::{Events, Followed, Opening, Piece};
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
use crate::live::messages::quota::too_many;
use crate::live::messages::reports::{MAX_PER_REPORTER, Report, Reported};
use crate::live::messages::state::{NEVER, Newest, RoomState};
use crate::live::messages::subscription::Subscription;
use crate::live::messages::tally::{Amount, Held, Tally, Totals};
use crate::live::redis::{Handler, KEY_MARGIN, Link, LinkState, Session, Unavailable};
use crate::security::secret::hmac;

/// How many due rooms one sweep takes at most.
const SWEPT_AT_ONCE: usize = 10_000;
/// In how many rooms a process changes something at once.
const ROOMS_AT_ONCE: usize = 16;
/// How many entries for the sweep one scan looks at.
const SCANNED_AT_ONCE: usize = 2_000;
/// Deadlines are entered for the sweep by this fraction of the lifespan: rooms are visited a little too early instead
/// of once for each message.
const ENTRIES_PER_LIFESPAN: i64 = 64;
/// How long after a shortening the sweep visits the room, if nothing expires there before.
const SHORTENED_VISIT: Duration = Duration::from_secs(4);
/// How often a reader tries to get a copy of a room that is deleted again and again.
const MAX_READS: usize = 4;
/// The most events and messages that are read from a room at once, so that Redis answers everybody else in between.
const READ_AT_ONCE: usize = 500;
/// No process tells the site after this time what a room took before.
const LATE: Duration = Duration::from_secs(3_600);

/// The logs of all rooms on Redis. See the module's documentation for the keys.
pub(in crate::live::messages) struct RedisLog {
    link: Arc<Link>,
    clock: Arc<dyn Clock>,
    scripts: Scripts,
    capacity: Capacity,
    /// For how long unused keys stay, in milliseconds.
    keep_ms: u128,
    renderer: Renderer,
    /// Has read the key of the digests of texts.
    digests: Hmac<Sha256>,
    rooms: RwLock<HashMap<RoomId, Arc<Followed>>>,
    pulses: Mutex<Pulses>,
    /// What this process's scripts did.
    totals: Totals,
}

/// A report as Redis has it: the message, the report with its copy of the message, and the reasons by reporter.
type StoredReport = (u64, String, Vec<(i64, String)>);

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
        key: &[u8; 32],
        renderer: Renderer,
    ) -> Arc<Self> {
        let log = Arc::new(Self {
            link,
            clock,
            scripts: Scripts::new(),
            capacity,
            keep_ms: (longest.0 + KEY_MARGIN).as_millis(),
            renderer,
            digests: hmac(key),
            rooms: RwLock::default(),
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
            .arg(self.digest(new.nonce, text))
            .arg(new.author.0)
            .arg(new.lifespan.millis())
            .arg(new.sent_at.0)
            .arg(new.sent_at.minute_number())
            .arg(format!("{:x}", lead_of(new.author, &new.text) >> 32))
            .arg(bytes)
            .arg(&*new.author_name)
            .arg(text)
            .arg((wish.quota.longest() + KEY_MARGIN).as_millis().to_string());
        for count in wish.quota.counts(new.author) {
            script.arg(count.counter).arg(count.cell).arg(count.burst);
            script.arg(u8::from(count.is_slow_mode));
        }
        // Both go through one connection, in this order: the sweep will know of the room before there is a message.
        let (entered, answer) = tokio::join!(
            self.enter(room, now, new.lifespan),
            self.link.script::<Vec<String>>(&script)
        );
        entered?;
        let mut answer = answer?.into_iter();
        let outcome = answer.next().unwrap_or_default();
        // The message, or how long to wait.
        let number = answer.next().and_then(|number| number.parse().ok());
        Ok(match (outcome.as_str(), number) {
            ("new", Some(id)) => {
                self.account(room, Summary::of(answer), now).await?;
                Appended::New(MessageId(id))
            }
            ("repeated", Some(id)) => Appended::Repeated(MessageId(id)),
            ("reused", _) => Appended::NonceReused,
            ("ended", _) => Appended::SessionEnded,
            ("many", Some(wait)) => Appended::TooMany(too_many(wait)),
            ("soon", Some(wait)) => Appended::TooSoon(too_many(wait)),
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
        let step = (lifespan.millis() / ENTRIES_PER_LIFESPAN).max(1);
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
        let mut script = self.script(&self.scripts.version, room, self.clock.site_time());
        script.arg(version).arg(0);
        let _: u8 = self.link.script(&script).await?;
        Ok(())
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
            // Redis may have taken its time: what has expired meanwhile is not shown.
            let now = now.max(self.clock.site_time());
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

    /// As [`RedisLog::catch_up`], if a page begins anew, or has seen more than this process.
    pub(in crate::live::messages) async fn catch_up_with(
        &self,
        room: RoomId,
        cursor: Option<Cursor>,
    ) -> Result<(), Unavailable> {
        let Some(entry) = self.find(room) else {
            return Ok(());
        };
        let has_seen_all = match (cursor, self.link.session()) {
            (Some(cursor), Some(session)) if cursor.life == session.life => {
                cursor.event <= entry.latest_in(session)
            }
            _ => false,
        };
        if has_seen_all {
            Ok(())
        } else {
            self.catch_up(room).await
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

    pub(in crate::live::messages) fn waiting_count(&self, room: RoomId) -> usize {
        let count = |entry: Arc<Followed>| entry.with_log(|log| log.waiting_count());
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
                held.waiting += log.waiting_count();
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
        self.change_in_parts(room, &script, now).await
    }

    /// Deletes all messages and reports of a person in all rooms.
    pub(in crate::live::messages) async fn forget_person(
        &self,
        person: UserId,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        let rooms = self.rooms_with_deadlines().await?;
        all(rooms
            .into_iter()
            .map(|room| self.delete_by(person, room, true, now)))
        .await
    }

    /// Returns all rooms that have a message, a report or a used nonce: they are entered for the sweep before they have.
    /// A sweep may enter a room anew while its entries are looked through, so that none of them is seen, but not change that
    /// the room has bytes.
    async fn rooms_with_deadlines(&self) -> Result<BTreeSet<RoomId>, Unavailable> {
        let mut rooms = self.rooms_in("bytes").await?;
        rooms.append(&mut self.rooms_in("deadlines").await?);
        Ok(rooms)
    }

    /// Returns the rooms of a sorted set of the site, which is looked through in parts. What is there all the time is found.
    async fn rooms_in(&self, part: &'static str) -> Result<BTreeSet<RoomId>, Unavailable> {
        let mut rooms = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("ZSCAN");
            scan.arg(self.link.keys().site(part)).arg(cursor);
            scan.arg("COUNT").arg(SCANNED_AT_ONCE);
            let (next, entries): (u64, Vec<(String, f64)>) = self.link.run(&scan).await?;
            rooms.extend(entries.iter().map(|(entry, _)| room_of(entry)));
            cursor = next;
            if cursor == 0 {
                return Ok(rooms);
            }
        }
    }

    pub(in crate::live::messages) async fn clear(
        &self,
        room: RoomId,
        before: i64,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        let mut script = self.script(&self.scripts.clear, room, now);
        script.arg(before);
        self.change_in_parts(room, &script, now).await
    }

    pub(in crate::live::messages) async fn shorten(
        &self,
        room: RoomId,
        lifespan: Lifespan,
        before: i64,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        // The new deadlines may be earlier than any that was entered. The sweep visits the room soon even if this
        // process dies before it enters the first of them.
        // A full Redis refuses this, but not the script.
        let entered = self.enter_at(room, now.plus(SHORTENED_VISIT).0).await;
        let mut last = "0".to_owned();
        let next_deadline = loop {
            let mut script = self.script(&self.scripts.shorten, room, now);
            script.arg(lifespan.millis()).arg(before).arg(last);
            let mut answer = self.link.script::<Vec<String>>(&script).await?.into_iter();
            last = answer.next().unwrap_or_default();
            let summary = Summary::of(answer);
            let next_deadline = summary.next_deadline();
            self.account(room, summary, now).await?;
            if last == "0" {
                break next_deadline;
            }
        };
        if let Some(next) = next_deadline {
            self.enter_at(room, next).await?;
        }
        entered
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
        self.change_in_parts(room, &script, now).await?;
        if let Some(entry) = self.find(room) {
            entry.let_go();
            entry.told_in.store(0, Ordering::Release);
        }
        Ok(())
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
        let open: Vec<StoredReport> = self.link.script(&script).await?;
        let reports = open
            .iter()
            .filter_map(|stored| self.report_of(room, stored));
        let mut reports: Vec<(u64, Report)> = reports.collect();
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
        (id, value, reasons): &StoredReport,
    ) -> Option<(u64, Report)> {
        let (line, text) = value.split_once('\n')?;
        let mut fields = line.splitn(4, ' ');
        let number = fields.next()?.parse().ok()?;
        let deadline = SiteTime(fields.next()?.parse().ok()?);
        let _version = fields.next()?;
        let entry = Entry::parse(fields.next()?, 0, text)?;
        let Event::Replayed(posted) = entry.event else {
            return None;
        };
        let message = Message::new(
            room,
            MessageId(*id),
            entry.at,
            &posted.new,
            0,
            &self.renderer,
        );
        let mut given: Vec<(u64, UserId, Reason)> = reasons
            .iter()
            .filter_map(|(by, reason)| {
                let (number, reason) = reason.split_once(' ')?;
                let reason = Reason::parse(reason).ok()?;
                Some((number.parse().ok()?, UserId(*by), reason))
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
        let mut range = cmd("ZRANGEBYSCORE");
        range.arg(&key).arg("-inf").arg(now.0);
        range.arg("LIMIT").arg(0).arg(SWEPT_AT_ONCE);
        loop {
            let due: Vec<String> = self.link.run(&range).await?;
            let is_last = due.len() < SWEPT_AT_ONCE;
            let mut rooms: BTreeMap<RoomId, Vec<String>> = BTreeMap::new();
            for entry in due {
                rooms.entry(room_of(&entry)).or_default().push(entry);
            }
            let rooms = rooms.into_iter();
            // What is refused for one room must not keep the texts of the others.
            all(rooms.map(|(room, entries)| self.sweep_room(room, entries, now))).await?;
            // Entries that could not be taken out would be found again.
            if is_last {
                return Ok(());
            }
        }
    }

    /// Sweeps a room, and takes out the entries of its deadlines that have passed.
    async fn sweep_room(
        &self,
        room: RoomId,
        passed: Vec<String>,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        if self.link.session().is_none() {
            return Err(Unavailable);
        }
        let script = self.script(&self.scripts.sweep, room, now);
        let summary = loop {
            let fields: Vec<String> = self.link.script(&script).await?;
            let summary = Summary::of(fields.into_iter());
            if summary.next_deadline().is_none_or(|next| next > now.0) {
                break summary;
            }
            // One script takes out a part.
            self.account(room, summary, now).await?;
        };
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
            let begun = entry.begin_read(session);
            let latest = entry.latest_in(session);
            let is_read = match latest {
                0 => Some(false),
                _ => self.read_events(entry, session, latest).await?,
            };
            match is_read {
                Some(true) => return Ok(()),
                Some(false) if self.link.session() == Some(session) => {
                    self.open_copy(entry, session, begun).await?;
                }
                // There are more events, or the session has ended.
                _ => {}
            }
        }
    }

    /// Reads events after `latest`. Returns whether the copy has all events now, or `Some(false)` if the copy must be opened
    /// anew, or `None` if this is to be done again.
    async fn read_events(
        &self,
        entry: &Followed,
        session: Session,
        latest: u64,
    ) -> Result<Option<bool>, Unavailable> {
        let now = self.clock.site_time();
        let mut script = self.script(&self.scripts.read, entry.id, now);
        script.arg(latest).arg(READ_AT_ONCE);
        let events: Events = self.link.script(&script).await?;
        // What was read in another session may be of another life.
        if self.link.session() != Some(session) {
            return Ok(None);
        }
        if events.0 == 0 {
            return Ok(Some(false));
        }
        let updated = entry.update(events, session, now);
        let is_all = updated.ok_or_else(|| unreadable(entry.id))?;
        Ok(is_all.then_some(true))
    }

    /// Reads all that is left of a room.
    async fn open_copy(
        &self,
        entry: &Followed,
        session: Session,
        begun: u64,
    ) -> Result<(), Unavailable> {
        let mut opening = Opening::new(entry.id, session, self.capacity.messages_per_room);
        loop {
            let now = self.clock.site_time();
            let mut script = self.script(&self.scripts.open, entry.id, now);
            let (event, message) = opening.read_through;
            script.arg(opening.through).arg(event).arg(message);
            script.arg(READ_AT_ONCE);
            let piece: Piece = self.link.script(&script).await?;
            if self.link.session() != Some(session) {
                return Ok(());
            }
            let added = opening.add(piece, now, &self.renderer);
            if added.ok_or_else(|| unreadable(entry.id))? {
                entry.install(opening, session, begun, &self.renderer);
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

    /// Runs a script that changes a room until it says that it has done all.
    async fn change_in_parts(
        &self,
        room: RoomId,
        script: &ScriptInvocation<'_>,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        loop {
            let mut answer = self.link.script::<Vec<String>>(script).await?.into_iter();
            let is_all = answer.next().is_none_or(|has_more| has_more != "1");
            self.account(room, Summary::of(answer), now).await?;
            if is_all {
                return Ok(());
            }
        }
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
            for part in ["revisions", "total", "activity", "reported", "emptied"] {
                script.key(keys.site(part));
            }
            script.arg(room.0);
            for field in summary.told_to_the_site() {
                script.arg(field);
            }
            script.arg(now.0).arg(now.minus(LATE).0);
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

    /// Tells a text from others with the same nonce. Whoever reads Redis cannot guess the text by its digest.
    fn digest(&self, nonce: NonceId, text: &str) -> String {
        let mut keyed = self.digests.clone();
        keyed.update(&nonce);
        keyed.update(text.as_bytes());
        let digest = keyed.finalize().into_bytes();
        let first = digest.first_chunk().copied().unwrap_or_default();
        format!("{:016x}", u64::from_be_bytes(first))
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

/// Does this in all rooms, in some at once, even if it fails in one.
async fn all<F>(changes: impl Iterator<Item = F>) -> Result<(), Unavailable>
where
    F: Future<Output = Result<(), Unavailable>>,
{
    let changes = stream::iter(changes).buffer_unordered(ROOMS_AT_ONCE);
    let add = |all: Result<(), Unavailable>, one| ready(all.and(one));
    changes.fold(Ok(()), add).await
}

/// Returns the room of an entry for the sweep.
fn room_of(entry: &str) -> RoomId {
    let room = entry.split(':').next().and_then(|id| id.parse().ok());
    RoomId(room.unwrap_or(0))
}

fn unreadable(room: RoomId) -> Unavailable {
    tracing::error!(%room, "cannot read the room's log in Redis");
    Unavailable
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
