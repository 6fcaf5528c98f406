//! Create a room: its name, public or private, and a password if private.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::domain::{Lifespan, RoomName, RoomPassword};
use crate::services::rooms::{self, Created, Kind};
use crate::urls::room_done_url;
use crate::web::answers::{html, html_with, or_retry_form, see_other};
use crate::web::error::PageResult;
use crate::web::forms::{Fields, OwnForm, Problems};
use crate::web::layout::{Layout, NavPage};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "new_room.html")]
struct NewRoomPage<'a> {
    layout: Layout<'a>,
    name: &'a str,
    kind: &'a str,
    lifespan: Lifespan,
    nonce: String,
    problems: Problems,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NewRoomForm {
    name: String,
    kind: String,
    password: String,
    nonce: String,
}

impl Fields for NewRoomForm {
    const TYPED: &'static [(&'static str, &'static str)] = &[("name", "Room name")];
}

impl NewRoomForm {
    fn parse(&self) -> Result<(RoomName, Kind), Problems> {
        let mut problems = Problems::default();
        let name = problems.take("name", RoomName::parse(&self.name));
        let kind = match self.kind.as_str() {
            "public" if self.password.is_empty() => Some(Kind::Public),
            // Text browsers preselect "public", so a password without a choice means a private room was wanted.
            "public" => {
                problems.add(
                    "kind-public",
                    "A public room has no password. Choose Private, or clear the password",
                );
                None
            }
            "private" => problems
                .take("password", RoomPassword::parse(&self.password))
                .map(Kind::Private),
            _ => {
                problems.add(
                    "kind-public",
                    "Choose whether the room is public or private",
                );
                None
            }
        };
        name.zip(kind).ok_or(problems)
    }
}

/// Shows the page. **Who:** signed-in users. **Answers:** the form.
pub async fn show(state: Data<WebState>, user: CurrentUser) -> PageResult {
    html(&page(
        &state,
        &user,
        &NewRoomForm::default(),
        Problems::default(),
    ))
}

/// Creates a room. A form that is sent again leads to the room that it has created.
///
/// **Who:** signed-in users. **Answers:** 303 to the room, or the form again with 422, 429 or 503.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    form: OwnForm<NewRoomForm>,
) -> PageResult {
    let show_again = |problems| {
        html_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            &page(&state, &user, &form, problems),
        )
    };
    or_retry_form(
        create(&state, &user, &form, show_again).await,
        "name",
        show_again,
    )
}

async fn create(
    state: &WebState,
    user: &CurrentUser,
    form: &NewRoomForm,
    show_again: impl FnOnce(Problems) -> PageResult,
) -> PageResult {
    let (name, kind) = match form.parse() {
        Ok(parsed) => parsed,
        Err(problems) => return show_again(problems),
    };
    let turn = state
        .core
        .form_turn(&form.nonce, Some(user.user_id))
        .await?;
    if turn.made().is_some() {
        // Comparing the room's password takes a hash.
        state.core.limits.change(user.user_id).await?;
        let created = rooms::created_before(&state.core, &turn, user.user_id, &name, &kind);
        if let Some(room) = created.await? {
            return Ok(see_other(room_done_url(room, "created")));
        }
    }
    state.core.limits.new_room(user.user_id).await?;
    match rooms::create(&state.core, &turn, user.user_id, name, kind).await? {
        Created::Room(room) => Ok(see_other(room_done_url(room, "created"))),
        Created::NameTaken => {
            const TAKEN: &str = "Another room has this name, or one that looks too similar. Choose a different name";
            show_again(Problems::one("name", TAKEN))
        }
        Created::OwnsTooMany => {
            let most = state.core.config.rooms_per_person;
            let sentence = format!(
                "You own {most} rooms, which is the maximum. Delete one or make someone else its owner first"
            );
            show_again(Problems::one("name", sentence))
        }
        Created::TooManyPublic => {
            const MANY: &str =
                "This server has the maximum number of public rooms. Make this room private";
            show_again(Problems::one("kind-public", MANY))
        }
    }
}

fn page<'a>(
    state: &'a WebState,
    user: &'a CurrentUser,
    form: &'a NewRoomForm,
    problems: Problems,
) -> NewRoomPage<'a> {
    NewRoomPage {
        layout: Layout::new(state, Some(user), NavPage::NewRoom),
        name: &form.name,
        kind: &form.kind,
        lifespan: Lifespan(state.core.config.message_lifespan),
        nonce: state
            .core
            .nonces
            .keep_or_make(&form.nonce, Some(user.user_id)),
        problems,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::web::Query;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_form_keeps_its_values_and_parses_or_names_the_wrong_fields(
            name in any::<String>(),
            kind in prop_oneof![any::<String>(), Just("public".to_owned()), Just("private".to_owned())],
            password in prop_oneof![any::<String>(), Just(String::new())],
        ) {
            let typed = [("name", &name), ("kind", &kind), ("password", &password)];
            let sent = reqwest::Url::parse_with_params("http://a/", typed).unwrap();

            // A query string has the same encoding as a form.
            let form = Query::<NewRoomForm>::from_query(sent.query().unwrap()).unwrap();

            prop_assert_eq!((&form.name, &form.kind, &form.password), (&name, &kind, &password));
            match form.parse() {
                Ok((_, Kind::Public)) => prop_assert!(kind == "public" && password.is_empty()),
                Ok((_, Kind::Private(_))) => prop_assert_eq!(kind, "private"),
                Err(problems) => {
                    let fields = ["name", "password", "kind-public"];
                    prop_assert!(!problems.is_empty());
                    prop_assert!(problems.all().iter().all(|(field, _)| fields.contains(field)));
                }
            }
        }

        #[test]
        fn parsing_an_arbitrary_body_never_panics(
            body in prop_oneof![
                any::<String>(),
                "(name|kind|password|x|%[0-9a-fA-F]{0,2}|[=&+;]|\\PC){0,20}",
            ],
        ) {
            // An invalid form names its problems, and nothing panics.
            if let Ok(form) = Query::<NewRoomForm>::from_query(&body)
                && let Err(problems) = form.parse()
            {
                prop_assert!(!problems.is_empty());
            }
        }
    }
}
