//! What operators do about an account or a public room, and the links they make: one page with a table of acts, each of
//! which asks for the operator's own password.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::config::SignUp;
use crate::domain::{PlainPassword, Reason, RoomId, UserId, Username};
use crate::live::done_forms::Turn;
use crate::services::site_moderation::{self, Acted};
use crate::urls::{register_url, reset_url, site_person_done_url, site_person_url, site_room_url};
use crate::web::answers::{end_once, html, html_with, or_retry_form, see_other};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{Fields, Problems};
use crate::web::guards::count_password_attempt;
use crate::web::layout::{Layout, NavPage};
use crate::web::operator::{Operator, OperatorForm, actor};
use crate::web::session::CurrentUser;
use crate::web::state::{WebState, absolute_url};

/// The question before an act. Title, heading and button have the same text: the verb, and the name of the person or
/// room.
pub struct Question {
    /// The route of the page and of its form.
    pub pattern: &'static str,
    act: Act,
    verb: &'static str,
    /// The consequences of the act, one paragraph each.
    consequences: &'static [&'static str],
}

/// What an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Suspend,
    Lift,
    DeletePerson,
    ResetLink,
    DeleteRoom,
    SignUpLink,
}

/// The table of questions.
pub const QUESTIONS: [Question; 6] = [
    Question {
        pattern: "/site/people/{person}/suspend",
        act: Act::Suspend,
        verb: "Suspend",
        consequences: &[
            "They are signed out everywhere immediately, and cannot sign in until an operator lifts the suspension.",
            "They keep their name, their rooms and their memberships. Their messages stay until their time is up, and invite links that they created keep working.",
        ],
    },
    Question {
        pattern: "/site/people/{person}/lift",
        act: Act::Lift,
        verb: "Lift the suspension of",
        consequences: &["They can sign in again, with the password that they had."],
    },
    Question {
        pattern: "/site/people/{person}/delete",
        act: Act::DeletePerson,
        verb: "Delete the account of",
        consequences: &[
            "This cannot be undone. They are signed out everywhere, and someone else can take their name.",
            "Their messages are deleted from all rooms immediately, and so are the moderators’ copies of those that were reported.",
            "Each room they own gets a new owner: its longest-standing moderator or, if it has none, its longest-standing member. Rooms with no other members are deleted.",
        ],
    },
    Question {
        pattern: "/site/people/{person}/reset-link",
        act: Act::ResetLink,
        verb: "Create a reset link for",
        consequences: &[
            "The link works once, within a day. It signs whoever opens it in to this account, with all its rooms, private ones too. Give it only to the person whose account it is.",
            "Using the link ends all their sessions. For 30 days, they are told when they sign in and on their account page that an operator created it.",
        ],
    },
    Question {
        pattern: "/site/rooms/{room}/delete",
        act: Act::DeleteRoom,
        verb: "Delete the room",
        consequences: &[
            "The room and its messages disappear for everyone immediately. This cannot be undone.",
        ],
    },
    Question {
        pattern: "/site/sign-up-link",
        act: Act::SignUpLink,
        verb: "Create a sign-up link",
        consequences: &[
            "The link works once, within 7 days. Whoever opens it can create an account.",
        ],
    },
];

#[derive(Template)]
#[template(path = "site_act.html")]
struct ActPage<'a> {
    layout: Layout<'a>,
    question: &'static Question,
    subject: &'a Subject,
    /// Whether accounts can be created, so that a sign-up link works.
    takes_accounts: bool,
    /// The address that the form is sent to, which is also the page's own.
    action: &'a str,
    reason: &'a str,
    nonce: String,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "site_link.html")]
struct LinkPage<'a> {
    layout: Layout<'a>,
    subject: &'a Subject,
    address: &'a str,
}

/// The person or room that an act is about.
struct Subject {
    /// The name; `None` if the act is about the site.
    name: Option<String>,
    /// The reason for which the person is suspended, if they are.
    suspension: Option<String>,
    /// The page of the person or room.
    back: String,
}

/// The path parameters.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Target {
    person: Option<UserId>,
    room: Option<RoomId>,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ActForm {
    reason: String,
    password: String,
    nonce: String,
}

impl Fields for ActForm {
    const TYPED: &'static [(&'static str, &'static str)] = &[("reason", "Reason")];
}

/// Shows the page. **Who:** operators, for people who are none. **Answers:** the question; 303 to the person if there is
/// no suspension to lift; 403 if the person is an operator.
pub async fn show(
    state: Data<WebState>,
    operator: Operator,
    request: HttpRequest,
    target: Path<Target>,
) -> PageResult {
    let question = question(&request)?;
    let subject = subject(&state, *target).await?;
    if question.act == Act::Lift && subject.suspension.is_none() {
        return Ok(see_other(subject.back));
    }
    let form = ActForm {
        reason: subject.suspension.clone().unwrap_or_default(),
        ..ActForm::default()
    };
    let asked = Asked {
        state: &state,
        operator: &operator.0,
        question,
        subject: &subject,
        action: request.path(),
        form: &form,
    };
    html(&asked.page(Problems::default()))
}

/// Carries out the act. A form that is sent again leads to the same success, and to the same link.
///
/// **Who:** operators, for people who are none. **Answers:** 303 to a page that confirms it, or the page with the link,
/// which is shown only once; or the form again with 422, 429 or 503; 403 if the person is an operator; or 404 if there is
/// no such person or public room.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    target: Path<Target>,
    sent: OperatorForm<ActForm>,
) -> PageResult {
    let is_over = |error: &AppError| matches!(error, AppError::NotFound);
    let act = submit_once(state, request.clone(), *target, sent);
    end_once(&request, is_over, act).await
}

async fn submit_once(
    state: Data<WebState>,
    request: HttpRequest,
    target: Target,
    sent: OperatorForm<ActForm>,
) -> PageResult {
    let subject = subject(&state, target).await?;
    let asked = Asked {
        state: &state,
        operator: &sent.operator,
        question: question(&request)?,
        subject: &subject,
        action: request.path(),
        form: &sent.form,
    };
    let first = match asked.question.act {
        Act::Suspend => "reason",
        _ => "password",
    };
    let answer = asked.carry_out(&request, target).await;
    or_retry_form(answer, first, |problems| asked.again(problems))
}

/// An act that was asked for.
struct Asked<'a> {
    state: &'a WebState,
    operator: &'a CurrentUser,
    question: &'static Question,
    subject: &'a Subject,
    action: &'a str,
    form: &'a ActForm,
}

impl<'a> Asked<'a> {
    fn page(&self, problems: Problems) -> ActPage<'a> {
        let nonces = &self.state.core.nonces;
        ActPage {
            layout: Layout::new(self.state, Some(self.operator), NavPage::Other),
            question: self.question,
            subject: self.subject,
            takes_accounts: self.state.core.config.sign_up != SignUp::Closed,
            action: self.action,
            reason: &self.form.reason,
            nonce: nonces.keep_or_make(&self.form.nonce, Some(self.operator.user_id)),
            problems,
        }
    }

    fn again(&self, problems: Problems) -> PageResult {
        html_with(StatusCode::UNPROCESSABLE_ENTITY, &self.page(problems))
    }

    async fn carry_out(&self, request: &HttpRequest, target: Target) -> PageResult {
        let mut problems = Problems::default();
        let reason = match self.question.act {
            Act::Suspend => problems.take("reason", Reason::parse(&self.form.reason)),
            _ => None,
        };
        if self.form.password.is_empty() {
            problems.add("password", "Enter your password");
        }
        if !problems.is_empty() {
            return self.again(problems);
        }
        let name = Username::parse(&self.operator.user_name).ok();
        count_password_attempt(self.state, request, name.as_ref()).await?;
        let actor = actor(self.operator);
        let password = PlainPassword::typed(&self.form.password);
        let confirmed = site_moderation::confirm(&self.state.core, actor, password).await?;
        let Some(actor) = confirmed else {
            const WRONG: &str = "The password is wrong. Check it and try again";
            return self.again(Problems::one("password", WRONG));
        };
        let core = &self.state.core;
        let person = || target.person.ok_or(AppError::NotFound);
        let room = || target.room.ok_or(AppError::NotFound);
        Ok(match self.question.act {
            Act::Suspend => {
                let reason = reason.ok_or(AppError::BadRequest)?;
                done(site_moderation::suspend(core, &actor, person()?, reason).await?)?;
                see_other(site_person_done_url(person()?, "suspended"))
            }
            Act::Lift => {
                done(site_moderation::lift(core, &actor, person()?).await?)?;
                see_other(site_person_done_url(person()?, "lifted"))
            }
            Act::DeletePerson => {
                done(site_moderation::delete_person(core, &actor, person()?).await?)?;
                see_other("/site/people?done=deleted")
            }
            Act::DeleteRoom => {
                done(site_moderation::delete_room(core, &actor, room()?).await?)?;
                see_other("/site/rooms?done=deleted")
            }
            Act::ResetLink => {
                let turn = self.turn().await?;
                let link = site_moderation::reset_link(core, &turn, &actor, person()?).await?;
                self.link_page(request, &reset_url(done(link)?.as_str()))?
            }
            Act::SignUpLink => {
                let turn = self.turn().await?;
                let link = site_moderation::sign_up_link(core, &turn, &actor).await?;
                self.link_page(request, &register_url(Some(done(link)?.as_str())))?
            }
        })
    }

    async fn turn(&self) -> Result<Arc<Turn>, AppError> {
        let user = Some(self.operator.user_id);
        Ok(self.state.core.form_turn(&self.form.nonce, user).await?)
    }

    fn link_page(&self, request: &HttpRequest, path: &str) -> PageResult {
        html(&LinkPage {
            layout: Layout::new(self.state, Some(self.operator), NavPage::Other),
            subject: self.subject,
            address: &absolute_url(request, path),
        })
    }
}

/// Converts the outcome of an act to a result.
fn done<T>(acted: Acted<T>) -> Result<T, AppError> {
    match acted {
        Acted::Done(value) => Ok(value),
        // Their sessions have ended too.
        Acted::NotAllowed => Err(AppError::SignedOut { next: None }),
        Acted::Gone => Err(AppError::NotFound),
        Acted::IsOperator => Err(AppError::IsOperator),
    }
}

fn question(request: &HttpRequest) -> Result<&'static Question, AppError> {
    const ALL: &[Question] = &QUESTIONS;
    let pattern = request.match_pattern();
    let mut matching = ALL
        .iter()
        .filter(|question| Some(question.pattern) == pattern.as_deref());
    matching.next().ok_or(AppError::NotFound)
}

/// Returns the person or room that the address names.
async fn subject(state: &WebState, target: Target) -> Result<Subject, AppError> {
    match target {
        Target {
            person: Some(id), ..
        } => {
            let person = done(site_moderation::person_to_act_on(&state.core, id).await?)?;
            Ok(Subject {
                name: Some(person.name),
                suspension: person.suspension.map(|(_, reason)| reason),
                back: site_person_url(id),
            })
        }
        Target { room: Some(id), .. } => {
            let room = site_moderation::room(&state.core, id).await?;
            let room = room.ok_or(AppError::NotFound)?;
            Ok(Subject {
                name: Some(room.name),
                suspension: None,
                back: site_room_url(id),
            })
        }
        Target { .. } => Ok(Subject {
            name: None,
            suspension: None,
            back: "/site".to_owned(),
        }),
    }
}
