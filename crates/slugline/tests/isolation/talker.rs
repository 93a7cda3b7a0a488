//! Somebody who says a token to whoever asks, by TCP and by datagrams.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Listens on a port of its own for as long as it lives.
pub(crate) struct Talker {
    pub(crate) port: u16,
    ended: Arc<AtomicBool>,
}

impl Talker {
    pub(crate) fn start(address: Ipv4Addr, token: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let datagrams = UdpSocket::bind((address, port)).unwrap();
        datagrams.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let (token, theirs) = (token.to_owned(), Arc::clone(&ended));
        std::thread::spawn({
            let token = token.clone();
            move || {
                for link in listener.incoming().flatten() {
                    if theirs.load(Ordering::Relaxed) {
                        break;
                    }
                    let _ = { link }.write_all(token.as_bytes());
                }
            }
        });
        let theirs = Arc::clone(&ended);
        std::thread::spawn(move || {
            let mut asked = [0; 16];
            while !theirs.load(Ordering::Relaxed) {
                if let Ok((_, from)) = datagrams.recv_from(&mut asked) {
                    let _ = datagrams.send_to(token.as_bytes(), from);
                }
            }
        });
        Self { port, ended }
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}
