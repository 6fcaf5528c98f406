//! What a browser is called in words, for people to tell theirs apart.
//!
//! Of the crates that read the header `User-Agent`, woothee knows the browsers of 2021, and the
//! others compile hundreds of patterns from a file that one must bring and keep current. Here a name
//! and a system are enough, and nothing but a list that people read depends on them.

use std::fmt;

/// A browser and what it runs on, as far as it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Browser {
    name: Option<&'static str>,
    system: Option<&'static str>,
}

/// What is in a browser's `User-Agent`, and what people call it. Most name the browsers whose pages
/// they want to be sent, so those that are named by others come last.
const NAMES: [(&str, &str); 42] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("OPiOS/", "Opera"),
    ("Opera", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex Browser"),
    ("UCBrowser/", "UC Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("PaleMoon/", "Pale Moon"),
    ("SeaMonkey/", "SeaMonkey"),
    ("Focus/", "Firefox Focus"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("Epiphany/", "GNOME Web"),
    ("Falkon/", "Falkon"),
    ("qutebrowser/", "qutebrowser"),
    ("Konqueror/", "Konqueror"),
    ("Konqueror;", "Konqueror"),
    ("Ladybird/", "Ladybird"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("MSIE ", "Internet Explorer"),
    ("Trident/", "Internet Explorer"),
    ("NetSurf/", "NetSurf"),
    ("Dillo/", "Dillo"),
    ("Lynx/", "Lynx"),
    ("w3m/", "w3m"),
    ("ELinks", "ELinks"),
    ("Links (", "Links"),
    ("edbrowse/", "Edbrowse"),
    ("Emacs/", "Emacs"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
];

/// The same for systems: those of phones name the ones that they were made from.
const SYSTEMS: [(&str, &str); 13] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("iPod", "iPod"),
    ("KAIOS/", "KaiOS"),
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("CrOS ", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("NetBSD", "NetBSD"),
    ("Haiku", "Haiku"),
    ("Linux", "Linux"),
];

impl Browser {
    /// The browser that sends this `User-Agent`.
    #[must_use]
    pub fn of(user_agent: &str) -> Self {
        let said = |words: &[(&str, &'static str)]| {
            let found = words.iter().find(|(sign, _)| user_agent.contains(sign));
            found.map(|(_, word)| *word)
        };
        Self {
            name: said(&NAMES),
            system: said(&SYSTEMS),
        }
    }
}

/// `Firefox on Linux`, `Lynx`, `Unknown browser on Android`.
impl fmt::Display for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.unwrap_or("Unknown browser"))?;
        match self.system {
            Some(system) => write!(f, " on {system}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(user_agent: &str) -> String {
        Browser::of(user_agent).to_string()
    }

    #[test]
    fn browsers_with_windows_are_told_apart() {
        for (user_agent, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/142.0.0.0 Safari/537.36",
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like \
                 Gecko) Version/26.1 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like \
                 Gecko) Chrome/141.0.0.0 Safari/537.36 OPR/125.0.0.0",
                "Opera on macOS",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/142.0.0.0 Safari/537.36",
                "Chrome on ChromeOS",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/16.0 Safari/605.1.15 Epiphany/605.1.15",
                "GNOME Web on Linux",
            ),
            (
                "Mozilla/5.0 (X11; FreeBSD amd64; rv:145.0) Gecko/20100101 Firefox/145.0",
                "Firefox on FreeBSD",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
                "Internet Explorer on Windows",
            ),
        ] {
            assert_eq!(words(user_agent), expected, "{user_agent}");
        }
    }

    #[test]
    fn browsers_of_phones_are_told_apart() {
        for (user_agent, expected) in [
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) FxiOS/145.0 Mobile/15E148 Safari/605.1.15",
                "Firefox on iPhone",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
                 Gecko) CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1",
                "Chrome on iPad",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/142.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                 SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            (
                "Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0",
                "Firefox on Android",
            ),
            (
                "Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5",
                "Firefox on KaiOS",
            ),
        ] {
            assert_eq!(words(user_agent), expected, "{user_agent}");
        }
    }

    #[test]
    fn text_browsers_are_told_apart() {
        for (user_agent, expected) in [
            (
                "Lynx/2.9.2 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.8.9",
                "Lynx",
            ),
            ("w3m/0.5.3+git20230121", "w3m"),
            (
                "Links (2.30; Linux 6.12.0 x86_64; GNU C 14.2; text)",
                "Links on Linux",
            ),
            (
                "ELinks/0.18.0 (textmode; Linux 6.12.0 x86_64; 120x40-2)",
                "ELinks on Linux",
            ),
            ("URL/Emacs Emacs/30.1 (X11; x86_64-pc-linux-gnu)", "Emacs"),
        ] {
            assert_eq!(words(user_agent), expected, "{user_agent}");
        }
    }

    #[test]
    fn what_a_browser_does_not_say_is_unknown() {
        assert_eq!(words(""), "Unknown browser");
        assert_eq!(words("<b>Firefox</b>"), "Unknown browser");
        assert_eq!(
            words("Mozilla/5.0 (Linux; Android 15; Pixel 9)"),
            "Unknown browser on Android"
        );
    }
}
