//! The main language of a room.

/// A language that a room can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language {
    tag: &'static str,
    name: &'static str,
}

const fn language(tag: &'static str, name: &'static str) -> Language {
    Language { tag, name }
}

/// The languages that an owner may choose: those with the most writers, under their own names, sorted by tag.
const LANGUAGES: [Language; 48] = [
    language("ar", "العربية"),
    language("bg", "Български"),
    language("bn", "বাংলা"),
    language("ca", "Català"),
    language("cs", "Čeština"),
    language("da", "Dansk"),
    language("de", "Deutsch"),
    language("el", "Ελληνικά"),
    language("en", "English"),
    language("eo", "Esperanto"),
    language("es", "Español"),
    language("et", "Eesti"),
    language("eu", "Euskara"),
    language("fa", "فارسی"),
    language("fi", "Suomi"),
    language("fr", "Français"),
    language("ga", "Gaeilge"),
    language("gl", "Galego"),
    language("he", "עברית"),
    language("hi", "हिन्दी"),
    language("hr", "Hrvatski"),
    language("hu", "Magyar"),
    language("hy", "Հայերեն"),
    language("id", "Bahasa Indonesia"),
    language("it", "Italiano"),
    language("ja", "日本語"),
    language("ka", "ქართული"),
    language("ko", "한국어"),
    language("lt", "Lietuvių"),
    language("lv", "Latviešu"),
    language("nb", "Norsk bokmål"),
    language("nl", "Nederlands"),
    language("pl", "Polski"),
    language("pt", "Português"),
    language("ro", "Română"),
    language("ru", "Русский"),
    language("sk", "Slovenčina"),
    language("sl", "Slovenščina"),
    language("sr", "Српски"),
    language("sv", "Svenska"),
    language("sw", "Kiswahili"),
    language("ta", "தமிழ்"),
    language("th", "ไทย"),
    language("tr", "Türkçe"),
    language("uk", "Українська"),
    language("ur", "اردو"),
    language("vi", "Tiếng Việt"),
    language("zh", "中文"),
];

impl Language {
    /// Returns all languages that an owner may choose, sorted by tag.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &LANGUAGES
    }

    /// Parses a BCP 47 tag from a form or from the database.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        LANGUAGES.into_iter().find(|language| language.tag == tag)
    }

    /// Returns the BCP 47 tag, for the HTML attribute `lang` and the database.
    #[must_use]
    pub fn tag(self) -> &'static str {
        self.tag
    }

    /// Returns the language's name for itself.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_sorted_and_unique() {
        assert!(LANGUAGES.is_sorted_by(|one, next| one.tag < next.tag));
    }

    #[test]
    fn a_language_is_found_by_its_tag() {
        let hebrew = Language::parse("he").unwrap();

        assert_eq!((hebrew.tag(), hebrew.name()), ("he", "עברית"));
        assert_eq!(Language::parse("xx"), None);
    }
}
