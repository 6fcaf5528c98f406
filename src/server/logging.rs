//! Starts the log.

use std::error::Error;
use std::{fmt, io};

use json_subscriber::JsonLayer;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::filter::{Directive, LevelFilter};
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};
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
        .fmt_fields(TextFields)
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
        writer.write_str(match *event.metadata().level() {
            Level::ERROR => " ERROR ",
            Level::WARN => "  WARN ",
            Level::INFO => "  INFO ",
            Level::DEBUG => " DEBUG ",
            Level::TRACE => " TRACE ",
        })?;
        if let Some(id) = RequestId::current() {
            write!(writer, "request{{request_id={id}}}: ")?;
        }
        let rest = format().without_time().with_level(false);
        rest.format_event(context, writer, event)
    }
}

/// The fields of a line of text, as [`DefaultFields`](format::DefaultFields) writes them.
///
/// Each request has a line with text and numbers, which it writes in half the time, because it asks for no colours.
struct TextFields;

impl<'a> FormatFields<'a> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'a>, fields: R) -> fmt::Result {
        let mut visitor = TextVisitor {
            writer,
            is_empty: true,
            result: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct TextVisitor<'a> {
    writer: Writer<'a>,
    /// Whether no field was written yet.
    is_empty: bool,
    result: fmt::Result,
}

impl TextVisitor<'_> {
    fn write(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if !is_shown(field) {
            return;
        }
        let space = if self.is_empty { "" } else { " " };
        self.is_empty = false;
        let written = write!(self.writer, "{space}{}={value:?}", field.name());
        self.result = self.result.and(written);
    }

    /// Lets the usual visitor write the field: it escapes what a terminal would obey.
    fn write_usual(&mut self, field: &Field, write: impl FnOnce(&mut DefaultVisitor<'_>)) {
        if !is_shown(field) {
            return;
        }
        let mut usual = DefaultVisitor::new(self.writer.by_ref(), self.is_empty);
        write(&mut usual);
        self.is_empty = false;
        self.result = self.result.and(usual.finish());
    }
}

/// Returns whether a field is part of the line. The others say where in the code a line of the crate log is from.
fn is_shown(field: &Field) -> bool {
    !field.name().starts_with("log.")
}

impl Visit for TextVisitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.write_usual(field, |usual| usual.record_str(field, value));
        } else {
            self.write(field, &value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.write_usual(field, |usual| usual.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write_usual(field, |usual| usual.record_debug(field, value));
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Returns the line of an event with fields of all kinds.
    fn line(make: impl FnOnce(Buffer) -> tracing::Dispatch) -> String {
        let buffer = Buffer::default();
        tracing::dispatcher::with_default(&make(buffer.clone()), || {
            let error = io::Error::other("\u{1b}[31mred\u{1b}[0m");
            let error: &(dyn Error + 'static) = &error;
            tracing::info!(
                method = "GET\n\u{1b}\"",
                status = 200_u16,
                less = -1,
                duration_ms = 0.25,
                is_quiet = true,
                shown = %"\u{1b}[2J",
                error,
                "a {} line\u{1b}[0m",
                "long"
            );
            tracing::warn!(log.file = "main.rs", only = "this");
        });
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_the_fields_that_the_usual_formatter_writes() {
        let log = || {
            tracing_subscriber::fmt()
                .with_ansi(false)
                .without_time()
                .with_target(false)
        };
        let usual = line(|buffer| log().with_writer(move || buffer.clone()).into());
        let ours = line(|buffer| {
            let log = log().fmt_fields(TextFields);
            log.with_writer(move || buffer.clone()).into()
        });

        assert!(usual.contains("a long line"), "{usual}");
        assert_eq!(ours, usual);
    }
}
