//! Programs beside the tests, such as PostgreSQL and Redis, which end with the test's process, however it ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// Starts a program beside the test, and waits for the end of its own input: the test's end, however it ends. Then
/// stops the program and deletes its folder. Only the program holds its log open, so that its end is the log's. SIGQUIT
/// ends PostgreSQL at once; Redis, and pgbouncer before 1.23, ignore it here, and end at once on SIGTERM.
const KEEPER: &str = r#"
folder=$1
shift
"$@" </dev/null >&2 &
exec 2>/dev/null
read -r _
kill -QUIT $! && { kill -TERM $!; wait $!; }
rm -rf "$folder"
"#;

/// Returns a command that keeps `program`, to which its arguments are to be added, until its own input ends.
pub fn kept(program: &Command, folder: &Path) -> Command {
    let mut keeper = Command::new("sh");
    keeper.args(["-c", KEEPER, "keeper"]).arg(folder);
    keeper.arg(program.get_program()).args(program.get_args());
    keeper
}

/// The keeper of a program, which ends with this value.
pub struct Keeper {
    child: Child,
    /// What the program has logged since it was ready.
    log: Arc<Mutex<String>>,
}

impl Keeper {
    /// What the program has logged since it was ready.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// Starts a program, and returns once its log says that it is ready.
pub fn start(mut program: Command, ready: &str) -> Keeper {
    program.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    wait_until_ready(&mut log, ready);
    // Its log must be read, or the program would wait for its reader.
    let lines = Arc::<Mutex<String>>::default();
    let heard = Arc::clone(&lines);
    std::thread::spawn(move || {
        let mut line = String::new();
        while log.read_line(&mut line).is_ok_and(|length| length > 0) {
            heard.lock().unwrap().push_str(&std::mem::take(&mut line));
        }
    });
    Keeper { child, log: lines }
}

/// Reads the log of a program until it says that it is ready.
fn wait_until_ready(log: &mut impl BufRead, ready: &str) {
    let mut lines = String::new();
    loop {
        let mut line = String::new();
        let length = log.read_line(&mut line).unwrap();
        assert_ne!(length, 0, "the program has ended:\n{lines}");
        if line.contains(ready) {
            return;
        }
        lines.push_str(&line);
    }
}
