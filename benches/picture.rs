//! The picture of the measured figures in the README: bars, drawn as an SVG from the tables that `benches/run` stores.
//!
//! `benches/run` starts this as `benches picture FOLDER FILE`. Nobody types a figure: the text beside each bar is the
//! cell of the table.

use std::fmt::Write;
use std::path::Path;

use crate::table;

/// The widths of the picture and of its columns, in pixels.
const WIDTH: usize = 760;
const MARGIN: usize = 20;
const NAMES: usize = 220;
const SERIES: usize = 80;
const LONGEST: f64 = 320.0;
/// The heights of a bar with its gap, and of the space between groups and above charts.
const BAR: usize = 18;
const GAP: usize = 10;
const HEADING: usize = 58;

/// Colours for light and dark pages. The background is part of the picture, so that they fit each other wherever it is
/// shown. Each text has a contrast of at least 7 to 1.
const STYLE: &str = "
.back { fill: #fff } text { fill: #1b1b1b; font: 14px system-ui, sans-serif }
.title { font-size: 17px; font-weight: bold } .note { font-size: 13px }
.bar { fill: #8a8f98 } .ours { fill: #1a6fb5 }
@media (prefers-color-scheme: dark) {
.back { fill: #15181c } text { fill: #ececec } .bar { fill: #7d838c } .ours { fill: #5fb0f0 }
}";

/// A stored table.
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads the first table of the part `name`.
    fn read(folder: &Path, name: &str) -> Self {
        let mut rows = table::read(folder, name).into_iter();
        let columns = rows.next().expect("the columns");
        // "bare, p50" is followed by "p99", which is the bare server's, too.
        let mut owner = "";
        let named = columns.iter().map(|column| {
            if let Some((named, _)) = column.split_once(", ") {
                owner = named;
                column.clone()
            } else if owner.is_empty() {
                column.clone()
            } else {
                format!("{owner}, {column}")
            }
        });
        let columns = named.collect();
        Self {
            columns,
            rows: rows.collect(),
        }
    }

    /// The bars of a row: for each series the cell of its column, without those that have no figure.
    fn bars(&self, row: &[String], series: &[(&'static str, &str)], unit: &str) -> Vec<Bar> {
        let bars = series.iter().filter_map(|(name, column)| {
            let place = self.columns.iter().position(|found| found == column);
            let cell = &row[place.unwrap_or_else(|| panic!("no column {column}"))];
            let number = cell.split(' ').next()?.parse().ok()?;
            Some(Bar {
                series: name,
                length: number,
                text: format!("{cell}{unit}"),
            })
        });
        bars.collect()
    }

    /// The groups of bars of all rows with one of these words in their name.
    fn groups(&self, words: &[&str], series: &[(&'static str, &str)], unit: &str) -> Vec<Group> {
        let rows = self.rows.iter().filter(|row| {
            let is_wanted = |word: &&str| row[0].contains(*word);
            words.is_empty() || words.iter().any(is_wanted)
        });
        rows.map(|row| Group {
            name: row[0].clone(),
            bars: self.bars(row, series, unit),
        })
        .collect()
    }
}

struct Bar {
    series: &'static str,
    length: f64,
    text: String,
}

/// What is compared with each other.
struct Group {
    name: String,
    bars: Vec<Bar>,
}

struct Chart {
    title: &'static str,
    note: &'static str,
    groups: Vec<Group>,
}

/// Draws the figures in `folder` into `file`.
pub fn draw(folder: &Path, file: &Path) {
    let compare = Table::read(folder, "compare");
    let delivery = Table::read(folder, "delivery");
    let peers = Table::read(folder, "peers");
    let bare = [("Mirage", "Mirage, 1/s"), ("bare", "bare, 1/s")];
    let waiting = [("Mirage", "Mirage, p99"), ("bare", "bare, p99")];
    let all = ["Mirage", "Flask", "ngircd", "prosody"].map(|name| (name, name));
    let charts = [
        Chart {
            title: "Requests per second",
            note: "beside a bare server that returns the same bytes and does nothing else; more is better",
            groups: compare.groups(&["poll", "page", "rooms", "send"], &bare, "/s"),
        },
        Chart {
            title: "Delivery to waiting readers, 99th percentile",
            note: "beside the same bare server; less is better",
            groups: delivery.groups(&[], &waiting, ""),
        },
        Chart {
            title: "Beside other chats, per second",
            note: "a Flask application, an IRC and an XMPP server; more is better",
            groups: peers.groups(&["1/s", "messages/s"], &all, "/s"),
        },
        Chart {
            title: "Beside other chats, time and memory",
            note: "less is better",
            groups: peers.groups(&["delivery", "memory per"], &all, ""),
        },
    ];
    std::fs::write(file, svg(&charts)).expect("a file for the picture");
}

fn svg(charts: &[Chart]) -> String {
    let mut body = String::new();
    let mut y = 0;
    for chart in charts {
        y += HEADING;
        text(&mut body, "title", MARGIN, y - 24, chart.title);
        text(&mut body, "note", MARGIN, y - 6, chart.note);
        for group in &chart.groups {
            y += GAP;
            text(&mut body, "", MARGIN, y + 13, &group.name);
            let longest = group.bars.iter().map(|bar| bar.length).fold(0.0, f64::max);
            for bar in &group.bars {
                let left = MARGIN + NAMES + SERIES;
                let width = (bar.length / longest * LONGEST).max(1.0);
                let class = if bar.series == "Mirage" {
                    "bar ours"
                } else {
                    "bar"
                };
                text(&mut body, "", MARGIN + NAMES, y + 13, bar.series);
                writeln!(
                    body,
                    r#"<rect class="{class}" x="{left}" y="{y}" width="{width:.0}" height="{}"/>"#,
                    BAR - 4
                )
                .expect("text");
                let end = left + width as usize + 6;
                text(&mut body, "", end, y + 13, &bar.text);
                y += BAR;
            }
        }
    }
    let height = y + MARGIN;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
<title>How fast Mirage is, beside a bare server and other chats</title>
<style>{STYLE}
</style>
<rect class="back" width="{WIDTH}" height="{height}"/>
{body}</svg>
"#
    )
}

fn text(body: &mut String, class: &str, x: usize, y: usize, what: &str) {
    let class = match class {
        "" => String::new(),
        _ => format!(r#" class="{class}""#),
    };
    writeln!(body, r#"<text{class} x="{x}" y="{y}">{what}</text>"#).expect("text");
}
