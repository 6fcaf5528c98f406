//! Starts the log.

use std::io;

use json_subscriber::JsonLayer;
use tracing::Subscriber;
use tracing_subscriber::filter::{Directive, LevelFilter};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{Config, LogFormat};

/// The part of actix that logs each malformed request as an error. `listener.rs` logs these at debug level.
const HTTP_PARSER: &str = "actix_http::h1";

/// Starts logging to standard error in the format and with the filter of `config`.
///
/// # Errors
/// When the filter cannot be parsed: a sentence for the operator.
pub fn start(config: &Config) -> Result<(), String> {
    let filter = without_client_errors(filter(config)?, &config.log);
    let log = tracing_subscriber::registry().with(filter);
    match config.log_format {
        LogFormat::Text => log.with(text()).init(),
        LogFormat::Json => log.with(json()).init(),
    }
    Ok(())
}

/// Parses the filter of `config`.
///
/// # Errors
/// When it cannot be parsed: a sentence for the operator.
pub(super) fn filter(config: &Config) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&config.log)
        .map_err(|error| format!("invalid value '{}' for '--log <LOG>': {error}", config.log))
}

fn text<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(io::stderr)
}

/// One flat object a line: `timestamp`, `level`, `target`, `message`, the event's fields, and the `request_id` of the
/// request that it belongs to.
fn json<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    let mut layer = JsonLayer::new(io::stderr);
    layer
        .with_timer("timestamp", SystemTime)
        .with_level("level")
        .with_target("target")
        .with_flattened_event()
        .with_top_level_flattened_span_list();
    layer
}

/// Silences actix's messages about the errors of clients, unless the setting names actix.
fn without_client_errors(filter: EnvFilter, setting: &str) -> EnvFilter {
    let silence = format!("{HTTP_PARSER}={}", LevelFilter::OFF).parse::<Directive>();
    match silence {
        Ok(silence) if !setting.contains("actix") => filter.add_directive(silence),
        _ => filter,
    }
}
