//! A text browser in a terminal and a home folder of its own.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;

/// A running text browser, which writes each page that the test reads into the pipe `printed` in its home folder.
pub struct Terminal {
    program: &'static str,
    home: TempDir,
    /// util-linux's `script`, which provides the terminal and passes on what is typed.
    script: Child,
}

impl Terminal {
    /// Starts `program`, the command of the package of that name, with these arguments, lines on the screen, and files
    /// and pipes in its home folder.
    pub fn start(
        program: &'static str,
        arguments: &str,
        rows: u32,
        files: &[(&str, &str)],
        pipes: &[&str],
    ) -> Self {
        assert_installed(program);
        let home = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let file = home.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        let made = Command::new("mkfifo")
            .arg("printed")
            .args(pipes)
            .current_dir(&home)
            .status()
            .unwrap();
        assert!(made.success(), "mkfifo made no pipes: {made}");
        let shown = File::create(home.path().join("terminal")).unwrap();
        let command = format!(
            "stty rows {rows} cols 120 && exec env -i PATH=\"$PATH\" HOME=\"$PWD\" TMPDIR=\"$PWD\" \
             TERM=vt100 LC_ALL=C.UTF-8 {program} {arguments}"
        );
        let script = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .current_dir(&home)
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(shown)
            .spawn()
            .unwrap();
        Self {
            program,
            home,
            script,
        }
    }

    /// The path of a file or pipe in the home folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Types into the terminal.
    pub fn type_in(&mut self, keys: &str) {
        let mut to = self.script.stdin.as_ref().unwrap();
        to.write_all(keys.as_bytes()).unwrap();
    }

    /// Returns what the browser writes into its pipe. It was told to write before.
    pub async fn printed(&self) -> String {
        let (sender, receiver) = oneshot::channel();
        let pipe = self.path("printed");
        thread::spawn(move || sender.send(fs::read_to_string(pipe)));
        let Ok(printed) = tokio::time::timeout(Duration::from_secs(60), receiver).await else {
            panic!("{} shows no page:\n{}", self.program, self.shown());
        };
        printed.unwrap().unwrap()
    }

    /// Waits for the browser to end. It was told to quit before.
    pub fn wait(mut self) {
        let status = self.script.wait().unwrap();
        assert!(status.success(), "{status}:\n{}", self.shown());
    }

    /// The whole terminal output, for error messages.
    fn shown(&self) -> String {
        let bytes = fs::read(self.path("terminal")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Terminal {
    /// Closes the terminal, which ends the browser if it still runs.
    fn drop(&mut self) {
        drop(self.script.kill());
        drop(self.script.wait());
    }
}

/// Fails with a clear message if the browser is missing, instead of skipping the test.
fn assert_installed(program: &str) {
    match Command::new(program).arg("-version").output() {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!(
                "The text browser {program} is not installed: install its package, as tests/run does."
            )
        }
        Err(error) => panic!("The text browser {program} cannot be run: {error}"),
    }
}
