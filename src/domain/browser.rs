//! The names of browsers, by which people tell their sessions apart.
//!
//! Among the crates that parse the `User-Agent` header, woothee knows only browsers up to 2021, and the
//! others compile hundreds of patterns from a file that would have to be shipped and kept current. The name
//! of the browser and of the operating system are enough here, and nothing but a list on a page depends on
//! them.

use std::fmt;

/// A browser and its operating system, as far as the `User-Agent` header names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Browser {
    name: Option<&'static str>,
    system: Option<&'static str>,
}

/// Substrings of the `User-Agent` header, and the browser that each of them means. Most browsers also name
/// the browsers that they want to be treated as, so the names that others borrow come last.
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

/// Substrings of the `User-Agent` header, and the operating system that each of them means. Systems of phones
/// also name the system that they are based on, so they come first.
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
    /// Finds the browser that sends this `User-Agent` header.
    #[must_use]
    pub fn from_user_agent(user_agent: &str) -> Self {
        let find = |names: &[(&str, &'static str)]| {
            let found = names
                .iter()
                .find(|(substring, _)| user_agent.contains(substring));
            found.map(|(_, name)| *name)
        };
        Self {
            name: find(&NAMES),
            system: find(&SYSTEMS),
        }
    }
}

/// Formats the browser for people: `Firefox on Linux`, `Lynx`, `Unknown browser on Android`.
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

    fn display(user_agent: &str) -> String {
        Browser::from_user_agent(user_agent).to_string()
    }

    #[test]
    fn graphical_browsers_are_recognized() {
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
            assert_eq!(display(user_agent), expected, "{user_agent}");
        }
    }

    #[test]
    fn phone_browsers_are_recognized() {
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
            assert_eq!(display(user_agent), expected, "{user_agent}");
        }
    }

    #[test]
    fn text_browsers_are_recognized() {
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
            assert_eq!(display(user_agent), expected, "{user_agent}");
        }
    }

    #[test]
    fn an_unrecognized_browser_is_called_unknown() {
        assert_eq!(display(""), "Unknown browser");
        assert_eq!(display("<b>Firefox</b>"), "Unknown browser");
        assert_eq!(
            display("Mozilla/5.0 (Linux; Android 15; Pixel 9)"),
            "Unknown browser on Android"
        );
    }
}
