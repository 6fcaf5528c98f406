//! Sign out.

use actix_web::web::{Data, Form};

use super::{Button, see_other};
use crate::app::AppState;
use crate::error::PageResult;
use crate::services::sessions;
use crate::session::KeyInCookie;

/// Ends the session of this browser, if it has one. **Who:** anyone. **Answers:** 303 to signing in.
pub async fn submit(app: Data<AppState>, cookie: KeyInCookie, _: Form<Button>) -> PageResult {
    if let Some(key) = cookie.sent() {
        sessions::end(&app, key.digest()).await?;
        cookie.take_away();
    }
    Ok(see_other("/login?done=signed-out"))
}
