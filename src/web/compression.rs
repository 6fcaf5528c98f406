//! Compresses pages and assets with gzip for clients that accept it.
//!
//! actix's own middleware does not suit pages this small: it sets up a compressor for a body of any length, and
//! hands every body over 1 KiB to another thread, which takes longer than compressing a page.

use std::cell::RefCell;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CONTENT_ENCODING, Encoding, Header, HeaderValue, VARY,
};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpRequest};
use flate2::{Compress, Compression, FlushCompress, Status};

/// The size in bytes from which a body is compressed. A shorter one fits into one packet anyway.
const MIN_BYTES: u64 = 1024;

/// Compresses the body of an answer if the body is long enough and not a stream, and the client accepts gzip.
///
/// # Errors
/// The errors of the wrapped service.
pub async fn compress<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?;
    let is_long =
        matches!(response.response().body().size(), BodySize::Sized(size) if size >= MIN_BYTES);
    // An asset has been negotiated already.
    if !is_long || response.headers().contains_key(VARY) {
        return Ok(response.map_into_boxed_body());
    }
    let accepts_gzip = accepts_gzip(response.request());
    Ok(response.map_body(|head, body| {
        let bytes = match body.try_into_bytes() {
            Ok(bytes) => bytes,
            Err(body) => return body.boxed(),
        };
        let headers = head.headers_mut();
        headers.append(VARY, ACCEPT_ENCODING.into());
        if accepts_gzip && let Some(compressed) = gzip(&bytes) {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            return BoxBody::new(compressed);
        }
        BoxBody::new(bytes)
    }))
}

/// Returns whether the client accepts gzip and does not prefer the plain form (RFC 9110, section 12.5.3).
#[must_use]
pub fn accepts_gzip(request: &HttpRequest) -> bool {
    let accepted = AcceptEncoding::parse(request).ok();
    let supported = [Encoding::gzip(), Encoding::identity()];
    accepted.and_then(|accepted| accepted.negotiate(supported.iter())) == Some(Encoding::gzip())
}

/// The base-two logarithm of the window size: 32 KiB, the most that gzip has.
const WINDOW_BITS: u8 = 15;

thread_local! {
    /// Reused for each page: creating a compressor takes longer than compressing most pages. Level 2, because
    /// the fastest level leaves a room page a fifth longer.
    static GZIP: RefCell<Compress> = RefCell::new(Compress::new_gzip(Compression::new(2), WINDOW_BITS));
}

/// Compresses `bytes` at the level for pages. Returns `None` if that does not make them shorter.
fn gzip(bytes: &[u8]) -> Option<Bytes> {
    GZIP.with_borrow_mut(|gzip| {
        gzip.reset();
        compress_whole(gzip, bytes)
    })
}

/// Compresses `bytes` at the best level, for assets, which are compressed once. Returns `None` if that does not
/// make them shorter.
#[must_use]
pub fn gzip_best(bytes: &[u8]) -> Option<Bytes> {
    compress_whole(
        &mut Compress::new_gzip(Compression::best(), WINDOW_BITS),
        bytes,
    )
}

fn compress_whole(gzip: &mut Compress, bytes: &[u8]) -> Option<Bytes> {
    let mut compressed = Vec::with_capacity(bytes.len());
    let status = gzip.compress_vec(bytes, &mut compressed, FlushCompress::Finish);
    compressed.shrink_to_fit();
    matches!(status, Ok(Status::StreamEnd)).then(|| compressed.into())
}
