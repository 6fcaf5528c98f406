//! Markdown tables, and the statistics and units in them.

use std::fmt::Write;
use std::path::Path;
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

/// Returns the cells of the first table that [`print()`] wrote to the file of the part `name` in `folder`: the column names,
/// and then the rows.
pub fn read(folder: &Path, name: &str) -> Vec<Vec<String>> {
    let file = folder.join(format!("{name}.md"));
    let text = std::fs::read_to_string(&file);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let lines = text.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    });
    let mut rows: Vec<Vec<String>> = rows.collect();
    assert!(rows.len() > 2, "{} has no table", file.display());
    // The line under the column names.
    rows.remove(1);
    rows
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
