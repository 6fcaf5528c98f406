//! Markdown tables, and the statistics and units in them.

use std::fmt::Write;
use std::time::Duration;

/// Prints a table with these column names and rows.
pub fn print(columns: &[&str], rows: &[Vec<String>]) {
    let mut text = String::from("\n");
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([columns[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let mut line = |cells: Vec<&str>| {
        for (column, cell) in cells.iter().enumerate() {
            let width = width(column);
            // Figures are right-aligned.
            if column == 0 {
                write!(text, "| {cell:<width$} ").expect("text");
            } else {
                write!(text, "| {cell:>width$} ").expect("text");
            }
        }
        text.push_str("|\n");
    };
    line(columns.to_vec());
    let rules: Vec<String> = (0..columns.len())
        .map(|column| match column {
            0 => "-".repeat(width(column)),
            _ => format!("{}:", "-".repeat(width(column) - 1)),
        })
        .collect();
    line(rules.iter().map(String::as_str).collect());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
    println!("{text}");
}

/// The median of a non-empty list; the upper one of two.
pub fn median<T: PartialOrd + Copy>(values: &[T]) -> T {
    percentile(values, 0.5)
}

/// The percentile of a non-empty list, for a `part` between 0 and 1.
pub fn percentile<T: PartialOrd + Copy>(values: &[T], part: f64) -> T {
    let mut values = values.to_vec();
    values.sort_by(|one, other| one.partial_cmp(other).expect("numbers"));
    let place = (values.len() as f64 * part) as usize;
    values[place.min(values.len() - 1)]
}

/// Formats a duration in milliseconds.
pub fn ms(span: Duration) -> String {
    format!("{:.2} ms", span.as_secs_f64() * 1e3)
}

/// Formats a size in mebibytes.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
