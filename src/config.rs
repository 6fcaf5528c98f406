//! Every setting: its flag, its environment variable, its default and what it means.
//!
//! The only place that reads the command line and the environment.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

/// Group chat in rooms that forget, served as plain HTML.
#[derive(Debug, Parser)]
#[command(name = "mirage", version, about, max_term_width = 100)]
struct CommandLine {
    #[command(flatten)]
    config: Config,
}

/// The settings of a server.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address and port to serve on. Port 0 takes a free one
    #[arg(long, env = "MIRAGE_BIND", default_value = "127.0.0.1:8080", value_parser = bind)]
    pub bind: SocketAddr,

    /// The SQLite database with accounts, rooms and memberships. Its folder is made
    #[arg(long, env = "MIRAGE_DATABASE_URL", default_value = "sqlite://data/mirage.db?mode=rwc", value_parser = database_url)]
    pub database_url: String,

    /// The address people reach this server by, such as `https://chat.example.org`. Set it behind a
    /// proxy; with https, cookies are only sent over TLS
    #[arg(long, env = "MIRAGE_PUBLIC_URL", value_parser = public_url)]
    pub public_url: Option<PublicUrl>,

    /// File with the secret that signs cookies and forms. Made at the first start
    #[arg(long, env = "MIRAGE_SECRET_FILE", default_value = "data/mirage.key")]
    pub secret_file: PathBuf,

    /// Folder with the style sheet, the script and the icon
    #[arg(long, env = "MIRAGE_ASSETS", default_value = "assets")]
    pub assets: PathBuf,

    /// Whom to ask for help, such as for a forgotten password: an e-mail address or a sentence
    #[arg(long, env = "MIRAGE_CONTACT", value_parser = contact)]
    pub contact: Option<String>,

    /// How long a message lives, such as `24h` or `30min`: the default of every room, and the most
    #[arg(long, env = "MIRAGE_MESSAGE_LIFESPAN", default_value = "24h", value_parser = lifespan)]
    pub message_lifespan: Duration,

    /// How many messages a room keeps
    #[arg(long, env = "MIRAGE_MAX_MESSAGES", default_value = "500", value_parser = max_messages, allow_negative_numbers = true)]
    pub max_messages: usize,

    /// How many bytes the messages of all rooms may take together, such as 64MiB. When that is
    /// reached, the room that uses most gives up its oldest
    #[arg(long, env = "MIRAGE_BUFFER_BYTES", default_value = "64MiB", value_parser = buffer_bytes)]
    pub buffer_bytes: usize,

    /// How many rooms one person may own
    #[arg(long, env = "MIRAGE_ROOMS_PER_PERSON", default_value = "20", value_parser = count, allow_negative_numbers = true)]
    pub rooms_per_person: u64,

    /// How many members a room may have
    #[arg(long, env = "MIRAGE_MEMBERS_PER_ROOM", default_value = "500", value_parser = count, allow_negative_numbers = true)]
    pub members_per_room: u64,

    /// How many public rooms there may be in all. Unset: as many as like
    #[arg(long, env = "MIRAGE_PUBLIC_ROOMS", value_parser = count_or_none, allow_negative_numbers = true)]
    pub public_rooms: Option<u64>,

    /// How long a room page's request for news waits for some
    #[arg(long, env = "MIRAGE_POLL_WAIT", default_value = "25s", value_parser = poll_wait)]
    pub poll_wait: Duration,

    /// Whether people are kept from doing things too often. Off is for tests and benchmarks only
    #[arg(long, env = "MIRAGE_LIMITS", value_enum, default_value_t = Switch::On)]
    pub limits: Switch,

    /// How to write the log
    #[arg(long, env = "MIRAGE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What to log, in the notation of tracing's `EnvFilter`
    #[arg(long, env = "MIRAGE_LOG", default_value = "info")]
    pub log: String,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On
    On,
    /// Off
    Off,
}

/// A shape of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line of text for each event
    Text,
    /// A JSON object for each event
    Json,
}

/// Where people reach the server: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Whether people come over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The origin, as browsers send it in `Origin` (RFC 6454, section 6.2).
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0
    }
}

/// Why there are no settings.
#[derive(Debug, PartialEq, Eq)]
pub enum NoConfig {
    /// `--help` or `--version` was asked for: this is what to print.
    Asked(String),
    /// A value is wrong: one sentence that says which and why.
    Wrong(String),
}

impl fmt::Display for NoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(text) | Self::Wrong(text) => f.write_str(text),
        }
    }
}

impl Config {
    /// Reads the command line of this process and its environment.
    ///
    /// # Errors
    /// When help was asked for, or a value is wrong.
    pub fn from_process() -> Result<Self, NoConfig> {
        Self::parse(std::env::args_os())
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
            Ok(line) => Ok(line.config),
            Err(error) if error.use_stderr() => {
                let text = error.to_string();
                let sentence = text.lines().next().unwrap_or_default();
                Err(NoConfig::Wrong(
                    sentence.trim_start_matches("error: ").to_owned(),
                ))
            }
            Err(asked) => Err(NoConfig::Asked(asked.to_string())),
        }
    }

    /// Whether the session cookie is only to be sent over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(PublicUrl::is_https)
    }
}

fn bind(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .ok()
        .ok_or("it must be an IP address and a port, such as 127.0.0.1:8080")
}

fn database_url(text: &str) -> Result<String, &'static str> {
    if text.starts_with("sqlite:") {
        Ok(text.to_owned())
    } else {
        Err("it must begin with sqlite:, such as sqlite://data/mirage.db?mode=rwc")
    }
}

fn public_url(text: &str) -> Result<PublicUrl, &'static str> {
    const WRONG: &str = "it must be http:// or https:// and a host, with a port if it is not the usual one, and no path";
    let url = text.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, authority) = url.split_once("://").ok_or(WRONG)?;
    let is_authority = !authority.is_empty()
        && authority
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'));
    if !matches!(scheme, "http" | "https") || !is_authority {
        return Err(WRONG);
    }
    // Browsers leave the usual port out of Origin.
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(usual).unwrap_or(authority);
    Ok(PublicUrl(format!("{scheme}://{authority}")))
}

fn contact(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("it must be an e-mail address or a sentence");
    }
    Ok(text.to_owned())
}

fn lifespan(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "it must be a time from 1s to 30days, such as 24h or 30min";
    span(
        text,
        Duration::from_secs(1)..=Duration::from_secs(30 * 86_400),
        WRONG,
    )
}

fn poll_wait(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "it must be a time from 100ms to 2min, such as 25s";
    span(
        text,
        Duration::from_millis(100)..=Duration::from_secs(120),
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

fn max_messages(text: &str) -> Result<usize, &'static str> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=100_000).contains(number));
    number.ok_or("it must be a number from 1 to 100000")
}

fn count(text: &str) -> Result<u64, &'static str> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or("it must be a number of at least 1")
}

fn count_or_none(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().ok_or("it must be a number of at least 0")
}

fn buffer_bytes(text: &str) -> Result<usize, &'static str> {
    const WRONG: &str = "it must be at least 64KiB, such as 64MiB, 1GiB or a number of bytes";
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: usize = match text.strip_prefix(digits).map(str::trim) {
        Some("" | "B") => 1,
        Some("KiB") => 1 << 10,
        Some("MiB") => 1 << 20,
        Some("GiB") => 1 << 30,
        _ => return Err(WRONG),
    };
    let number: usize = digits.parse().ok().ok_or(WRONG)?;
    // A few of the largest messages must fit in, or a room could not hold what was just sent.
    number
        .checked_mul(unit)
        .filter(|bytes| *bytes >= 1 << 16)
        .ok_or(WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Config, NoConfig> {
        Config::parse([&["mirage"], words].concat())
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

        assert_eq!(config.bind.to_string(), "127.0.0.1:8080");
        assert_eq!(config.database_url, "sqlite://data/mirage.db?mode=rwc");
        assert_eq!(config.message_lifespan, Duration::from_secs(24 * 3600));
        assert_eq!(config.max_messages, 500);
        assert_eq!(config.buffer_bytes, 64 * 1024 * 1024);
        assert_eq!(config.poll_wait, Duration::from_secs(25));
    }

    #[test]
    fn a_wrong_value_is_one_sentence_that_names_the_setting() {
        for (flag, value) in [
            ("--bind", "localhost"),
            ("--database-url", "postgres://x"),
            ("--public-url", "https://example.org/chat"),
            ("--public-url", "example.org"),
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
            ("--log-format", "xml"),
        ] {
            let sentence = wrong(flag, value);
            assert!(
                sentence.contains(flag) && !sentence.contains('\n'),
                "{sentence}"
            );
        }
    }

    #[test]
    fn an_unknown_flag_is_wrong() {
        assert!(matches!(parse(&["--nonsense"]), Err(NoConfig::Wrong(_))));
    }

    #[test]
    fn help_explains_every_setting() {
        let Err(NoConfig::Asked(help)) = parse(&["--help"]) else {
            panic!("no help")
        };
        let names = [
            "bind",
            "database-url",
            "public-url",
            "secret-file",
            "assets",
            "contact",
            "message-lifespan",
            "max-messages",
            "rooms-per-person",
            "members-per-room",
            "public-rooms",
            "buffer-bytes",
            "poll-wait",
            "limits",
            "log-format",
            "log",
        ];

        for name in names {
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
}
