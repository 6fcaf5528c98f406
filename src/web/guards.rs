//! The checks that pages have in common: who is asking, and how often.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, web};

use crate::domain::{AccountPassword, Mistake, Role, RoomId, UserId, Username};
use crate::live::rate_limits::TooMany;
use crate::live::rooms::Room;
use crate::services::moderation::{self, Person};
use crate::services::rooms::{self, Access};
use crate::web::client_address;
use crate::web::error::AppError;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// The room, for pages that are for those of its members who have at least the role `needs`.
///
/// # Errors
/// For everybody else, what they are to see instead.
pub async fn room_of(
    state: &WebState,
    user: &CurrentUser,
    room: RoomId,
    needs: Role,
) -> Result<Arc<Room>, AppError> {
    let room = match rooms::access(&state.core, room, user.user_id).await? {
        Access::Member(room) => room,
        Access::Outside(room) => {
            let (room, name) = (room.id, room.name.clone());
            return Err(AppError::NotAMember { room, name });
        }
        Access::Hidden => return Err(AppError::NoSuchRoom),
    };
    if room.role_of(user.user_id) >= Some(needs) {
        Ok(room)
    } else {
        let room = room.id;
        Err(AppError::NotAllowed { room, needs })
    }
}

/// A room, and somebody there whom whoever asks may moderate.
///
/// # Errors
/// When they may not, or there is nobody of this number there.
pub async fn room_and_person(
    state: &WebState,
    user: &CurrentUser,
    (room, person): (RoomId, UserId),
    needs: Role,
) -> Result<(Arc<Room>, Person), AppError> {
    let room = room_of(state, user, room, needs).await?;
    let person = moderation::person(&state.core, &room, person).await?;
    let person = person.ok_or(AppError::NoSuchPerson { room: room.id })?;
    let role = room.role_of(user.user_id);
    if role.is_some_and(|role| role.may_moderate(person.role)) {
        Ok((room, person))
    } else {
        let (room, needs) = (room.id, Role::Owner);
        Err(AppError::NotAllowed { room, needs })
    }
}

/// Counts a try of somebody's password, wherever it is asked for: who finds an open browser must not guess
/// there what they may not guess at the sign-in page.
pub fn count_password(
    state: &WebState,
    request: &HttpRequest,
    name: Option<&Username>,
) -> Result<(), TooMany> {
    // All names that nobody can have are one.
    let folded = name.map(|name| name.keys().folded).unwrap_or_default();
    state
        .core
        .limits
        .password(&folded, client_address::of(request))
}

/// What the browser that sent a request calls itself.
pub fn user_agent(request: &HttpRequest) -> String {
    let sent = request.headers().get(header::USER_AGENT);
    sent.and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

/// Parses the new password that somebody has chosen for the account `name`. Long ones take a while, so it is done
/// where nobody waits for it.
///
/// # Errors
/// When the server stops meanwhile.
pub async fn choose_password(
    typed: String,
    name: Option<Username>,
) -> Result<Result<AccountPassword, Mistake>, AppError> {
    web::block(move || AccountPassword::parse(&typed, name.as_ref()))
        .await
        .map_err(|error| AppError::bug(error.into()))
}
