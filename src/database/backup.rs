//! Copying the database while it is in use.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};

/// Why there is no copy of a database.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The file is there, or cannot be made or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The database cannot be read, or its copy not be written.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Copies the database, as it is at one moment, to a new file. Who writes does not wait for it.
///
/// # Errors
/// When the file is there, or cannot be written. A part of a copy is not left behind.
pub async fn copy_to(database: &DatabaseConnection, file: &Path) -> Result<(), CopyError> {
    // For its owner only before anything is in it. SQLite takes a file that is empty for a new one.
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    let copied = fill_copy(database, file, &made).await;
    if copied.is_err() {
        drop(std::fs::remove_file(file));
    }
    copied
}

async fn fill_copy(
    database: &DatabaseConnection,
    file: &Path,
    made: &File,
) -> Result<(), CopyError> {
    // What begins with a slash is no URI to SQLite.
    let path = std::path::absolute(file)?;
    let path = path
        .to_str()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let backend = database.get_database_backend();
    let copy = Statement::from_sql_and_values(backend, "VACUUM INTO ?", [path.into()]);
    database.execute_raw(copy).await?;
    // SQLite leaves that to the operating system.
    made.sync_all()?;
    Ok(())
}
