//! The errors that requests can end in, with their status, title and advice.

use std::fmt;
use std::panic::Location;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};

use crate::core::Fault;
use crate::domain::{Role, RoomId};
use crate::live::redis::Unavailable;
use crate::live::too_many::{Limited, TooMany};
use crate::services::moderation::Moderated;
use crate::services::room_settings::Changed;
use crate::urls::login_url;

/// The `Retry-After` of [`AppError::Unavailable`], in seconds.
const UNAVAILABLE_RETRY_S: u64 = 5;

/// What operators are told about each other.
pub const OPERATORS_ARE_EQUAL: &str = "Operators cannot suspend or delete each other or create reset links for each other. The person who runs this server can delete them, create reset links for them, or make them ordinary users again.";

/// An error that ends a request. Shown as an error page, unless wrapped in [`StatusOnly`].
#[derive(Debug)]
pub enum AppError {
    /// The page requires signing in. Answered with a redirect to the sign-in page, which leads on to `next`.
    SignedOut {
        /// The page to show after signing in.
        next: Option<String>,
    },
    /// The form was made for another person than the one who is signed in now. Nothing was done.
    AnotherPerson {
        /// The name of the person who is signed in now.
        name: String,
        /// What was typed into the form: label and text.
        typed: Vec<(&'static str, String)>,
        /// The page with the form.
        page: Option<String>,
    },
    /// The page does not exist.
    NotFound,
    /// The room does not exist, or the user must not learn that it does.
    NoSuchRoom,
    /// The message is gone, or the user may not delete it.
    NoSuchMessage {
        /// The message's room.
        room: RoomId,
    },
    /// The message is gone, or the user's own.
    NotReportable {
        /// The message's room.
        room: RoomId,
    },
    /// The user is not a member of this public room.
    NotAMember {
        /// The room.
        room: RoomId,
        /// The room's name.
        name: String,
    },
    /// The user is a member, but lacks the required role.
    NotAllowed {
        /// The room.
        room: RoomId,
        /// The lowest role that may do this.
        needs: Role,
    },
    /// The user is banned from this public room.
    Banned {
        /// The room's name.
        name: String,
        /// The reason for the ban.
        reason: String,
    },
    /// The room has the maximum number of members.
    Full {
        /// The room's name.
        name: String,
    },
    /// The person is not in the room, and has no messages there.
    NoSuchPerson {
        /// The room.
        room: RoomId,
    },
    /// An operator cannot do that to a person who is an operator.
    IsOperator,
    /// The person who would own the room owns the maximum number of rooms.
    OwnsTooMany {
        /// The room.
        room: RoomId,
    },
    /// The server has the maximum number of public rooms.
    TooManyPublic {
        /// The room that would become public.
        room: RoomId,
    },
    /// The link has expired, was used up or revoked, or never existed.
    DeadLink,
    /// Another site made the browser send this request.
    ForeignOrigin,
    /// The request cannot be parsed.
    BadRequest,
    /// The page does not support this method.
    MethodNotAllowed {
        /// The supported methods, as in the header `Allow`.
        allowed: String,
    },
    /// The body is over the limit.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// A rate limit was reached. Nothing was done.
    TooMany(TooMany),
    /// The database is busy, full or unreachable, or the server is overloaded. Trying again is likely to help.
    Unavailable {
        /// The fault, for the log.
        source: Fault,
        /// The place in the code where the fault occurred.
        at: &'static Location<'static>,
    },
    /// The server has a bug or a permanent fault.
    Internal {
        /// The fault, for the log.
        source: Fault,
        /// The place in the code where the fault occurred.
        at: &'static Location<'static>,
    },
}

/// The answer of a page.
pub type PageResult = Result<HttpResponse, AppError>;

impl Changed {
    /// Converts the outcome of changing `room` to a result.
    ///
    /// # Errors
    /// When the change was not made. A page that shows an outcome in its form matches that outcome first.
    pub fn into_result(self, room: RoomId) -> Result<(), AppError> {
        match self {
            Self::Done | Self::Unchanged => Ok(()),
            Self::NotAllowed | Self::NameTaken | Self::PublicNow => Err(AppError::NotAllowed {
                room,
                needs: Role::Owner,
            }),
            Self::TooManyPublic => Err(AppError::TooManyPublic { room }),
        }
    }
}

impl Moderated {
    /// Converts the outcome of moderating a person in `room` to a result. `needs` is the lowest role that may do
    /// this.
    ///
    /// # Errors
    /// When the change was not made. A page that shows an outcome in its form matches that outcome first.
    pub fn into_result(self, room: RoomId, needs: Role) -> Result<(), AppError> {
        match self {
            Self::Done => Ok(()),
            Self::NotAllowed | Self::PublicNow => Err(AppError::NotAllowed { room, needs }),
            Self::NoSuchPerson => Err(AppError::NoSuchPerson { room }),
            Self::OwnsTooMany => Err(AppError::OwnsTooMany { room }),
        }
    }
}

impl From<Fault> for AppError {
    #[track_caller]
    fn from(source: Fault) -> Self {
        let at = Location::caller();
        if source.is_transient() {
            Self::Unavailable { source, at }
        } else {
            Self::Internal { source, at }
        }
    }
}

impl From<Limited> for AppError {
    #[track_caller]
    fn from(limited: Limited) -> Self {
        match limited {
            Limited::TooMany(too_many) => Self::TooMany(too_many),
            Limited::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<Unavailable> for AppError {
    #[track_caller]
    fn from(unavailable: Unavailable) -> Self {
        Fault::from(unavailable).into()
    }
}

impl From<askama::Error> for AppError {
    #[track_caller]
    fn from(source: askama::Error) -> Self {
        Self::bug(source.into())
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnotherPerson { name, .. } => write!(f, "{} {name}", self.title()),
            _ => f.write_str(self.title()),
        }
    }
}

impl ResponseError for AppError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignedOut { .. } => StatusCode::SEE_OTHER,
            Self::AnotherPerson { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotFound
            | Self::NoSuchRoom
            | Self::NoSuchMessage { .. }
            | Self::NotReportable { .. }
            | Self::NoSuchPerson { .. }
            | Self::DeadLink => StatusCode::NOT_FOUND,
            Self::NotAMember { .. }
            | Self::NotAllowed { .. }
            | Self::Banned { .. }
            | Self::Full { .. }
            | Self::IsOperator
            | Self::OwnsTooMany { .. }
            | Self::TooManyPublic { .. }
            | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the status and its headers. `error_page::add` adds the page, which requires the request.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::SignedOut { next } => {
                response.insert_header((header::LOCATION, login_url(next.as_deref())));
            }
            Self::MethodNotAllowed { allowed } => {
                response.insert_header((header::ALLOW, allowed.as_str()));
            }
            _ => {}
        }
        if let Some(wait_s) = self.retry_after_s() {
            response.insert_header((header::RETRY_AFTER, wait_s));
        }
        response.finish()
    }
}

impl AppError {
    /// Returns the error for a failure that only a bug can cause.
    #[track_caller]
    #[must_use]
    pub fn bug(source: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self::Internal {
            source: Fault::Bug(source),
            at: Location::caller(),
        }
    }

    /// Returns how many seconds to wait before trying again, if waiting is all that it takes.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::TooMany(wait) => Some(wait.wait_s),
            Self::Unavailable { .. } => Some(UNAVAILABLE_RETRY_S),
            _ => None,
        }
    }

    /// Logs a fault of the server. Called once for each fault, where it becomes an answer.
    pub fn log(&self) {
        if let Self::Internal { source, at } | Self::Unavailable { source, at } = self {
            let chain = std::iter::successors(std::error::Error::source(source), |e| e.source());
            let causes: Vec<String> = chain.map(ToString::to_string).collect();
            tracing::error!(%at, causes = causes.join(": "), "{source}");
        }
    }

    /// Returns what happened, for the page's title and heading.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self {
            Self::SignedOut { .. } => "You are signed out",
            Self::AnotherPerson { .. } => "You are now signed in as",
            Self::NotFound => "Page not found",
            Self::NoSuchRoom => "There is no such room, or you are not in it",
            Self::NoSuchMessage { .. } => "You cannot delete this message",
            Self::NotReportable { .. } => "You cannot report this message",
            Self::NotAMember { .. } => "You are not in this room",
            Self::NotAllowed { needs, .. } if *needs == Role::Owner => "Only the owner can do that",
            Self::NotAllowed { .. } => "Only the owner and moderators can do that",
            Self::Banned { .. } => "You are banned from this room",
            Self::Full { .. } => "This room is full",
            Self::NoSuchPerson { .. } => "This person is not in the room",
            Self::IsOperator => "This person is an operator",
            Self::OwnsTooMany { .. } => "They cannot own another room",
            Self::TooManyPublic { .. } => "This room cannot be made public",
            Self::DeadLink => "This link does not work",
            Self::ForeignOrigin => "This request came from another site",
            Self::BadRequest => "The server could not read this request",
            Self::MethodNotAllowed { .. } => "This address cannot be used that way",
            Self::TooLarge => "You sent too much at once",
            Self::TooSlow => "Your request took too long to arrive",
            Self::TooMany(_) => "Too many attempts",
            Self::Unavailable { .. } => "The server cannot do that right now",
            Self::Internal { .. } => "Something went wrong on our side",
        }
    }

    /// Returns what happened and what to do next.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::SignedOut { .. } => "Sign in to continue.",
            Self::AnotherPerson { .. } => {
                "Someone else was signed in when this page was opened, so nothing was done."
            }
            Self::NotFound => {
                "The page may have been deleted, or the address may have a typing mistake. Check the address or go to the start page."
            }
            Self::NoSuchRoom => {
                "The room may have been deleted, or it may be private. If you know its name and password, you can join it."
            }
            Self::NoSuchMessage { .. } => {
                "It may have disappeared or been deleted already, or it may be someone else’s. Only the owner and moderators can delete other people’s messages."
            }
            Self::NotReportable { .. } => {
                "It may have disappeared or been deleted already, or it may be your own. Nothing was sent."
            }
            Self::NotAMember { .. } => {
                "Only members can read and write messages here. Join the room to take part."
            }
            Self::NotAllowed { .. } => {
                "Nothing was changed. If this needs to be done, ask the owner of the room."
            }
            Self::Banned { .. } => {
                "You can join again only after the owner or a moderator lifts the ban. The reason they gave:"
            }
            Self::Full { .. } => {
                "It has the maximum number of members. Try again when someone has left."
            }
            Self::NoSuchPerson { .. } => "They may have left. Nothing was changed.",
            Self::IsOperator => OPERATORS_ARE_EQUAL,
            Self::OwnsTooMany { .. } => {
                "They already own the maximum number of rooms. Nothing was changed. Choose someone else."
            }
            Self::TooManyPublic { .. } => {
                "This server already has the maximum number of public rooms. The room is still private, and nothing was changed."
            }
            Self::DeadLink => {
                "It may have expired, been used already or been revoked. Ask the person who gave it to you for a new one."
            }
            Self::ForeignOrigin => {
                "Another site sent your browser here, so nothing was done. If you want to do this, go to the start page and do it from there."
            }
            Self::BadRequest => {
                "What your browser sent was incomplete or damaged, so nothing was done. Go back, reload the page and try again."
            }
            Self::MethodNotAllowed { .. } => {
                "Your browser sent a type of request that this address does not accept, so nothing was done. Continue from the start page."
            }
            Self::TooLarge => {
                "It was more than this form accepts, so nothing was done. Go back: your text is still in its box. Shorten it, then send it again."
            }
            Self::TooSlow => {
                "Part of it did not arrive in time, so nothing was done. Check your connection, then go back and try again."
            }
            Self::TooMany(_) => {
                "The server limits how often each person and each address can do this. Nothing was done this time."
            }
            Self::Unavailable { .. } => {
                "The server is too busy or cannot reach its data. Nothing was lost. Go back and try again in a few seconds."
            }
            Self::Internal { .. } => {
                "This is not your fault. Go back and try again. If it keeps happening, tell the person who runs this server. Quote the error ID below."
            }
        }
    }
}

/// An error answered with only its status, for requests by a script, which would paste a page (or the target of
/// a redirect) into the conversation.
#[derive(Debug)]
pub struct StatusOnly(AppError);

impl<E: Into<AppError>> From<E> for StatusOnly {
    #[track_caller]
    fn from(error: E) -> Self {
        let error = error.into();
        error.log();
        Self(error)
    }
}

impl fmt::Display for StatusOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for StatusOnly {
    fn status_code(&self) -> StatusCode {
        match &self.0 {
            AppError::SignedOut { .. } => StatusCode::UNAUTHORIZED,
            AppError::AnotherPerson { .. } => StatusCode::CONFLICT,
            error => error.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
