//! Serves the style sheet, the scripts and the icon.

use std::io::ErrorKind;
use std::path::Path as FilePath;

use actix_files::NamedFile;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETag, EntityTag, Header, HeaderValue,
    IfNoneMatch, VARY,
};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::web::assets::{Embedded, Source};
use crate::web::compression::Coding;
use crate::web::error::AppError;
use crate::web::query::Query;
use crate::web::state::WebState;

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AssetQuery {
    v: String,
}

/// Serves an asset. **Who:** anyone. **Answers:** the asset. Browsers may cache an embedded asset forever if its
/// address has the fingerprint; they must revalidate all others.
pub async fn show(
    state: Data<WebState>,
    request: HttpRequest,
    name: Path<String>,
    query: Query<AssetQuery>,
) -> Result<HttpResponse, AppError> {
    let asset = state.assets.find(&name).ok_or(AppError::NotFound)?;
    match &asset.source {
        Source::Embedded(embedded) => Ok(from_program(&request, &query.v, embedded)),
        Source::File(file) => from_file(&request, file),
    }
}

fn from_program(request: &HttpRequest, version: &str, embedded: &Embedded) -> HttpResponse {
    let fingerprint = &embedded.fingerprint;
    // Each form needs a tag of its own (RFC 9110, section 8.8.3).
    let plain_tag = EntityTag::new_strong(fingerprint.clone());
    let known = IfNoneMatch::parse(request).unwrap_or(IfNoneMatch::Items(Vec::new()));
    let is_known = |tag: &EntityTag| match &known {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(known) => known.iter().any(|known| known.weak_eq(tag)),
    };
    let coding = Coding::accepted(request).filter(|_| !is_known(&plain_tag));
    let compressed = coding.and_then(|coding| Some((coding, embedded.compressed(coding)?)));
    let tag = match compressed {
        Some((coding, _)) => EntityTag::new_strong(format!("{fingerprint}-{}", coding.as_str())),
        None => plain_tag,
    };
    let is_not_modified = is_known(&tag);
    let mut response = HttpResponse::Ok();
    if is_not_modified {
        response.status(StatusCode::NOT_MODIFIED);
    }
    let keep = if version == fingerprint {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    response
        .insert_header((CACHE_CONTROL, HeaderValue::from_static(keep)))
        .insert_header((VARY, HeaderValue::from(ACCEPT_ENCODING)))
        .insert_header(ETag(tag));
    if is_not_modified {
        return response.finish();
    }
    response.content_type(embedded.content_type);
    match compressed {
        Some((coding, compressed)) => response
            .insert_header((CONTENT_ENCODING, HeaderValue::from_static(coding.as_str())))
            .body(compressed.clone()),
        None => response.body(embedded.plain.clone()),
    }
}

fn from_file(request: &HttpRequest, file: &FilePath) -> Result<HttpResponse, AppError> {
    let file = NamedFile::open(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => AppError::NotFound,
        _ => AppError::bug(error.into()),
    })?;
    let mut response = file.into_response(request);
    let keep = HeaderValue::from_static("no-cache");
    response.headers_mut().insert(CACHE_CONTROL, keep);
    Ok(response)
}
