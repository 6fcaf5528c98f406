//! Create an account with a name and a password, and sign in. The operator can require a sign-up link, or close
//! sign-up.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::domain::{PasswordCandidate, Username};
use crate::security::tokens::Token;
use crate::services::accounts::{self, Admission, Registered};
use crate::urls::{register_url, with_next};
use crate::web::answers::{html, html_with, or_retry_form, see_other};
use crate::web::client_address;
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{Form, Problems};
use crate::web::guards::{choose_password, is_repeated};
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::{SessionCookie, Visitor};
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage<'a> {
    layout: Layout<'a>,
    action: String,
    name: &'a str,
    next: Option<&'a str>,
    nonce: String,
    login_url: String,
    problems: Problems,
}

impl<'a> RegisterPage<'a> {
    fn new(
        state: &'a WebState,
        link: Option<&Token>,
        form: &'a RegisterForm,
        problems: Problems,
    ) -> Self {
        let next = state.next_pages.safe(&form.next);
        let login_url = with_next("/login", next);
        let here = match link {
            None => NavPage::Register,
            Some(_) => NavPage::Other,
        };
        Self {
            layout: Layout::new(state, None, here),
            action: register_url(link.map(Token::as_str)),
            name: &form.name,
            next,
            nonce: state.core.nonces.keep_or_make(&form.nonce, None),
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
    nonce: String,
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RegisterQuery {
    next: String,
}

/// Shows the page. **Who:** anyone. **Answers:** the form; or a page saying that sign-up requires a link or is
/// closed; for signed-in users, 303 to `next` or the start page.
pub async fn show(
    state: Data<WebState>,
    visitor: Visitor,
    query: Query<RegisterQuery>,
) -> PageResult {
    if visitor.user.is_some() {
        return Ok(see_other(state.next_pages.safe(&query.next).unwrap_or("/")));
    }
    form(&state, None, query.next.clone()).await
}

/// Shows the page for a sign-up link.
///
/// **Who:** anyone with the link. **Answers:** the form; 404 if the link does not work; a page saying that
/// sign-up is closed; or 429.
pub async fn show_by_link(
    state: Data<WebState>,
    request: HttpRequest,
    link: Path<String>,
    query: Query<RegisterQuery>,
) -> PageResult {
    state.core.limits.link(client_address::of(&request)).await?;
    form(
        &state,
        Some(&Token::received(link.into_inner())),
        query.next.clone(),
    )
    .await
}

/// Creates an account. A form that is sent again signs in to the account that it has created.
///
/// **Who:** anyone. **Answers:** 303 to `next` or the public rooms, signed in; or the form again with 422, 429 or
/// 503; or 403 with a page saying that sign-up requires a link or is closed.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    cookie: SessionCookie,
    form: Form<RegisterForm>,
) -> PageResult {
    create(&state, None, &request, &cookie, &form).await
}

/// Creates an account and uses up the link.
///
/// **Who:** anyone with a sign-up link. **Answers:** as [`submit`]; or 404 if the link does not work.
pub async fn submit_by_link(
    state: Data<WebState>,
    link: Path<String>,
    request: HttpRequest,
    cookie: SessionCookie,
    form: Form<RegisterForm>,
) -> PageResult {
    let link = Token::received(link.into_inner());
    create(&state, Some(link), &request, &cookie, &form).await
}

async fn form(state: &WebState, link: Option<&Token>, next: String) -> PageResult {
    match accounts::admission(&state.core, link).await? {
        Admission::Open => {
            let empty = RegisterForm {
                next,
                ..RegisterForm::default()
            };
            html(&RegisterPage::new(state, link, &empty, Problems::default()))
        }
        Admission::DeadLink => Err(AppError::DeadLink),
        refusal @ (Admission::ByLinkOnly | Admission::Closed) => {
            closed_page(state, StatusCode::OK, refusal, &next)
        }
    }
}

async fn create(
    state: &WebState,
    link: Option<Token>,
    request: &HttpRequest,
    cookie: &SessionCookie,
    form: &RegisterForm,
) -> PageResult {
    let answer = try_to_create(state, link.as_ref(), request, cookie, form).await;
    or_retry_form(answer, "name", |problems| {
        show_again(state, link.as_ref(), form, problems)
    })
}

async fn try_to_create(
    state: &WebState,
    link: Option<&Token>,
    request: &HttpRequest,
    cookie: &SessionCookie,
    form: &RegisterForm,
) -> PageResult {
    let from = client_address::of(request);
    if link.is_some() {
        state.core.limits.link(from).await?;
    }
    let parsed = parse(form);
    let done = state
        .next_pages
        .safe(&form.next)
        .unwrap_or("/rooms?done=registered");
    let turn = state.core.form_turn(&form.nonce, None).await?;
    // Before the link, which the form itself may have used up.
    if let Ok((name, _)) = &parsed
        && is_repeated(state, request, cookie, &turn, Some(name), &form.password).await?
    {
        return Ok(see_other(done));
    }
    match accounts::admission(&state.core, link).await? {
        Admission::Open => {}
        Admission::DeadLink => return Err(AppError::DeadLink),
        refusal @ (Admission::ByLinkOnly | Admission::Closed) => {
            return closed_page(state, StatusCode::FORBIDDEN, refusal, &form.next);
        }
    }
    let (name, password) = match parsed {
        Ok(parsed) => parsed,
        Err(problems) => return show_again(state, link, form, problems),
    };
    state.core.limits.new_password(from).await?;
    let password = match choose_password(password).await? {
        Ok(password) => password,
        Err(mistake) => {
            return show_again(state, link, form, Problems::one("password", mistake.0));
        }
    };
    state.core.limits.sign_up(from).await?;
    let (own_link, client) = (link.cloned(), cookie.client());
    match accounts::register(&state.core, &turn, name, password, own_link, client).await? {
        Registered::SignedIn(_, key) => {
            cookie.set(&key)?;
            Ok(see_other(done))
        }
        Registered::NameTaken => {
            const TAKEN: &str = "Someone else has this name, or one that looks too similar. Choose a different name";
            show_again(state, link, form, Problems::one("name", TAKEN))
        }
        Registered::DeadLink => Err(AppError::DeadLink),
    }
}

fn show_again(
    state: &WebState,
    link: Option<&Token>,
    form: &RegisterForm,
    problems: Problems,
) -> PageResult {
    let page = RegisterPage::new(state, link, form, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn closed_page(state: &WebState, status: StatusCode, refusal: Admission, next: &str) -> PageResult {
    let page = ClosedPage {
        layout: Layout::new(state, None, NavPage::Register),
        takes_link: refusal == Admission::ByLinkOnly,
        login_url: with_next("/login", state.next_pages.safe(next)),
        contact: state.core.config.contact.as_deref(),
    };
    html_with(status, &page)
}

fn parse(form: &RegisterForm) -> Result<(Username, PasswordCandidate), Problems> {
    let mut problems = Problems::default();
    let name = problems.take("name", Username::parse(&form.name));
    let parsed = PasswordCandidate::parse(&form.password, name.as_ref());
    let password = problems.take("password", parsed);
    name.zip(password).ok_or(problems)
}
