//! The style sheet, the script and the icon.

use actix_files::NamedFile;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, HeaderValue, VARY,
};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::app::AppState;
use crate::compression::takes_gzip;
use crate::error::AppError;

/// What an asset's address can say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AssetQuery {
    v: String,
}

/// Gives out a file of the assets folder. **Who:** anyone. **Answers:** the file, to be kept for good
/// when the address names its fingerprint.
pub async fn show(
    app: Data<AppState>,
    request: HttpRequest,
    name: Path<String>,
    query: Query<AssetQuery>,
) -> Result<HttpResponse, AppError> {
    let asset = app.assets.find(&name).ok_or(AppError::NotFound)?;
    let file = NamedFile::open(&asset.file).map_err(|error| AppError::bug(error.into()))?;
    let mut response = file.into_response(&request);
    let is_whole = response.status() == StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(VARY, ACCEPT_ENCODING.into());
    let keep = if query.v == asset.fingerprint {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    match &asset.compressed {
        Some(compressed) if is_whole && takes_gzip(&request) => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Ok(response.set_body(BoxBody::new(compressed.clone())))
        }
        _ => Ok(response),
    }
}
