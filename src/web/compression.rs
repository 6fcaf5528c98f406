//! Compression: a page that gains by it, and a file, go as gzip to whoever takes that.
//!
//! Not actix's own, which pages are too small for: it begins a compressor for a body of any length, and
//! hands every body over one KiB to another thread, which takes longer than to compress a page.

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
    // An asset has been negotiated already.
    if !is_long || response.headers().contains_key(VARY) {
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
        if takes_gzip && let Some(compressed) = gzip(&bytes) {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            return BoxBody::new(compressed);
        }
        BoxBody::new(bytes)
    }))
}

/// Whether whoever asks likes gzip best of what there is (RFC 9110, section 12.5.3).
#[must_use]
pub fn takes_gzip(request: &HttpRequest) -> bool {
    let accepted = AcceptEncoding::parse(request).ok();
    let supported = [Encoding::gzip(), Encoding::identity()];
    accepted.and_then(|accepted| accepted.negotiate(supported.iter())) == Some(Encoding::gzip())
}

/// As much as a text can refer back by: 32 KiB.
const WINDOW_BITS: u8 = 15;

thread_local! {
    /// Used again for each page: making one takes longer than compressing most of them. One level above the
    /// fastest, which leaves a room page a fifth longer.
    static GZIP: RefCell<Compress> = RefCell::new(Compress::new_gzip(Compression::new(2), WINDOW_BITS));
}

/// None when it does not shrink.
fn gzip(bytes: &[u8]) -> Option<Bytes> {
    GZIP.with_borrow_mut(|gzip| {
        gzip.reset();
        whole(gzip, bytes)
    })
}

/// As small as it gets, for what is compressed once. None when it does not shrink.
#[must_use]
pub fn gzip_well(bytes: &[u8]) -> Option<Bytes> {
    whole(
        &mut Compress::new_gzip(Compression::best(), WINDOW_BITS),
        bytes,
    )
}

fn whole(gzip: &mut Compress, bytes: &[u8]) -> Option<Bytes> {
    let mut compressed = Vec::with_capacity(bytes.len());
    let status = gzip.compress_vec(bytes, &mut compressed, FlushCompress::Finish);
    compressed.shrink_to_fit();
    matches!(status, Ok(Status::StreamEnd)).then(|| compressed.into())
}
