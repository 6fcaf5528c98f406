//! Compression: a page that gains by it goes as gzip to whoever takes that.
//!
//! Not actix's own, which pages are too small for: it begins a compressor for a body of any length, and
//! hands every body over one KiB to another thread, which takes longer than to compress a page. Assets,
//! which come from files bit by bit, go through actix's own (`routes.rs`).

use std::io::{self, Write};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CONTENT_ENCODING, Encoding, Header, HeaderValue, VARY,
};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpRequest};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The least bytes that are compressed: what is shorter fits into one packet as it is.
const WORTH_IT: u64 = 1024;

/// Compresses the body of an answer when it is long, whole, and wanted so.
///
/// # Errors
/// Those of what it wraps.
pub async fn compress<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?;
    let is_long =
        matches!(response.response().body().size(), BodySize::Sized(size) if size >= WORTH_IT);
    if !is_long || response.headers().contains_key(CONTENT_ENCODING) {
        return Ok(response.map_into_boxed_body());
    }
    let takes_gzip = takes_gzip(response.request());
    Ok(response.map_body(|head, body| {
        let bytes = match body.try_into_bytes() {
            Ok(bytes) => bytes,
            Err(body) => return body.boxed(),
        };
        let headers = head.headers_mut();
        headers.append(VARY, ACCEPT_ENCODING.into());
        if takes_gzip && let Ok(compressed) = gzip(&bytes) {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            return BoxBody::new(compressed);
        }
        BoxBody::new(bytes)
    }))
}

/// Whether whoever asks likes gzip best of what there is (RFC 9110, section 12.5.3).
fn takes_gzip(request: &HttpRequest) -> bool {
    let accepted = AcceptEncoding::parse(request).ok();
    let supported = [Encoding::gzip(), Encoding::identity()];
    accepted.and_then(|accepted| accepted.negotiate(supported.iter())) == Some(Encoding::gzip())
}

fn gzip(bytes: &[u8]) -> io::Result<Bytes> {
    // Pages shrink to a fourth or less.
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.into())
}
