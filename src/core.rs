//! `Core`: the database, the live state, the clock, the limits and the security parts, and the one way to
//! change the database.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::{
    ColumnTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    QuerySelect,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::database::entities::room_member;
use crate::database::errors::{self, FromDatabase};
use crate::database::feed::{self, Change, Changes, Origin, TransactionId};
use crate::database::link::{DatabaseLink, LinkState, no_answer};
use crate::database::readers::Readers;
use crate::database::transaction::{self, Decision};
use crate::domain::{RoomId, SiteTime, Timestamp, UserId};
use crate::live::done_forms::{DoneForms, Made, Turn};
use crate::live::drafts::Drafts;
use crate::live::ended_sessions::EndedSessions;
use crate::live::messages::Messages;
use crate::live::outbox::{Outbox, Ticket};
use crate::live::presence::Presence;
use crate::live::rate_limits::Limits;
use crate::live::read_marks::ReadMarks;
use crate::live::redis::{Link, Unavailable};
use crate::live::rooms::{OwnRooms, PublicRooms, Rooms};
use crate::live::sessions::LiveSessions;
use crate::live::settings::SettingsCache;
use crate::metrics::TimeSum;
use crate::security::nonces::Nonces;
use crate::security::passwords::{HashingProbe, PasswordError, Passwords};

/// How many transactions that other processes told of are remembered until the change feed tells of them, too.
const MAX_TOLD: usize = 256;

/// The state that services work on. Shared by all workers.
pub struct Core {
    /// The settings.
    pub config: Config,
    /// When this process started.
    pub started_at: Timestamp,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Accounts, rooms, memberships and sessions, to be read. These connections cannot write.
    pub database: Readers,
    /// The connections that write: one on SQLite, several on PostgreSQL. Only [`Core::change`] and the background tasks use it.
    pub writer: DatabaseConnection,
    /// Names this process in the change feed.
    pub origin: Origin,
    /// The latest transactions that other processes have told of.
    pub told: Told,
    /// The link to Redis, if live state is shared with other processes.
    pub redis: Option<Arc<Link>>,
    /// What is known of the link to the database.
    pub database_link: Arc<DatabaseLink>,
    /// The rooms' message logs.
    pub messages: Messages,
    /// What this process has to tell the others.
    pub outbox: Outbox,
    /// The drafts: messages that were sent after the author's session had ended.
    pub drafts: Drafts,
    /// The forms that were done a moment ago.
    pub done_forms: DoneForms,
    /// The last message that each person has read in each room.
    pub read_marks: ReadMarks,
    /// The people who have each room open.
    pub presence: Presence,
    /// The rate limits.
    pub limits: Limits,
    /// The personal settings of the people who are using the site.
    pub settings: SettingsCache,
    /// The sessions that ended a moment ago, for the logs.
    pub ended_sessions: EndedSessions,
    /// The sessions in use.
    pub sessions: LiveSessions,
    /// The rooms in use, with their members.
    pub rooms: Rooms,
    /// The rooms of each person who is using the site, sorted by name.
    pub own_rooms: OwnRooms,
    /// The list of public rooms, held while it is in use.
    pub public_rooms: PublicRooms,
    /// The password hasher.
    pub passwords: Passwords,
    /// The nonces of forms.
    pub nonces: Nonces,
    /// The site's time when the change feed was last read to its end, in milliseconds.
    pub feed_read_at: AtomicI64,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    /// Counters and signals for tests.
    pub probes: Probes,
}

/// The latest transactions that other processes have told of through Redis. Their changes are not applied again when the
/// change feed tells of them.
#[derive(Debug, Default)]
pub struct Told(Mutex<VecDeque<TransactionId>>);

impl Told {
    fn note(&self, id: TransactionId) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MAX_TOLD {
            told.pop_front();
        }
        told.push_back(id);
    }

    fn knows(&self, id: TransactionId) -> bool {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.contains(&id)
    }
}

/// Counters and signals that let tests and metrics observe work that no answer shows.
pub struct Probes {
    /// The number of statements sent to the database, without those that follow the change feed.
    pub statements: Arc<AtomicU64>,
    /// The time that these statements took.
    pub statement_time: Arc<TimeSum>,
    /// Notified after each sweep of memory.
    pub sweeps: watch::Sender<()>,
    /// The number of password hashes computed.
    pub hashing: HashingProbe,
}

impl Core {
    /// Runs `work` in one write transaction, commits it if `work` decides so, and then applies the committed
    /// changes to the state in memory. Runs to completion even if the caller is dropped.
    ///
    /// `work` checks the rules inside the transaction. It may run more than once, so it touches nothing but
    /// the transaction: tokens and password hashes are made before.
    ///
    /// # Errors
    /// Returns the errors of `work` and of the database; nothing has changed then.
    pub async fn change<T: 'static>(
        self: &Arc<Self>,
        work: impl AsyncFn(&DatabaseTransaction) -> Result<Decision<T>, Fault> + 'static,
    ) -> Result<T, Fault> {
        self.check_link()?;
        let core = Arc::clone(self);
        let given_up = CancellationToken::new();
        let unless = given_up.clone();
        let done = run_to_completion(async move {
            let now = core.clock.now();
            if let Some(redis) = &core.redis {
                // A right that is taken away must be told to all processes. If that is impossible, nothing changes.
                redis.ready().await?;
            }
            let (writer, origin) = (&core.writer, core.origin);
            let changed = transaction::change_unless(&unless, writer, origin, now, work);
            let changed = changed.await;
            if changed.as_ref().is_err_and(Fault::is_transient) {
                core.apply_if_committed(now);
            }
            let (outcome, changes) = changed?;
            core.publish(changes).await;
            Ok(outcome)
        });
        tokio::select! {
            outcome = done => outcome,
            () = self.database_link.silent() => {
                // What was not committed until now is not committed when the database answers again. Whether a commit
                // arrived that was sent is not known, as with any connection that ends.
                given_up.cancel();
                Err(no_answer().into())
            }
        }
    }

    /// Makes sure that the database answers, before anything that is held in memory is served. Returns the state of the link,
    /// which is up or deaf.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn check_link(&self) -> Result<LinkState, Fault> {
        match self.database_link.state() {
            LinkState::Silent => Err(no_answer().into()),
            state => Ok(state),
        }
    }

    /// Drops all rows held in memory.
    pub fn forget_rows(&self) {
        self.settings.forget_where(|_| true);
        for session in self.sessions.forget_where(|_| true) {
            session.wake();
        }
        self.rooms.forget_where(|_| true);
        self.own_rooms.forget_where(|_| true);
        self.public_rooms.forget_where(|_| true);
    }

    /// Runs [`Core::change`], and notes in `turn` what the form has made, if `made` finds something in the outcome.
    /// The turn ends after that, even if the caller is dropped: a browser that sends a form again hangs up on the
    /// first request.
    ///
    /// # Errors
    /// As [`Core::change`].
    pub async fn change_by_form<T: 'static>(
        self: &Arc<Self>,
        turn: &Arc<Turn>,
        made: impl FnOnce(&T) -> Option<Made> + 'static,
        work: impl AsyncFn(&DatabaseTransaction) -> Result<Decision<T>, Fault> + 'static,
    ) -> Result<T, Fault> {
        let (core, turn) = (Arc::clone(self), Arc::clone(turn));
        run_to_completion(async move {
            let outcome = core.change(work).await?;
            if let Some(made) = made(&outcome) {
                turn.note(made, core.clock.site_time()).await;
            }
            Ok(outcome)
        })
        .await
    }

    /// Waits for the turn of a request with a form outside a room, by the nonce that the form sent. The form was
    /// shown to `user`, or to a person who was not signed in.
    ///
    /// # Errors
    /// When the forms that were done cannot be reached.
    pub async fn form_turn(&self, nonce: &str, user: Option<UserId>) -> Result<Arc<Turn>, Fault> {
        let nonce = self.nonces.read_outside(nonce, user);
        let turn = self.done_forms.turn(nonce, self.clock.site_time());
        Ok(Arc::new(turn.await?))
    }

    /// Applies a change that another process has committed: to what this process holds at once, and to the rooms' logs
    /// as soon as Redis answers. Applying a change twice does no harm.
    pub fn apply(self: &Arc<Self>, change: Change) {
        self.apply_here(&[change]);
        self.tell_logs_at_last(change);
    }

    /// Applies the changes of which a notification of the change feed tells, as [`Core::apply`] does. A process that
    /// made them tells the logs on Redis itself, after it has applied them: only if it has died must others, so they wait
    /// a moment. Otherwise its polls might hear of a change before it knows of it.
    pub fn apply_heard(self: &Arc<Self>, changes: Changes) {
        if !self.told.knows(changes.id) {
            self.apply_here(&changes.list);
        }
        let core = Arc::clone(self);
        drop(tokio::spawn(async move {
            if core.redis.is_some() {
                tokio::time::sleep(TELL_AGAIN).await;
            }
            for change in telling_order(&changes.list) {
                core.tell_logs_at_last(change);
            }
        }));
    }

    /// Applies the changes that another process tells of through Redis, to what this process holds. That process tells the
    /// rooms' logs, and answers nobody before this returns. Should it die first, the change feed tells of the changes.
    pub fn apply_told(&self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let Some(changes) = feed::read_text(&text, self.origin) else {
            return;
        };
        self.apply_here(&changes.list);
        self.told.note(changes.id);
    }

    /// Applies the committed changes of a transaction to what this process holds, and then wakes each room's polls once.
    fn apply_here(&self, changes: &[Change]) {
        let mut to_wake = BTreeSet::new();
        for change in changes {
            self.apply_row(*change, &mut to_wake);
        }
        for room in to_wake {
            self.messages.wake(room);
        }
    }

    /// Drops the rows held in memory that a change alters, and adds the rooms whose polls must look again at what they may
    /// show.
    fn apply_row(&self, change: Change, to_wake: &mut BTreeSet<RoomId>) {
        match change {
            Change::RoomCreated(_) => {
                self.public_rooms.forget(());
            }
            Change::MemberJoined(room) => {
                self.rooms.forget(room);
            }
            Change::MembersChanged { room, .. } => {
                self.rooms.forget(room);
                // Whoever was removed hears of it at once, also while another process does not answer.
                to_wake.insert(room);
            }
            Change::RoomChanged { room, .. } | Change::RoomDeleted(room) => {
                self.rooms.forget(room);
                self.forget_own_rooms_with(room);
                self.public_rooms.forget(());
            }
            Change::SessionEnded { session, .. } => {
                if let Some(session) = self.sessions.forget(session) {
                    session.end();
                }
            }
            Change::AccountChanged(user) => {
                self.settings.forget(user);
                self.own_rooms.forget(user);
                // Polls that wait may have to be told what is no longer, or again, to be shown.
                to_wake.extend(self.presence.rooms_of(user));
            }
            Change::AccountDeleted(user) => {
                for session in self.sessions.forget_where(|live| live.user_id == user) {
                    session.end();
                }
                self.settings.forget(user);
                self.own_rooms.forget(user);
            }
            // The room's change says what rows held in memory it alters.
            Change::MessagesCleared { .. } | Change::MessagesShortened { .. } => {}
            Change::Unknown => {
                tracing::error!(
                    "unknown kind of change in the change feed: dropping all cached rows"
                );
                self.forget_rows();
            }
        }
    }

    /// Tells the rooms' logs of a committed change, after [`Core::apply_here`].
    ///
    /// # Errors
    /// When Redis does not answer.
    async fn tell_logs(&self, change: Change) -> Result<(), Unavailable> {
        match change {
            Change::MembersChanged { room, version } => {
                self.messages.raise_version(room, version).await
            }
            Change::RoomChanged { room, version } => {
                let told = async {
                    self.messages.raise_version(room, version).await?;
                    self.messages.note_room_change(room, version).await
                };
                let told = told.await;
                if told.is_err() {
                    // The event would have woken whoever may have lost a right.
                    self.messages.wake(room);
                }
                told
            }
            // After the version, no message is posted by an older one.
            Change::MessagesCleared { room, version } => {
                self.messages.raise_version(room, version).await?;
                let now = self.clock.site_time();
                self.messages.clear(room, version, now).await
            }
            Change::MessagesShortened {
                room,
                version,
                lifespan,
            } => {
                self.messages.raise_version(room, version).await?;
                let now = self.clock.site_time();
                self.messages.shorten(room, lifespan, version, now).await
            }
            Change::RoomDeleted(room) => self.messages.forget(room).await,
            Change::AccountDeleted(user) => {
                let now = self.clock.site_time();
                let forgotten = self.messages.forget_person(user, now).await;
                self.drafts.forget(user).await;
                forgotten
            }
            Change::RoomCreated(_)
            | Change::MemberJoined(_)
            | Change::SessionEnded { .. }
            | Change::AccountChanged(_)
            | Change::Unknown => Ok(()),
        }
    }
}

impl Core {
    /// Waits until the other processes can know what was told, and makes sure that both links were alive a moment ago: what
    /// was read before the wait is not answered if it may be old.
    ///
    /// # Errors
    /// When Redis or the database does not answer.
    pub async fn written(&self, ticket: Ticket) -> Result<(), Fault> {
        self.outbox.written(ticket).await;
        if let Some(redis) = &self.redis {
            redis.ready().await?;
        }
        self.check_link().map(drop)
    }

    /// Returns since when messages are remembered: messages from before are lost, also those whose time was not up. `None`
    /// if nobody knows.
    #[must_use]
    pub fn remembers_since(&self) -> Option<Timestamp> {
        match &self.redis {
            Some(redis) => redis.memory_began_at(),
            None => Some(self.started_at),
        }
    }
}

impl Core {
    /// Notes that the changes of all other processes until now were applied.
    pub fn mark_feed_read(&self) {
        let now = self.clock.site_time();
        self.feed_read_at.store(now.0, Ordering::Relaxed);
    }

    /// Returns how long ago the changes of all other processes were applied.
    #[must_use]
    pub fn feed_lag(&self) -> Duration {
        let read_at = SiteTime(self.feed_read_at.load(Ordering::Relaxed));
        self.clock.site_time().since(read_at)
    }
}

impl Core {
    /// Applies the changes of this process, here and in all other processes, before anybody is answered. If Redis does
    /// not answer, waits until each process has heard of them through the change feed, or serves nothing.
    async fn publish(self: &Arc<Self>, changes: Changes) {
        if changes.list.is_empty() {
            return;
        }
        self.apply_here(&changes.list);
        let list = changes.list.iter().copied();
        let (older, others): (Vec<_>, Vec<_>) =
            list.partition(|change| change.is_about_older_messages());
        // First, because a process that does not answer holds up the next step, and those who may read the room by this
        // change may not read these messages.
        let are_gone = self.tell_all_logs(&older).await;
        // The logs wake the polls that wait at other processes, which must know of the change by then: otherwise they would
        // answer that messages are gone, not that the room or the reader's account is.
        let are_applied = self.tell_peers(&changes).await;
        let is_told = self.tell_all_logs(&others).await;
        if let Some(redis) = &self.redis
            && !(are_gone && is_told && are_applied)
        {
            tracing::warn!("a change was not told in time through Redis");
            tokio::time::sleep(redis.patience()).await;
        }
    }

    /// Tells the rooms' logs of changes. Returns whether all were told.
    async fn tell_all_logs(self: &Arc<Self>, changes: &[Change]) -> bool {
        let mut is_told = true;
        for change in telling_order(changes) {
            is_told &= self.tell_ended_session(change).await.is_ok();
            if self.tell_logs(change).await.is_err() {
                is_told = false;
                self.tell_logs_at_last(change);
            }
        }
        is_told
    }

    /// Waits until all other processes have applied changes. Returns whether they have been told.
    async fn tell_peers(&self, changes: &Changes) -> bool {
        match &self.redis {
            Some(redis) => redis
                .tell_peers(&changes.to_text(self.origin))
                .await
                .is_ok(),
            None => true,
        }
    }

    /// Tells the logs on Redis that a session has ended, if that is the change.
    async fn tell_ended_session(&self, change: Change) -> Result<(), Fault> {
        let Change::SessionEnded {
            session,
            user: Some(user),
        } = change
        else {
            return Ok(());
        };
        if !self.ended_sessions.must_be_told() {
            return Ok(());
        }
        let rooms: Vec<RoomId> = room_member::Entity::find()
            .select_only()
            .column(room_member::Column::RoomId)
            .filter(room_member::Column::UserId.eq(user))
            .into_tuple()
            .all(&self.database)
            .await?;
        Ok(self.ended_sessions.tell(session, &rooms).await?)
    }

    /// Drops the held lists of rooms that contain `room`, whose name may have changed. A change of somebody's
    /// membership drops only their own list ([`Change::AccountChanged`]), so that the others need not read theirs again.
    fn forget_own_rooms_with(&self, room: RoomId) {
        self.own_rooms.forget_where(|own| own.find(room).is_some());
    }
}

/// Returns changes in the order in which the rooms' logs are told of them. A person's messages go when no log takes another
/// one: after the logs were told that the person may post no more.
fn telling_order(changes: &[Change]) -> impl Iterator<Item = Change> {
    let is_of_account = |change: &&Change| matches!(change, Change::AccountDeleted(_));
    let rights = changes.iter().filter(move |change| !is_of_account(change));
    rights.chain(changes.iter().filter(is_of_account)).copied()
}

/// The pause before the rooms' logs are told again of a change that Redis refused, and the longest one: it doubles.
const TELL_AGAIN: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The pause before the change feed is read again.
const READ_AGAIN: Duration = Duration::from_secs(5);

impl Core {
    /// Tells the rooms' logs of a committed change, in a task of its own: again each time Redis is back until it succeeds,
    /// because what was deleted must not stay in a Redis that kept its memory.
    ///
    /// A log in memory has nothing that is older than its process, which has told it of its own changes.
    fn tell_logs_at_last(self: &Arc<Self>, change: Change) {
        if self.redis.is_none() && change.is_about_older_messages() {
            return;
        }
        let core = Arc::clone(self);
        drop(tokio::spawn(async move {
            let mut pause = TELL_AGAIN;
            while core.tell_logs(change).await.is_err() {
                if let Some(redis) = &core.redis {
                    redis.up().await;
                }
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(2 * pause);
            }
        }));
    }

    /// Applies the changes since a time by the wall clock, in a task of its own: a change whose connection ended may have been
    /// committed, and this process passes over its own notifications. Tries again until the database answers.
    fn apply_if_committed(self: &Arc<Self>, since: Timestamp) {
        let core = Arc::clone(self);
        drop(tokio::spawn(async move {
            loop {
                match feed::since(core.database.connections(), since).await {
                    Ok(changes) => {
                        return changes.into_iter().for_each(|change| core.apply(change));
                    }
                    Err(error) => tracing::warn!(%error, "failed to read the change feed"),
                }
                tokio::time::sleep(READ_AGAIN).await;
            }
        }));
    }

    /// Takes what the changes in the feed of `database` delete out of the rooms' logs on Redis, when the process starts: the
    /// process that made one may have died before it did, when no other was running. Tries again until the database answers.
    pub async fn finish_deletions(self: &Arc<Self>, database: &DatabaseConnection) {
        if self.redis.is_none() {
            return;
        }
        loop {
            match feed::deletions(database, self.origin).await {
                Ok(changes) => {
                    for change in changes {
                        self.tell_logs_at_last(change);
                    }
                    return;
                }
                Err(error) => tracing::warn!(%error, "failed to read what the change feed deletes"),
            }
            tokio::time::sleep(READ_AGAIN).await;
        }
    }
}

/// Runs `work` to completion in a task of its own, even if the caller is dropped.
///
/// Memory is updated after the commit; if a change were dropped between the two, memory could still list a member who has left.
///
/// `work` starts when this function is called, not when the returned future is awaited.
pub fn run_to_completion<T: 'static>(
    work: impl Future<Output = Result<T, Fault>> + 'static,
) -> impl Future<Output = Result<T, Fault>> {
    // Each worker of the server is a thread with its own tasks, which do not have to be `Send`.
    let task = tokio::task::spawn_local(work);
    async { task.await? }
}

/// A failure that is not the fault of the person who made the request.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database refused, or was away.
    #[error("database error")]
    Database(#[from] DbErr),
    /// Redis did not answer.
    #[error(transparent)]
    Redis(#[from] Unavailable),
    /// A password could not be hashed or verified.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A room kept changing while somebody posted in it.
    #[error("the room kept changing while a message was sent")]
    Contended,
    /// The program is wrong.
    #[error("internal error")]
    Bug(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A task was ended before its time.
    #[error("background task did not finish")]
    Task(#[from] tokio::task::JoinError),
}

impl Fault {
    /// Returns whether a retry is likely to succeed: the database is busy, full, locked or unavailable, Redis
    /// does not answer, the state in memory is behind it, or the server is overloaded.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => errors::is_transient(error),
            Self::Redis(Unavailable)
            | Self::Password(PasswordError::Overloaded)
            | Self::Contended => true,
            Self::Password(_) | Self::Bug(_) | Self::Task(_) => false,
        }
    }
}

impl FromDatabase for Fault {
    fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}
