//! Create an account: a name and a password, and one is signed in.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Form, Query};
use askama::Template;
use serde::Deserialize;

use super::{Here, Layout, Problems, html, html_with, see_other, user_agent};
use crate::app::AppState;
use crate::domain::{AccountPassword, Mistake, Username};
use crate::error::{AppError, PageResult};
use crate::routes::{safe_next, with_next};
use crate::services::accounts::{self, Registered};
use crate::session::KeyInCookie;

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage<'a> {
    layout: Layout<'a>,
    name: &'a str,
    next: Option<&'a str>,
    login_url: String,
    problems: Problems,
}

impl<'a> RegisterPage<'a> {
    fn new(app: &'a AppState, name: &'a str, next: &'a str, problems: Problems) -> Self {
        let next = safe_next(next);
        let login_url = with_next("/login", next);
        Self {
            layout: Layout::new(app, None, Here::Register),
            name,
            next,
            login_url,
            problems,
        }
    }
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

/// **Who:** anyone. **Answers:** the form.
pub async fn show(app: Data<AppState>, query: Query<RegisterQuery>) -> PageResult {
    html(&RegisterPage::new(
        &app,
        "",
        &query.next,
        Problems::default(),
    ))
}

/// Makes an account. **Who:** anyone. **Answers:** 303 to `next` or the public rooms, signed in; or the
/// form again with 422.
pub async fn submit(
    app: Data<AppState>,
    request: HttpRequest,
    cookie: KeyInCookie,
    form: Form<RegisterForm>,
) -> PageResult {
    let (name, password) = match parse(&form).await? {
        Ok(parsed) => parsed,
        Err(problems) => return again(&app, &form, problems),
    };
    match accounts::register(&app, name, password, user_agent(&request)).await? {
        Registered::SignedIn(key) => {
            cookie.put(&key).await?;
            Ok(see_other(safe_next(&form.next).unwrap_or("/rooms")))
        }
        Registered::NameTaken => {
            const TAKEN: &str =
                "Somebody has this name already, or one that looks like it. Choose another";
            again(&app, &form, Problems::one("name", TAKEN))
        }
    }
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

fn again(app: &AppState, form: &RegisterForm, problems: Problems) -> PageResult {
    let page = RegisterPage::new(app, &form.name, &form.next, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
