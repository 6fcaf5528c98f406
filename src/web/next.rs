//! Checks `next`, the page to show after signing in: only pages of this site are allowed.

use actix_web::dev::ResourceDef;

/// The pages that `next` may lead to.
pub struct NextPages(Vec<ResourceDef>);

impl NextPages {
    /// Allows the pages at these route patterns.
    #[must_use]
    pub fn at(patterns: impl IntoIterator<Item = &'static str>) -> Self {
        Self(patterns.into_iter().map(ResourceDef::new).collect())
    }

    /// Returns `next`, as sent in an address or a form, if it leads to a page of this site.
    ///
    /// Accepts only paths that match a route, so no address that a browser could take for another site.
    #[must_use]
    pub fn safe<'a>(&self, next: &'a str) -> Option<&'a str> {
        let path = path_of(next);
        let is_plain = next
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        (is_plain && self.0.iter().any(|page| page.is_match(path))).then_some(next)
    }

    /// Returns `next`, or the page one level above it if `next` is only the target of a form.
    #[must_use]
    pub fn page_at_or_above<'a>(&self, next: &'a str) -> Option<&'a str> {
        self.safe(next).or_else(|| {
            let (above, _) = path_of(next).rsplit_once('/')?;
            self.safe(above)
        })
    }
}

fn path_of(address: &str) -> &str {
    let end = address.find(['?', '#']);
    end.and_then(|end| address.get(..end)).unwrap_or(address)
}
