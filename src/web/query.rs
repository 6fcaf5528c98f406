//! The query parameters of a page's address.

use std::collections::HashSet;
use std::future::{Ready, ready};
use std::ops::Deref;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::web::error::AppError;
use crate::web::urlencoded;

/// The maximum number of characters to search for: more than a name can have.
const MAX_SEARCH: usize = 100;

/// Extracts the query parameters as a `T`, whose fields are texts.
///
/// If a parameter occurs more than once, the first counts: [`actix_web::web::Query`] refuses such an address, although it
/// may come from another site's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> Query<T> {
    /// Parses the part of an address after the question mark.
    ///
    /// # Errors
    /// When a parameter cannot be parsed.
    pub fn parse(query: &str) -> Result<Self, AppError> {
        let pairs = || urlencoded::pairs(query.as_bytes());
        if let Ok(all_different) = urlencoded::collect(pairs()) {
            return Ok(Self(all_different));
        }
        let mut seen = HashSet::new();
        let first_of_each = pairs().filter(|(name, _)| seen.insert(name.clone()));
        match urlencoded::collect(first_of_each) {
            Ok(parsed) => Ok(Self(parsed)),
            Err(_) => Err(AppError::BadRequest),
        }
    }
}

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

/// The query parameters of a list that can be searched, and that has several pages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    page: String,
    search: String,
    /// What the reader has just done.
    pub done: String,
}

impl ListQuery {
    /// Returns the number of the page, or 1 if there is none or it is no number.
    #[must_use]
    pub fn page<N: FromStr + From<u8>>(&self) -> N {
        self.page.parse().unwrap_or_else(|_| N::from(1))
    }

    /// Returns what to search for, or nothing. Of a longer text than any name, the beginning: nothing has that in its
    /// name either, and the page repeats it.
    #[must_use]
    pub fn search(&self) -> &str {
        let search = self.search.trim();
        let end = search.char_indices().nth(MAX_SEARCH);
        end.map_or(search, |(end, _)| search.split_at(end).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(default)]
    struct Parameters {
        next: String,
        done: String,
    }

    #[test]
    fn the_first_of_repeated_parameters_counts() {
        for query in [
            "next=a%20b&done=c",
            "next=a+b&next=x&done=c&done=",
            "done=c&other=1&next=a+b&other=2&n%65xt=x",
        ] {
            let parsed = Query::<Parameters>::parse(query).unwrap();
            assert_eq!((&*parsed.next, &*parsed.done), ("a b", "c"), "{query}");
        }
    }
}
