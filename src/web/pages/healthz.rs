//! The health check.

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::web::state::WebState;

/// Checks the database. **Who:** anyone. **Answers:** `ok`, or 503 if the database does not answer.
pub async fn show(state: Data<WebState>) -> HttpResponse {
    match state.core.database.ping().await {
        Ok(()) => HttpResponse::Ok()
            .content_type("text/plain; charset=utf-8")
            .body("ok\n"),
        Err(error) => {
            tracing::error!(%error, "database unreachable");
            HttpResponse::ServiceUnavailable()
                .content_type("text/plain; charset=utf-8")
                .body("database unreachable\n")
        }
    }
}
