//! `mirage check`: tries what a server needs, without changing anything, and says what is wrong or risky.

use std::fmt::Write;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::Access;
use rustix::process::Resource;

use super::logging;
use crate::cli::health;
use crate::config::{Config, Persistence, Switch};
use crate::database::connection::{self, OpenError, Sharing};
use crate::database::feed::Origin;
use crate::database::verify::{self, Examined};
use crate::live::redis;
use crate::security::secret::Secret;
use crate::web::assets::Assets;
use crate::web::pages::about;

/// A server that can open fewer files than this is easily filled: each open room takes one.
const FEW_FILES: u64 = 4_000;

/// What `mirage check` has found, one line each.
#[derive(Debug, Default)]
pub struct Report {
    lines: String,
    is_wrong: bool,
}

impl Report {
    /// Returns the lines, each of which begins with `ok`, `risk` or `error`.
    #[must_use]
    pub fn lines(&self) -> &str {
        &self.lines
    }

    /// Returns whether a server with these settings would not start, or not work.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.is_wrong
    }

    fn ok(&mut self, text: &str) {
        self.add("ok", text);
    }

    fn risk(&mut self, text: &str) {
        self.add("risk", text);
    }

    fn error(&mut self, text: &str) {
        self.is_wrong = true;
        self.add("error", text);
    }

    fn add(&mut self, level: &str, text: &str) {
        // A line each, whatever an error says. Writing to a string cannot fail.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(self.lines, "{level}: {text}");
    }

    /// Notes the error of something that was tried, or that it went well.
    fn tried<T, E: ToString>(&mut self, tried: Result<T, E>, well: &str) {
        match tried {
            Ok(_) => self.ok(well),
            Err(error) => self.error(&error.to_string()),
        }
    }
}

/// Tries everything.
pub async fn run(config: &Config) -> Report {
    let mut report = Report::default();
    report.tried(logging::filter(config), "the settings can be read");
    let database = verify::examine(&config.storage).await;
    // Nobody is known to be signed in.
    let is_new = database.is_err();
    check_database(&mut report, config, database);
    check_notifications(&mut report, config).await;
    check_secret(&mut report, &config.secret_file, is_new);
    let assets = Assets::load(config.assets.as_deref());
    report.tried(
        assets,
        "the style sheet, the scripts and the icon are there",
    );
    if let Some(file) = &config.about {
        report.tried(about::load(file), "the text about the site can be shown");
    }
    check_address(&mut report, config.address.bind);
    check_proxy(&mut report, config);
    check_redis(&mut report, config).await;
    check_machine(&mut report);
    report
}

fn check_database(report: &mut Report, config: &Config, examined: Result<Examined, OpenError>) {
    let storage = &config.storage.database_url;
    let url = storage.to_string();
    let can_be_created = storage.is_postgres() || url.contains("mode=rwc");
    if let Some(host) = storage.unproved_host() {
        report.risk(&format!(
            "the link to PostgreSQL is not proved to lead to {host}: set sslmode=verify-full"
        ));
    }
    match examined {
        Err(OpenError::Missing { .. }) if can_be_created => {
            report.ok(&format!(
                "the first start will create the tables of the database {url}"
            ));
        }
        Err(error) => report.error(&error.to_string()),
        Ok(Examined { damages, .. }) if !damages.is_empty() => {
            report.error(&format!(
                "the database {url} is damaged: {}",
                damages.join("; ")
            ));
        }
        Ok(Examined {
            refused_write: Some(reason),
            ..
        }) => report.error(&format!(
            "a server cannot write to the database {url}: {reason}"
        )),
        Ok(Examined {
            pending,
            users,
            rooms,
            members,
            ..
        }) => {
            // PostgreSQL looks after itself.
            let state = if storage.is_postgres() {
                "can be used"
            } else {
                "is whole"
            };
            report.ok(&format!(
                "the database {url} {state}: {users} users, {rooms} rooms, {members} memberships"
            ));
            if pending > 0 {
                report.risk(&format!(
                    "the next start will migrate the database ({pending} migrations), and no earlier version can use it then: back it up before"
                ));
            }
        }
    }
}

/// Makes sure that PostgreSQL's notifications arrive, which some poolers keep back.
async fn check_notifications(report: &mut Report, config: &Config) {
    match connection::subscribe(&config.storage, Sharing::Together, Origin::random()).await {
        Ok(None) => {}
        Ok(Some(_)) => report.ok("the notifications of PostgreSQL arrive"),
        Err(error) => report.error(&error.to_string()),
    }
}

/// Asks Redis what a start would ask.
async fn check_redis(report: &mut Report, config: &Config) {
    let Some(url) = &config.redis.redis_url else {
        return;
    };
    if url.is_plain_to_another_host() {
        report.risk("the link to Redis is not encrypted: use rediss:// in --redis-url");
    }
    match redis::ask(url, &config.redis).await {
        Err(error) => report.error(&error.to_string()),
        Ok(()) if config.redis.redis_persistence == Persistence::Trust => {
            report.ok("Redis answers");
            report.risk("--redis-persistence is trust: nobody makes sure that Redis writes no message to a disk");
        }
        Ok(()) => report.ok("Redis answers, and keeps what it holds in its memory only"),
    }
}

fn check_secret(report: &mut Report, file: &Path, is_new: bool) {
    let name = file.display();
    match Secret::load(file) {
        Err(error) => report.error(&error.to_string()),
        Ok(Some(_)) => {
            report.ok(&format!("the secret file {name} can be read"));
            let mode = file.metadata().map_or(0, |file| file.permissions().mode());
            if mode & 0o077 != 0 {
                report.risk(&format!(
                    "others than its owner can read the secret file {name}: chmod 600 {name}"
                ));
            }
        }
        Ok(None) if !can_create(file) => {
            report.error(&format!("the secret file {name} cannot be created"));
        }
        Ok(None) if is_new => report.ok(&format!("the first start will create the secret file {name}")),
        Ok(None) => report.risk(&format!(
            "the secret file {name} is missing: the next start will create another, and everybody has to sign in again"
        )),
    }
}

/// Returns whether this user can create a file, or a folder for it.
fn can_create(file: &Path) -> bool {
    let folders = file.ancestors().skip(1).map(|folder| match folder {
        folder if folder.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    });
    let mut existing = folders.filter(|folder| folder.exists());
    let folder = existing.next();
    folder.is_some_and(|folder| {
        rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
    })
}

fn check_address(report: &mut Report, bind: SocketAddr) {
    match TcpListener::bind(bind) {
        Ok(_) => report.ok(&format!("the address {bind} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => match health::ask(bind) {
            Ok(true) => report.ok(&format!("a healthy server answers at {bind}")),
            Ok(false) => report.error(&format!("the server at {bind} is not healthy")),
            Err(error) => report.error(&format!("another program listens at {bind}: {error}")),
        },
        Err(error) => report.error(&format!("cannot listen on {bind}: {error}")),
    }
}

fn check_proxy(report: &mut Report, config: &Config) {
    let before = report.lines.len();
    let proxies = &config.trusted_proxies;
    let is_local = config.address.bind.ip().is_loopback();
    if config.address.public_url.is_none() && !(is_local && proxies.is_empty()) {
        report.risk("--public-url is not set: links lead to the host that a request names, and cookies travel without TLS");
    }
    if config.address.public_url.is_some() && !config.is_https() {
        report
            .risk("--public-url is not https: passwords, cookies and messages travel in the clear");
    }
    if config.is_https() && proxies.is_empty() {
        report.risk("--trusted-proxies is not set: rate limits count all clients as one address, the proxy's");
    }
    for network in proxies {
        if network.prefix_len() == 0 {
            report.risk(&format!("--trusted-proxies {network} trusts everybody: whoever connects can make up their address"));
        }
    }
    if config.is_https() && config.address.bind.ip().is_unspecified() {
        report.risk(&format!("--bind {} listens on all addresses: whoever reaches it can go around the proxy and its TLS", config.address.bind));
    }
    if config.limits == Switch::Off {
        report.risk("--limits is off: anybody can guess passwords without end");
    }
    if let Some(bind) = config.metrics_bind.filter(|bind| !is_private(bind.ip())) {
        report.risk(&format!(
            "--metrics-bind {bind}: whoever reaches this address can read the metrics"
        ));
    }
    if report.lines.len() == before {
        report.ok("the proxy settings agree with each other");
    }
}

/// Returns whether an address belongs to this machine or a private network (RFC 1918, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

fn check_machine(report: &mut Report) {
    let files = rustix::process::getrlimit(Resource::Nofile).maximum;
    if let Some(files) = files.filter(|files| *files < FEW_FILES) {
        report.risk(&format!(
            "the limit of open files (ulimit -Hn) is {files}, and each open room takes one"
        ));
    }
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    // The first line has the titles. zram is memory.
    let on_disk = swaps
        .lines()
        .skip(1)
        .find(|line| !line.starts_with("/dev/zram"));
    if let Some(swap) = on_disk.and_then(|line| line.split_whitespace().next()) {
        report.risk(&format!(
            "the system may write messages to its swap space {swap}: turn swap off, or encrypt it"
        ));
    }
}
