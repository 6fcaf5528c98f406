//! Backing up the database while it is in use.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};

/// The reason why a database was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The file exists already, or cannot be created or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The database cannot be read, or the copy cannot be written.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Copies a consistent snapshot of the database to a new file. Writers do not wait for the copy.
///
/// # Errors
/// When the file exists already or cannot be written. An incomplete copy is deleted.
pub async fn copy_to(database: &DatabaseConnection, file: &Path) -> Result<(), CopyError> {
    // The file is restricted to its owner before any data is in it. SQLite treats an empty file as a new
    // database.
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    let copied = fill_copy(database, file, &created).await;
    if copied.is_err() {
        drop(std::fs::remove_file(file));
    }
    copied
}

async fn fill_copy(
    database: &DatabaseConnection,
    file: &Path,
    created: &File,
) -> Result<(), CopyError> {
    // SQLite does not take a path that starts with a slash for a URI.
    let path = std::path::absolute(file)?;
    let path = path
        .to_str()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let backend = database.get_database_backend();
    let copy = Statement::from_sql_and_values(backend, "VACUUM INTO ?", [path.into()]);
    database.execute_raw(copy).await?;
    // VACUUM INTO does not sync the new file to disk.
    created.sync_all()?;
    Ok(())
}
