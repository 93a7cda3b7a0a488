//! Health checks: whether a dyno that listens also answers as its app.json asks.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use slugline_model::app_json::HealthCheck;
use slugline_model::dyno::DynoState;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::clock;
use crate::db;
use crate::dynos::Dyno;
use crate::events::UP;
use crate::platform::Platform;

/// How much of an answer is read at most (bytes): its status is in the first line.
const HEAD: u64 = 4_096;

impl Platform {
    /// The health check of the release that a dyno runs, if there is one.
    fn health_check(&self, dyno: &Dyno) -> Option<HealthCheck> {
        let found = self.inner.db.read(|db| {
            let Some(app) = db::app::find(db, dyno.app.as_str())? else { return Ok(None) };
            let release = db::release::find(db, app.id, &dyno.release.to_string())?;
            let Some(slug) = release.and_then(|release| release.slug_id) else { return Ok(None) };
            Ok(db::slug::find(db, slug)?.and_then(|slug| slug.manifest.health_check))
        });
        found.unwrap_or_else(|error| {
            tracing::error!(?error, "a health check could not be read");
            None
        })
    }

    /// Whether a dyno has to answer before it serves.
    pub(crate) fn has_health_check(&self, dyno: &Dyno) -> bool {
        self.health_check(dyno).is_some()
    }

    /// Begins to ask a dyno, if its app declares a health check. It serves once it has answered,
    /// and is stopped as one that crashed if it does not.
    pub(crate) fn check_health(&self, dyno: &Dyno) -> bool {
        let Some(check) = self.health_check(dyno) else { return false };
        let (platform, dyno) = (self.clone(), dyno.clone());
        tokio::spawn(async move { platform.ask_until_healthy(&dyno, &check).await });
        true
    }

    async fn ask_until_healthy(&self, dyno: &Dyno, check: &HealthCheck) {
        let mut found = String::new();
        for attempt in 1..=check.tries() {
            if attempt > 1 {
                tokio::time::sleep(check.pause()).await;
            }
            if !self.is_starting(dyno) {
                return;
            }
            found = match self.ask(dyno, check).await {
                Ok(()) => {
                    if self.is_up(dyno, clock::now()) {
                        self.say(&dyno.app, &dyno.name.to_string(), UP);
                    }
                    return;
                }
                Err(found) => found,
            };
            let HealthCheck { path, attempts, .. } = check;
            let text = format!("Health check {path}, {attempt} of {attempts}: {found}");
            self.say(&dyno.app, &dyno.name.to_string(), text);
        }
        self.fail_check(dyno, check, &found).await;
    }

    fn is_starting(&self, dyno: &Dyno) -> bool {
        let dynos = self.dynos();
        dynos.alive.get(&dyno.id).is_some_and(|dyno| dyno.state == DynoState::Starting)
    }

    /// It booted, and is not healthy: R10 is the nearest of Heroku's codes.
    async fn fail_check(&self, dyno: &Dyno, check: &HealthCheck, found: &str) {
        if !self.is_starting(dyno) {
            return;
        }
        let error = crate::events::error_line(slugline_model::code::Code::R10);
        let text = format!("{error} -> Health check {} failed: {found}", check.path);
        self.say(&dyno.app, &dyno.name.to_string(), text);
        self.note_code(dyno.id, Some("R10"));
        if let Some(dyno) = self.dynos().alive.get_mut(&dyno.id) {
            dyno.failed = true;
        }
        self.stop(dyno.id).await;
    }

    /// Asks once; gives what is wrong.
    async fn ask(&self, dyno: &Dyno, check: &HealthCheck) -> Result<(), String> {
        let Some(port) = dyno.port else { return Ok(()) };
        let host = format!("{}.{}", dyno.app, self.inner.config.domain);
        // Apps that insist on TLS redirect whoever did not come by it.
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Slugline health check\r\n\
             X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n",
            check.path
        );
        let id = dyno.id;
        let dialed = self.blocking(move |inner| inner.engine.dial(id)).await;
        let socket = dialed.map_err(|error| format!("{error}: {}", error.source))?;
        let answer = tokio::time::timeout(check.patience(), exchange(socket, port, request)).await;
        match answer {
            Err(_) => Err(format!("no answer within {}", seconds(check.patience()))),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(status)) => match status.parse::<u16>() {
                Ok(200..=299) => Ok(()),
                _ => Err(format!("it answered {status}, and 200 to 299 is healthy")),
            },
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// Sends a request and gives the status of the answer.
async fn exchange(socket: std::os::fd::OwnedFd, port: u16, request: String) -> io::Result<String> {
    let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
    let mut stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    let mut answer = (&mut stream).take(HEAD);
    while !head.contains(&b'\n') && answer.read_buf(&mut head).await? > 0 {}
    let line = String::from_utf8_lossy(&head);
    let line = line.lines().next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    status.map(str::to_owned).ok_or_else(|| io::Error::other("its answer is not HTTP"))
}
