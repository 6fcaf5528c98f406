//! The `mirage` program: runs the server until it receives a signal, or runs an operator's command.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use mirage::cli::{self, CommandError};
use mirage::clock::SystemClock;
use mirage::config::{Command, Config, NoConfig, Operation};
use mirage::server::application::{Application, StartupError};
use mirage::server::{allocator, logging};
use mirage::web::connections;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code for a usage error, as in `getopt` programs.
const USAGE_ERROR: u8 = 2;

#[actix_web::main]
async fn main() -> ExitCode {
    match Command::from_process() {
        Ok(Command::Serve(config)) => serve(*config).await,
        Ok(Command::Operate(operation)) => operate(&operation).await,
        Err(NoConfig::Asked(text)) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(NoConfig::Wrong(sentence)) => {
            print_error(&sentence);
            ExitCode::from(USAGE_ERROR)
        }
    }
}

async fn operate(operation: &Operation) -> ExitCode {
    match cli::run(operation, &SystemClock::start()).await {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            print_error(&error.to_string());
            match error {
                CommandError::Usage(_) => ExitCode::from(USAGE_ERROR),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

async fn serve(config: Config) -> ExitCode {
    if let Err(sentence) = logging::start(&config) {
        print_error(&sentence);
        return ExitCode::from(USAGE_ERROR);
    }
    if let Err(error) = disable_core_dumps() {
        print_error(&format!("cannot disable core dumps: {error}"));
        return ExitCode::FAILURE;
    }
    let stop_signal = match stop_signal() {
        Ok(stop_signal) => stop_signal,
        Err(error) => {
            print_error(&format!("cannot handle stop signals: {error}"));
            return ExitCode::FAILURE;
        }
    };
    allocator::set_mmap_threshold();
    connections::raise_open_file_limit();
    let host = config.address.bind.ip();
    let application = match Application::build(config, Arc::new(SystemClock::start())).await {
        Ok(application) => application,
        Err(error) => {
            print_error(&error.to_string());
            return match error {
                StartupError::About(_) => ExitCode::from(USAGE_ERROR),
                _ => ExitCode::FAILURE,
            };
        }
    };
    let port = application.port();
    tracing::info!(address = %std::net::SocketAddr::new(host, port), "listening");
    match application.run_until_stopped(stop_signal).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!("server failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Turns core dumps off: messages live in memory only, and a crash must not write them to a disk.
fn disable_core_dumps() -> std::io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    Ok(setrlimit(Resource::Core, none)?)
}

/// Returns a future that completes at SIGTERM or SIGINT. The handlers are installed at once, so that a signal
/// during startup leads to a clean stop instead of killing the process.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Prints `text` to standard output. Ignores errors: the reader may have closed the pipe, as `head` does.
fn print(text: &str) {
    drop(std::io::stdout().write_all(text.as_bytes()));
}

fn print_error(sentence: &str) {
    eprintln!("mirage: {sentence}");
}
