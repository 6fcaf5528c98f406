//! Every setting: its flag, its environment variable, its default and what it means.
//!
//! The only place that reads the command line and the environment.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ipnet::IpNet;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

pub use self::database_url::DatabaseUrl;
use crate::domain::SiteName;

mod database_url;

/// Group chat in rooms that forget, served as plain HTML.
#[derive(Debug, Parser)]
#[command(name = "mirage", version = env!("MIRAGE_VERSION"), about, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    config: Config,
}

/// A command of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server. This is also what `mirage` does without a command
    Serve(Box<Config>),

    /// Try the settings, the database, Redis, the secret file, the assets and the address, and say what is wrong or
    /// risky
    ///
    /// Changes nothing, and works whether or not the server runs. Prints one line for each thing tried, which begins
    /// with ok, risk or error. The exit code is 1 if there is an error. With another `--database-url`, also
    /// verifies a backup.
    Check(Box<Config>),

    /// Print the manual pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder, which must exist
        folder: PathBuf,
    },

    /// Print the completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: Shell,
    },

    /// Run an operator's command, whether or not the server runs.
    #[command(flatten)]
    Operate(Operation),
}

/// A command for the operator.
#[derive(Debug, Subcommand)]
pub enum Operation {
    /// List users, reset a password, delete a user, choose the operators
    #[command(subcommand, arg_required_else_help = false)]
    User(UserCommand),

    /// List rooms, delete a room
    #[command(subcommand, arg_required_else_help = false)]
    Room(RoomCommand),

    /// Copy the database to a new file
    ///
    /// The copy is a consistent snapshot, even while the server runs. A server can use it in place of the
    /// database. It contains everything except messages: protect it as well as the database.
    Backup {
        /// The file to create. An existing file is never overwritten
        file: PathBuf,

        /// The database of the server.
        #[command(flatten)]
        storage: Storage,
    },

    /// Ask the running server whether it is healthy
    ///
    /// Exit code 0 if it answers and reaches its database and Redis, or else 1. For the health checks of containers and
    /// monitors.
    Health {
        /// The server to ask.
        #[command(flatten)]
        address: Address,
    },

    /// Copy an SQLite database to an empty PostgreSQL database
    ///
    /// Stop the server first, and start it with the new database afterwards. The SQLite database stays as it is.
    MoveDatabase {
        /// The new database, such as `postgres://mirage@db.example.org/mirage?sslmode=verify-full`
        #[arg(long, env = "MIRAGE_MOVE_TO", hide_env_values = true, value_name = "URL", value_parser = database_url)]
        to: DatabaseUrl,

        /// The database of the server.
        #[command(flatten)]
        storage: Storage,
    },

    /// Print a sign-up link, with which one person can create an account
    ///
    /// The link works once, within 7 days, on a server with `--sign-up link` or `--sign-up open`.
    SignupLink {
        /// The server that the link leads to.
        #[command(flatten)]
        address: Address,

        /// The database of the server.
        #[command(flatten)]
        storage: Storage,
    },
}

/// A command for the operator about people.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List users, one per line
    ///
    /// Each line has these columns, separated by tabs: name, creation time of the account, number of
    /// rooms, number of browsers signed in, and `active`, `operator` or `suspended`.
    List {
        /// The database of the server.
        #[command(flatten)]
        storage: Storage,
    },

    /// Print a link with which a user can choose a new password
    ///
    /// The link works once, within a day. Using it signs the user out of all other browsers. Until then,
    /// the old password keeps working.
    ResetPassword {
        /// Name of the user. It can be typed in any letter case
        name: String,

        /// The server that the link leads to.
        #[command(flatten)]
        address: Address,

        /// The database of the server.
        #[command(flatten)]
        storage: Storage,
    },

    /// Delete a user's account and messages, and sign them out everywhere
    ///
    /// Each room they own gets a new owner: its longest-standing moderator or, if it has none, its
    /// longest-standing member. Rooms with no other members are deleted.
    Delete {
        /// Name of the user. It can be typed in any letter case
        name: String,

        /// Whether to ask for confirmation.
        #[command(flatten)]
        deleting: Deleting,

        /// The database of the server.
        #[command(flatten)]
        storage: Storage,
    },

    /// Make a user an operator, who can moderate the site in a browser
    ///
    /// Operators see all users and public rooms, and reports about a public room's only moderator. They can
    /// suspend and delete users, delete public rooms, and create sign-up and reset links. A reset link gives
    /// whoever uses it all rooms of that user, private ones too. The user is signed out everywhere, and is an
    /// operator from the next sign-in on.
    MakeOperator {
        /// Name of the user. It can be typed in any letter case
        name: String,

        /// The database of the server.
        #[command(flatten)]
        storage: Storage,
    },

    /// Make an operator an ordinary user again, and sign them out everywhere
    RemoveOperator {
        /// Name of the user. It can be typed in any letter case
        name: String,

        /// The database of the server.
        #[command(flatten)]
        storage: Storage,
    },
}

/// A command for the operator about rooms.
#[derive(Debug, Subcommand)]
pub enum RoomCommand {
    /// List rooms, one per line
    ///
    /// Each line has these columns, separated by tabs: name, public or private, owner, number of
    /// members.
    List {
        /// The database of the server.
        #[command(flatten)]
        storage: Storage,
    },

    /// Delete a room and all its messages
    Delete {
        /// Name of the room. It can be typed in any letter case
        name: String,

        /// Whether to ask for confirmation.
        #[command(flatten)]
        deleting: Deleting,

        /// The database of the server.
        #[command(flatten)]
        storage: Storage,
    },
}

impl UserCommand {
    /// Returns the database that the command works on.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        match self {
            Self::List { storage }
            | Self::ResetPassword { storage, .. }
            | Self::Delete { storage, .. }
            | Self::MakeOperator { storage, .. }
            | Self::RemoveOperator { storage, .. } => storage,
        }
    }
}

impl RoomCommand {
    /// Returns the database that the command works on.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        match self {
            Self::List { storage } | Self::Delete { storage, .. } => storage,
        }
    }
}

/// Whether to ask for confirmation before an action that cannot be undone.
#[derive(Debug, Clone, Copy, Args)]
pub struct Deleting {
    /// Delete without asking for confirmation. Needed where there is no terminal to ask on
    #[arg(long)]
    pub yes: bool,
}

/// The addresses of the server: the one it listens on, and the one that people open.
#[derive(Debug, Clone, Args)]
pub struct Address {
    /// Address and port to listen on. Port 0 picks a free port
    #[arg(long, env = "MIRAGE_BIND", default_value = "127.0.0.1:8080", value_parser = bind)]
    pub bind: SocketAddr,

    /// The address that people open in their browser, such as `https://chat.example.org`. Set it behind
    /// a proxy. With https, cookies are sent only over TLS
    #[arg(long, env = "MIRAGE_PUBLIC_URL", value_parser = public_url)]
    pub public_url: Option<PublicUrl>,
}

impl Address {
    /// Returns the absolute URL of the page at `path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        match &self.public_url {
            Some(url) => format!("{}{path}", url.origin()),
            None => format!("http://{}{path}", self.bind),
        }
    }
}

/// The database in which the server keeps accounts, rooms and memberships.
#[derive(Debug, Clone, Args)]
pub struct Storage {
    /// The database with accounts, rooms and memberships: an SQLite file, which the server creates with its folder,
    /// or an empty database of a PostgreSQL server, such as
    /// `postgres://mirage@db.example.org/mirage?sslmode=verify-full`
    #[arg(long, env = "MIRAGE_DATABASE_URL", hide_env_values = true, default_value = "sqlite://data/mirage.db?mode=rwc", value_parser = database_url)]
    pub database_url: DatabaseUrl,
}

/// The settings of a server.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// The addresses of the server.
    #[command(flatten)]
    pub address: Address,

    /// The database of the server.
    #[command(flatten)]
    pub storage: Storage,

    /// The Redis that shares live state between processes.
    #[command(flatten)]
    pub redis: RedisConfig,

    /// File with the secret that signs cookies and forms. Created at the first start
    #[arg(long, env = "MIRAGE_SECRET_FILE", default_value = "data/mirage.key")]
    pub secret_file: PathBuf,

    /// Folder with another style sheet, scripts and icon, in place of those in the program
    #[arg(long, env = "MIRAGE_ASSETS")]
    pub assets: Option<PathBuf>,

    /// Name of the site, for the titles and the top of its pages
    #[arg(long, env = "MIRAGE_SITE_NAME", default_value = "Mirage", value_name = "NAME", value_parser = site_name)]
    pub site_name: SiteName,

    /// Text file for the page "About this site", such as rules, privacy policy and imprint. Empty lines
    /// separate paragraphs, line breaks are kept, and web addresses become links. Read at the start. Not set: no such page
    #[arg(long, env = "MIRAGE_ABOUT", value_name = "FILE")]
    pub about: Option<PathBuf>,

    /// Whom people can ask for help, for example with a forgotten password: an email address or a sentence
    #[arg(long, env = "MIRAGE_CONTACT", value_parser = contact)]
    pub contact: Option<String>,

    /// Who can create an account
    #[arg(long, env = "MIRAGE_SIGN_UP", value_enum, default_value_t = SignUp::Open)]
    pub sign_up: SignUp,

    /// How long messages last, such as `24h` or `30min`. The default and the maximum of every room
    #[arg(long, env = "MIRAGE_MESSAGE_LIFESPAN", default_value = "24h", value_parser = lifespan)]
    pub message_lifespan: Duration,

    /// Maximum number of messages in a room. Beyond it, the oldest are deleted
    #[arg(long, env = "MIRAGE_MAX_MESSAGES", default_value = "500", value_parser = max_messages, allow_negative_numbers = true)]
    pub max_messages: usize,

    /// Maximum memory for the messages and reports of all rooms together, such as 64MiB. Beyond it, the room
    /// that uses most loses its oldest
    #[arg(long, env = "MIRAGE_BUFFER_BYTES", default_value = "64MiB", value_parser = buffer_bytes)]
    pub buffer_bytes: usize,

    /// Maximum number of rooms that one person can own. People who own that many
    /// do not inherit another room, unless all its members do
    #[arg(long, env = "MIRAGE_ROOMS_PER_PERSON", default_value = "20", value_parser = count::<u64>, allow_negative_numbers = true)]
    pub rooms_per_person: u64,

    /// Maximum number of members in a room
    #[arg(long, env = "MIRAGE_MEMBERS_PER_ROOM", default_value = "500", value_parser = count::<u64>, allow_negative_numbers = true)]
    pub members_per_room: u64,

    /// Maximum number of public rooms. Not set: unlimited
    #[arg(long, env = "MIRAGE_PUBLIC_ROOMS", value_parser = count_or_none, allow_negative_numbers = true)]
    pub public_rooms: Option<u64>,

    /// How long a long poll waits for new messages before it is answered
    #[arg(long, env = "MIRAGE_POLL_WAIT", default_value = "25s", value_parser = poll_wait)]
    pub poll_wait: Duration,

    /// The time limits for clients.
    #[command(flatten)]
    pub timeouts: Timeouts,

    /// Maximum number of connections from one address
    #[arg(long, env = "MIRAGE_CONNECTIONS_PER_ADDRESS", default_value = "100", value_parser = count::<usize>, allow_negative_numbers = true)]
    pub connections_per_address: usize,

    /// Address and port on which Prometheus can read metrics, at `/metrics`. It needs no sign-in: keep it from the
    /// public. Not set: no metrics
    #[arg(long, env = "MIRAGE_METRICS_BIND", value_parser = bind)]
    pub metrics_bind: Option<SocketAddr>,

    /// Whether `--connections-per-address`, the rate limits below, and one password hash at a time for each person and
    /// each address apply. Off is for tests and benchmarks only
    #[arg(long, env = "MIRAGE_LIMITS", value_enum, default_value_t = Switch::On)]
    pub limits: Switch,

    /// The rate limits.
    #[command(flatten)]
    pub rates: Rates,

    /// The reverse proxies in front of this server: addresses or networks such as `10.0.0.0/8`, separated
    /// by commas. Only their `X-Forwarded-For` is trusted, and they can have any number of connections
    #[arg(long, env = "MIRAGE_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORKS", value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,

    /// Format of the log
    #[arg(long, env = "MIRAGE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What to log, as a filter of tracing's `EnvFilter`, such as `info` or `mirage=debug`
    #[arg(long, env = "MIRAGE_LOG", default_value = "info")]
    pub log: String,

    /// The cost of hashing a password. Not a setting: tests, which create thousands of accounts, change it.
    #[arg(skip)]
    pub hash_cost: HashCost,
}

/// The cost of hashing a password with Argon2id (RFC 9106, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// The memory of one hash, in KiB.
    pub memory: u32,
    /// The number of passes over that memory.
    pub passes: u32,
}

impl HashCost {
    /// What OWASP's Password Storage Cheat Sheet recommends.
    pub const RECOMMENDED: Self = Self {
        memory: 19 * 1024,
        passes: 2,
    };
}

impl Default for HashCost {
    fn default() -> Self {
        Self::RECOMMENDED
    }
}

/// The Redis in which messages and other live state are held, in place of this process's memory.
#[derive(Debug, Clone, Args)]
pub struct RedisConfig {
    /// The Redis or Valkey that holds messages and everything else that is not in the database, such as
    /// `rediss://user:password@redis.example.org`. Not set: this process's memory
    #[arg(long, env = "MIRAGE_REDIS_URL", hide_env_values = true, value_name = "URL", value_parser = redis_url)]
    pub redis_url: Option<RedisUrl>,

    /// Whether Redis is asked if it could write messages to a disk
    #[arg(long, env = "MIRAGE_REDIS_PERSISTENCE", value_enum, default_value_t = Persistence::Check)]
    pub redis_persistence: Persistence,

    /// How long a link to another server may be silent. After that, nothing that needs the link is served until
    /// the other server answers again
    #[arg(long, env = "MIRAGE_LINK_TIMEOUT", default_value = "1s", value_parser = link_timeout)]
    pub link_timeout: Duration,
}

/// The URL of a Redis, which may contain a password. Its text is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// Returns the URL, with its password.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns how to connect to the server that the URL names.
    ///
    /// # Errors
    /// When the text is not the URL of a Redis.
    pub fn connection(&self) -> redis::RedisResult<ConnectionInfo> {
        self.0.as_str().into_connection_info()
    }

    /// Returns whether the link is not encrypted and leaves this machine.
    #[must_use]
    pub fn is_plain_to_another_host(&self) -> bool {
        let connection = self.connection();
        connection.is_ok_and(|connection| match connection.addr() {
            ConnectionAddr::Tcp(host, _) => {
                let host = host.trim_matches(['[', ']']);
                let is_local = host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
                !is_local && host != "localhost"
            }
            _ => false,
        })
    }

    /// Returns the reason why this is not the URL of a Redis, if it is not. The reason does not quote the URL.
    fn mistake(&self) -> Option<&'static str> {
        let is_tcp = self.0.starts_with("redis://") || self.0.starts_with("rediss://");
        let is_right = is_tcp && self.connection().is_ok();
        (!is_right).then_some(
            "invalid value for '--redis-url <URL>': expected redis:// or rediss://, optionally user:password@, a host, and optionally a port and the number of a database",
        )
    }
}

impl std::fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisUrl(…)")
    }
}

/// Whether Redis is asked if it could write messages to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Persistence {
    /// Ask, and refuse a Redis that could, or that does not answer
    Check,
    /// Also use a Redis that does not answer `CONFIG GET` or that has replicas: you know that they write nothing to
    /// a disk
    Trust,
}

/// The time limits for each step of a client's request.
#[derive(Debug, Clone, Copy, Args)]
pub struct Timeouts {
    /// Maximum time for a client to send the head of a request
    #[arg(long, env = "MIRAGE_HEAD_TIMEOUT", default_value = "4s", value_parser = timeout)]
    pub head_timeout: Duration,

    /// Maximum time for a connection to be idle between requests
    #[arg(long, env = "MIRAGE_KEEP_ALIVE", default_value = "4s", value_parser = timeout)]
    pub keep_alive: Duration,

    /// Maximum time for a connection from a trusted proxy to be idle between requests. Longer than the
    /// proxy itself keeps idle connections
    #[arg(long, env = "MIRAGE_PROXY_KEEP_ALIVE", default_value = "130s", value_parser = timeout)]
    pub proxy_keep_alive: Duration,

    /// Maximum time for a client to send the body of a request, such as a form
    #[arg(long, env = "MIRAGE_BODY_TIMEOUT", default_value = "15s", value_parser = timeout)]
    pub body_timeout: Duration,

    /// Maximum time without progress while a client reads a response
    #[arg(long, env = "MIRAGE_WRITE_TIMEOUT", default_value = "20s", value_parser = timeout)]
    pub write_timeout: Duration,
}

/// The rate limits: how often people may do things. `10+1/30s` allows a burst of 10, and then 1 every 30 seconds.
#[derive(Debug, Clone, Args)]
pub struct Rates {
    /// Password attempts for one name from one address. `10+1/30s` allows a burst of 10, and
    /// then 1 every 30 seconds
    #[arg(long, env = "MIRAGE_LIMIT_SIGN_IN", default_value = "10+1/30s", value_name = "RATE", value_parser = rate)]
    pub limit_sign_in: Rate,

    /// Password attempts from one address, new passwords at sign-up included
    #[arg(long, env = "MIRAGE_LIMIT_SIGN_IN_ADDRESS", default_value = "60+1/1s", value_name = "RATE", value_parser = rate)]
    pub limit_sign_in_address: Rate,

    /// New accounts from one address
    #[arg(long, env = "MIRAGE_LIMIT_SIGN_UP", default_value = "10+10/1h", value_name = "RATE", value_parser = rate)]
    pub limit_sign_up: Rate,

    /// Attempts of one person to join private rooms
    #[arg(long, env = "MIRAGE_LIMIT_JOIN", default_value = "10+1/1min", value_name = "RATE", value_parser = rate)]
    pub limit_join: Rate,

    /// Wrong passwords from all people together for one private room. Beyond it, only people who gave three
    /// wrong passwords for the room in the last hour have to wait
    #[arg(long, env = "MIRAGE_LIMIT_JOIN_NAME", default_value = "60+60/1h", value_name = "RATE", value_parser = rate)]
    pub limit_join_name: Rate,

    /// New rooms from one person
    #[arg(long, env = "MIRAGE_LIMIT_ROOMS", default_value = "20+20/1h", value_name = "RATE", value_parser = rate)]
    pub limit_rooms: Rate,

    /// Passwords that one person sets for rooms that exist
    #[arg(long, env = "MIRAGE_LIMIT_ROOM_PASSWORDS", default_value = "10+1/1min", value_name = "RATE", value_parser = rate)]
    pub limit_room_passwords: Rate,

    /// Changes of one person that have no limit of their own: joining and leaving rooms, settings, roles,
    /// bans, invites, deletions
    #[arg(long, env = "MIRAGE_LIMIT_CHANGES", default_value = "30+1/1s", value_name = "RATE", value_parser = rate)]
    pub limit_changes: Rate,

    /// Messages from one person in one room, and also reports of messages
    #[arg(long, env = "MIRAGE_LIMIT_MESSAGES", default_value = "5+1/1s", value_name = "RATE", value_parser = rate)]
    pub limit_messages: Rate,

    /// Messages from all people together in one room, and also reports of messages
    #[arg(long, env = "MIRAGE_LIMIT_MESSAGES_ROOM", default_value = "20+10/1s", value_name = "RATE", value_parser = rate)]
    pub limit_messages_room: Rate,

    /// Visits to invite, sign-up and reset links from one address
    #[arg(long, env = "MIRAGE_LIMIT_LINKS", default_value = "30+30/1min", value_name = "RATE", value_parser = rate)]
    pub limit_links: Rate,
}

/// A rate limit: how often something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The size of the burst: how often it may be done at once.
    pub at_once: NonZero<u32>,
    /// The time after which it may be done once more.
    pub each: Duration,
}

/// Whether limits apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// The limits apply
    On,
    /// The limits do not apply
    Off,
}

/// Who can create an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SignUp {
    /// Anyone
    Open,
    /// Anyone with a sign-up link
    Link,
    /// Nobody, not even with a link
    Closed,
}

/// A format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text per event
    Text,
    /// One JSON object per event
    Json,
}

/// The origin of the URL that people open in their browser: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Returns whether the URL's scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Returns the origin, as browsers send it in `Origin` (RFC 6454, section 6.2).
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0
    }
}

/// The reason why the command line was not run.
#[derive(Debug, PartialEq, Eq)]
pub enum NoConfig {
    /// `--help` or `--version` was given: the text to print.
    Asked(String),
    /// A value is wrong: one sentence that names the setting and says what is wrong.
    Wrong(String),
    /// A value is wrong, and `mirage check` was asked what is: the same sentence.
    Checked(String),
}

impl Command {
    /// Reads the command line of this process and its environment.
    ///
    /// # Errors
    /// When help was asked for, or a value is wrong.
    pub fn from_process() -> Result<Self, NoConfig> {
        let is_check = std::env::args_os()
            .nth(1)
            .is_some_and(|word| word == "check");
        Self::parse(std::env::args_os()).map_err(|error| match error {
            NoConfig::Wrong(sentence) if is_check => NoConfig::Checked(sentence),
            error => error,
        })
    }

    /// Writes the manual pages of the program and its commands into `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_manual(folder: &Path) -> io::Result<()> {
        clap_mangen::generate_to(CommandLine::command(), folder)
    }

    /// Returns the script that completes the program's command line in `shell`.
    #[must_use]
    pub fn completions(shell: Shell) -> Vec<u8> {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut CommandLine::command(), "mirage", &mut script);
        script
    }

    /// Reads a command line, its program's name first, and the environment.
    ///
    /// # Errors
    /// When help was asked for, or a value is wrong.
    pub fn parse<I, T>(words: I) -> Result<Self, NoConfig>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        match CommandLine::try_parse_from(words) {
            Ok(line) => line
                .command
                .unwrap_or_else(|| Self::Serve(Box::new(line.config)))
                .checked(),
            Err(error) if error.use_stderr() => {
                // The first paragraph has the error; clap adds tips and usage after it.
                let text = error.to_string();
                let paragraph = text.lines().take_while(|line| !line.is_empty());
                let sentence = paragraph.map(str::trim).collect::<Vec<_>>().join(" ");
                let sentence = sentence.trim_start_matches("error: ");
                let sentence = &without_secrets(sentence);
                let may_be_name = text.contains("as a value, use '-- ");
                Err(NoConfig::Wrong(if may_be_name {
                    format!("{sentence}: put -- before a name that begins with a dash")
                } else {
                    sentence.to_owned()
                }))
            }
            Err(asked) => Err(NoConfig::Asked(asked.to_string())),
        }
    }
}

/// Hides the values in an error's sentence that may hold a password: URLs with a user or parameters.
fn without_secrets(sentence: &str) -> String {
    let hide = |part: &str| match part.split_once("://") {
        Some((scheme, rest)) if rest.contains(['@', '?']) && !part.contains(' ') => {
            format!("{scheme}://…")
        }
        _ => part.to_owned(),
    };
    let parts: Vec<String> = sentence.split('\'').map(hide).collect();
    parts.join("'")
}

impl Command {
    /// Checks what clap must not check, because its errors quote the value, and this one may contain a password.
    fn checked(self) -> Result<Self, NoConfig> {
        let (Self::Serve(config) | Self::Check(config)) = &self else {
            return Ok(self);
        };
        let url = config.redis.redis_url.as_ref();
        match url.and_then(RedisUrl::mistake) {
            Some(mistake) => Err(NoConfig::Wrong(mistake.to_owned())),
            None => Ok(self),
        }
    }
}

impl Config {
    /// Returns whether the session cookie is sent only over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.address
            .public_url
            .as_ref()
            .is_some_and(PublicUrl::is_https)
    }
}

fn bind(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .ok()
        .ok_or("expected an IP address and a port, such as 127.0.0.1:8080")
}

fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    text.parse()
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "clap's errors quote the value; Command::checked does not"
)]
fn redis_url(text: &str) -> Result<RedisUrl, &'static str> {
    Ok(RedisUrl(text.to_owned()))
}

fn link_timeout(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "expected a time from 300ms to 10min, such as 1s";
    span(
        text,
        Duration::from_millis(300)..=Duration::from_secs(600),
        WRONG,
    )
}

fn public_url(text: &str) -> Result<PublicUrl, &'static str> {
    const WRONG: &str =
        "expected http:// or https://, a host and optionally a port, without a path";
    let url = text.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, authority) = url.split_once("://").ok_or(WRONG)?;
    let is_authority = !authority.is_empty()
        && authority
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'));
    if !matches!(scheme, "http" | "https") || !is_authority {
        return Err(WRONG);
    }
    let port = authority
        .rsplit_once(':')
        .filter(|(host, _)| host.ends_with(']') || !host.contains(':'));
    if let Some((_, port)) = port {
        let number = port.parse::<NonZero<u16>>().ok();
        if number.is_none_or(|number| number.to_string() != port) {
            return Err("the port must be a number from 1 to 65535");
        }
    }
    // Browsers leave the scheme's default port out of `Origin`.
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(usual).unwrap_or(authority);
    Ok(PublicUrl(format!("{scheme}://{authority}")))
}

fn site_name(text: &str) -> Result<SiteName, String> {
    SiteName::parse(text).map_err(|mistake| mistake.0.into_owned())
}

fn contact(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("expected an email address or a sentence");
    }
    Ok(text.to_owned())
}

fn lifespan(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "expected a time from 1s to 30days, such as 24h or 30min";
    span(
        text,
        Duration::from_secs(1)..=Duration::from_secs(30 * 86_400),
        WRONG,
    )
}

fn poll_wait(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "expected a time from 100ms to 2min, such as 25s";
    span(
        text,
        Duration::from_millis(100)..=Duration::from_secs(120),
        WRONG,
    )
}

fn timeout(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "expected a time from 100ms to 10min, such as 15s";
    span(
        text,
        Duration::from_millis(100)..=Duration::from_secs(600),
        WRONG,
    )
}

fn span(
    text: &str,
    allowed: std::ops::RangeInclusive<Duration>,
    wrong: &'static str,
) -> Result<Duration, &'static str> {
    humantime::parse_duration(text)
        .ok()
        .filter(|span| allowed.contains(span))
        .ok_or(wrong)
}

fn rate(text: &str) -> Result<Rate, &'static str> {
    const WRONG: &str = "expected a burst from 1 to 10000 and a rate, such as 10+1/30s for 10 at once and then 1 every 30 seconds";
    let parts = text.split_once('+').and_then(|(at_once, then)| {
        let (count, time) = then.split_once('/')?;
        let count = count.parse().ok().filter(|count: &u32| *count > 0)?;
        let each = humantime::parse_duration(time).ok()?.checked_div(count)?;
        let at_once = at_once
            .parse()
            .ok()
            .filter(|n: &NonZero<u32>| n.get() <= 10_000)?;
        Some(Rate { at_once, each })
    });
    let allowed = Duration::from_micros(1)..=Duration::from_secs(86_400);
    parts
        .filter(|rate| allowed.contains(&rate.each))
        .ok_or(WRONG)
}

fn network(text: &str) -> Result<IpNet, &'static str> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = text.parse().ok().or_else(address);
    network.ok_or("expected an address or a network, such as 127.0.0.1 or 10.0.0.0/8")
}

fn max_messages(text: &str) -> Result<usize, &'static str> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=100_000).contains(number));
    number.ok_or("expected a number from 1 to 100000")
}

fn count<N: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<N, &'static str> {
    let number = text.parse().ok().filter(|number| *number >= N::from(1));
    number.ok_or("expected a number of at least 1")
}

fn count_or_none(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().ok_or("expected a number of at least 0")
}

fn buffer_bytes(text: &str) -> Result<usize, &'static str> {
    const WRONG: &str = "expected at least 64KiB, such as 64MiB, 1GiB or a number of bytes";
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: usize = match text.strip_prefix(digits).map(str::trim) {
        Some("" | "B") => 1,
        Some("KiB") => 1 << 10,
        Some("MiB") => 1 << 20,
        Some("GiB") => 1 << 30,
        _ => return Err(WRONG),
    };
    let number: usize = digits.parse().ok().ok_or(WRONG)?;
    // At least a few of the largest messages must fit, or a message could be evicted as soon as it is sent.
    number
        .checked_mul(unit)
        .filter(|bytes| *bytes >= 1 << 16)
        .ok_or(WRONG)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(words: &[&str]) -> Result<Config, NoConfig> {
        match Command::parse([&["mirage"], words].concat())? {
            Command::Serve(config) => Ok(*config),
            other => panic!("{words:?}: {other:?}"),
        }
    }

    fn asked(words: &[&str]) -> String {
        match Command::parse([&["mirage"], words].concat()) {
            Err(NoConfig::Asked(text)) => text,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    fn wrong(flag: &str, value: &str) -> String {
        match parse(&[flag, value]) {
            Err(NoConfig::Wrong(sentence)) => sentence,
            other => panic!("{flag} {value}: {other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_those_of_a_laptop() {
        let config = parse(&[]).unwrap();

        assert_eq!(config.address.bind.to_string(), "127.0.0.1:8080");
        assert_eq!(
            config.storage.database_url.to_string(),
            "sqlite://data/mirage.db?mode=rwc"
        );
        assert_eq!(config.message_lifespan, Duration::from_secs(24 * 3600));
        assert_eq!(config.max_messages, 500);
        assert_eq!(config.buffer_bytes, 64 * 1024 * 1024);
        assert_eq!(config.poll_wait, Duration::from_secs(25));
        assert_eq!(config.hash_cost, HashCost::RECOMMENDED);
    }

    #[test]
    fn a_wrong_url_does_not_show_its_password() {
        for url in [
            "mysql://ada:s3cret@db/mirage",
            "postgres://ada:s3cret@db/mirage?sslmod=require",
            "postgres://ada:s3cret@db:99999/mirage",
            "postgres://db/mirage?password=s3cret&sslmode=never",
        ] {
            let sentence = wrong("--database-url", url);

            assert!(!sentence.contains("s3cret"), "{sentence}");
            assert!(sentence.contains("--database-url"), "{sentence}");
        }
        let Err(NoConfig::Wrong(sentence)) = parse(&["postgres://ada:s3cret@db/mirage"]) else {
            panic!("an argument that nobody expects")
        };
        assert!(!sentence.contains("s3cret"), "{sentence}");
    }

    #[test]
    fn a_wrong_value_is_one_sentence_that_names_the_setting() {
        for (flag, value) in [
            ("--bind", "localhost"),
            ("--database-url", "mysql://x"),
            ("--database-url", "postgres://x"),
            ("--database-url", "postgres://x/y?sslmod=verify-full"),
            ("--public-url", "https://example.org/chat"),
            ("--public-url", "example.org"),
            ("--public-url", "https://example.org:99999"),
            ("--public-url", "https://example.org:0"),
            ("--public-url", "https://example.org:"),
            ("--public-url", "https://[::1]:99999"),
            ("--site-name", " "),
            ("--contact", " "),
            ("--message-lifespan", "0s"),
            ("--message-lifespan", "forever"),
            ("--max-messages", "0"),
            ("--max-messages", "-1"),
            ("--rooms-per-person", "0"),
            ("--members-per-room", "many"),
            ("--public-rooms", "-1"),
            ("--buffer-bytes", "1KiB"),
            ("--buffer-bytes", "99999999999999999999"),
            ("--buffer-bytes", "64 apples"),
            ("--poll-wait", "1h"),
            ("--head-timeout", "0s"),
            ("--keep-alive", "0s"),
            ("--proxy-keep-alive", "1h"),
            ("--body-timeout", "1h"),
            ("--write-timeout", "soon"),
            ("--redis-url", "127.0.0.1:6379"),
            ("--redis-url", "http://127.0.0.1"),
            ("--redis-url", "redis://127.0.0.1/messages"),
            ("--redis-persistence", "maybe"),
            ("--link-timeout", "250ms"),
            ("--connections-per-address", "0"),
            ("--log-format", "xml"),
            ("--sign-up", "maybe"),
            ("--trusted-proxies", "proxy.example.org"),
            ("--trusted-proxies", "10.0.0.0/33"),
            ("--metrics-bind", "localhost"),
            ("--limit-sign-in", "10"),
            ("--limit-sign-in", "0+1/1s"),
            ("--limit-sign-in", "10+0/1s"),
            ("--limit-messages", "10+1"),
            ("--limit-messages", "10+1/0s"),
            ("--limit-links", "10001+1/1s"),
            ("--limit-links", "1+1/2days"),
        ] {
            let sentence = wrong(flag, value);
            assert!(
                sentence.contains(flag) && !sentence.contains('\n'),
                "{sentence}"
            );
        }
    }

    #[test]
    fn the_password_of_redis_is_never_printed() {
        let url = "redis://ada:open-sesame@127.0.0.1/messages";
        let sentence = wrong("--redis-url", url);
        assert!(!sentence.contains("sesame"), "{sentence}");

        let config = parse(&["--redis-url", "redis://:open-sesame@127.0.0.1"]).unwrap();
        assert!(!format!("{config:?}").contains("sesame"));
    }

    #[test]
    fn only_a_plain_link_to_another_host_is_a_risk() {
        for (url, is_risk) in [
            ("redis://127.0.0.1", false),
            ("redis://localhost:6380/1", false),
            ("redis://[::1]", false),
            ("rediss://redis.example.org", false),
            ("redis://redis.example.org", true),
            ("redis://:secret@10.0.0.7:6379", true),
        ] {
            let config = parse(&["--redis-url", url]).unwrap();
            let url = config.redis.redis_url.unwrap();
            assert_eq!(url.is_plain_to_another_host(), is_risk, "{url:?}");
        }
    }

    #[test]
    fn an_unknown_flag_is_wrong() {
        assert!(matches!(parse(&["--nonsense"]), Err(NoConfig::Wrong(_))));
    }

    #[test]
    fn help_explains_every_setting() {
        let help = asked(&["--help"]);

        for name in SETTINGS {
            assert!(
                help.contains(&format!("--{name} ")),
                "--{name} is missing from\n{help}"
            );
            let variable = format!("MIRAGE_{}", name.replace('-', "_").to_uppercase());
            assert!(
                help.contains(&variable),
                "{variable} is missing from\n{help}"
            );
        }
    }

    #[test]
    fn help_explains_every_command() {
        let help = asked(&["--help"]);
        for command in [
            "serve",
            "check",
            "user",
            "room",
            "backup",
            "health",
            "move-database",
            "signup-link",
        ] {
            let line = help
                .lines()
                .find(|line| line.trim_start().starts_with(command));
            assert!(
                line.is_some_and(|line| line.len() > 30),
                "{command} in\n{help}"
            );
        }
        for (command, says) in [
            (&["user", "--help"][..], "list"),
            (&["user", "--help"], "reset-password"),
            (&["user", "--help"], "delete"),
            (&["user", "--help"], "make-operator"),
            (&["user", "--help"], "remove-operator"),
            (&["user", "make-operator", "--help"], "private ones too"),
            (&["room", "--help"], "list"),
            (&["room", "--help"], "delete"),
            (&["user", "list", "--help"], "MIRAGE_DATABASE_URL"),
            (&["user", "reset-password", "--help"], "within a day"),
            (&["user", "reset-password", "--help"], "MIRAGE_PUBLIC_URL"),
            (&["user", "delete", "--help"], "--yes"),
            (&["room", "list", "--help"], "public or private"),
            (&["room", "delete", "--help"], "--yes"),
            (&["backup", "--help"], "never overwritten"),
            (&["signup-link", "--help"], "within 7 days"),
            (&["signup-link", "--help"], "MIRAGE_BIND"),
            (&["serve", "--help"], "MIRAGE_SIGN_UP"),
        ] {
            let help = asked(command);
            assert!(help.contains(says), "{says} is missing from\n{help}");
        }
    }

    #[test]
    fn serving_can_be_left_out() {
        for words in [
            &["--bind=127.0.0.1:9"][..],
            &["serve", "--bind=127.0.0.1:9"],
        ] {
            assert_eq!(parse(words).unwrap().address.bind.port(), 9);
        }
    }

    #[test]
    fn a_wrong_command_is_one_sentence() {
        for (words, names) in [
            (&["nonsense"][..], "nonsense"),
            (&["user"], "user"),
            (&["user", "delete"], "<NAME>"),
            (&["user", "list", "--yes"], "--yes"),
            (&["--bind=127.0.0.1:9", "user", "list"], "user"),
            (&["room", "delete", "Tea", "Cake"], "Cake"),
            (&["room", "delete", "-dash"], "put -- before a name"),
            (
                &["user", "delete", "--yes", "-dash"],
                "put -- before a name",
            ),
            (
                &["user", "reset-password", "--dash"],
                "put -- before a name",
            ),
        ] {
            let Err(NoConfig::Wrong(sentence)) = parse(words) else {
                panic!("{words:?} is no mistake")
            };
            assert!(
                sentence.contains(names) && !sentence.contains('\n'),
                "{sentence}"
            );
        }
    }

    #[test]
    fn after_two_dashes_a_name_may_begin_with_a_dash() {
        let parsed = Command::parse(["mirage", "room", "delete", "--", "-dash"]);

        let Ok(Command::Operate(Operation::Room(RoomCommand::Delete { name, .. }))) = parsed else {
            panic!("{parsed:?}")
        };
        assert_eq!(name, "-dash");
    }

    #[test]
    fn a_port_that_does_not_exist_is_refused_in_clear_words() {
        let sentence = wrong("--public-url", "https://example.org:99999");

        assert!(
            sentence.contains("the port must be a number from 1 to 65535"),
            "{sentence}"
        );
    }

    #[test]
    fn a_link_begins_with_the_public_url_or_else_with_the_address_it_is_served_on() {
        let url = |words: &[&str]| parse(words).unwrap().address.url("/register/x");

        assert_eq!(url(&[]), "http://127.0.0.1:8080/register/x");
        assert_eq!(
            url(&["--public-url=https://chat.example.org/"]),
            "https://chat.example.org/register/x"
        );
    }

    #[test]
    fn a_rate_is_how_many_at_once_and_how_many_in_what_time_after_that() {
        let at_once = |n| NonZero::new(n).unwrap();

        assert_eq!(
            rate("10+1/30s"),
            Ok(Rate {
                at_once: at_once(10),
                each: Duration::from_secs(30)
            })
        );
        assert_eq!(
            rate("20+20/1h"),
            Ok(Rate {
                at_once: at_once(20),
                each: Duration::from_secs(180)
            })
        );
    }

    #[test]
    fn trusted_proxies_are_addresses_and_networks() {
        let config = parse(&["--trusted-proxies=127.0.0.1,10.0.0.0/8,::1"]).unwrap();

        let networks = ["127.0.0.1/32", "10.0.0.0/8", "::1/128"];
        assert_eq!(
            config.trusted_proxies,
            networks.map(|net| net.parse::<IpNet>().unwrap())
        );
        assert!(parse(&[]).unwrap().trusted_proxies.is_empty());
    }

    #[test]
    fn bytes_come_in_units() {
        assert_eq!(buffer_bytes("1GiB"), Ok(1 << 30));
        assert_eq!(buffer_bytes("65536"), Ok(65_536));
    }

    #[test]
    fn a_public_url_is_an_origin() {
        assert_eq!(
            public_url("https://Chat.example.org:443/")
                .unwrap()
                .origin(),
            "https://chat.example.org"
        );
        assert_eq!(
            public_url("http://[::1]:8080").unwrap().origin(),
            "http://[::1]:8080"
        );
    }

    /// The names of all settings.
    const SETTINGS: [&str; 41] = [
        "bind",
        "database-url",
        "redis-url",
        "redis-persistence",
        "link-timeout",
        "public-url",
        "secret-file",
        "assets",
        "site-name",
        "about",
        "contact",
        "sign-up",
        "message-lifespan",
        "max-messages",
        "rooms-per-person",
        "members-per-room",
        "public-rooms",
        "buffer-bytes",
        "poll-wait",
        "head-timeout",
        "keep-alive",
        "proxy-keep-alive",
        "body-timeout",
        "write-timeout",
        "connections-per-address",
        "metrics-bind",
        "limits",
        "limit-sign-in",
        "limit-sign-in-address",
        "limit-sign-up",
        "limit-join",
        "limit-join-name",
        "limit-rooms",
        "limit-room-passwords",
        "limit-changes",
        "limit-messages",
        "limit-messages-room",
        "limit-links",
        "trusted-proxies",
        "log-format",
        "log",
    ];

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_setting_is_taken_or_refused_in_one_sentence(
            setting in prop::sample::select(&SETTINGS[..]),
            value in prop_oneof![
                any::<String>(),
                "[0-9]{1,21}(\\+[0-9]{1,11}/[0-9]{1,21})?(s|min|h|days|years|KiB|GiB| )?",
                "(https?://)?[a-z0-9.:\\[\\]-]{0,20}(/[0-9]{1,3})?",
            ],
        ) {
            match parse(&[&format!("--{setting}={value}")]) {
                Ok(_) | Err(NoConfig::Wrong(_)) => {}
                Err(error) => prop_assert!(false, "nobody asked for {error:?}"),
            }
        }

        #[test]
        fn any_command_line_is_taken_or_refused(words in prop::collection::vec(
            prop_oneof![
                any::<String>(),
                prop::sample::select(&SETTINGS[..]).prop_map(|setting| format!("--{setting}")),
                prop::sample::select(&["serve", "user", "room", "list", "delete", "backup", "--", "-"][..])
                    .prop_map(str::to_owned),
            ],
            0..6,
        )) {
            let words = ["mirage".to_owned()].into_iter().chain(words);
            // Either outcome is fine, as long as nothing panics.
            drop(Command::parse(words));
        }

        #[test]
        fn a_rate_is_read_as_it_was_written(
            at_once in 1..=10_000_u32,
            count in 1..=1_000_u32,
            seconds in 1..=86_400_u64,
        ) {
            let rate = rate(&format!("{at_once}+{count}/{seconds}s")).unwrap();

            prop_assert_eq!(rate.at_once.get(), at_once);
            prop_assert_eq!(rate.each, Duration::from_secs(seconds) / count);
        }

        #[test]
        fn a_public_url_is_read_as_it_is_kept(url in "https?://[a-zA-Z0-9.-]{1,20}(:[1-9][0-9]{0,3})?/?") {
            let kept = public_url(&url).unwrap();

            prop_assert_eq!(public_url(kept.origin()), Ok(kept));
        }
    }
}
