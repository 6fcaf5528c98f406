//! What goes wrong with a request, the status it gets, and the page it is shown as.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};

use crate::core::Fault;
use crate::domain::{Role, RoomId, UserId};
use crate::live::rate_limits::TooMany;
use crate::live::rooms::Room;
use crate::services::moderation::Moderated;
use crate::services::room_settings::Changed;
use crate::services::rooms::Access;
use crate::urls::login_url;

/// How long to wait when something is unavailable, in seconds.
const UNAVAILABLE_S: u64 = 5;

/// Why a request gets no answer of its own. Each is shown as a page; [`StatusOnly`] is without one.
#[derive(Debug)]
pub enum AppError {
    /// Nobody is signed in, and the page is for people who are. Leads to signing in, and then to `next`.
    SignedOut {
        /// The page to go on to.
        next: Option<String>,
    },
    /// There is no such page.
    NotFound,
    /// There is no such room, or whoever asks must not know that there is.
    NoSuchRoom,
    /// A message that is gone, or not one of whoever asks.
    NoSuchMessage {
        /// The room it was in.
        room: RoomId,
    },
    /// A public room that whoever asks is not in.
    NotAMember {
        /// The room.
        room: RoomId,
        /// What it is called.
        name: String,
    },
    /// A member who lacks the role that it takes.
    NotAllowed {
        /// The room.
        room: RoomId,
        /// The least role that it takes.
        needs: Role,
    },
    /// A public room that whoever asks is banned from.
    Banned {
        /// What it is called.
        name: String,
        /// Why.
        reason: String,
    },
    /// A room that has as many members as it may.
    Full {
        /// What it is called.
        name: String,
    },
    /// Somebody who is not in the room, and has left nothing there.
    NoSuchPerson {
        /// The room.
        room: RoomId,
    },
    /// Who would own a room owns as many as one may.
    OwnsTooMany {
        /// The room.
        room: RoomId,
    },
    /// There are as many public rooms as there may be.
    TooManyPublic {
        /// The room that would be one more.
        room: RoomId,
    },
    /// A link that has expired, was used up or taken back, or never was.
    DeadLink,
    /// Another site made the browser send this.
    ForeignOrigin,
    /// The request cannot be read.
    BadRequest,
    /// There is such a page, but not for this method.
    MethodNotAllowed {
        /// The methods there are, as in the header `Allow`.
        allowed: String,
    },
    /// More was sent than is read.
    TooLarge,
    /// The body of the request was not there in time.
    TooSlow,
    /// It was tried too often. Nothing was done.
    TooMany(TooMany),
    /// The database is busy, full or away, or there is a crowd; it is likely to pass.
    Unavailable {
        /// What failed, for the log.
        source: Fault,
        /// Where.
        at: &'static Location<'static>,
    },
    /// Something is wrong with the server.
    Internal {
        /// What failed, for the log.
        source: Fault,
        /// Where.
        at: &'static Location<'static>,
    },
}

/// What a page answers.
pub type PageResult = Result<HttpResponse, AppError>;

impl Access {
    /// The room, for pages that are for its members.
    ///
    /// # Errors
    /// For everybody else, what they are to see instead.
    pub fn member(self) -> Result<Arc<Room>, AppError> {
        match self {
            Self::Member(room) => Ok(room),
            Self::Outside(room) => Err(AppError::NotAMember {
                room: room.id,
                name: room.name.clone(),
            }),
            Self::Hidden => Err(AppError::NoSuchRoom),
        }
    }

    /// The room, for pages that are for those of its members who have at least the role `needs`.
    ///
    /// # Errors
    /// For everybody else, what they are to see instead.
    pub fn at_least(self, needs: Role, user: UserId) -> Result<Arc<Room>, AppError> {
        let room = self.member()?;
        if room.role_of(user) >= Some(needs) {
            Ok(room)
        } else {
            Err(AppError::NotAllowed {
                room: room.id,
                needs,
            })
        }
    }
}

impl Changed {
    /// Nothing, where the change of `room` was made.
    ///
    /// # Errors
    /// Where it was not, what its owner is to see. Pages that have more to say about it look first.
    pub fn done(self, room: RoomId) -> Result<(), AppError> {
        match self {
            Self::Done | Self::Unchanged => Ok(()),
            Self::NotAllowed | Self::NameTaken => Err(AppError::NotAllowed {
                room,
                needs: Role::Owner,
            }),
            Self::TooManyPublic => Err(AppError::TooManyPublic { room }),
        }
    }
}

impl Moderated {
    /// Nothing, where the change to somebody in `room` was made.
    ///
    /// # Errors
    /// Where it was not, what who asked is to see.
    pub fn done(self, room: RoomId, needs: Role) -> Result<(), AppError> {
        match self {
            Self::Done => Ok(()),
            Self::NotAllowed => Err(AppError::NotAllowed { room, needs }),
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

impl From<TooMany> for AppError {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
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
        f.write_str(self.title())
    }
}

impl ResponseError for AppError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignedOut { .. } => StatusCode::SEE_OTHER,
            Self::NotFound
            | Self::NoSuchRoom
            | Self::NoSuchMessage { .. }
            | Self::NoSuchPerson { .. }
            | Self::DeadLink => StatusCode::NOT_FOUND,
            Self::NotAMember { .. }
            | Self::NotAllowed { .. }
            | Self::Banned { .. }
            | Self::Full { .. }
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

    /// The status and its headers; [`show_page`] adds the page, which needs the request.
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
        if let Some(wait_s) = self.wait_s() {
            response.insert_header((header::RETRY_AFTER, wait_s));
        }
        response.finish()
    }
}

impl AppError {
    /// Something that cannot happen unless the program is wrong.
    #[track_caller]
    #[must_use]
    pub fn bug(source: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self::Internal {
            source: Fault::Bug(source),
            at: Location::caller(),
        }
    }

    /// How many seconds to wait before trying again, if that is all it takes.
    #[must_use]
    pub fn wait_s(&self) -> Option<u64> {
        match self {
            Self::TooMany(wait) => Some(wait.wait_s),
            Self::Unavailable { .. } => Some(UNAVAILABLE_S),
            _ => None,
        }
    }

    /// Writes down a fault of the server, once, where it becomes an answer.
    pub fn log(&self) {
        if let Self::Internal { source, at } | Self::Unavailable { source, at } = self {
            let chain = std::iter::successors(std::error::Error::source(source), |e| e.source());
            let causes: Vec<String> = chain.map(ToString::to_string).collect();
            tracing::error!(%at, causes = causes.join(": "), "{source}");
        }
    }

    /// Returns what happened, as a title.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self {
            Self::SignedOut { .. } => "You are signed out",
            Self::NotFound => "There is no such page",
            Self::NoSuchRoom => "There is no such room, or you are not in it",
            Self::NoSuchMessage { .. } => "There is no such message of yours",
            Self::NotAMember { .. } => "You are not in this room",
            Self::NotAllowed { needs, .. } if *needs == Role::Owner => "Only the owner can do that",
            Self::NotAllowed { .. } => "Only the owner and the moderators can do that",
            Self::Banned { .. } => "You are banned from this room",
            Self::Full { .. } => "This room is full",
            Self::NoSuchPerson { .. } => "There is no such person in this room",
            Self::OwnsTooMany { .. } => "They cannot own another room",
            Self::TooManyPublic { .. } => "There cannot be another public room",
            Self::DeadLink => "This link does not work",
            Self::ForeignOrigin => "This came from another site",
            Self::BadRequest => "Mirage could not read that",
            Self::MethodNotAllowed { .. } => "That does not work at this address",
            Self::TooLarge => "That was too much at once",
            Self::TooSlow => "That took too long to arrive",
            Self::TooMany(_) => "This was tried too often",
            Self::Unavailable { .. } => "Mirage cannot do that just now",
            Self::Internal { .. } => "Something went wrong at our end",
        }
    }

    /// Returns what happened and what to do next.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::SignedOut { .. } => "Sign in to go on.",
            Self::NotFound => {
                "The address may be mistyped, or the page may be gone. Check the address, or go on from the start page."
            }
            Self::NoSuchRoom => {
                "The room may be gone, or it may be a private one. If you know its name and password, you can join it."
            }
            Self::NoSuchMessage { .. } => {
                "It may have disappeared by itself, or have been deleted before. Messages of others are theirs to delete, and the owner’s and the moderators’."
            }
            Self::NotAMember { .. } => {
                "Only members see what happens here. Join the room to take part."
            }
            Self::NotAllowed { .. } => {
                "Nothing was changed. If you think it should be, tell the owner in the room."
            }
            Self::Banned { .. } => {
                "Those who run the room can let you in again. This is the reason they gave:"
            }
            Self::Full { .. } => {
                "It has as many members as a room may have here. Try again when somebody has left."
            }
            Self::NoSuchPerson { .. } => {
                "They may have left meanwhile. Go back to the members, who are up to date."
            }
            Self::OwnsTooMany { .. } => {
                "They own as many rooms as one may here. Nothing was changed: choose somebody else."
            }
            Self::TooManyPublic { .. } => {
                "There are as many as there may be here. Nothing was changed."
            }
            Self::DeadLink => {
                "It may have expired, or been used up, or been taken back. Ask whoever gave it to you for a new one."
            }
            Self::ForeignOrigin => {
                "Your browser was led here by another site, so nothing was done. If you meant it, go back to Mirage and do it there."
            }
            Self::BadRequest => {
                "Your browser sent something that is cut off or garbled, and nothing was done. Go back, load the page again and try once more."
            }
            Self::MethodNotAllowed { .. } => {
                "Your browser used this address in a way it is not made for, and nothing was done. Go on from the start page."
            }
            Self::TooLarge => {
                "It was more than this form can take, so nothing was done. Go back and send less."
            }
            Self::TooSlow => {
                "Part of what your browser sent did not come in time, so nothing was done. Go back and try again, where the connection is better if you can."
            }
            Self::TooMany(_) => {
                "So that nobody can guess what is secret, it can be tried so many times from one place, and nothing was done."
            }
            Self::Unavailable { .. } => {
                "It has too much to do, or its memory of accounts and rooms cannot be reached. Nothing was lost. Go back and try again in some seconds."
            }
            Self::Internal { .. } => {
                "It is not your fault. Go back and try again. If it stays like this, tell whoever runs this server and name the number below."
            }
        }
    }
}

/// An error that is answered with its status only, for requests that a script makes: a page, or a
/// redirect to one, would be pasted into the conversation.
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
            error => error.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
