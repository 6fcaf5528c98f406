//! `mirage check` and `mirage health`: what is wrong or risky, before people notice.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use sea_orm::{ConnectionTrait, Database};

use crate::postgres::{Pooler, PostgresDatabase, PostgresServer};
use crate::program::{Running, printed, program, run};
use crate::redis_server::RedisServer;

/// The lines of a check, without those that depend on the machine.
fn lines(output: &Output) -> Vec<String> {
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    let depends = |line: &&str| !line.contains("swap space") && !line.contains("open files");
    said.lines().filter(depends).map(str::to_owned).collect()
}

/// Runs a check that must find something wrong, and returns the lines that say so.
#[track_caller]
fn errors(folder: &Path, flags: &[&str]) -> Vec<String> {
    let output = run(folder, &[&["check"], flags].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let mut lines = lines(&output);
    lines.retain(|line| line.starts_with("error: "));
    lines
}

/// Runs a check that finds nothing wrong, and returns the risks.
#[track_caller]
fn risks(folder: &Path, flags: &[&str]) -> Vec<String> {
    let output = run(folder, &[&["check"], flags].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut lines = lines(&output);
    lines.retain(|line| !line.starts_with("ok: "));
    lines
}

fn has(lines: &[String], part: &str) -> bool {
    lines.iter().any(|line| line.contains(part))
}

fn database_flag(file: &Path) -> String {
    format!("--database-url=sqlite://{}", file.display())
}

#[test]
fn a_new_machine_is_fine_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();

    let output = run(folder.path(), &["check"]);

    assert!(output.status.success(), "{output:?}");
    let lines = lines(&output);
    assert!(
        lines.iter().all(|line| line.starts_with("ok: ")),
        "{lines:?}"
    );
    assert!(
        has(&lines, "will create the tables of the database"),
        "{lines:?}"
    );
    assert!(has(&lines, "will create the secret file"), "{lines:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_running_server_is_asked_whether_it_is_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), &[]);
    let bind = format!("--bind={}", running.browser.address);

    let output = run(folder.path(), &["check", &bind]);
    let health = printed(folder.path(), &["health", &bind]);
    running.stop("-TERM");
    let gone = run(folder.path(), &["health", &bind]);

    assert!(output.status.success(), "{output:?}");
    let lines = lines(&output);
    assert!(has(&lines, "a healthy server answers"), "{lines:?}");
    assert!(
        has(&lines, "is whole: 0 users, 0 rooms, 0 memberships"),
        "{lines:?}"
    );
    assert_eq!(health, "ok\n");
    assert_eq!(gone.status.code(), Some(1));
    let said = String::from_utf8(gone.stderr).unwrap();
    assert!(said.contains("no server answers at 127.0.0.1"), "{said}");
}

#[test]
fn what_would_keep_a_server_from_starting_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("letter.db"), "Dear database, ".repeat(1000)).unwrap();
    std::fs::write(path("short.key"), "secret").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_flag = format!("--bind={}", taken.local_addr().unwrap());
    // It answers nothing and hangs up.
    let answers = std::thread::spawn(move || drop(taken.accept().unwrap()));

    for (flag, names) in [
        (database_flag(&path("letter.db")), "letter.db"),
        (database_flag(&path("missing.db")), "no Mirage database"),
        (
            "--redis-url=redis://127.0.0.1:1".to_owned(),
            "cannot use the Redis of --redis-url",
        ),
        (
            format!("--secret-file={}", path("short.key").display()),
            "short.key",
        ),
        (
            format!("--secret-file={}", path("letter.db/x").display()),
            "letter.db/x",
        ),
        (format!("--assets={}", path("nowhere").display()), "nowhere"),
        (format!("--about={}", path("nowhere").display()), "nowhere"),
        ("--log=[nonsense".to_owned(), "--log"),
        (taken_flag, "listens at 127.0.0.1"),
    ] {
        let errors = errors(folder.path(), &[&flag]);

        assert_eq!(errors.len(), 1, "{flag}: {errors:?}");
        assert!(errors[0].contains(names), "{errors:?}");
    }
    answers.join().unwrap();
}

#[test]
fn a_setting_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();

    let output = program(folder.path(), &["check"])
        .env("MIRAGE_MAX_MESSAGES", "many")
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("error: ") && lines[0].contains("--max-messages"),
        "{lines:?}"
    );
}

#[test]
fn risky_settings_are_told_apart_from_wrong_ones() {
    let folder = tempfile::tempdir().unwrap();
    let https = "--public-url=https://chat.example.org";

    for (flags, says) in [
        (&[https][..], "--trusted-proxies is not set"),
        (
            &["--public-url=http://chat.example.org"],
            "--public-url is not https",
        ),
        (&["--trusted-proxies=127.0.0.1"], "--public-url is not set"),
        (&[https, "--trusted-proxies=0.0.0.0/0"], "trusts everybody"),
        (
            &[https, "--trusted-proxies=127.0.0.1", "--bind=0.0.0.0:0"],
            "all addresses",
        ),
        (&["--limits=off"], "--limits is off"),
        (&["--metrics-bind=0.0.0.0:9464"], "--metrics-bind"),
    ] {
        let risks = risks(folder.path(), flags);

        assert_eq!(risks.len(), 1, "{flags:?}: {risks:?}");
        assert!(
            risks[0].starts_with("risk: ") && risks[0].contains(says),
            "{risks:?}"
        );
    }
    assert!(risks(folder.path(), &[https, "--trusted-proxies=127.0.0.1"]).is_empty());
}

#[test]
fn a_secret_that_others_can_read_or_that_is_lost_is_a_risk() {
    let folder = tempfile::tempdir().unwrap();
    Running::start(folder.path(), &[]).stop("-TERM");
    let secret = folder.path().join("data/mirage.key");
    assert!(risks(folder.path(), &[]).is_empty());

    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o640)).unwrap();
    let readable = risks(folder.path(), &[]);
    std::fs::remove_file(&secret).unwrap();
    let lost = risks(folder.path(), &[]);

    assert!(has(&readable, "chmod 600"), "{readable:?}");
    assert!(has(&lost, "everybody has to sign in again"), "{lost:?}");
}

#[actix_web::test]
async fn a_backup_is_verified_without_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), &[]);
    for name in ["ada", "bob"] {
        let form = [("name", name), ("password", crate::support::PASSWORD)];
        let browser = crate::support::Browser::new(&running.browser.address);
        browser.post("/register", &form).await.assert_status(303);
        browser.create_public_room(&format!("{name}'s")).await;
    }
    let copy = folder.path().join("copy.db");
    printed(folder.path(), &["backup", "copy.db"]);
    running.stop("-TERM");
    let flag = database_flag(&copy);
    let before = std::fs::read(&copy).unwrap();

    let output = run(folder.path(), &["check", &flag]);

    assert!(output.status.success(), "{output:?}");
    assert!(
        has(&lines(&output), "is whole: 2 users, 2 rooms, 2 memberships"),
        "{output:?}"
    );
    assert_eq!(std::fs::read(&copy).unwrap(), before);

    let database = Database::connect(format!("sqlite://{}", copy.display()))
        .await
        .unwrap();
    let newest =
        "DELETE FROM seaql_migrations WHERE version = (SELECT max(version) FROM seaql_migrations)";
    database.execute_unprepared(newest).await.unwrap();
    assert!(has(
        &risks(folder.path(), &[&flag]),
        "the next start will migrate the database (1 migrations)"
    ));
    let newer = "INSERT INTO seaql_migrations VALUES ('m29990101_000001_the_future', 0)";
    database.execute_unprepared(newer).await.unwrap();
    assert!(has(
        &errors(folder.path(), &[&flag]),
        "m29990101_000001_the_future"
    ));
    let orphan = "PRAGMA foreign_keys = OFF; UPDATE rooms SET owner_id = 99";
    database.execute_unprepared(orphan).await.unwrap();
    assert!(has(
        &errors(folder.path(), &[&flag]),
        "rows of rooms refer to rows that do not exist"
    ));
    database.close().await.unwrap();
    let mut bytes = before;
    for byte in bytes.iter_mut().skip(4096 * 3).take(4096 * 4) {
        *byte = 0;
    }
    std::fs::write(&copy, bytes).unwrap();
    assert!(has(&errors(folder.path(), &[&flag]), "copy.db"));
}

#[actix_web::test]
async fn a_database_that_a_server_could_not_write_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    Running::start(folder.path(), &[]).stop("-TERM");
    let file = folder.path().join("data/mirage.db");
    let database = PostgresDatabase::migrated().await;
    database
        .execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$")
        .await;

    for url in [
        format!("sqlite://{}?mode=ro", file.display()),
        database.url(),
    ] {
        let errors = errors(folder.path(), &["--database-url", &url]);

        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with("error: a server cannot write to the database"));
    }
}

#[actix_web::test]
async fn a_postgresql_database_is_examined_without_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let checked = |url: &str| {
        let output = run(folder.path(), &["check", "--database-url", url]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        lines(&output)
    };
    let database = PostgresDatabase::empty().await;

    let empty = checked(&database.url());
    let still_empty = checked(&database.url());
    Running::start(folder.path(), &["--database-url", &database.url()]).stop("-TERM");
    let served = checked(&database.url());
    let newest =
        "DELETE FROM seaql_migrations WHERE version = (SELECT max(version) FROM seaql_migrations)";
    database.execute(newest).await;
    let older = checked(&database.url());
    database
        .execute("INSERT INTO seaql_migrations VALUES ('m29990101_000001_the_future', 0)")
        .await;
    let newer = errors(folder.path(), &["--database-url", &database.url()]);

    for lines in [&empty, &still_empty] {
        assert!(
            has(lines, "will create the tables of the database"),
            "{lines:?}"
        );
    }
    for lines in [&empty, &served] {
        assert!(
            lines.iter().all(|line| line.starts_with("ok: ")),
            "{lines:?}"
        );
        assert!(
            has(lines, "the notifications of PostgreSQL arrive"),
            "{lines:?}"
        );
    }
    assert!(
        has(&served, "can be used: 0 users, 0 rooms, 0 memberships"),
        "{served:?}"
    );
    assert!(
        has(
            &older,
            "risk: the next start will migrate the database (1 migrations)"
        ),
        "{older:?}"
    );
    assert!(has(&newer, "m29990101_000001_the_future"), "{newer:?}");
}

#[actix_web::test]
async fn a_postgresql_that_a_server_would_refuse_is_an_error_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let database = PostgresDatabase::migrated().await;
    let server = PostgresServer::start();
    server
        .execute(
            "postgres",
            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0",
        )
        .await;
    let pooler = Pooler::start("transaction");

    for (url, says) in [
        (
            "postgres://mirage:open-sesame@127.0.0.1:1/mirage".to_owned(),
            "cannot use the database",
        ),
        (server.url("nowhere"), "does not exist"),
        (server.url("latin"), "has the encoding LATIN1"),
        (database.url_at(pooler.port), "pool_mode = session"),
    ] {
        let errors = errors(folder.path(), &["--database-url", &url]);

        assert!(has(&errors, says), "{url}: {errors:?}");
        assert!(!has(&errors, "open-sesame"), "{errors:?}");
    }
}

#[test]
fn redis_is_asked_for_what_a_server_demands() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start();
    let saving = RedisServer::with(&["--save", "3600 1"]);
    let evicting = RedisServer::with(&["--maxmemory-policy", "allkeys-lru"]);
    let secured = RedisServer::with(&["--requirepass", "open-sesame"]);

    let output = run(folder.path(), &["check", &redis.flag()]);
    let trusted = risks(folder.path(), &[&redis.flag(), "--redis-persistence=trust"]);

    assert!(output.status.success(), "{output:?}");
    let said = lines(&output);
    assert!(
        has(
            &said,
            "ok: Redis answers, and keeps what it holds in its memory only"
        ),
        "{said:?}"
    );
    assert!(has(&trusted, "--redis-persistence is trust"), "{trusted:?}");
    for (redis, says) in [
        (&saving, "set save"),
        (&evicting, "set maxmemory-policy noeviction"),
        (&secured, "NOAUTH"),
    ] {
        let errors = errors(folder.path(), &[&redis.flag()]);

        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains(says), "{errors:?}");
    }
}

#[test]
fn a_link_to_another_host_without_tls_is_a_risk() {
    let folder = tempfile::tempdir().unwrap();

    // No such host exists (RFC 6761), so that each is also an error.
    for (flag, says) in [
        (
            "--redis-url=redis://:open-sesame@redis.invalid",
            "use rediss://",
        ),
        (
            "--database-url=postgres://mirage:open-sesame@db.invalid/mirage",
            "set sslmode=verify-full",
        ),
    ] {
        let output = run(folder.path(), &["check", flag]);

        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let mut lines = lines(&output);
        assert!(!has(&lines, "open-sesame"), "{lines:?}");
        lines.retain(|line| line.starts_with("risk: "));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(says), "{lines:?}");
    }
}
