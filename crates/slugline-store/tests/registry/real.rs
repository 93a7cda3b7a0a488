//! Docker's own registry, on loopback, with nothing in it.

use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::debian::program;

/// `me:secret`, as the registry keeps it.
const LOGIN: &str = "me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// Ends with the test.
pub(crate) struct RealRegistry {
    pub(crate) port: u16,
    server: Child,
    _directory: tempfile::TempDir,
}

impl RealRegistry {
    /// Starts one; with a password, it lets only `me` in.
    pub(crate) fn start(password: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().display();
        let auth = if password.is_empty() {
            String::new()
        } else {
            std::fs::write(directory.path().join("logins"), LOGIN).unwrap();
            format!("auth: {{htpasswd: {{realm: library, path: {at}/logins}}}}\n")
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let configuration = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {at}/data}}}}\n\
             http: {{addr: \"127.0.0.1:{port}\", relativeurls: true}}\n{auth}"
        );
        let path = directory.path().join("configuration.yml");
        std::fs::write(&path, configuration).unwrap();
        let mut command = program("docker-registry");
        command.arg("serve").arg(path).env("OTEL_TRACES_EXPORTER", "none");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = command.spawn();
        let server = server.unwrap();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "the registry did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { port, server, _directory: directory }
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
