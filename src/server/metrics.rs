//! Answers Prometheus on a listener of its own: what the server has counted, and what it holds.
//!
//! No label grows with people or rooms, and none names a room.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::{fs, io};

use actix_web::dev::Server;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};

use crate::core::Core;
use crate::metrics::{Exposition, Kind};
use crate::web::connections::ConnectionCounts;
use crate::web::request_counts::RequestCounts;

/// The media type of the text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that metrics are made of.
pub(super) struct Sources {
    pub(super) core: Arc<Core>,
    pub(super) requests: Arc<RequestCounts>,
    pub(super) connections: Arc<ConnectionCounts>,
}

/// Binds the address for Prometheus.
///
/// # Errors
/// When the address cannot be listened on.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

/// Builds the server for Prometheus.
///
/// # Errors
/// When the listener cannot be used.
pub(super) fn serve(sources: Sources, listener: TcpListener) -> io::Result<Server> {
    let sources = Data::new(sources);
    let app = move || {
        App::new()
            .app_data(Data::clone(&sources))
            .route("/metrics", web::get().to(show))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(0)
        .listen(listener)?;
    Ok(server.run())
}

async fn show(sources: Data<Sources>) -> HttpResponse {
    let mut text = Exposition::default();
    write_process(&mut text);
    sources.requests.write(&mut text);
    sources.connections.write(&mut text);
    write_messages(&mut text, &sources.core);
    write_held(&mut text, &sources.core);
    write_limits(&mut text, &sources.core);
    write_passwords(&mut text, &sources.core);
    write_database(&mut text, &sources.core);
    write_redis(&mut text, &sources.core);
    HttpResponse::Ok()
        .content_type(CONTENT_TYPE)
        .body(text.into_text())
}

fn write_process(text: &mut Exposition) {
    let (name, help) = ("mirage_build_info", "The version of the program, always 1.");
    text.metric(name, Kind::Gauge, help);
    text.sample(name, &[("version", env!("MIRAGE_VERSION"))], 1);
    if let Some(bytes) = resident_bytes() {
        let help = "Memory of the process that is not swapped out.";
        text.single("process_resident_memory_bytes", Kind::Gauge, help, bytes);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        let help = "Open files, of which each connection is one.";
        text.single("process_open_fds", Kind::Gauge, help, files.count());
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if let Some(limit) = limit.current {
        let help = "The most open files that the system allows.";
        text.single("process_max_fds", Kind::Gauge, help, limit);
    }
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    if let Ok(time) = std::time::Duration::try_from(time) {
        let help = "Time that the processors have spent in this process.";
        let seconds = time.as_secs_f64();
        text.single("process_cpu_seconds_total", Kind::Counter, help, seconds);
    }
}

/// Returns the resident memory (`proc_pid_statm(5)`), or `None` on systems other than Linux.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let page_bytes = u64::try_from(rustix::param::page_size()).ok()?;
    Some(pages.saturating_mul(page_bytes))
}

fn write_messages(text: &mut Exposition, core: &Core) {
    let held = core.messages.held();
    for (name, help, number) in [
        (
            "mirage_messages",
            "Messages held in memory, with expired ones that are not freed yet.",
            held.messages,
        ),
        (
            "mirage_message_bytes",
            "Memory of the messages and reports that this process holds.",
            held.bytes,
        ),
        (
            "mirage_message_bytes_limit",
            "The most memory that messages and reports may take (--buffer-bytes).",
            core.config.buffer_bytes,
        ),
        (
            "mirage_rooms_with_messages",
            "Rooms that hold a message or are followed.",
            held.rooms,
        ),
        (
            "mirage_polls_waiting",
            "Polls that wait for something to happen.",
            held.waiting,
        ),
    ] {
        text.single(name, Kind::Gauge, help, number);
    }
    let tally = core.messages.tally();
    for (what, help, amount) in [
        ("added", "were posted", tally.added),
        ("expired", "were freed after their deadline", tally.expired),
        ("evicted", "were removed for newer ones", tally.evicted),
        ("deleted", "were deleted", tally.deleted),
    ] {
        let name = format!("mirage_messages_{what}_total");
        let about = format!("Messages that {help}.");
        text.single(&name, Kind::Counter, &about, amount.messages);
        let name = format!("mirage_message_{what}_bytes_total");
        let about = format!("Memory of messages that {help}.");
        text.single(&name, Kind::Counter, &about, amount.bytes);
    }
}

fn write_held(text: &mut Exposition, core: &Core) {
    for (name, help, number) in [
        (
            "mirage_rooms_in_memory",
            "Rooms in use, held in memory with their members.",
            core.rooms.size(),
        ),
        (
            "mirage_members_in_memory",
            "Memberships of the rooms held in memory.",
            core.rooms.sum(|room| room.members.len()),
        ),
        (
            "mirage_sessions_in_memory",
            "Sessions in use, held in memory.",
            core.sessions.size(),
        ),
    ] {
        text.single(name, Kind::Gauge, help, number);
    }
}

fn write_limits(text: &mut Exposition, core: &Core) {
    let name = "mirage_rate_limit_refusals_total";
    let help = "Requests refused by a rate limit.";
    text.metric(name, Kind::Counter, help);
    for (limit, refusals) in core.limits.refusals() {
        text.sample(name, &[("limit", limit)], refusals);
    }
}

fn write_passwords(text: &mut Exposition, core: &Core) {
    let load = core.passwords.load();
    for (name, kind, help, number) in [
        (
            "mirage_password_hashes_running",
            Kind::Gauge,
            "Password hashes that are being computed.",
            load.running,
        ),
        (
            "mirage_password_hashes_waiting",
            Kind::Gauge,
            "Callers that wait for a processor to compute a password hash.",
            load.waiting,
        ),
        (
            "mirage_password_hashes_total",
            Kind::Counter,
            "Password hashes computed.",
            load.computed,
        ),
        (
            "mirage_password_hashes_refused_total",
            Kind::Counter,
            "Password hashes refused because too many were waiting.",
            load.refused,
        ),
    ] {
        text.single(name, kind, help, number);
    }
}

fn write_database(text: &mut Exposition, core: &Core) {
    text.single(
        "mirage_database_statements_total",
        Kind::Counter,
        "Statements sent to the database, without those that follow the change feed.",
        core.probes.statements.load(Ordering::Relaxed),
    );
    text.single(
        "mirage_database_statement_seconds_total",
        Kind::Counter,
        "Time that these statements took.",
        core.probes.statement_time.get().as_secs_f64(),
    );
    text.single(
        "mirage_change_feed_lag_seconds",
        Kind::Gauge,
        "Time since all changes of other processes were last known.",
        core.feed_lag().as_secs_f64(),
    );
}

fn write_redis(text: &mut Exposition, core: &Core) {
    let Some(link) = &core.redis else {
        return;
    };
    text.single(
        "mirage_redis_up",
        Kind::Gauge,
        "1 while Redis answers, and 0 otherwise.",
        u8::from(link.session().is_some()),
    );
    link.trips().write(text);
}
