//! Runs the operator's commands: checks their usage, asks for confirmation and formats their output. The rules
//! are in [`crate::services::operators`].

pub mod health;

use std::io::{self, BufRead, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sea_orm::DatabaseConnection;

use crate::clock::Clock;
use crate::config::{Address, DatabaseUrl, Deleting, Operation, RoomCommand, Storage, UserCommand};
use crate::core::Fault;
use crate::database::backup::{self, CopyError};
use crate::database::connection::{self, OpenError};
use crate::database::transfer::{self, TransferError};
use crate::services::operators::{self, ListedPerson, ListedRoom, OperatorSet};
use crate::urls::{register_url, reset_url};

/// The reason why a command changed nothing, as a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command was used wrongly.
    #[error("{0}")]
    Usage(&'static str),
    /// No user or room has this name.
    #[error("there is no {what} named {name}")]
    Unknown {
        /// `user` or `room`.
        what: &'static str,
        /// The name as it was typed.
        name: String,
    },
    /// A suspended user cannot become an operator.
    #[error("{0} is suspended: an operator can lift the suspension first")]
    Suspended(String),
    /// The operator did not confirm.
    #[error("nothing was deleted")]
    NotConfirmed,
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database failed.
    #[error("{}", error_chain(.0))]
    Database(#[from] Fault),
    /// The copy of the database cannot be made.
    #[error("cannot copy the database to {}: {error}", file.display())]
    Backup {
        /// The file to create.
        file: PathBuf,
        /// The error of the operating system or the database.
        error: CopyError,
    },
    /// No server answers.
    #[error("no server answers at {address}: {error}")]
    NoAnswer {
        /// The address that was asked.
        address: SocketAddr,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The server answers that it cannot work.
    #[error("the server at {0} is not healthy: its log says why")]
    Unhealthy(SocketAddr),
    /// The rows cannot be copied to another database.
    #[error("cannot copy the database to {to}: {error}")]
    Move {
        /// The URL of the new database.
        to: String,
        /// What went wrong.
        error: TransferError,
    },
    /// The terminal cannot be read.
    #[error("cannot read the answer: {0}")]
    Terminal(#[from] io::Error),
}

/// Returns a fault and its causes in one line.
fn error_chain(fault: &Fault) -> String {
    let chain = std::iter::successors(Some::<&dyn std::error::Error>(fault), |error| {
        error.source()
    });
    chain
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Runs a command, and returns the text to print.
///
/// # Errors
/// When the command failed; then nothing was changed.
pub async fn run(operation: &Operation, clock: &dyn Clock) -> Result<String, CommandError> {
    check_usage(operation)?;
    match operation {
        Operation::Health { address } => ask_health(address.bind),
        Operation::MoveDatabase { to, storage } => move_database(storage, to).await,
        Operation::Backup { file, storage } => {
            let database = connection::open_to_examine(storage).await?;
            with(database, async |database| back_up(database, file).await).await
        }
        Operation::User(command) => {
            let database = connection::open_existing(command.storage()).await?;
            let run = async |database: &_| run_for_users(command, database, clock).await;
            with(database, run).await
        }
        Operation::Room(command) => {
            let database = connection::open_existing(command.storage()).await?;
            let run = async |database: &_| run_for_rooms(command, database, clock).await;
            with(database, run).await
        }
        Operation::SignupLink { address, storage } => {
            let database = connection::open_existing(storage).await?;
            let make = async |database: &_| {
                let link = operators::sign_up_link(database, clock.now()).await?;
                Ok(link_line(address, &register_url(Some(link.as_str()))))
            };
            with(database, make).await
        }
    }
}

/// Does `work` on the database, and closes it.
async fn with(
    database: DatabaseConnection,
    work: impl AsyncFnOnce(&DatabaseConnection) -> Result<String, CommandError>,
) -> Result<String, CommandError> {
    let output = work(&database).await;
    // Committed changes are safe already; closing only tidies up the database's files.
    drop(database.close().await);
    output
}

fn ask_health(address: SocketAddr) -> Result<String, CommandError> {
    match health::ask(address) {
        Ok(true) => Ok("ok\n".to_owned()),
        Ok(false) => Err(CommandError::Unhealthy(address)),
        Err(error) => Err(CommandError::NoAnswer { address, error }),
    }
}

/// Checks for usage errors that are known without the database.
fn check_usage(operation: &Operation) -> Result<(), CommandError> {
    match operation {
        Operation::User(UserCommand::ResetPassword { address, .. })
        | Operation::SignupLink { address, .. }
            if address.public_url.is_none() && address.bind.port() == 0 =>
        {
            Err(CommandError::Usage(
                "a link needs the address of the server: set --public-url or --bind",
            ))
        }
        Operation::User(UserCommand::Delete { deleting, .. })
        | Operation::Room(RoomCommand::Delete { deleting, .. })
            if !deleting.yes && !io::stdin().is_terminal() =>
        {
            Err(CommandError::Usage(
                "cannot ask for confirmation without a terminal: use --yes to delete",
            ))
        }
        Operation::MoveDatabase { to, storage }
            if storage.database_url.is_postgres() || !to.is_postgres() =>
        {
            Err(CommandError::Usage(
                "move-database copies from SQLite to PostgreSQL: set --database-url to the one, and --to to the other",
            ))
        }
        Operation::Backup { storage, .. } if storage.database_url.is_postgres() => {
            Err(CommandError::Usage(
                "PostgreSQL has its own tools for backups: use pg_dump, or archive its write-ahead log",
            ))
        }
        _ => Ok(()),
    }
}

async fn run_for_users(
    command: &UserCommand,
    database: &DatabaseConnection,
    clock: &dyn Clock,
) -> Result<String, CommandError> {
    match command {
        UserCommand::List { .. } => {
            let people = operators::people(database, clock.now()).await?;
            Ok(people.iter().map(person_line).collect())
        }
        UserCommand::ResetPassword { name, address, .. } => {
            let link = operators::reset_link(database, name, clock.now()).await?;
            let link = link.ok_or_else(|| unknown_person(name))?;
            Ok(link_line(address, &reset_url(link.as_str())))
        }
        UserCommand::Delete { name, deleting, .. } => {
            let found = operators::find_person(database, name).await?;
            let (person, stored) = found.ok_or_else(|| unknown_person(name))?;
            let question = format!("Delete the user {stored} and all their messages?");
            confirm(deleting, &question)?;
            // By the id, because the name may have become another person's since the question.
            if !operators::delete_person(database, person, clock.now()).await? {
                return Err(unknown_person(name));
            }
            Ok(format!("Deleted the user {stored}.\n"))
        }
        UserCommand::MakeOperator { name, .. } => {
            let stored = set_operator(database, name, true, clock).await?;
            Ok(format!(
                "{stored} is an operator, from the next sign-in on.\n"
            ))
        }
        UserCommand::RemoveOperator { name, .. } => {
            let stored = set_operator(database, name, false, clock).await?;
            Ok(format!("{stored} is not an operator.\n"))
        }
    }
}

async fn run_for_rooms(
    command: &RoomCommand,
    database: &DatabaseConnection,
    clock: &dyn Clock,
) -> Result<String, CommandError> {
    match command {
        RoomCommand::List { .. } => {
            let rooms = operators::rooms(database).await?;
            Ok(rooms.iter().map(room_line).collect())
        }
        RoomCommand::Delete { name, deleting, .. } => {
            let found = operators::find_room(database, name).await?;
            let (room, stored) = found.ok_or_else(|| unknown_room(name))?;
            let question = format!("Delete the room {stored} and all its messages?");
            confirm(deleting, &question)?;
            if !operators::delete_room(database, room, clock.now()).await? {
                return Err(unknown_room(name));
            }
            Ok(format!("Deleted the room {stored}.\n"))
        }
    }
}

async fn back_up(database: &DatabaseConnection, file: &Path) -> Result<String, CommandError> {
    let copied = backup::copy_to(database, file).await;
    copied.map_err(|error| CommandError::Backup {
        file: file.to_owned(),
        error,
    })?;
    Ok(format!("Copied the database to {}.\n", file.display()))
}

/// Makes a user an operator, or takes that back. Returns the stored name.
async fn set_operator(
    database: &DatabaseConnection,
    name: &str,
    is_operator: bool,
    clock: &dyn Clock,
) -> Result<String, CommandError> {
    match operators::set_operator(database, name, is_operator, clock.now()).await? {
        OperatorSet::Done(stored) => Ok(stored),
        OperatorSet::Suspended(stored) => Err(CommandError::Suspended(stored)),
        OperatorSet::Unknown => Err(unknown_person(name)),
    }
}

/// Copies the rows of an SQLite database to a new PostgreSQL database.
async fn move_database(from: &Storage, to: &DatabaseUrl) -> Result<String, CommandError> {
    // A running server would make changes that are not copied.
    let _lock = connection::lock_file(from)?;
    let old = connection::open_existing(from).await?;
    let new = connection::open_new(to).await?;
    let copied = transfer::copy_all(&old, &new.writer).await;
    for database in [old, new.writer, new.readers] {
        drop(database.close().await);
    }
    let copied = copied.map_err(|error| CommandError::Move {
        to: to.to_string(),
        error,
    })?;
    let mut lines = format!("Copied the database to {to}.\n");
    for copied in copied {
        lines.push_str(&format!("{}\t{}\n", copied.table, copied.rows));
    }
    Ok(lines)
}

fn unknown_person(name: &str) -> CommandError {
    CommandError::Unknown {
        what: "user",
        name: name.to_owned(),
    }
}

fn unknown_room(name: &str) -> CommandError {
    CommandError::Unknown {
        what: "room",
        name: name.to_owned(),
    }
}

fn person_line(person: &ListedPerson) -> String {
    let (name, created_at) = (&person.name, person.created_at.to_rfc3339());
    format!(
        "{name}\t{created_at}\t{}\t{}\t{}\n",
        person.rooms,
        person.sessions,
        person.standing.as_str()
    )
}

fn room_line(room: &ListedRoom) -> String {
    let kind = if room.is_private { "private" } else { "public" };
    let (name, owner) = (&room.name, &room.owner);
    format!("{name}\t{kind}\t{owner}\t{}\n", room.members)
}

fn link_line(address: &Address, path: &str) -> String {
    format!("{}\n", address.url(path))
}

/// Asks for confirmation on the terminal, unless `--yes` was given.
fn confirm(deleting: &Deleting, question: &str) -> Result<(), CommandError> {
    if deleting.yes {
        return Ok(());
    }
    eprint!("{question} This cannot be undone. Type yes to continue: ");
    if reads_yes(&mut io::stdin().lock())? {
        Ok(())
    } else {
        Err(CommandError::NotConfirmed)
    }
}

fn reads_yes(input: &mut impl BufRead) -> io::Result<bool> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim().eq_ignore_ascii_case("yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_yes_confirms() {
        for (answer, is_yes) in [
            ("yes\n", true),
            (" Yes \n", true),
            ("", false),
            ("\n", false),
            ("y\n", false),
            ("no\nyes\n", false),
        ] {
            assert_eq!(
                reads_yes(&mut answer.as_bytes()).unwrap(),
                is_yes,
                "{answer:?}"
            );
        }
    }
}
