//! One or several processes of a site, which a test kills or restarts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mirage::clock::Stopwatch;
use reqwest::RequestBuilder;
use tempfile::TempDir;

use crate::program::Running;
use crate::support::Page;

/// How long a request, a start or a stop may take before a test treats it as hung.
pub const HUNG: Duration = Duration::from_secs(60);

/// The processes of a site, with their files in one folder.
pub struct Site {
    pub folder: TempDir,
    pub flags: Vec<String>,
    pub processes: Vec<Option<Running>>,
    pub addresses: Arc<Addresses>,
}

/// Where the processes can be reached now.
#[derive(Default)]
pub struct Addresses {
    of_processes: Mutex<Vec<String>>,
    /// The number of requests that a process took and did not answer.
    cut: AtomicUsize,
}

impl Addresses {
    /// The address of a process, counted round and round.
    pub fn of(&self, number: usize) -> String {
        let addresses = self.of_processes.lock().unwrap();
        addresses[number % addresses.len()].clone()
    }

    pub fn all(&self) -> Vec<String> {
        self.of_processes.lock().unwrap().clone()
    }

    /// The number of requests until now that a process took and did not answer.
    pub fn cut(&self) -> usize {
        self.cut.load(Ordering::SeqCst)
    }

    /// Asks one process after the other until one answers, as a load balancer and `room.js` do. Returns the page, and the
    /// number of the process.
    pub async fn ask(
        &self,
        first: usize,
        request: impl Fn(&str) -> RequestBuilder,
    ) -> (Page, usize) {
        let asking = async {
            for number in first.. {
                let address = self.of(number);
                match request(&format!("http://{address}")).send().await {
                    Ok(response) => {
                        let (status, headers) = (response.status(), response.headers().clone());
                        // A process that is killed in the middle of an answer has given none.
                        if let Ok(body) = response.text().await {
                            let page = Page {
                                status,
                                headers,
                                body,
                            };
                            return (page, number);
                        }
                    }
                    // A process that is away refuses.
                    Err(error) if error.is_connect() => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Err(_) => {}
                }
                self.cut.fetch_add(1, Ordering::SeqCst);
            }
            unreachable!("numbers do not end")
        };
        let answered = tokio::time::timeout(HUNG, asking).await;
        answered.unwrap_or_else(|_| panic!("no process answers"))
    }
}

impl Site {
    /// Starts as many processes with these flags.
    pub async fn start(count: usize, flags: &[String]) -> Self {
        let mut site = Self {
            folder: tempfile::tempdir().unwrap(),
            flags: flags.to_vec(),
            processes: Vec::new(),
            addresses: Arc::default(),
        };
        for _ in 0..count {
            let running = site.spawn().await;
            let address = running.browser.address.clone();
            site.addresses.of_processes.lock().unwrap().push(address);
            site.processes.push(Some(running));
        }
        site
    }

    async fn spawn(&self) -> Running {
        let (folder, flags) = (self.folder.path().to_owned(), self.flags.clone());
        let starting = tokio::task::spawn_blocking(move || {
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            Running::start(&folder, &flags)
        });
        tokio::time::timeout(HUNG, starting).await.unwrap().unwrap()
    }

    /// Ends a process by a signal. Returns its exit code and its log.
    pub async fn end(&mut self, number: usize, signal: &'static str) -> (Option<i32>, String) {
        let running = self.processes[number].take().unwrap();
        let ending = tokio::task::spawn_blocking(move || running.stop(signal));
        tokio::time::timeout(HUNG, ending).await.unwrap().unwrap()
    }

    /// Starts a process in the place of one that has ended. Returns the time to its first answer.
    pub async fn start_again(&mut self, number: usize) -> Duration {
        let watch = Stopwatch::start();
        let running = self.spawn().await;
        let answer = tokio::time::timeout(HUNG, running.browser.get("/healthz")).await;
        answer.unwrap().assert_status(200);
        let address = running.browser.address.clone();
        self.addresses.of_processes.lock().unwrap()[number] = address;
        self.processes[number] = Some(running);
        watch.elapsed()
    }

    /// Ends a process by a signal, and starts another in its place. Returns the exit code and the log of the one that ended.
    pub async fn replace(&mut self, number: usize, signal: &'static str) -> (Option<i32>, String) {
        let ended = self.end(number, signal).await;
        self.start_again(number).await;
        ended
    }
}
