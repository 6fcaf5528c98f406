//! The problems of a form, for the summary above the form and beside its fields.

use std::borrow::Cow;

use serde::Deserialize;

use crate::domain::Mistake;

/// A form without fields of its own, such as a single button.
///
/// Handlers still extract it, so that a body that is not a form is refused.
#[derive(Debug, Deserialize)]
pub struct EmptyForm {}

/// The problems of a form, in the order of its fields.
#[derive(Debug, Default)]
pub struct Problems(Vec<(&'static str, Cow<'static, str>)>);

impl Problems {
    /// Creates a list with one problem, at `field`.
    #[must_use]
    pub fn one(field: &'static str, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self(vec![(field, sentence.into())])
    }

    /// Adds a problem at `field`.
    pub fn add(&mut self, field: &'static str, sentence: impl Into<Cow<'static, str>>) {
        self.0.push((field, sentence.into()));
    }

    /// Returns the value parsed from `field`, or adds a problem if parsing failed.
    pub fn take<T>(&mut self, field: &'static str, parsed: Result<T, Mistake>) -> Option<T> {
        parsed.map_err(|mistake| self.add(field, mistake.0)).ok()
    }

    /// Returns whether there are no problems.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the sentence about the problem at `field`.
    #[must_use]
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(of, _)| *of == field)
            .map(|(_, sentence)| sentence.as_ref())
    }

    /// Returns all problems: field and sentence.
    #[must_use]
    pub fn all(&self) -> &[(&'static str, Cow<'static, str>)] {
        &self.0
    }
}
