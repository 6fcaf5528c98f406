//! Sign out.

use actix_web::web::{Data, Form};

use crate::services::sessions;
use crate::web::answers::see_other;
use crate::web::error::PageResult;
use crate::web::forms::EmptyForm;
use crate::web::session::SessionCookie;
use crate::web::state::WebState;

/// Ends the session of this browser, if it has one. **Who:** anyone. **Answers:** 303 to the sign-in page.
pub async fn submit(
    state: Data<WebState>,
    cookie: SessionCookie,
    _: Form<EmptyForm>,
) -> PageResult {
    if let Some(key) = cookie.key() {
        sessions::end(&state.core, key.digest()).await?;
        cookie.clear();
    }
    Ok(see_other("/login?done=signed-out"))
}
