//! Starts the log.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};

use crate::config::{Config, LogFormat};

/// The part of actix that logs each malformed request as an error. `listener.rs` logs these at debug level.
const HTTP_PARSER: &str = "actix_http::h1";

/// Starts logging to standard error in the format and with the filter of `config`.
///
/// # Errors
/// When the filter cannot be parsed: a sentence for the operator.
pub fn start(config: &Config) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| format!("invalid value '{}' for '--log <LOG>': {error}", config.log))?;
    let filter = without_client_errors(filter, &config.log);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// Silences actix's messages about the errors of clients, unless the setting names actix.
fn without_client_errors(filter: EnvFilter, setting: &str) -> EnvFilter {
    let silence = format!("{HTTP_PARSER}={}", LevelFilter::OFF).parse::<Directive>();
    match silence {
        Ok(silence) if !setting.contains("actix") => filter.add_directive(silence),
        _ => filter,
    }
}
