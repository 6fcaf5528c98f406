//! Sign out.

use actix_web::web::{Data, Form};

use crate::services::sessions;
use crate::web::answers::see_other;
use crate::web::error::PageResult;
use crate::web::forms::Button;
use crate::web::session::KeyInCookie;
use crate::web::state::WebState;

/// Ends the session of this browser, if it has one. **Who:** anyone. **Answers:** 303 to signing in.
pub async fn submit(state: Data<WebState>, cookie: KeyInCookie, _: Form<Button>) -> PageResult {
    if let Some(key) = cookie.sent() {
        sessions::end(&state.core, key.digest()).await?;
        cookie.take_away();
    }
    Ok(see_other("/login?done=signed-out"))
}
