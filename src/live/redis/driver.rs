//! Keeps the link to Redis connected, and proves four times a second that it is alive.
//!
//! A connection can be dead for long before its operating system says so, and a subscription is silent by nature. So
//! each process publishes a word of its own, which must come back through its subscription. What was published
//! before the word was heard before it comes back, so that a request that must know all until now waits for the next word.
//! The script that publishes the word also keeps the site's time.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubStream};
use redis::{AsyncConnectionConfig, Client, Msg, RedisError, RedisResult, Script, cmd};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::checks::{self, Refused};
use super::keys::Keys;
use super::link::{BEAT, Link, Open, Session, is_cut};
use super::peers::GREETING;
use crate::clock::{Clock, SiteClock, millis};
use crate::config::{Persistence, RedisConfig, RedisUrl};
use crate::domain::{SiteTime, Timestamp};

/// The time between two looks at whether the link is down.
const WATCH: Duration = Duration::from_millis(50);
/// The shortest and the longest pause between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// The longest wait for the answers to a greeting, if the link's timeout is not shorter. Redis may hold a connection whose
/// process is cut off, and counts it as one that hears.
const GREETING_TIME: Duration = Duration::from_secs(1);
/// How many channels are subscribed to in one command.
const CHANNELS_AT_ONCE: usize = 500;

/// Raises the site's time, publishes a word, and returns the site's time, which never goes back, and when the memory of the
/// site began: now, if there is none. Says to the other processes that this one is alive, if its name is passed.
///
/// A full Redis refuses no write after one that takes something out, and what has expired could not be freed without the
/// link.
const BEAT_SCRIPT: &str = "
local mark = redis.call('GET', KEYS[1])
if not mark and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('UNLINK', KEYS[2])
  redis.call('SET', KEYS[2], ARGV[6])
end
mark = tonumber(mark or '0')
local own = tonumber(ARGV[1])
if own > mark then
  redis.call('UNLINK', KEYS[1])
  redis.call('SET', KEYS[1], ARGV[1])
  mark = own
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
if ARGV[5] ~= '' then
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
return {mark, redis.call('GET', KEYS[2])}
";

/// The reason why a link was not made, as a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The URL is wrong, or Redis cannot be reached.
    #[error("cannot use the Redis of --redis-url: {0}")]
    Redis(#[from] RedisError),
    /// Redis does not answer in time.
    #[error("the Redis of --redis-url does not answer within --link-timeout")]
    Silent,
    /// Redis is set in a way that is not safe.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// The task that keeps a link connected. Without it, the link ends with its first session.
pub struct Driver {
    link: Arc<Link>,
    client: Client,
    persistence: Persistence,
    clock: Arc<SiteClock>,
    beat: Script,
    channels: Channels,
    /// The number of sessions until now.
    sessions: u64,
    connected: Option<Connected>,
}

/// The channels that the driver itself hears.
struct Channels {
    /// Where processes say that they are alive. All of the site hear it, so that Redis can tell whether others run.
    everyone: String,
    /// This process's words.
    words: String,
    /// What processes tell all others.
    told: String,
    /// What the channels of answers begin with. The name of the process that told something follows.
    answers: String,
    /// The answers to this process.
    own_answers: String,
}

/// What the driver itself heard.
enum Heard {
    /// The word that it waits for.
    OwnWord,
    /// The greeting was answered by the process with this name.
    Greeted(String),
    /// Another message for the driver, which was taken.
    Taken,
    /// A message on another channel.
    Other,
}

/// A session that the driver listens in.
struct Connected {
    session: Session,
    commands: MultiplexedConnection,
    stream: PubSubStream,
}

/// A word that has not come back.
struct Word {
    number: u64,
    text: String,
    /// When it was sent, by the link's stopwatch in milliseconds.
    sent_at: u64,
}

/// The site's time, and when its memory began.
type BeatAnswer = (i64, Option<i64>);

type Beat = Pin<Box<dyn Future<Output = RedisResult<BeatAnswer>> + Send>>;

impl Link {
    /// Connects to Redis, asks whether it is safe, and takes over the site's time. `site` is the site's key.
    ///
    /// # Errors
    /// When Redis cannot be reached, or is set in a way that is not safe.
    pub async fn connect(
        url: &RedisUrl,
        config: &RedisConfig,
        site: &str,
        clock: Arc<SiteClock>,
    ) -> Result<(Arc<Self>, Driver), LinkError> {
        let link = Arc::new(Self::new(Keys::new(site), config.link_timeout));
        let mut driver = Driver {
            client: Client::open(url.connection()?)?,
            persistence: config.redis_persistence,
            clock,
            beat: Script::new(BEAT_SCRIPT),
            channels: Channels::of(&link),
            sessions: 0,
            connected: None,
            link: Arc::clone(&link),
        };
        driver.connect().await?;
        Ok((link, driver))
    }
}

/// Asks a Redis whether a server would use it. Changes nothing there.
///
/// # Errors
/// When Redis cannot be reached, or is set in a way that is not safe.
pub async fn ask(url: &RedisUrl, config: &RedisConfig) -> Result<(), LinkError> {
    let limit = config.link_timeout;
    let client = Client::open(url.connection()?)?;
    let asked = async {
        let mut commands = connect_commands(&client, limit).await?;
        checks::life_of(&mut commands, config.redis_persistence).await??;
        Ok(())
    };
    // As long as a session may take to begin.
    timeout(limit * 2, asked).await.or(Err(LinkError::Silent))?
}

/// Opens a connection for commands, each of which may take `limit`.
async fn connect_commands(client: &Client, limit: Duration) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limit))
        .set_response_timeout(Some(limit));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

impl Channels {
    fn of(link: &Link) -> Self {
        let (keys, name) = (link.keys(), link.peers().name());
        let answers = keys.site("answers:");
        Self {
            everyone: keys.site("words"),
            words: keys.site(&format!("words:{name}")),
            told: keys.site("told"),
            own_answers: format!("{answers}{name}"),
            answers,
        }
    }
}

impl Driver {
    /// Listens, and connects again after each error and each silence. Runs until aborted.
    pub async fn run(mut self) {
        let link = Arc::clone(&self.link);
        let watch = async {
            let mut ticks = interval(WATCH);
            loop {
                ticks.tick().await;
                link.watch();
            }
        };
        tokio::select! {
            () = watch => {}
            () = self.keep_connected() => {}
        }
    }

    async fn keep_connected(&mut self) {
        let mut pause = PAUSES.0;
        let mut last_error = String::new();
        loop {
            if let Some(connected) = self.connected.take() {
                let why = self.listen(connected).await;
                self.link.end();
                tracing::warn!(why, "link to Redis was cut");
                pause = PAUSES.0;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
            match self.connect().await {
                Ok(()) => {
                    last_error.clear();
                    tracing::info!("link to Redis is up again");
                }
                Err(error) => {
                    // One line for each kind of trouble, not one for each attempt.
                    let error = error.to_string();
                    if error != last_error {
                        tracing::error!(error, "cannot connect to Redis");
                        last_error = error;
                    }
                }
            }
        }
    }

    /// Begins a session: connects, asks whether Redis is safe, hears all channels, and waits until the first word has
    /// come back.
    async fn connect(&mut self) -> Result<(), LinkError> {
        // Each step may take as long as one command, and there are few.
        let limit = self.link.timeout() * 2;
        let connected = timeout(limit, self.begin()).await;
        self.connected = Some(connected.or(Err(LinkError::Silent))??);
        Ok(())
    }

    async fn begin(&mut self) -> Result<Connected, LinkError> {
        let client = self.client.clone();
        let mut commands = connect_commands(&client, self.link.timeout()).await?;
        let life = checks::life_of(&mut commands, self.persistence).await??;
        // The first time, other processes may know the site's time better than this one.
        let follows = self.sessions == 0 && self.others_run(&mut commands).await?;
        let (mut sink, mut stream) = client.get_async_pubsub().await?.split();
        let own = [
            &self.channels.everyone,
            &self.channels.words,
            &self.channels.told,
            &self.channels.own_answers,
        ];
        sink.subscribe(&own).await?;
        for channels in self.link.heard_channels().chunks(CHANNELS_AT_ONCE) {
            sink.subscribe(channels).await?;
        }
        self.greet(&mut commands, &mut stream).await?;
        let own_time = if follows {
            SiteTime(0)
        } else {
            self.clock.site_time()
        };
        let (word, beat) = self.speak(own_time, true, commands.clone());
        let mark = self.note_memory(beat.await?);
        if follows && mark != SiteTime(0) {
            self.clock.set(mark);
        } else {
            self.clock.raise(mark);
        }
        // Nobody waits for what comes before the word: what a process holds is older than this session.
        while let Some(message) = stream.next().await {
            if let Heard::OwnWord = self.take(&message, Some(&word.text), &commands) {
                break;
            }
        }
        self.sessions += 1;
        let session = Session {
            number: self.sessions,
            life,
        };
        let open = Open {
            session,
            commands: commands.clone(),
            sink,
        };
        self.link.begin(open, word.sent_at);
        Ok(Connected {
            session,
            commands,
            stream,
        })
    }

    /// Returns whether other processes of this site run. Redis knows without a clock: they listen for words.
    async fn others_run(&self, commands: &mut MultiplexedConnection) -> RedisResult<bool> {
        let mut command = cmd("PUBSUB");
        command.arg("NUMSUB").arg(&self.channels.everyone);
        let (_, listeners): (String, u64) = command.query_async(commands).await?;
        Ok(listeners > 0)
    }

    /// Greets the other processes, and waits for their answers.
    async fn greet(
        &self,
        commands: &mut MultiplexedConnection,
        stream: &mut PubSubStream,
    ) -> RedisResult<()> {
        let mut publish = cmd("PUBLISH");
        publish.arg(&self.channels.told);
        publish.arg(self.link.peers().message(GREETING, ""));
        let hearing: usize = publish.query_async(commands).await?;
        // This process hears it, too.
        let others = hearing.saturating_sub(1);
        let mut answered = HashSet::new();
        let is_answered = async {
            while answered.len() < others
                && let Some(message) = stream.next().await
            {
                if let Heard::Greeted(name) = self.take(&message, None, commands) {
                    answered.insert(name);
                }
            }
        };
        let limit = self.link.timeout().min(GREETING_TIME);
        // Who does not answer is cut off.
        drop(timeout(limit, is_answered).await);
        Ok(())
    }

    /// Takes a message on a channel of the driver's own. `word` is the one that it waits for.
    fn take(&self, message: &Msg, word: Option<&str>, commands: &MultiplexedConnection) -> Heard {
        let (channel, payload) = (message.get_channel_name(), message.get_payload_bytes());
        let (peers, now) = (self.link.peers(), self.link.time());
        if channel == self.channels.words {
            if word.is_some_and(|word| word.as_bytes() == payload) {
                return Heard::OwnWord;
            }
        } else if channel == self.channels.everyone {
            peers.hear_alive(payload, now);
        } else if channel == self.channels.told {
            if let Some((asker, number)) = peers.hear_message(payload, now) {
                self.answer(&asker, number, commands.clone());
            }
        } else if channel == self.channels.own_answers {
            if let Some((name, GREETING)) = peers.hear_answer(payload, now) {
                return Heard::Greeted(name);
            }
        } else {
            return Heard::Other;
        }
        Heard::Taken
    }

    /// Answers what another process told, in a task of its own.
    fn answer(&self, asker: &str, number: u64, mut commands: MultiplexedConnection) {
        let mut publish = cmd("PUBLISH");
        publish.arg(format!("{}{asker}", self.channels.answers));
        publish.arg(self.link.peers().answer(number));
        tokio::spawn(async move {
            // If the connection is cut, the words notice, and the other process waits no longer than for them.
            drop(publish.query_async::<()>(&mut commands).await);
        });
    }

    /// Notes when Redis's memory began, and returns the site's time.
    fn note_memory(&self, (mark, began_at): BeatAnswer) -> SiteTime {
        self.link.set_memory_began_at(began_at.map(Timestamp));
        SiteTime(mark)
    }

    /// Publishes a word, and raises the site's time to `own_time`. The beat returns the site's time. `says_alive`: also says
    /// to the other processes that this one is alive.
    fn speak(
        &self,
        own_time: SiteTime,
        says_alive: bool,
        mut commands: MultiplexedConnection,
    ) -> (Word, Beat) {
        let number = self.link.next_word();
        let word = Word {
            number,
            text: number.to_string(),
            sent_at: self.link.time(),
        };
        let script = self.beat.clone();
        let (time, began) = (
            self.link.keys().site("time"),
            self.link.keys().site("began"),
        );
        let now = self.clock.now();
        let (channel, text) = (self.channels.words.clone(), word.text.clone());
        let everyone = self.channels.everyone.clone();
        let name = if says_alive {
            self.link.peers().name().to_owned()
        } else {
            String::new()
        };
        let beat = Box::pin(async move {
            let mut beat = script.key(time);
            beat.key(began);
            beat.arg(own_time.0).arg(channel).arg(text);
            beat.arg(everyone).arg(name).arg(now.0);
            beat.invoke_async(&mut commands).await
        });
        (word, beat)
    }

    fn say(
        &self,
        says_alive: bool,
        commands: &MultiplexedConnection,
    ) -> (Option<Word>, Option<Beat>) {
        let (word, beat) = self.speak(self.clock.site_time(), says_alive, commands.clone());
        (Some(word), Some(beat))
    }

    /// Hears channels until there is an error or silence. Returns why.
    async fn listen(&mut self, connected: Connected) -> &'static str {
        let Connected {
            session,
            commands,
            mut stream,
        } = connected;
        let link = Arc::clone(&self.link);
        let limit = millis(link.timeout());
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let broken = link.broken(session);
        tokio::pin!(broken);
        let mut heard_at = link.time();
        let mut word: Option<Word> = None;
        let mut beat: Option<Beat> = None;
        // A tick came while a word was on its way: the next one says that this process is alive.
        let mut says_alive = false;
        loop {
            tokio::select! {
                message = stream.next() => {
                    let Some(message) = message else {
                        return "the subscription ended";
                    };
                    heard_at = link.time();
                    let awaited = word.as_ref().map(|own| own.text.as_str());
                    match self.take(&message, awaited, &commands) {
                        Heard::OwnWord => {
                            if let Some(own) = word.take() {
                                link.hear_everything_until(own.sent_at);
                                link.hear_word(own.number);
                            }
                        }
                        Heard::Other => {
                            link.dispatch(message.get_channel_name(), message.get_payload_bytes());
                        }
                        Heard::Greeted(_) | Heard::Taken => {}
                    }
                }
                answer = answer_of(&mut beat) => {
                    beat = None;
                    match answer {
                        Ok(answer) => self.clock.raise(self.note_memory(answer)),
                        Err(error) if is_cut(&error) => return "a word was not sent",
                        Err(error) => tracing::error!(%error, "Redis refused a word"),
                    }
                }
                _ = ticks.tick() => {
                    let now = link.time();
                    if now.saturating_sub(heard_at) >= limit {
                        return "silence";
                    }
                    if word.as_ref().is_some_and(|own| now.saturating_sub(own.sent_at) >= limit * 2) {
                        return "a word did not come back";
                    }
                    if word.is_none() && beat.is_none() {
                        (word, beat) = self.say(true, &commands);
                        says_alive = false;
                    } else {
                        says_alive = true;
                    }
                }
                () = link.word_wanted(), if word.is_none() && beat.is_none() => {
                    (word, beat) = self.say(says_alive, &commands);
                    says_alive = false;
                }
                () = &mut broken => return "a command was not answered",
            }
        }
    }
}

/// Waits for the answer to a beat, if there is one.
async fn answer_of(beat: &mut Option<Beat>) -> RedisResult<BeatAnswer> {
    match beat {
        Some(beat) => beat.await,
        None => std::future::pending().await,
    }
}
