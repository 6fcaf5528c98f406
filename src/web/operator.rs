//! The extractors for pages of operators. Everybody else is told that there is no such page.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::services::site_moderation::{self, Actor};
use crate::web::error::AppError;
use crate::web::forms::{Fields, OwnForm};
use crate::web::session::CurrentUser;
use crate::web::state::state;

/// The signed-in operator. Other signed-in people get the answer of a page that does not exist, and visitors are asked
/// to sign in.
pub struct Operator(pub CurrentUser);

/// A form that an operator sends. Its fields are looked at only after [`Operator`] has let its sender pass.
pub struct OperatorForm<T> {
    /// The operator.
    pub operator: CurrentUser,
    /// The form.
    pub form: OwnForm<T>,
}

/// Returns the operator, as acts know them.
#[must_use]
pub fn actor(operator: &CurrentUser) -> Actor {
    Actor {
        id: operator.user_id,
        name: Arc::clone(&operator.user_name),
    }
}

type ExtractFuture<T> = Pin<Box<dyn Future<Output = Result<T, actix_web::Error>>>>;

impl Operator {
    async fn of(request: &HttpRequest) -> Result<Self, AppError> {
        let user = CurrentUser::extract(request).await?;
        // The role comes with a new session only. Asks the database each time all the same, so that who is no longer an
        // operator is shown nothing more.
        if user.is_operator
            && site_moderation::is_operator(&state(request).core, user.user_id).await?
        {
            Ok(Self(user))
        } else {
            Err(AppError::NotFound)
        }
    }
}

impl FromRequest for Operator {
    type Error = actix_web::Error;
    type Future = ExtractFuture<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(Self::of(&request).await?) })
    }
}

impl<T: Fields> FromRequest for OperatorForm<T> {
    type Error = actix_web::Error;
    type Future = ExtractFuture<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let form = OwnForm::<T>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let Operator(operator) = Operator::of(&request).await?;
            Ok(Self {
                operator,
                form: form.await?,
            })
        })
    }
}
