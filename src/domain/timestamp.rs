//! Points in time and durations, in whole milliseconds.

use std::fmt;
use std::time::Duration;

use sea_orm::DeriveValueType;
use time::OffsetDateTime;
use time::macros::format_description;

/// A point in time by the wall clock, in milliseconds since 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns the time `span` after this one, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// Returns the time `span` before this one, saturating.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// Formats the time in RFC 3339, in UTC, for the HTML attribute `datetime`: `2026-11-22T13:05:00.123Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let Some(time) = self.utc() else {
            return String::new();
        };
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second, millisecond) = time.to_hms_milli();
        let mut text = String::with_capacity("2026-11-22T13:05:00.123Z".len());
        // Each message has such a time, and crate time reads a description of the format each time: 5 times as long.
        for (number, digits, after) in [
            (year.unsigned_abs(), 4, '-'),
            (u8::from(month).into(), 2, '-'),
            (day.into(), 2, 'T'),
            (hour.into(), 2, ':'),
            (minute.into(), 2, ':'),
            (second.into(), 2, '.'),
            (millisecond.into(), 3, 'Z'),
        ] {
            push_digits(&mut text, number, digits);
            text.push(after);
        }
        text
    }

    /// Formats the time of day for people: `13:05 UTC`.
    #[must_use]
    pub fn time_of_day(self) -> String {
        let Some(time) = self.utc() else {
            return String::new();
        };
        let mut text = String::with_capacity("13:05 UTC".len());
        push_digits(&mut text, time.hour().into(), 2);
        text.push(':');
        push_digits(&mut text, time.minute().into(), 2);
        text.push_str(" UTC");
        text
    }

    /// Formats the date for people: `22 November 2026`.
    #[must_use]
    pub fn day(self) -> String {
        let format = format_description!("[day padding:none] [month repr:long] [year]");
        let written = self.utc().and_then(|time| time.format(format).ok());
        written.unwrap_or_default()
    }

    /// Returns the number of whole days since 1970-01-01, in UTC.
    #[must_use]
    pub fn day_number(self) -> i64 {
        self.0.div_euclid(86_400_000)
    }

    /// Returns the number of whole minutes since 1970-01-01T00:00Z.
    #[must_use]
    pub fn minute_number(self) -> i64 {
        self.0.div_euclid(60_000)
    }

    /// Returns the date and time in UTC, or nothing for a year before -9999 or after 9999.
    fn utc(self) -> Option<OffsetDateTime> {
        let seconds = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1_000)).ok()?;
        let millisecond = u16::try_from(self.0.rem_euclid(1_000)).ok()?;
        seconds.replace_millisecond(millisecond).ok()
    }
}

/// Appends the last `count` digits of `number`.
fn push_digits(text: &mut String, number: u32, count: u32) {
    for place in (0..count).rev() {
        text.extend(char::from_digit(number / 10_u32.pow(place) % 10, 10));
    }
}

/// A point in the site's steady time, in milliseconds.
///
/// The site's time starts at the wall clock's time when the server starts, and never steps, even if the
/// machine's clock is set. Deadlines in memory are measured in it; it is not shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteTime(pub i64);

impl SiteTime {
    /// Returns the time `span` after this one, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// Returns the time `span` before this one, saturating.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// Returns the time from `earlier` to this point, or zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// How long a message lives before it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifespan(pub Duration);

impl Lifespan {
    /// The choices of an owner, as far as the operator's maximum allows them.
    pub const CHOICES: [Self; 5] = [
        Self(Duration::from_secs(5 * 60)),
        Self(Duration::from_secs(30 * 60)),
        Self(Duration::from_secs(2 * 3_600)),
        Self(Duration::from_secs(12 * 3_600)),
        Self(Duration::from_secs(24 * 3_600)),
    ];

    /// Returns whether the lifespan is so short that people are told before they join: under 20 hours, it is
    /// a time limit in the sense of WCAG 2.2, success criterion 2.2.1.
    #[must_use]
    pub fn is_short(self) -> bool {
        self.0 < Duration::from_secs(20 * 3_600)
    }

    /// Returns the lifespan in milliseconds, for the database.
    #[must_use]
    pub fn millis(self) -> i64 {
        millis(self.0)
    }
}

/// Formats the lifespan for people: `24 hours`, `5 minutes`, `1 hour 30 minutes`.
impl fmt::Display for Lifespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, rest) = if seconds > 48 * 3600 {
            (seconds / 86_400, seconds % 86_400)
        } else {
            (0, seconds)
        };
        let parts = [
            (days, "day"),
            (rest / 3600, "hour"),
            (rest % 3600 / 60, "minute"),
            (rest % 60, "second"),
        ];
        let mut first = true;
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
            let space = if first { "" } else { " " };
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{space}{count} {unit}{plural}")?;
            first = false;
        }
        if first {
            write!(f, "less than a second")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_formatted_in_utc() {
        let time = Timestamp(1_795_352_700_123);

        assert_eq!(time.to_rfc3339(), "2026-11-22T13:05:00.123Z");
        assert_eq!(time.time_of_day(), "13:05 UTC");
        assert_eq!(time.day(), "22 November 2026");
    }

    #[test]
    fn any_timestamp_is_formatted_as_the_crate_time_formats_it() {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z [hour]:[minute] UTC"
        );
        for time in [
            0,
            -1,
            951_782_399_999,
            951_868_800_007,
            4_107_542_399_090,
            253_402_300_799_999,
        ] {
            let expected = OffsetDateTime::from_unix_timestamp_nanos(i128::from(time) * 1_000_000);

            let time = Timestamp(time);
            let written = format!("{} {}", time.to_rfc3339(), time.time_of_day());
            assert_eq!(written, expected.unwrap().format(format).unwrap());
        }
        assert_eq!(Timestamp(i64::MAX).to_rfc3339(), "");
    }

    #[test]
    fn a_lifespan_is_formatted_in_words() {
        let words = |seconds| Lifespan(Duration::from_secs(seconds)).to_string();

        assert_eq!(words(24 * 3600), "24 hours");
        assert_eq!(words(300), "5 minutes");
        assert_eq!(words(5400), "1 hour 30 minutes");
        assert_eq!(words(1), "1 second");
        assert_eq!(words(7 * 86_400), "7 days");
        assert_eq!(words(0), "less than a second");
    }
}
