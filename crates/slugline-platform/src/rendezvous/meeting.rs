//! One client, from its token to the end of its command.

use std::time::Duration;

use slugline_model::code::Code;
use slugline_model::dyno::{DynoId, ExecRequest, Streams};
use slugline_model::name::{AppName, DynoName};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::marker::whole;
use super::session::{self, Input, Near};
use super::{TO_COME, TOKEN, Waiting};
use crate::platform::Platform;

/// Between the greeting and the first output: Heroku's CLI throws away what comes with the
/// greeting.
const GRACE: Duration = Duration::from_millis(200);

/// How long a client is listened to after the command's end: one that is still sending the end of
/// its input takes a closed connection for a failure.
const LINGER: Duration = Duration::from_millis(700);

/// How long output may still come after the command's end, from what it left running.
const REST: Duration = Duration::from_millis(300);

/// How long neither side may say anything. Heroku: 1 hour.
const IDLE: Duration = Duration::from_hours(1);

/// How long a part of a marker is held back.
const HELD: Duration = Duration::from_millis(500);

/// Between two SIGHUPs to a dyno whose client is gone. Heroku: 5 s.
const HANG_UP_EVERY: Duration = Duration::from_secs(5);

/// How many SIGHUPs there are; what ignores so many means to stay.
const HANG_UPS: u32 = 12;

/// What an input without a terminal ends with.
const END_OF_INPUT: u8 = 0x04;

/// Bytes read at once.
const BUFFER: usize = 16 * 1024;

/// How a meeting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// The command did.
    Ended,
    /// The client left.
    Left,
    /// Neither said anything for too long.
    Idle,
}

/// What is needed of the dyno once its client is gone.
struct Met {
    id: DynoId,
    app: AppName,
    dyno: DynoName,
    /// Whether the command is the dyno's own.
    own: bool,
    has_terminal: bool,
}

impl Platform {
    /// Takes a client that has connected.
    pub(crate) async fn meet_client<S>(self, mut client: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut token = [0; TOKEN];
        // Some clients send no end of the line, so none is waited for.
        if !matches!(timeout(TO_COME, client.read_exact(&mut token)).await, Ok(Ok(_))) {
            return;
        }
        let Some(waiting) = std::str::from_utf8(&token).ok().and_then(|token| self.take(token))
        else {
            return;
        };
        let greeted = client.write_all(b"rendezvous\r\n").await.is_ok();
        let greeted = greeted && client.flush().await.is_ok();
        sleep(GRACE).await;
        let (met, near) = match self.begin(waiting).await {
            Ok(begun) => begun,
            Err(found) => {
                let _ = client.write_all(format!(" !     {found}\r\n").as_bytes()).await;
                sleep(LINGER).await;
                let _ = client.shutdown().await;
                return;
            }
        };
        if !greeted {
            return self.hang_up(&met, near.0).await;
        }
        let (from, to) = tokio::io::split(client);
        let (near, input) = near;
        let (hear, heard) =
            watch::channel(Heard { last: Instant::now(), ended: false, left: false });
        let carried = tokio::spawn(carry_input(from, input, met.has_terminal, hear));
        let mut talk = Talk { to, near, heard };
        let over = talk.run().await;
        if over == Over::Ended {
            talk.linger().await;
        }
        carried.abort();
        let Talk { mut to, near, .. } = talk;
        let _ = to.shutdown().await;
        if over != Over::Ended {
            self.hang_up(&met, near).await;
        }
    }

    /// Starts what was waited with.
    async fn begin(&self, waiting: Waiting) -> Result<(Met, (Near, Input)), String> {
        let met = match &waiting {
            Waiting::Dyno(spec, _) => Met {
                id: spec.id,
                app: spec.app.clone(),
                dyno: spec.dyno.clone(),
                own: true,
                has_terminal: matches!(spec.streams, Streams::Terminal(_)),
            },
            Waiting::Exec(id, request) => {
                let dyno = self.dynos().alive.get(id).cloned().ok_or("The dyno is gone.")?;
                let has_terminal = request.terminal.is_some();
                Met { id: *id, app: dyno.app, dyno: dyno.name, own: false, has_terminal }
            }
        };
        let id = met.id;
        let session = match waiting {
            Waiting::Dyno(spec, tree) => {
                let text = format!("Starting process with command `{}`", spec.command);
                self.say(&met.app, &met.dyno.to_string(), text);
                self.launch(*spec, tree).await;
                self.blocking(move |inner| inner.engine.attach(id)).await
            }
            Waiting::Exec(_, request) => {
                self.blocking(move |inner| inner.engine.exec(id, &request)).await
            }
        };
        let session = session.map_err(|error| {
            tracing::warn!(?error, "a client could not be attached");
            format!("The command could not be started: {error}: {}", error.source)
        })?;
        let near = Near::new(session).map_err(|error| error.to_string())?;
        Ok((met, near))
    }

    /// The client is gone: SIGHUP to the command, and again to all of a dyno that was started for
    /// it.
    async fn hang_up(&self, met: &Met, near: Near) {
        drop(near);
        if !met.own {
            return;
        }
        for round in 0..HANG_UPS {
            sleep(HANG_UP_EVERY).await;
            let runs = self.dynos().alive.get(&met.id).is_some_and(|dyno| dyno.state.is_alive());
            if !runs {
                return;
            }
            if round == 0 {
                let error = crate::events::error_line(Code::R16);
                let text = format!(
                    "{error} -> An attached process is not responding to SIGHUP after its \
                     external connection was closed."
                );
                self.say(&met.app, &met.dyno.to_string(), text);
            }
            let (id, request) = (met.id, hang_up_request());
            let asked = self.blocking(move |inner| inner.engine.exec(id, &request)).await;
            if let Some(mut near) = asked.ok().and_then(|session| Near::new(session).ok()) {
                let _ = timeout(HANG_UP_EVERY, session::ended(&mut near.0.end)).await;
            }
        }
    }
}

/// SIGHUP to all that run in a dyno but its init.
fn hang_up_request() -> ExecRequest {
    let env = [("PATH".to_owned(), crate::reconcile::STACK_PATH.to_owned())].into();
    ExecRequest { command: "kill -HUP -1".to_owned(), env, terminal: None }
}

/// What is known of a client's input.
#[derive(Debug, Clone, Copy)]
struct Heard {
    last: Instant,
    /// Whether it has sent the end of its input.
    ended: bool,
    /// Whether it is gone.
    left: bool,
}

/// Carries a client's input, by itself: a command may write much before it reads on.
async fn carry_input<S: AsyncRead>(
    mut from: ReadHalf<S>,
    mut input: Input,
    has_terminal: bool,
    heard: watch::Sender<Heard>,
) {
    let (mut buffer, mut first) = (vec![0; BUFFER], true);
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        let bytes = &buffer[..read];
        let ended = bytes.last() == Some(&END_OF_INPUT);
        heard.send_modify(|heard| {
            heard.last = Instant::now();
            heard.ended |= ended;
            heard.left = read == 0;
        });
        if read == 0 {
            return;
        }
        // The end of the token's line.
        let line = if std::mem::take(&mut first) { line_end(bytes) } else { 0 };
        let end = if ended && !has_terminal { read - 1 } else { read };
        // A command that takes no input any more does not end the meeting.
        let _ = input.write(&bytes[line.min(end)..end]).await;
        if ended && !has_terminal {
            input.end();
        }
    }
}

fn line_end(bytes: &[u8]) -> usize {
    match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        _ => 0,
    }
}

/// A command's output on its way to a client.
struct Talk<S> {
    to: WriteHalf<S>,
    near: Near,
    heard: watch::Receiver<Heard>,
}

impl<S: AsyncWrite> Talk<S> {
    /// Carries bytes until one side is gone.
    async fn run(&mut self) -> Over {
        let mut output = vec![0; BUFFER];
        let mut held: Vec<u8> = Vec::new();
        let (mut ended, mut last) = (false, Instant::now());
        loop {
            let patience = match (ended, held.is_empty()) {
                (true, _) => REST,
                (false, false) => HELD,
                (false, true) => IDLE.saturating_sub(last.elapsed()),
            };
            tokio::select! {
                read = session::read(&mut self.near.output, &mut output) => {
                    last = Instant::now();
                    held.extend_from_slice(&output[..read]);
                    let out = if read == 0 { held.len() } else { whole(&held) };
                    if !self.pass_on(&mut held, out).await {
                        return Over::Left;
                    }
                    if read == 0 {
                        return Over::Ended;
                    }
                }
                () = session::ended(&mut self.near.end), if !ended => ended = true,
                Ok(()) = self.heard.changed() => {
                    let heard = *self.heard.borrow_and_update();
                    last = heard.last;
                    if heard.left && !ended {
                        return Over::Left;
                    }
                }
                () = sleep(patience) => {
                    let all = held.len();
                    if !self.pass_on(&mut held, all).await {
                        return Over::Left;
                    }
                    if ended {
                        return Over::Ended;
                    }
                    if all == 0 && last.elapsed() >= IDLE {
                        return Over::Idle;
                    }
                }
            }
        }
    }

    async fn pass_on(&mut self, held: &mut Vec<u8>, length: usize) -> bool {
        let out: Vec<u8> = held.drain(..length).collect();
        out.is_empty() || (self.to.write_all(&out).await.is_ok() && self.to.flush().await.is_ok())
    }

    /// Listens on until the client has sent the end of its input.
    async fn linger(&mut self) {
        let _ = timeout(LINGER, self.heard.wait_for(|heard| heard.ended || heard.left)).await;
    }
}
