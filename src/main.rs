//! The program: reads the command line, starts the server, and stops it when it is told to; or does what
//! an operator wants.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use mirage::cli::{self, Refused};
use mirage::clock::SystemClock;
use mirage::config::{Command, Config, NoConfig, Operation};
use mirage::server::application::Application;
use mirage::server::{allocator, logging};
use mirage::web::connections;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code for a wrong setting, as `getopt` programs use it.
const WRONG_USAGE: u8 = 2;

#[actix_web::main]
async fn main() -> ExitCode {
    match Command::from_process() {
        Ok(Command::Serve(config)) => serve(*config).await,
        Ok(Command::Operate(operation)) => operate(&operation).await,
        Err(NoConfig::Asked(text)) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(NoConfig::Wrong(sentence)) => {
            complain(&sentence);
            ExitCode::from(WRONG_USAGE)
        }
    }
}

async fn operate(operation: &Operation) -> ExitCode {
    match cli::run(operation, &SystemClock::start()).await {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(refused) => {
            complain(&refused.to_string());
            match refused {
                Refused::Usage(_) => ExitCode::from(WRONG_USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

async fn serve(config: Config) -> ExitCode {
    if let Err(sentence) = logging::start(&config) {
        complain(&sentence);
        return ExitCode::from(WRONG_USAGE);
    }
    if let Err(error) = write_no_core_dumps() {
        complain(&format!("cannot disable core dumps: {error}"));
        return ExitCode::FAILURE;
    }
    let told_to_stop = match told_to_stop() {
        Ok(told_to_stop) => told_to_stop,
        Err(error) => {
            complain(&format!("cannot handle stop signals: {error}"));
            return ExitCode::FAILURE;
        }
    };
    allocator::map_large_allocations();
    connections::allow_many();
    let host = config.address.bind.ip();
    let application = match Application::build(config, Arc::new(SystemClock::start())).await {
        Ok(application) => application,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let port = application.port();
    tracing::info!(address = %std::net::SocketAddr::new(host, port), "listening");
    match application.run_until_stopped(told_to_stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("server failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What is said is in memory only: a crash must not write it to a disk.
fn write_no_core_dumps() -> std::io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    Ok(setrlimit(Resource::Core, none)?)
}

/// Returns at SIGTERM or Ctrl-C, also at one that comes before anybody waits for it: else a server told to
/// stop while it starts would be killed instead.
fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Prints what was asked for. Who reads it may have seen enough, as `head` has, and be gone.
fn say(text: &str) {
    drop(std::io::stdout().write_all(text.as_bytes()));
}

fn complain(sentence: &str) {
    eprintln!("mirage: {sentence}");
}
