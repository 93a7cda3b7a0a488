//! Single keys of a terminal, which is given back as it was.

use std::io::{IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// The second screen of a terminal, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The terminal while its keys are read.
pub(super) struct Keys {
    before: Option<Termios>,
    pressed: mpsc::UnboundedReceiver<u8>,
}

impl Keys {
    /// Takes the terminal. Keys come at once and are not shown; Ctrl-C is a signal as ever.
    pub(super) fn take() -> Self {
        let (send, pressed) = mpsc::unbounded_channel();
        let before = tcgetattr(std::io::stdin()).ok().filter(|_| std::io::stdin().is_terminal());
        if let Some(before) = &before {
            let mut modes = before.clone();
            modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &modes);
            // Ends with the process: nobody can interrupt its reading.
            std::thread::spawn(move || {
                let bytes = std::io::stdin().lock().bytes().map_while(Result::ok);
                for key in bytes {
                    if send.send(key).is_err() {
                        break;
                    }
                }
            });
        }
        print(ENTER);
        Self { before, pressed }
    }

    /// The next key. Waits for ever where there are none.
    pub(super) async fn next(&mut self) -> Option<u8> {
        match self.pressed.recv().await {
            Some(key) => Some(key),
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        print(LEAVE);
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
