//! Create an account: a name and a password, and one is signed in. Where the operator wants it so, it
//! takes a sign-up link, or cannot be done.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Form, Path, Query};
use askama::Template;
use serde::Deserialize;

use super::{Here, Layout, Problems, html, html_with, or_form_for_later, see_other, user_agent};
use crate::app::AppState;
use crate::client_address::ClientAddress;
use crate::domain::{AccountPassword, Mistake, Username};
use crate::error::{AppError, PageResult};
use crate::routes::{register_url, safe_next, with_next};
use crate::services::accounts::{self, Admission, Registered};
use crate::services::tokens::Token;
use crate::session::KeyInCookie;

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage<'a> {
    layout: Layout<'a>,
    action: String,
    name: &'a str,
    next: Option<&'a str>,
    login_url: String,
    problems: Problems,
}

impl<'a> RegisterPage<'a> {
    fn new(
        app: &'a AppState,
        link: Option<&Token>,
        name: &'a str,
        next: &'a str,
        problems: Problems,
    ) -> Self {
        let next = safe_next(next);
        let login_url = with_next("/login", next);
        let here = match link {
            None => Here::Register,
            Some(_) => Here::Elsewhere,
        };
        Self {
            layout: Layout::new(app, None, here),
            action: register_url(link),
            name,
            next,
            login_url,
            problems,
        }
    }
}

#[derive(Template)]
#[template(path = "register_closed.html")]
struct ClosedPage<'a> {
    layout: Layout<'a>,
    takes_link: bool,
    login_url: String,
    contact: Option<&'a str>,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RegisterForm {
    name: String,
    password: String,
    next: String,
}

/// What the address can say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RegisterQuery {
    next: String,
}

/// **Who:** anyone. **Answers:** the form; or, where it takes a link or cannot be done, a page that
/// says so.
pub async fn show(app: Data<AppState>, query: Query<RegisterQuery>) -> PageResult {
    form(&app, None, &query.next).await
}

/// **Who:** anyone with a sign-up link. **Answers:** the form, or 429.
pub async fn show_by_link(
    app: Data<AppState>,
    request: HttpRequest,
    link: Path<String>,
    query: Query<RegisterQuery>,
) -> PageResult {
    app.limits.link(ClientAddress::of(&request))?;
    form(&app, Some(&Token::sent(link.into_inner())), &query.next).await
}

/// Makes an account.
///
/// **Who:** anyone. **Answers:** 303 to `next` or the public rooms, signed in; or the form again with
/// 422, 429 or 503; or, where it takes a link or cannot be done, 403 and a page that says so.
pub async fn submit(
    app: Data<AppState>,
    request: HttpRequest,
    cookie: KeyInCookie,
    form: Form<RegisterForm>,
) -> PageResult {
    create(&app, None, &request, &cookie, &form).await
}

/// Makes an account and uses the link up. **Who:** anyone with a sign-up link. **Answers:** as without
/// one.
pub async fn submit_by_link(
    app: Data<AppState>,
    link: Path<String>,
    request: HttpRequest,
    cookie: KeyInCookie,
    form: Form<RegisterForm>,
) -> PageResult {
    let link = Token::sent(link.into_inner());
    create(&app, Some(link), &request, &cookie, &form).await
}

async fn form(app: &AppState, link: Option<&Token>, next: &str) -> PageResult {
    match accounts::admission(app, link).await? {
        Admission::Open => html(&RegisterPage::new(app, link, "", next, Problems::default())),
        Admission::DeadLink => Err(AppError::DeadLink),
        shut @ (Admission::ByLinkOnly | Admission::Closed) => {
            closed(app, StatusCode::OK, shut, next)
        }
    }
}

async fn create(
    app: &Arc<AppState>,
    link: Option<Token>,
    request: &HttpRequest,
    cookie: &KeyInCookie,
    form: &RegisterForm,
) -> PageResult {
    let answer = try_to_create(app, link.as_ref(), request, cookie, form).await;
    or_form_for_later(answer, "name", |problems| {
        again(app, link.as_ref(), form, problems)
    })
}

async fn try_to_create(
    app: &Arc<AppState>,
    link: Option<&Token>,
    request: &HttpRequest,
    cookie: &KeyInCookie,
    form: &RegisterForm,
) -> PageResult {
    let from = ClientAddress::of(request);
    if link.is_some() {
        app.limits.link(from)?;
    }
    match accounts::admission(app, link).await? {
        Admission::Open => {}
        Admission::DeadLink => return Err(AppError::DeadLink),
        shut @ (Admission::ByLinkOnly | Admission::Closed) => {
            return closed(app, StatusCode::FORBIDDEN, shut, &form.next);
        }
    }
    let (name, password) = match parse(form).await? {
        Ok(parsed) => parsed,
        Err(problems) => return again(app, link, form, problems),
    };
    app.limits.sign_up(from)?;
    match accounts::register(app, name, password, link.cloned(), user_agent(request)).await? {
        Registered::SignedIn(key) => {
            cookie.put(&key).await?;
            Ok(see_other(safe_next(&form.next).unwrap_or("/rooms")))
        }
        Registered::NameTaken => {
            const TAKEN: &str = "Someone else has this name, or one that looks too similar. Choose a different name";
            again(app, link, form, Problems::one("name", TAKEN))
        }
        Registered::DeadLink => Err(AppError::DeadLink),
    }
}

fn again(
    app: &AppState,
    link: Option<&Token>,
    form: &RegisterForm,
    problems: Problems,
) -> PageResult {
    let page = RegisterPage::new(app, link, &form.name, &form.next, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn closed(app: &AppState, status: StatusCode, shut: Admission, next: &str) -> PageResult {
    let page = ClosedPage {
        layout: Layout::new(app, None, Here::Register),
        takes_link: shut == Admission::ByLinkOnly,
        login_url: with_next("/login", safe_next(next)),
        contact: app.config.contact.as_deref(),
    };
    html_with(status, &page)
}

async fn parse(
    form: &RegisterForm,
) -> Result<Result<(Username, AccountPassword), Problems>, AppError> {
    let mut problems = Problems::default();
    let name = problems.take("name", Username::parse(&form.name));
    let (typed, for_name) = (form.password.clone(), name.clone());
    // Looking for common passwords takes a while for long ones.
    let parsed: Result<AccountPassword, Mistake> =
        web::block(move || AccountPassword::parse(&typed, for_name.as_ref()))
            .await
            .map_err(|error| AppError::bug(error.into()))?;
    let password = problems.take("password", parsed);
    Ok(name.zip(password).ok_or(problems))
}
