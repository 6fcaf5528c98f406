//! What opening a database gives: its connections, or the reason why it was not opened.

use std::io;
use std::path::PathBuf;

use sea_orm::{DatabaseConnection, DbErr};

/// A server's connections to its database.
#[derive(Clone)]
pub struct Connections {
    /// Connections that only read. None of them ever waits for a writer.
    pub readers: DatabaseConnection,
    /// Connections that write. On SQLite it is one, because SQLite has one writer at a time: with one connection,
    /// writers wait in the pool, in order, and take no connection from readers.
    pub writer: DatabaseConnection,
}

/// The reason why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database's folder cannot be created.
    #[error("cannot create the database folder {}: {error}", folder.display())]
    Folder {
        /// The path of the folder.
        folder: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The database cannot be opened, migrated or written.
    #[error("cannot use the database {url}: {error}")]
    Database {
        /// The URL of the database.
        url: String,
        /// The error of the database.
        error: DbErr,
    },
    /// No server has created the database yet.
    #[error("no Mirage database at {url}: set --database-url to the database that the server uses")]
    Missing {
        /// The URL of the database.
        url: String,
    },
    /// Another server is using the database.
    #[error("another server is using the database {url}: {advice}")]
    InUse {
        /// The URL of the database.
        url: String,
        /// What the operator can do.
        advice: &'static str,
    },
    /// The lock file beside the database cannot be created or locked.
    #[error("cannot lock {}: {error}", file.display())]
    Lock {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// An older version of Mirage has migrated the database.
    #[error(
        "the database {url} was migrated by an older version of Mirage (before {change}): use that version's commands, or start this version's server once"
    )]
    Older {
        /// The URL of the database.
        url: String,
        /// The first migration that was not applied to the database.
        change: String,
    },
    /// A newer version of Mirage has migrated the database.
    #[error(
        "the database {url} was migrated by a newer version of Mirage ({change}): run that version"
    )]
    Newer {
        /// The URL of the database.
        url: String,
        /// The migration that this version does not know.
        change: String,
    },
    /// The database cannot hold every name.
    #[error("the database {url} has the encoding {encoding}: create it with ENCODING 'UTF8'")]
    Encoding {
        /// The URL of the database.
        url: String,
        /// The database's encoding.
        encoding: String,
    },
    /// This process would not hear of the changes of others.
    #[error("cannot hear the notifications of the database {url}: {reason}")]
    Unheard {
        /// The URL of the database.
        url: String,
        /// What happened instead.
        reason: String,
    },
    /// The new database of a move has tables of its own.
    #[error("the database {url} is not empty: create a new one")]
    NotEmpty {
        /// The URL of the database.
        url: String,
    },
}
