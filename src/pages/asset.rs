//! The style sheet, the script and the icon.

use actix_files::NamedFile;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::app::AppState;
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
    let (file, fingerprint) = app.assets.find(&name).ok_or(AppError::NotFound)?;
    let file = NamedFile::open(file).map_err(|error| AppError::bug(error.into()))?;
    let mut response = file.into_response(&request);
    let keep = if query.v == fingerprint {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    Ok(response)
}
