//! What is wrong with a form, for the summary above it and beside its fields.

use std::borrow::Cow;

use serde::Deserialize;

use crate::domain::Mistake;

/// A form that is nothing but its button.
///
/// Pages take it all the same, so that what is no form is refused.
#[derive(Debug, Deserialize)]
pub struct Button {}

/// The problems of a form, in the order of its fields.
#[derive(Debug, Default)]
pub struct Problems(Vec<(&'static str, Cow<'static, str>)>);

impl Problems {
    /// One problem, with `field`.
    #[must_use]
    pub fn one(field: &'static str, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self(vec![(field, sentence.into())])
    }

    /// Notes a problem with `field`.
    pub fn add(&mut self, field: &'static str, sentence: impl Into<Cow<'static, str>>) {
        self.0.push((field, sentence.into()));
    }

    /// The value that was parsed from `field`; if it could not be, the problem is noted.
    pub fn take<T>(&mut self, field: &'static str, parsed: Result<T, Mistake>) -> Option<T> {
        parsed.map_err(|mistake| self.add(field, mistake.0)).ok()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sentence about `field`.
    #[must_use]
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(of, _)| *of == field)
            .map(|(_, sentence)| sentence.as_ref())
    }

    /// All of them: field and sentence.
    #[must_use]
    pub fn all(&self) -> &[(&'static str, Cow<'static, str>)] {
        &self.0
    }
}
