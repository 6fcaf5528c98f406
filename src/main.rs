//! The `mirage` program: runs the server until it receives a signal, or runs an operator's command.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use mirage::cli::{self, CommandError};
use mirage::clock::SystemClock;
use mirage::config::{Command, Config, NoConfig};
use mirage::server::allocator::{self, Allocator};
use mirage::server::application::{Application, StartupError};
use mirage::server::{check, logging, systemd};
use mirage::web::connections;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new();

/// The reason why the program ends without success, as a sentence for the operator.
enum Failure {
    /// The command line or the environment is wrong.
    Usage(String),
    /// A check found something wrong, and has printed it.
    Found,
    /// Something else failed.
    Other(String),
}

#[actix_web::main]
async fn main() -> ExitCode {
    // The exit code for a usage error is 2, as in `getopt` programs.
    let (sentence, code) = match run().await {
        Ok(()) => return ExitCode::SUCCESS,
        // A check has said what is wrong.
        Err(Failure::Found) => return ExitCode::FAILURE,
        Err(Failure::Usage(sentence)) => (sentence, ExitCode::from(2)),
        Err(Failure::Other(sentence)) => (sentence, ExitCode::FAILURE),
    };
    eprintln!("mirage: {sentence}");
    code
}

async fn run() -> Result<(), Failure> {
    match Command::from_process() {
        Ok(Command::Serve(config)) => serve(*config).await,
        Ok(Command::Operate(operation)) => {
            let done = cli::run(&operation, &SystemClock::start()).await;
            print(&done.map_err(|error| match error {
                CommandError::Usage(sentence) => Failure::Usage(sentence.to_owned()),
                error => Failure::Other(error.to_string()),
            })?);
            Ok(())
        }
        Ok(Command::Check(config)) => {
            let report = check::run(&config).await;
            print(report.lines());
            if report.is_wrong() {
                Err(Failure::Found)
            } else {
                Ok(())
            }
        }
        Ok(Command::Man { folder }) => {
            Command::write_manual(&folder).map_err(failed("cannot write the manual pages"))
        }
        Ok(Command::Completions { shell }) => {
            print(&String::from_utf8_lossy(&Command::completions(shell)));
            Ok(())
        }
        Err(NoConfig::Checked(sentence)) => {
            print(&format!("error: {sentence}\n"));
            Err(Failure::Found)
        }
        Err(NoConfig::Asked(text)) => {
            print(&text);
            Ok(())
        }
        Err(NoConfig::Wrong(sentence)) => Err(Failure::Usage(sentence)),
    }
}

async fn serve(config: Config) -> Result<(), Failure> {
    logging::start(&config).map_err(Failure::Usage)?;
    disable_core_dumps().map_err(failed("cannot disable core dumps"))?;
    let stop_signal = stop_signal().map_err(failed("cannot handle stop signals"))?;
    allocator::set_mmap_threshold();
    connections::raise_open_file_limit();
    let application = Application::build(config, Arc::new(SystemClock::start()))
        .await
        .map_err(|error| match error {
            StartupError::About(error) => Failure::Usage(error.to_string()),
            error => Failure::Other(error.to_string()),
        })?;
    if let Some(address) = application.metrics_address() {
        tracing::info!(%address, "serving metrics");
    }
    tracing::info!(address = %application.address(), "listening");
    systemd::notify_ready();
    application
        .run_until_stopped(stop_signal)
        .await
        .map_err(failed("server failed"))
}

fn failed(what: &str) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::Other(format!("{what}: {error}"))
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
