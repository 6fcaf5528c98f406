//! The lists of tests that hold for one backend only.

use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn every_test_of_the_lists_exists_and_runs_on_one_backend() {
    let program = std::env::current_exe().unwrap();
    let listed = Command::new(program)
        .args(["--list", "--format=terse"])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut tests: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    let named = [
        include_str!("only_sqlite.txt"),
        include_str!("only_cluster.txt"),
    ];

    for name in named.iter().flat_map(|list| list.lines()) {
        let is_name = !name.is_empty() && !name.starts_with('#');
        // A test in both lists would run nowhere.
        assert!(
            !is_name || tests.remove(name),
            "{name}: no test, or listed twice"
        );
    }
}
