//! Sign out.

use actix_web::web::Data;

use crate::services::sessions;
use crate::web::answers::see_other;
use crate::web::error::PageResult;
use crate::web::forms::{EmptyForm, OwnForm};
use crate::web::session::SessionCookie;
use crate::web::state::WebState;

/// Ends the session of this browser, if it has one.
///
/// The button on a page that was made for another person ends nothing, like their other forms: that person is signed
/// out here already, and the person who is signed in now did not ask.
///
/// **Who:** anyone. **Answers:** 303 to the sign-in page.
pub async fn submit(
    state: Data<WebState>,
    cookie: SessionCookie,
    _: OwnForm<EmptyForm>,
) -> PageResult {
    if let Some(key) = cookie.key() {
        sessions::end(&state.core, key.digest()).await?;
        cookie.clear();
    }
    Ok(see_other("/login?done=signed-out"))
}
