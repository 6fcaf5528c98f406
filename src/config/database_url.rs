//! The URL of a database.

use std::fmt;
use std::str::FromStr;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};

/// The query parameters of a PostgreSQL URL. A wrongly spelled one would be passed over, and leave a link without TLS.
const POSTGRES_PARAMETERS: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "options",
    "statement-cache-capacity",
];

/// The URL of a database. What it displays never has a password in it.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// An SQLite file, or an SQLite database in memory.
    Sqlite(String),
    /// A database of a PostgreSQL server.
    Postgres(Box<PgConnectOptions>),
}

impl DatabaseUrl {
    /// Returns whether the database is one of a PostgreSQL server.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Returns the host of a PostgreSQL server if it is another machine, and nothing proves that it is the right one:
    /// the link is plain, or its certificate is not checked.
    #[must_use]
    pub fn unproved_host(&self) -> Option<&str> {
        let Self::Postgres(options) = self else {
            return None;
        };
        let is_here = options.get_socket().is_some()
            || options.get_host().starts_with('/')
            || is_loopback(options.get_host());
        let is_proved = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
        (!is_here && !is_proved).then(|| options.get_host())
    }
}

/// Returns whether a host is this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("sqlite:") {
            return Ok(Self::Sqlite(text.to_owned()));
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err("expected a URL that starts with sqlite:, such as sqlite://data/mirage.db?mode=rwc, or with postgres://, such as postgres://mirage@db.example.org/mirage?sslmode=verify-full".to_owned());
        }
        let query = text.split_once('?').map_or("", |(_, query)| query);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let key = parameter.split_once('=').map_or(parameter, |(key, _)| key);
            if !POSTGRES_PARAMETERS.contains(&key) && !key.starts_with("options[") {
                return Err(format!("{key} is not a parameter of a PostgreSQL URL"));
            }
        }
        let options: PgConnectOptions = text
            .parse()
            .map_err(|error| format!("not a PostgreSQL URL: {error}"))?;
        if options.get_database().is_none() {
            return Err(
                "the URL of a PostgreSQL server ends with the name of a database".to_owned(),
            );
        }
        Ok(Self::Postgres(Box::new(options)))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(url) => f.write_str(url),
            Self::Postgres(options) => {
                let (user, port) = (options.get_username(), options.get_port());
                let database = options.get_database().unwrap_or_default();
                match options.get_socket() {
                    Some(socket) => {
                        let socket = socket.display();
                        write!(f, "postgres://{user}@:{port}/{database}?host={socket}")
                    }
                    None => {
                        let host = options.get_host();
                        write!(f, "postgres://{user}@{host}:{port}/{database}")
                    }
                }
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> DatabaseUrl {
        text.parse().unwrap()
    }

    #[test]
    fn no_password_is_displayed() {
        for url in [
            "postgres://ada:s3cret@db.example.org/mirage",
            "postgresql://ada:s3cret@db.example.org:5432/mirage?sslmode=require",
            "postgres://db.example.org/mirage?user=ada&password=s3cret",
        ] {
            let url = parse(url);

            let shown = "postgres://ada@db.example.org:5432/mirage";
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn a_wrong_parameter_is_refused() {
        for url in [
            "postgres://db.example.org/mirage?sslmod=verify-full",
            "postgres://db.example.org/mirage?sslmode=sometimes",
            "postgres://db.example.org:99999/mirage",
            "postgres://db.example.org",
            "mysql://db.example.org/mirage",
        ] {
            assert!(url.parse::<DatabaseUrl>().is_err(), "{url}");
        }
    }

    #[test]
    fn only_another_machine_has_to_prove_itself() {
        for (url, host) in [
            ("sqlite://data/mirage.db", None),
            ("postgres://ada@localhost/mirage", None),
            ("postgres://ada@127.0.0.1/mirage", None),
            ("postgres://ada@[::1]/mirage", None),
            ("postgres:///mirage?host=/run/postgresql&user=ada", None),
            ("postgres://ada@db/mirage?sslmode=verify-full", None),
            ("postgres://ada@db/mirage?sslmode=require", Some("db")),
            ("postgres://ada@10.0.0.7/mirage", Some("10.0.0.7")),
        ] {
            assert_eq!(parse(url).unproved_host(), host, "{url}");
        }
    }
}
