//! The health check.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;

use crate::web::state::WebState;

/// Checks the database and Redis. **Who:** anyone. **Answers:** `ok`, or 503 if the database or Redis does not answer.
pub async fn show(state: Data<WebState>) -> HttpResponse {
    if let Err(error) = state.core.database.ping().await {
        tracing::error!(%error, "database unreachable");
        return answer(StatusCode::SERVICE_UNAVAILABLE, "database unreachable\n");
    }
    if let Some(redis) = &state.core.redis
        && redis.ready().await.is_err()
    {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "Redis unreachable\n");
    }
    answer(StatusCode::OK, "ok\n")
}

fn answer(status: StatusCode, sentence: &'static str) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/plain; charset=utf-8")
        .body(sentence)
}
