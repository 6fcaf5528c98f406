//! What services work on: the database, the live state, the clock, the limits and the security parts together;
//! and the one way to make a change.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, SqlErr};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::database::feed::{Change, Origin};
use crate::database::transaction::{self, Decision};
use crate::live::drafts::Drafts;
use crate::live::messages::Messages;
use crate::live::presence::Presence;
use crate::live::rate_limits::Limits;
use crate::live::read_marks::ReadMarks;
use crate::live::rooms::{PublicRooms, Rooms};
use crate::live::sessions::LiveSessions;
use crate::live::settings::SettingsCache;
use crate::security::nonces::Nonces;
use crate::security::passwords::{HashingProbe, PasswordError, Passwords};

/// Everything that services need. Shared by all workers.
pub struct Core {
    /// The settings.
    pub config: Config,
    /// The clock that everything goes by.
    pub clock: Arc<dyn Clock>,
    /// Accounts, rooms, memberships and sessions, to be read. These connections cannot write.
    pub database: DatabaseConnection,
    /// The one connection that writes. Only [`Core::change`] and the background tasks use it.
    pub writer: DatabaseConnection,
    /// Names this process in the change feed.
    pub origin: Origin,
    /// The rooms' message logs.
    pub messages: Messages,
    /// Messages of people whose session had ended.
    pub drafts: Drafts,
    /// How far each person has read in each room.
    pub read_marks: ReadMarks,
    /// Who has which room open.
    pub presence: Presence,
    /// The rate limits.
    pub limits: Limits,
    /// The settings of the people who are using the site.
    pub settings: SettingsCache,
    /// The sessions in use.
    pub sessions: LiveSessions,
    /// The rooms in use, and their members.
    pub rooms: Rooms,
    /// The list of public rooms, while it is in use.
    pub public_rooms: PublicRooms,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Makes and reads the nonces of message forms.
    pub nonces: Nonces,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    /// Figures for tests.
    pub probes: Probes,
}

/// Figures that only tests read, about work that cannot be seen from outside. The server writes them and never
/// looks.
pub struct Probes {
    /// How many statements requests have sent to the database. Background tasks have a connection of their
    /// own.
    pub statements: Arc<AtomicU64>,
    /// Changes after each sweep of memory.
    pub sweeps: watch::Sender<()>,
    /// Counts password hashes.
    pub hashing: HashingProbe,
}

impl Core {
    /// Makes a change: runs `work` in one write transaction, to its end even if the caller goes away in the
    /// middle, and applies what has changed to what is held in memory.
    ///
    /// The rules are checked inside `work`, which decides whether to commit. It touches nothing but the
    /// transaction, as it may run again: tokens and password hashes are made before.
    ///
    /// # Errors
    /// The errors of `work`, and when the database fails; then nothing has changed.
    pub async fn change<T: 'static>(
        self: &Arc<Self>,
        work: impl AsyncFn(&DatabaseTransaction) -> Result<Decision<T>, Fault> + 'static,
    ) -> Result<T, Fault> {
        let core = Arc::clone(self);
        run_to_completion(async move {
            let now = core.clock.now();
            let (outcome, changes) =
                transaction::change(&core.writer, core.origin, now, work).await?;
            for change in changes {
                core.apply(change).await;
            }
            Ok(outcome)
        })
        .await
    }

    /// Applies a committed change, of this process or another one, to what is held in memory. Applying one
    /// twice does no harm.
    pub async fn apply(&self, change: Change) {
        match change {
            Change::RoomCreated(_) => {
                self.public_rooms.forget(());
            }
            Change::MemberJoined(room) => {
                self.rooms.forget(room);
            }
            Change::MembersChanged { room, version } => {
                self.rooms.forget(room);
                // Also wakes who waits in the room, for them to see whether they are still members.
                self.messages.raise_version(room, version).await;
            }
            Change::RoomChanged { room, version } => {
                self.rooms.forget(room);
                self.public_rooms.forget(());
                self.messages.raise_version(room, version).await;
                self.messages.note_room_change(room).await;
            }
            Change::RoomDeleted(room) => {
                self.rooms.forget(room);
                self.public_rooms.forget(());
                self.messages.forget(room).await;
            }
            Change::SessionEnded(digest) => {
                if let Some(session) = self.sessions.forget(digest) {
                    session.end();
                }
            }
            Change::AccountChanged(user) => {
                self.settings.forget(user);
            }
            Change::AccountDeleted(user) => {
                for session in self.sessions.forget_where(|live| live.user_id == user) {
                    session.end();
                }
                self.settings.forget(user);
                self.drafts.forget(user);
                self.presence.forget_everywhere(user);
                // Last: no message of theirs can come in any more.
                self.messages
                    .delete_everywhere_by(user, self.clock.site_time())
                    .await;
            }
            Change::Unknown => {
                tracing::error!(
                    "unknown kind of change in the change feed: dropping everything held in memory"
                );
                self.settings.forget_where(|_| true);
                self.sessions.forget_where(|_| true);
                self.rooms.forget_where(|_| true);
                self.public_rooms.forget_where(|_| true);
            }
        }
    }
}

/// Runs `work` to its end in a task of its own, also when the caller goes away in the middle: what is held in
/// memory is corrected after a commit, and a change that is dropped between the two would leave somebody in
/// a room that they have left.
///
/// It begins when it is called, not when it is awaited.
pub fn run_to_completion<T: 'static>(
    work: impl Future<Output = Result<T, Fault>> + 'static,
) -> impl Future<Output = Result<T, Fault>> {
    // Each worker of the server is a thread with its own tasks, which need not be sent to others.
    let task = tokio::task::spawn_local(work);
    async { task.await? }
}

/// A failure that nobody caused by what they asked for.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database refused, or was away.
    #[error("database error")]
    Database(#[from] DbErr),
    /// A password was not hashed or compared.
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
    /// Returns whether trying again later is likely to succeed: the database is busy, full, locked or away, what
    /// is held in memory is behind it, or too much is asked for at once.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => is_transient(error),
            Self::Password(PasswordError::Overloaded) | Self::Contended => true,
            Self::Password(_) | Self::Bug(_) | Self::Task(_) => false,
        }
    }
}

fn is_transient(error: &DbErr) -> bool {
    // The session of somebody who is deleted by the command line ends within two seconds.
    if matches!(
        error.sql_err(),
        Some(SqlErr::ForeignKeyConstraintViolation(_))
    ) {
        return true;
    }
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            let code = error.as_database_error().and_then(|e| e.code());
            let primary = code
                .and_then(|code| code.parse::<i32>().ok())
                .map(|code| code & 0xff);
            // BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN (https://sqlite.org/rescode.html)
            matches!(primary, Some(5 | 6 | 8 | 10 | 13 | 14))
        }
        _ => false,
    }
}

/// Returns whether a statement failed because a value that must be unique exists already.
#[must_use]
pub fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}
