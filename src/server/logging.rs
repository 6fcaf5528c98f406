//! Starts the log.

use std::{fmt, io};

use json_subscriber::JsonLayer;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{Directive, LevelFilter};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, format};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{Config, LogFormat};
use crate::web::request_log::RequestId;

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
        .event_format(TextLine)
}

/// A line of text: the time, the level, the ID of the request that the event belongs to, and the event.
struct TextLine;

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut writer)?;
        write!(writer, " {:>5} ", event.metadata().level())?;
        if let Some(id) = RequestId::current() {
            write!(writer, "request{{request_id={id}}}: ")?;
        }
        let rest = format().without_time().with_level(false);
        rest.format_event(context, writer, event)
    }
}

/// One flat object a line: `timestamp`, `level`, `target`, `message`, the event's fields, and the `request_id` of the
/// request that it belongs to.
fn json<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    let mut layer = JsonLayer::new(io::stderr);
    layer
        .with_timer("timestamp", SystemTime)
        .with_level("level")
        .with_target("target")
        .with_flattened_event();
    layer.add_dynamic_field("request_id", |_, _| {
        RequestId::current().map(|id| id.to_string())
    });
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
