//! A terminal, as a person at a keyboard has it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::wait_for;

/// A start of the command line, and of a dyno, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A command on a terminal of 123 columns and 37 lines.
pub(crate) struct Typist {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<String>>,
}

impl Typist {
    pub(crate) fn start(mut command: Command) -> Self {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        let name = ptsname(&near, Vec::new()).unwrap();
        let far: OwnedFd = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let size = Winsize { ws_row: 37, ws_col: 123, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&near, size).unwrap();
        let end = || far.try_clone().unwrap();
        command.env("TERM", "xterm-256color").stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        drop((command, far));
        let keyboard = File::from(near);
        let screen = Arc::<Mutex<String>>::default();
        let (mut from, to) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            // At its end a terminal says EIO.
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        });
        Self { child, keyboard, screen }
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a text, and forgets what stands before its end.
    pub(crate) fn sees(&self, text: &str) {
        let found = || {
            let mut screen = self.screen.lock().unwrap();
            let end = screen.find(text)? + text.len();
            screen.drain(..end);
            Some(())
        };
        let seen = std::panic::catch_unwind(|| wait_for(text, PATIENCE, found)).is_ok();
        assert!(seen, "no {text:?} on the screen: {:?}", self.screen.lock().unwrap());
    }

    /// Waits for the command's end.
    pub(crate) fn ends(mut self) -> Option<i32> {
        let ended = || self.child.try_wait().unwrap();
        wait_for("the command's end", PATIENCE, ended).code()
    }
}

impl Typist {
    /// The terminal's window is closed.
    pub(crate) fn killed(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self
    }
}
