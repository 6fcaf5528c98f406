//! The settings of a room.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::domain::{Audience, Description, Language, Lifespan, Role, RoomId, RoomName, SlowMode};
use crate::live::rooms::Room;
use crate::services::room_settings::{self, Changed, Settings};
use crate::urls::room_settings_done_url;
use crate::web::answers::{html, html_with, or_retry_form, see_other};
use crate::web::error::PageResult;
use crate::web::forms::{Fields, OwnForm, Problems};
use crate::web::guards::room_with_role;
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// The form's value for the longest lifespan that the server allows.
const LONGEST: &str = "longest";

#[derive(Template)]
#[template(path = "room_settings.html")]
struct RoomSettingsPage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    form: &'a RoomSettingsForm,
    longest: Lifespan,
    done: Option<&'static str>,
    problems: Problems,
}

impl RoomSettingsPage<'_> {
    /// Returns the lifespans to choose from: value and label.
    fn lifespans(&self) -> Vec<(String, String)> {
        let shorter = Lifespan::CHOICES
            .into_iter()
            .filter(|choice| *choice < self.longest)
            .map(|choice| (lifespan_value(choice), choice.to_string()));
        let longest = format!("{} (maximum)", self.longest);
        shorter.chain([(LONGEST.to_owned(), longest)]).collect()
    }

    /// Returns the slow modes to choose from: value and label.
    fn slow_modes(&self) -> Vec<(String, String)> {
        let words = |choice: SlowMode| match choice {
            SlowMode::OFF => "Off".to_owned(),
            slow => slow.to_string(),
        };
        SlowMode::CHOICES
            .map(|choice| (choice.0.as_secs().to_string(), words(choice)))
            .into()
    }

    /// Returns the languages to choose from.
    fn languages(&self) -> &'static [Language] {
        Language::all()
    }
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RoomSettingsQuery {
    done: String,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RoomSettingsForm {
    name: String,
    description: String,
    lifespan: String,
    #[serde(rename = "slow-mode")]
    slow_mode: String,
    language: String,
    posting: String,
    audience: String,
}

impl Fields for RoomSettingsForm {
    const TYPED: &'static [(&'static str, &'static str)] =
        &[("name", "Room name"), ("description", "Description")];
}

impl RoomSettingsForm {
    /// Creates a form with the room's current settings.
    fn of(room: &Room, longest: Lifespan) -> Self {
        Self {
            name: room.name.clone(),
            description: room.description.clone(),
            lifespan: if room.lifespan < longest {
                lifespan_value(room.lifespan)
            } else {
                LONGEST.to_owned()
            },
            slow_mode: room.slow_mode.0.as_secs().to_string(),
            language: room.language.map_or("", Language::tag).to_owned(),
            posting: room.posting.as_str().to_owned(),
            audience: room.audience().as_str().to_owned(),
        }
    }

    fn parse(&self, longest: Lifespan) -> Result<Settings, Problems> {
        let mut problems = Problems::default();
        let name = problems.take("name", RoomName::parse(&self.name));
        let description = problems.take("description", Description::parse(&self.description));
        let lifespan = match self.lifespan.as_str() {
            LONGEST => Some(None),
            word => Lifespan::CHOICES
                .into_iter()
                .find(|choice| lifespan_value(*choice) == word && *choice <= longest)
                .map(Some),
        };
        let language = match self.language.as_str() {
            "" => Some(None),
            tag => Language::parse(tag).map(Some),
        };
        let slow_mode = SlowMode::parse(&self.slow_mode);
        let posting = self.posting.parse().ok();
        let choices = [
            (
                lifespan.is_none(),
                "lifespan",
                "Choose how long messages last",
            ),
            (
                slow_mode.is_none(),
                "slow-mode",
                "Choose how long people have to wait",
            ),
            (
                language.is_none(),
                "language",
                "Choose a language from the list",
            ),
            (
                posting.is_none(),
                "posting-everyone",
                "Choose who can write",
            ),
        ];
        for (is_missing, field, sentence) in choices {
            if is_missing {
                problems.add(field, sentence);
            }
        }
        match (name, description, lifespan, slow_mode, language, posting) {
            (
                Some(name),
                Some(description),
                Some(lifespan),
                Some(slow_mode),
                Some(language),
                Some(posting),
            ) => Ok(Settings {
                name,
                description,
                lifespan,
                slow_mode,
                language,
                posting,
            }),
            _ => Err(problems),
        }
    }
}

/// Shows the page. **Who:** the owner. **Answers:** the form, and links to the actions that need confirmation.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    room: Path<RoomId>,
    query: Query<RoomSettingsQuery>,
) -> PageResult {
    let room = room_with_role(&state, &user, *room, Role::Owner).await?;
    let longest = Lifespan(state.core.config.message_lifespan);
    html(&RoomSettingsPage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        form: &RoomSettingsForm::of(&room, longest),
        room: &room,
        longest,
        done: match query.done.as_str() {
            "saved" => Some("Settings saved"),
            "password" => Some("Room password changed"),
            "private" => Some("The room is now private"),
            "public" => Some("The room is now public"),
            "cleared" => Some("All messages deleted"),
            _ => None,
        },
        problems: Problems::default(),
    })
}

/// Saves the settings. **Who:** the owner. **Answers:** 303 to the page, or the form again with 422, 429
/// or 503.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    room: Path<RoomId>,
    form: OwnForm<RoomSettingsForm>,
) -> PageResult {
    let room = room_with_role(&state, &user, *room, Role::Owner).await?;
    let longest = Lifespan(state.core.config.message_lifespan);
    let show_in = |room: &Room, problems| {
        let page = RoomSettingsPage {
            layout: Layout::new(&state, Some(&user), NavPage::Other),
            room,
            form: &form,
            longest,
            done: None,
            problems,
        };
        html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    let show_again = |problems| show_in(&room, problems);
    let settings = match form.parse(longest) {
        Ok(settings) => settings,
        Err(problems) => return show_again(problems),
    };
    let save = async {
        state.core.limits.change(user.user_id).await?;
        let audience = Audience::parse(&form.audience);
        let saved =
            room_settings::save(&state.core, room.id, user.user_id, settings, audience).await?;
        match saved {
            Changed::PublicNow => {
                const PUBLIC: &str = "This room is public now: everyone can see the description. Check it, then save again";
                let room = room_with_role(&state, &user, room.id, Role::Owner).await?;
                show_in(&room, Problems::one("description", PUBLIC))
            }
            Changed::NameTaken => {
                const TAKEN: &str = "Another room has this name, or one that looks too similar. Choose a different name";
                show_again(Problems::one("name", TAKEN))
            }
            changed => {
                changed.into_result(room.id)?;
                Ok(see_other(room_settings_done_url(room.id, "saved")))
            }
        }
    };
    or_retry_form(save.await, "name", show_again)
}

/// Returns the form's value for a lifespan: its seconds.
fn lifespan_value(lifespan: Lifespan) -> String {
    lifespan.0.as_secs().to_string()
}
