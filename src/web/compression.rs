//! Compresses pages and assets with Zstandard (RFC 8878) or gzip (RFC 1952) for clients that accept it.
//!
//! actix's own middleware does not suit pages this small: it sets up a compressor for a body of any length, and
//! hands every body over 1 KiB to another thread, which takes longer than compressing a page.

use std::cell::RefCell;
use std::io;

use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};
use actix_web::web::Bytes;
use libdeflater::{CompressionLvl, Compressor as Gzip};
use zstd::bulk::Compressor as Zstd;

/// The size in bytes from which a body is compressed. A shorter one fits into one packet anyway.
const MIN_BYTES: u64 = 1024;
/// The levels for pages: `benches/run compression` compares the levels on real pages.
const PAGE_ZSTD_LEVEL: i32 = 1;
const PAGE_GZIP_LEVEL: i32 = 1;
/// The levels for assets, which are compressed once: the best ones.
const ASSET_ZSTD_LEVEL: i32 = 19;
const ASSET_GZIP_LEVEL: i32 = 12;

/// How much of the buffer is kept, in bytes: more than most pages have.
const MAX_KEPT: usize = 256 * 1024;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// gzip, which every browser accepts.
    Gzip,
    /// Zstandard, which takes a third of the time. Browsers accept it over TLS and on localhost.
    Zstd,
}

impl Coding {
    /// Returns the best coding that the client accepts and does not like less than the plain form (RFC 9110,
    /// section 12.5.3).
    #[must_use]
    pub fn accepted(request: &HttpRequest) -> Option<Self> {
        const NAMES: [&str; 4] = ["gzip", "zstd", "identity", "*"];
        let mut found = [None; NAMES.len()];
        let lines = request.headers().get_all(ACCEPT_ENCODING);
        let lines = lines.filter_map(|line| line.to_str().ok());
        for (name, quality) in lines.flat_map(|line| line.split(',')).map(preference) {
            for (known, found) in NAMES.iter().zip(&mut found) {
                if name.eq_ignore_ascii_case(known) {
                    found.get_or_insert(quality);
                }
            }
        }
        let [gzip, zstd, plain, any] = found;
        let quality = |named: Option<f32>| named.or(any).unwrap_or(0.0);
        let plain = quality(plain);
        [(quality(gzip), Self::Gzip), (quality(zstd), Self::Zstd)]
            .into_iter()
            .filter(|(quality, _)| *quality > 0.0 && *quality >= plain)
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, coding)| coding)
    }

    /// Returns the coding's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Parses an item of `Accept-Encoding`: its name, and how much the client likes it. What is unreadable is not liked.
fn preference(item: &str) -> (&str, f32) {
    let Some((name, parameter)) = item.split_once(';') else {
        return (item.trim(), 1.0);
    };
    let parameter = parameter.trim();
    let weight = parameter
        .strip_prefix("q=")
        .or_else(|| parameter.strip_prefix("Q="));
    let quality = weight.and_then(|weight| weight.parse().ok());
    (name.trim(), quality.unwrap_or(0.0))
}

/// Compresses the body of an answer if the body is long enough and not a stream, and the client accepts it.
#[must_use]
pub fn compress(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let is_long =
        matches!(response.response().body().size(), BodySize::Sized(size) if size >= MIN_BYTES);
    // An asset has been negotiated already.
    if !is_long || response.headers().contains_key(VARY) {
        return response;
    }
    let coding = Coding::accepted(response.request());
    response.map_body(|head, body| {
        let bytes = match body.try_into_bytes() {
            Ok(bytes) => bytes,
            Err(body) => return body,
        };
        let headers = head.headers_mut();
        headers.append(VARY, ACCEPT_ENCODING.into());
        if let Some(coding) = coding
            && let Some(compressed) = compress_page(coding, &bytes)
        {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
            return BoxBody::new(compressed);
        }
        BoxBody::new(bytes)
    })
}

thread_local! {
    /// The compressors for pages, kept because making one takes longer than compressing most pages.
    static PAGE_COMPRESSORS: RefCell<Option<Compressors>> = const { RefCell::new(None) };
}

/// Compresses a page. Returns `None` if that fails or does not make it shorter.
fn compress_page(coding: Coding, bytes: &[u8]) -> Option<Bytes> {
    PAGE_COMPRESSORS.with_borrow_mut(|kept| {
        let compressors = match kept {
            Some(compressors) => compressors,
            None => kept.insert(Compressors::new(PAGE_ZSTD_LEVEL, PAGE_GZIP_LEVEL).ok()?),
        };
        compressors.compress(coding, bytes)
    })
}

/// Compresses an asset as much as possible. Returns `None` if that fails or does not make it shorter.
#[must_use]
pub fn compress_asset(coding: Coding, bytes: &[u8]) -> Option<Bytes> {
    let mut compressors = Compressors::new(ASSET_ZSTD_LEVEL, ASSET_GZIP_LEVEL).ok()?;
    compressors.compress(coding, bytes)
}

/// A compressor for each coding.
struct Compressors {
    zstd: Zstd<'static>,
    gzip: Gzip,
    /// Reused, so that only the compressed bytes are allocated for each body.
    buffer: Vec<u8>,
}

impl Compressors {
    fn new(zstd_level: i32, gzip_level: i32) -> io::Result<Self> {
        let gzip_level = CompressionLvl::new(gzip_level).unwrap_or_default();
        Ok(Self {
            zstd: Zstd::new(zstd_level)?,
            gzip: Gzip::new(gzip_level),
            buffer: Vec::new(),
        })
    }

    fn compress(&mut self, coding: Coding, bytes: &[u8]) -> Option<Bytes> {
        // A form that does not fit into this is not shorter.
        self.buffer.resize(bytes.len(), 0);
        let length = match coding {
            Coding::Zstd => {
                let buffer = self.buffer.as_mut_slice();
                self.zstd.compress_to_buffer(bytes, buffer).ok()
            }
            Coding::Gzip => self.gzip.gzip_compress(bytes, &mut self.buffer).ok(),
        };
        let compressed = self.buffer.get(..length?).map(Bytes::copy_from_slice);
        self.buffer.shrink_to(MAX_KEPT);
        compressed
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_best_accepted_coding_is_chosen() {
        for (accepted, chosen) in [
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip, deflate, br", Some(Coding::Gzip)),
            ("zstd;q=0.5, gzip", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("*;q=0.5, gzip;q=0", Some(Coding::Zstd)),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0, zstd;q=0", None),
            ("identity", None),
            ("br", None),
            ("", None),
        ] {
            let request = TestRequest::default().insert_header((ACCEPT_ENCODING, accepted));
            let request = request.to_http_request();

            assert_eq!(Coding::accepted(&request), chosen, "{accepted:?}");
        }
        let without_header = TestRequest::default().to_http_request();
        assert_eq!(Coding::accepted(&without_header), None);
    }
}
