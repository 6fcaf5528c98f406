//! The commands in the README's part for operators. `deploy/check` runs those that need the package.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use mirage::config;

use crate::postgres::{PostgresServer, certificate_of_localhost, programs};
use crate::program::{Running, run};

/// The commands below this heading, up to the next heading.
fn commands_below(heading: &str) -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let below = readme.split_once(&format!("\n{heading}\n")).unwrap().1;
    let section = below.split("\n#").next().unwrap();
    let blocks = section.split("```sh\n").skip(1);
    let commands = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    commands
        .map(|line| line.split("  ").next().unwrap().trim().to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[test]
fn the_program_knows_the_commands_of_the_readme() {
    let commands = commands_below("## For operators");

    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let parsed = config::Command::parse(words.iter().map(|word| match *word {
            "URL" => "postgres://mirage@db.example.org/mirage",
            word => word,
        }));
        assert!(parsed.is_ok(), "{command}: {:?}", parsed.err());
    }
}

#[test]
fn the_commands_of_the_readme_make_a_database_in_postgresql() {
    let (tls, certificate) = certificate_of_localhost();
    let server = PostgresServer::with_passwords(&[
        "ssl=on",
        &format!("ssl_cert_file={certificate}"),
        &format!("ssl_key_file={}", tls.join("key.pem").display()),
    ]);
    let mut commands = commands_below("### PostgreSQL");
    let serve = commands.pop().unwrap();
    let folder = tempfile::tempdir().unwrap();

    for command in commands {
        let command = command.strip_prefix("sudo -u postgres ").unwrap();
        // Without a terminal, passwords are read from the standard input.
        let mut running = Command::new("setsid")
            .args(["--wait", "sh", "-c", command])
            .env("PATH", format!("{}:/usr/bin:/bin", programs().display()))
            .env("PGHOST", &server.folder)
            .env("PGPORT", server.port.to_string())
            .env("PGUSER", "postgres")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that asks for nothing may have ended already.
        drop(
            running
                .stdin
                .take()
                .unwrap()
                .write_all(b"PASSWORD\nPASSWORD\n"),
        );
        assert!(running.wait().unwrap().success(), "{command}");
    }
    let (setting, name) = serve.rsplit_once(' ').unwrap();
    assert_eq!(name, "mirage");
    let (_, url) = setting.split_once('=').unwrap();
    let host = format!("@localhost:{}/", server.port);
    let url = url.trim_matches('\'').replace("@db.example.org/", &host);
    let url = format!("{url}&sslrootcert={certificate}");
    let wrong = url.replace("PASSWORD", "another");

    let flag = format!("--database-url={url}");
    Running::start(folder.path(), &[&flag]).stop("-TERM");
    let flag = format!("--database-url={wrong}");
    let refused = run(folder.path(), &["--log=off", &flag]);

    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("password authentication failed"), "{said}");
    std::fs::remove_dir_all(tls).unwrap();
}

#[test]
fn the_changelog_keeps_its_form_and_says_of_each_version_whether_it_migrates() {
    let changelog = Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md");
    let changelog = std::fs::read_to_string(changelog).unwrap();
    let versions: Vec<(&str, &str)> = changelog
        .split("\n## [")
        .skip(1)
        .map(|version| version.split_once(']').unwrap())
        .collect();
    let is_semantic = |name: &str| {
        let numbers: Vec<_> = name.split('.').map(str::parse::<u32>).collect();
        numbers.len() == 3 && numbers.iter().all(Result::is_ok)
    };

    assert_eq!(versions[0].0, "Unreleased");
    assert_eq!(versions[1].0, env!("CARGO_PKG_VERSION"));
    assert!(versions[1..].iter().all(|(name, _)| is_semantic(name)));
    for (name, text) in &versions {
        let kinds = text.split("\n### ").skip(1);
        let kinds: Vec<&str> = kinds.map(|kind| kind.lines().next().unwrap()).collect();
        for kind in &kinds {
            let known = [
                "At the upgrade",
                "Added",
                "Changed",
                "Deprecated",
                "Removed",
                "Fixed",
                "Security",
            ];
            assert!(known.contains(kind), "{name}: {kind}");
        }
        // Nothing comes before the first version.
        if *name != "0.1.0" {
            assert_eq!(kinds[0], "At the upgrade", "{name}");
            let says = |answer: &str| text.contains(&format!("- **Migration:** {answer}."));
            assert!(says("yes") || says("no"), "{name}");
        }
    }
}
