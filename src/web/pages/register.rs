//! Create an account: a name and a password, and one is signed in. Where the operator wants it so, it
//! takes a sign-up link, or cannot be done.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path, Query};
use askama::Template;
use serde::Deserialize;

use crate::domain::{AccountPassword, Username};
use crate::security::tokens::Token;
use crate::services::accounts::{self, Admission, Registered};
use crate::urls::{register_url, with_next};
use crate::web::answers::{html, html_with, or_form_for_later, see_other};
use crate::web::client_address;
use crate::web::error::{AppError, PageResult};
use crate::web::forms::Problems;
use crate::web::guards::{choose_password, user_agent};
use crate::web::layout::{Here, Layout};
use crate::web::session::KeyInCookie;
use crate::web::state::WebState;

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
        state: &'a WebState,
        link: Option<&Token>,
        name: &'a str,
        next: &'a str,
        problems: Problems,
    ) -> Self {
        let next = state.next_pages.safe(next);
        let login_url = with_next("/login", next);
        let here = match link {
            None => Here::Register,
            Some(_) => Here::Elsewhere,
        };
        Self {
            layout: Layout::new(state, None, here),
            action: register_url(link.map(Token::as_str)),
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
pub async fn show(state: Data<WebState>, query: Query<RegisterQuery>) -> PageResult {
    form(&state, None, &query.next).await
}

/// **Who:** anyone with a sign-up link. **Answers:** the form, or 429.
pub async fn show_by_link(
    state: Data<WebState>,
    request: HttpRequest,
    link: Path<String>,
    query: Query<RegisterQuery>,
) -> PageResult {
    state.core.limits.link(client_address::of(&request))?;
    form(&state, Some(&Token::sent(link.into_inner())), &query.next).await
}

/// Makes an account.
///
/// **Who:** anyone. **Answers:** 303 to `next` or the public rooms, signed in; or the form again with
/// 422, 429 or 503; or, where it takes a link or cannot be done, 403 and a page that says so.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    cookie: KeyInCookie,
    form: Form<RegisterForm>,
) -> PageResult {
    create(&state, None, &request, &cookie, &form).await
}

/// Makes an account and uses the link up. **Who:** anyone with a sign-up link. **Answers:** as without
/// one.
pub async fn submit_by_link(
    state: Data<WebState>,
    link: Path<String>,
    request: HttpRequest,
    cookie: KeyInCookie,
    form: Form<RegisterForm>,
) -> PageResult {
    let link = Token::sent(link.into_inner());
    create(&state, Some(link), &request, &cookie, &form).await
}

async fn form(state: &WebState, link: Option<&Token>, next: &str) -> PageResult {
    match accounts::admission(&state.core, link).await? {
        Admission::Open => html(&RegisterPage::new(
            state,
            link,
            "",
            next,
            Problems::default(),
        )),
        Admission::DeadLink => Err(AppError::DeadLink),
        shut @ (Admission::ByLinkOnly | Admission::Closed) => {
            closed(state, StatusCode::OK, shut, next)
        }
    }
}

async fn create(
    state: &WebState,
    link: Option<Token>,
    request: &HttpRequest,
    cookie: &KeyInCookie,
    form: &RegisterForm,
) -> PageResult {
    let answer = try_to_create(state, link.as_ref(), request, cookie, form).await;
    or_form_for_later(answer, "name", |problems| {
        again(state, link.as_ref(), form, problems)
    })
}

async fn try_to_create(
    state: &WebState,
    link: Option<&Token>,
    request: &HttpRequest,
    cookie: &KeyInCookie,
    form: &RegisterForm,
) -> PageResult {
    let from = client_address::of(request);
    if link.is_some() {
        state.core.limits.link(from)?;
    }
    match accounts::admission(&state.core, link).await? {
        Admission::Open => {}
        Admission::DeadLink => return Err(AppError::DeadLink),
        shut @ (Admission::ByLinkOnly | Admission::Closed) => {
            return closed(state, StatusCode::FORBIDDEN, shut, &form.next);
        }
    }
    let (name, password) = match parse(form).await? {
        Ok(parsed) => parsed,
        Err(problems) => return again(state, link, form, problems),
    };
    state.core.limits.sign_up(from)?;
    match accounts::register(
        &state.core,
        name,
        password,
        link.cloned(),
        user_agent(request),
    )
    .await?
    {
        Registered::SignedIn(key) => {
            cookie.put(&key).await?;
            Ok(see_other(
                state
                    .next_pages
                    .safe(&form.next)
                    .unwrap_or("/rooms?done=registered"),
            ))
        }
        Registered::NameTaken => {
            const TAKEN: &str = "Someone else has this name, or one that looks too similar. Choose a different name";
            again(state, link, form, Problems::one("name", TAKEN))
        }
        Registered::DeadLink => Err(AppError::DeadLink),
    }
}

fn again(
    state: &WebState,
    link: Option<&Token>,
    form: &RegisterForm,
    problems: Problems,
) -> PageResult {
    let page = RegisterPage::new(state, link, &form.name, &form.next, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn closed(state: &WebState, status: StatusCode, shut: Admission, next: &str) -> PageResult {
    let page = ClosedPage {
        layout: Layout::new(state, None, Here::Register),
        takes_link: shut == Admission::ByLinkOnly,
        login_url: with_next("/login", state.next_pages.safe(next)),
        contact: state.core.config.contact.as_deref(),
    };
    html_with(status, &page)
}

async fn parse(
    form: &RegisterForm,
) -> Result<Result<(Username, AccountPassword), Problems>, AppError> {
    let mut problems = Problems::default();
    let name = problems.take("name", Username::parse(&form.name));
    let parsed = choose_password(form.password.clone(), name.clone()).await?;
    let password = problems.take("password", parsed);
    Ok(name.zip(password).ok_or(problems))
}
