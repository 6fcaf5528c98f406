//! Names the commit that a release build was made from, for `mirage --version`.
//!
//! `MIRAGE_COMMIT` names it where there is no repository, as in a container's build. Without either, as in a build from
//! a tarball, the version stands alone. A development build names none: each commit would build all tests again.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo talks to build scripts through the environment"
)]

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=MIRAGE_COMMIT");
    let given = std::env::var("MIRAGE_COMMIT").ok();
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = given
        .filter(|commit| !commit.is_empty())
        .or_else(|| is_release.then(commit_of_repository).flatten());
    let version = env!("CARGO_PKG_VERSION");
    let version = match commit {
        Some(commit) => format!("{version} ({commit})"),
        None if is_release => version.to_owned(),
        None => format!("{version} (development build)"),
    };
    println!("cargo:rustc-env=MIRAGE_VERSION={version}");
}

/// Returns the commit that is checked out here, and has the program built again when another one is. Returns `None`
/// in a tarball, even if it was unpacked in the repository of something else.
fn commit_of_repository() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = env!("CARGO_MANIFEST_DIR");
    if Path::new(&top).canonicalize().ok()? != Path::new(here).canonicalize().ok()? {
        return None;
    }
    // HEAD changes with the branch, and its log with each commit.
    for name in ["HEAD", "logs/HEAD"] {
        let file = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&file).exists() {
            println!("cargo:rerun-if-changed={file}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
