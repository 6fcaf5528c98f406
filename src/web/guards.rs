//! The checks that pages share: the user's role in a room, and the limit on password attempts.

use std::sync::Arc;

use actix_web::{HttpRequest, web};

use crate::domain::{
    AccountPassword, Mistake, PasswordCandidate, PlainPassword, Role, RoomId, UserId, Username,
};
use crate::live::done_forms::Turn;
use crate::live::rooms::Room;
use crate::live::too_many::Limited;
use crate::services::accounts::{self, SignedInAgain};
use crate::services::moderation::{self, Person};
use crate::services::rooms::{self, Access};
use crate::web::client_address;
use crate::web::error::AppError;
use crate::web::session::{CurrentUser, SessionCookie};
use crate::web::state::WebState;

/// Returns the room, for pages that only members with at least the role `needs` may see.
///
/// # Errors
/// When the user is not a member, or their role is lower.
pub async fn room_with_role(
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

/// Returns a room, and a person there whom the user may know. For pages of moderators, who need the role
/// `needs`, it is a person whom the user may moderate.
///
/// # Errors
/// When the user may not moderate the person, or the person is not in the room and has no messages there.
pub async fn room_and_person(
    state: &WebState,
    user: &CurrentUser,
    (room, person): (RoomId, UserId),
    needs: Role,
) -> Result<(Arc<Room>, Person), AppError> {
    let room = room_with_role(state, user, room, needs).await?;
    let person = moderation::person(&state.core, &room, user.user_id, person).await?;
    let person = person.ok_or(AppError::NoSuchPerson { room: room.id })?;
    // The role may have changed while the database was asked.
    let room = room_with_role(state, user, room.id, needs).await?;
    let role = room.role_of(user.user_id);
    if needs == Role::Member || role.is_some_and(|role| role.may_moderate(person.role)) {
        Ok((room, person))
    } else {
        let (room, needs) = (room.id, Role::Owner);
        Err(AppError::NotAllowed { room, needs })
    }
}

/// Counts an attempt at an account's password. All pages that ask for it share one limit, so that a stranger at an
/// unattended browser cannot guess more often than on the sign-in page.
///
/// # Errors
/// When the limit is reached.
pub async fn count_password_attempt(
    state: &WebState,
    request: &HttpRequest,
    name: Option<&Username>,
) -> Result<(), Limited> {
    // All invalid names share one counter.
    let folded = name.map(|name| name.keys().folded).unwrap_or_default();
    state
        .core
        .limits
        .password(&folded, client_address::of(request))
        .await
}

/// Signs the person in if a form that sets a password was done in an earlier turn and is sent again. Returns whether
/// that was so.
///
/// The new `password` must be the same, and the `name`, if the form has one. Counts an attempt at the password.
///
/// # Errors
/// When the limit is reached, the account was suspended meanwhile, or the database or the password hashing fails.
pub async fn is_repeated(
    state: &WebState,
    request: &HttpRequest,
    cookie: &SessionCookie,
    turn: &Arc<Turn>,
    name: Option<&Username>,
    password: &str,
) -> Result<bool, AppError> {
    let done = accounts::done_password_form(&state.core, turn).await?;
    let is_for =
        |done: &accounts::DonePasswordForm| name.is_none_or(|name| name.as_str() == done.name);
    let Some(done) = done.filter(is_for) else {
        return Ok(false);
    };
    let name = Username::parse(&done.name).ok();
    count_password_attempt(state, request, name.as_ref()).await?;
    let password = PlainPassword::typed(password);
    let client = cookie.client();
    match accounts::sign_in_again(&state.core, turn, done, password, client).await? {
        SignedInAgain::As(key) => {
            cookie.set(&key)?;
            Ok(true)
        }
        SignedInAgain::WrongPassword => Ok(false),
        SignedInAgain::Suspended => Err(AppError::SignedOut { next: None }),
    }
}

/// Estimates the strength of a new password on a thread where blocking is allowed. Callers count the request first.
///
/// # Errors
/// When the server stops meanwhile.
pub async fn choose_password(
    candidate: PasswordCandidate,
) -> Result<Result<AccountPassword, Mistake>, AppError> {
    web::block(move || candidate.estimate())
        .await
        .map_err(|error| AppError::bug(error.into()))
}
