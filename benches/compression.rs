//! Sizes of pages, and the time to compress them, for the codings and levels that Mirage could use.

use mirage::clock::Stopwatch;

use crate::Plan;
use crate::compare::Setup;
use crate::server::Environment;
use crate::table::{median, print};

/// How often each page is compressed with each coding, in turn.
const ROUNDS: usize = 201;

/// Compresses into the buffer, and returns the length.
type Compress = Box<dyn FnMut(&[u8], &mut [u8]) -> usize>;

/// Compresses the pages of a server, and prints a table for each.
pub async fn run(plan: &Plan) {
    let setup = Setup::new(plan, Environment::Plain).await;
    let rounds = if plan.is_quick { 3 } else { ROUNDS };
    for (name, page) in setup.pages().await {
        let mut codings = codings();
        let mut buffer = vec![0; page.len()];
        let mut figures: Vec<(usize, Vec<f64>)> = vec![(0, Vec::new()); codings.len()];
        for _ in 0..rounds {
            for ((_, compress), (length, times)) in codings.iter_mut().zip(&mut figures) {
                let watch = Stopwatch::start();
                *length = compress(&page, &mut buffer);
                times.push(watch.elapsed().as_secs_f64() * 1e6);
            }
        }
        let rows: Vec<Vec<String>> = codings
            .iter()
            .zip(&figures)
            .map(|((coding, _), (length, times))| {
                vec![
                    coding.clone(),
                    length.to_string(),
                    format!("{:.0} µs", median(times)),
                ]
            })
            .collect();
        let title = format!("{name}, {} bytes", page.len());
        print(&[&title, "bytes", "time"], &rows);
    }
}

/// The codings with their names. Each keeps its context, as the server does.
fn codings() -> Vec<(String, Compress)> {
    let mut codings: Vec<(String, Compress)> = Vec::new();
    for level in [1, 2, 6] {
        let mut gzip = flate2::Compress::new_gzip(flate2::Compression::new(level), 15);
        codings.push((
            format!("gzip by zlib-rs, level {level}"),
            Box::new(move |page, buffer| {
                gzip.reset();
                let finish = flate2::FlushCompress::Finish;
                gzip.compress(page, buffer, finish).expect("a shorter page");
                usize::try_from(gzip.total_out()).expect("a length")
            }),
        ));
    }
    for level in [1, 2, 6] {
        let level_of = libdeflater::CompressionLvl::new(level).expect("a level");
        let mut gzip = libdeflater::Compressor::new(level_of);
        codings.push((
            format!("gzip by libdeflate, level {level}"),
            Box::new(move |page, buffer| gzip.gzip_compress(page, buffer).expect("a shorter page")),
        ));
    }
    for level in [-1, 1, 2, 3, 5] {
        let mut zstd = zstd::bulk::Compressor::new(level).expect("a level");
        codings.push((
            format!("zstd, level {level}"),
            Box::new(move |page, buffer| {
                zstd.compress_to_buffer(page, buffer)
                    .expect("a shorter page")
            }),
        ));
    }
    codings.extend([25, 50, 100].map(in_pieces));
    codings
}

/// Compresses the messages of a page in pieces of `count`, which readers could share, and what is before and after them,
/// each as a frame of its own.
fn in_pieces(count: usize) -> (String, Compress) {
    const MESSAGE: &str = "<li id=\"m";
    let mut of_piece = zstd::bulk::Compressor::new(6).expect("a level");
    let mut of_rest = zstd::bulk::Compressor::new(1).expect("a level");
    let name = format!("zstd, level 6 for pieces of {count} messages, 1 for the rest");
    let compress = move |page: &[u8], buffer: &mut [u8]| {
        let text = std::str::from_utf8(page).expect("text");
        let starts = text.match_indices(MESSAGE).map(|(at, _)| at);
        let end = text.rfind(MESSAGE).map(|last| {
            let (_, rest) = text.split_at(last);
            last + rest.find("</ol>").expect("the end of the list")
        });
        let mut cuts = vec![0];
        cuts.extend(starts.step_by(count).chain(end));
        cuts.push(page.len());
        let last = cuts.len() - 2;
        let mut length = 0;
        for (number, cut) in cuts.windows(2).enumerate() {
            let compressor = match number {
                0 => &mut of_rest,
                number if number == last => &mut of_rest,
                _ => &mut of_piece,
            };
            let piece = &page[cut[0]..cut[1]];
            let written = compressor.compress_to_buffer(piece, &mut buffer[length..]);
            length += written.expect("a shorter page");
        }
        length
    };
    (name, Box::new(compress))
}
