//! The program: reads the settings, starts the server, and stops it when it is told to.

use std::process::ExitCode;
use std::sync::Arc;

use mirage::app::Application;
use mirage::clock::SystemClock;
use mirage::config::{Config, NoConfig};
use mirage::logging;
use tokio::signal::unix::{SignalKind, signal};

/// The exit code for a wrong setting, as `getopt` programs use it.
const WRONG_USAGE: u8 = 2;

#[actix_web::main]
async fn main() -> ExitCode {
    let config = match Config::from_process() {
        Ok(config) => config,
        Err(NoConfig::Asked(text)) => {
            say(&text);
            return ExitCode::SUCCESS;
        }
        Err(NoConfig::Wrong(sentence)) => {
            complain(&sentence);
            return ExitCode::from(WRONG_USAGE);
        }
    };
    if let Err(sentence) = logging::start(&config) {
        complain(&sentence);
        return ExitCode::from(WRONG_USAGE);
    }
    let host = config.bind.ip();
    let application = match Application::build(config, Arc::new(SystemClock::start())).await {
        Ok(application) => application,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let port = application.port();
    tracing::info!(address = %std::net::SocketAddr::new(host, port), "serving");
    match application.run_until_stopped(told_to_stop()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("the server failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Returns at SIGTERM or Ctrl-C.
async fn told_to_stop() {
    let mut terminate = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(signal) => signal.recv().await,
            // Without the handler the signal ends the process by itself.
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

#[expect(
    clippy::print_stdout,
    reason = "what was asked for on the command line"
)]
fn say(text: &str) {
    print!("{text}");
}

fn complain(sentence: &str) {
    eprintln!("mirage: {sentence}");
}
