//! Line to drain: an app's log, sent on as it comes.
//!
//! A drain is a reader like any other, at its own pace: what it cannot send waits in the app's
//! history, and of a drain that stays closed the oldest lines go, counted by an L10. A batch is
//! sent until it is taken, or refused for good.

mod address;
mod http;
mod syslog;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use slugline_model::code::Code;
use slugline_model::drain::{Delivered, DrainKind, DrainUrl, FRAME, logplex};
use slugline_model::logline::{LogFilter, LogLine, LogSink as _, Source};
use slugline_model::outbound::Outbound;

pub use address::reached;
pub(crate) use address::{addresses, place};

use crate::Hub;
use crate::session::{Session, now};

/// How long a line waits for company.
const TOGETHER: Duration = Duration::from_millis(250);
/// The most lines of a batch.
const LINES: usize = 500;
/// Before the second attempt; twice as long before each one after.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_mins(1);
/// How long the other side may take to connect, and to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where an app's log is to be sent.
#[derive(Debug, Clone)]
pub struct Drain {
    /// The app.
    pub app: String,
    /// Where to.
    pub url: DrainUrl,
    /// What the drain is known by: `d.` and an id.
    pub token: String,
    /// The number of the last line that has arrived; none where it begins with lines to come.
    pub after: Option<u64>,
    /// What may be connected to.
    pub outbound: Outbound,
    /// Told the number of the last line that has arrived, or was refused for good.
    pub arrived: Arc<AtomicU64>,
}

/// Why lines do not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DrainError {
    #[error("{host} is not found")]
    Resolve { host: String, source: std::io::Error },
    #[error("{host} is an address that is not reached for users")]
    Forbidden { host: String },
    #[error("nothing was heard for {} seconds", PATIENCE.as_secs())]
    Silent,
    #[error("it is not connected")]
    Connect(#[source] std::io::Error),
    #[error("the connection broke")]
    Broken(#[source] std::io::Error),
    #[error("its certificate is not trusted")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("it answers {0}")]
    Status(u16),
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    #[error("this machine cannot send")]
    Prepare(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Lines that are sent at once.
struct Batch {
    /// Each with its number.
    lines: Vec<(u64, LogLine)>,
    /// In the form of requests; of syslog each line is framed as it is sent.
    body: String,
}

enum Way {
    Http(http::Requests),
    Syslog(syslog::Connection),
}

impl Hub {
    /// Sends an app's log to a drain for as long as it is polled.
    pub async fn drain(self: Arc<Self>, drain: Drain) {
        let (app, all) = (drain.app.as_str(), LogFilter::default());
        let mut session = match drain.after {
            Some(after) => self.resume(app, all, after, true),
            None => self.session(app, all, 0, true),
        };
        let mut way = Way::to(&drain);
        // The session of a log that is forgotten does not end: whoever forgets it ends the drain.
        while let Some(batch) = Batch::gather(&mut session).await {
            self.deliver(&drain, &mut way, &batch).await;
            let last = batch.lines.last().map_or(0, |(number, _)| *number);
            drain.arrived.fetch_max(last, Ordering::Relaxed);
        }
    }

    /// Sends a batch until it is taken or refused for good.
    async fn deliver(&self, drain: &Drain, way: &mut Way, batch: &Batch) {
        let mut pause = PAUSE;
        let mut told = false;
        loop {
            let error = match way.send(drain, batch).await {
                Ok(Delivered::Yes) => break,
                Ok(Delivered::Refused) => {
                    let lines = batch.lines.len();
                    tracing::warn!(url = %drain.url, lines, "a drain refuses lines for good");
                    break;
                }
                Ok(Delivered::Again) => DrainError::Status(503),
                Err(error) => error,
            };
            if !told {
                self.tell(drain, &error);
                told = true;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
        if told {
            let text = format!("The drain {} takes lines again.", drain.url);
            self.write(&drain.app, of_logplex(text));
        }
    }

    /// Once for each time that a drain closes: its owner looks into the log.
    fn tell(&self, drain: &Drain, error: &DrainError) {
        tracing::warn!(%error, url = %drain.url, app = drain.app, "a drain takes no lines");
        let (url, why) = (&drain.url, in_full(error));
        let text = match error {
            DrainError::Certificate(_) => {
                let (code, what) = (Code::L14.as_str(), Code::L14.description());
                format!("Error {code} ({what}): error=\"{why}\" uri=\"{url}\"")
            }
            _ => format!(
                "The drain {url} takes no lines: {why}. They wait, and it is tried again; of more \
                 than the log keeps, the oldest are dropped."
            ),
        };
        self.write(&drain.app, of_logplex(text));
    }
}

fn of_logplex(text: String) -> LogLine {
    LogLine { time: now(), source: Source::Heroku, process: "logplex".to_owned(), text }
}

/// An error and what is behind it, on one line.
fn in_full(error: &DrainError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text.replace('\n', " ")
}

impl Batch {
    /// What there is, and what comes within a moment.
    async fn gather(session: &mut Session) -> Option<Self> {
        let mut batch = Self { lines: Vec::new(), body: String::new() };
        batch.add(session.next().await?);
        let end = tokio::time::Instant::now() + TOGETHER;
        while batch.lines.len() < LINES && batch.body.len() < FRAME {
            match tokio::time::timeout_at(end, session.next()).await {
                Ok(Some(line)) => batch.add(line),
                Ok(None) | Err(_) => break,
            }
        }
        Some(batch)
    }

    fn add(&mut self, (number, line): (u64, LogLine)) {
        self.body.push_str(&logplex(&line));
        self.lines.push((number, line));
    }
}

impl Way {
    fn to(drain: &Drain) -> Self {
        match drain.url.kind {
            DrainKind::Http | DrainKind::Https => Self::Http(http::Requests::default()),
            DrainKind::Syslog | DrainKind::SyslogTls => Self::Syslog(syslog::Connection::default()),
        }
    }

    async fn send(&mut self, drain: &Drain, batch: &Batch) -> Result<Delivered, DrainError> {
        match self {
            Self::Http(requests) => requests.send(drain, batch).await,
            Self::Syslog(connection) => {
                connection.send(drain, batch).await.map(|()| Delivered::Yes)
            }
        }
    }
}
