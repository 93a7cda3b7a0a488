//! Ceph's S3 server, Debian's: a monitor, an OSD and the gateway on the machine's loopback, for as
//! long as the scene lives. Nobody is asked for a key inside the cluster; its clients are.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a cluster may take to get up.
const SOON: Duration = Duration::from_mins(4);
/// Clusters that are begun before one must get up.
const ATTEMPTS: u32 = 3;
/// Debian's packages of what it takes.
const PACKAGES: [&str; 4] = ["ceph-mon", "ceph-osd", "radosgw", "ceph-common"];

/// Where the OSD keeps what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// In memory: it is gone with the process.
    Memory,
    /// In a file on this disk, synced.
    File,
}

/// A user of the gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) secret: &'static str,
}

/// Whose the bucket is that clients use.
pub(crate) const OWNER: User =
    User { name: "library", key: "RGWLIBRARY", secret: "a-secret-of-the-library" };
/// Somebody whose buckets are none of the owner's business.
pub(crate) const STRANGER: User =
    User { name: "stranger", key: "RGWSTRANGER", secret: "a-secret-of-a-stranger" };
/// Puts a bucket, or something about one, with the signature of version 2, which needs no more than
/// this.
const PUT: &str = r#"
import base64, email.utils, hashlib, hmac, http.client, sys
_, port, path, body, key, secret = sys.argv
date = email.utils.formatdate(usegmt=True)
digest = base64.b64encode(hashlib.md5(body.encode()).digest()).decode()
text = f"PUT\n{digest}\n\n{date}\n{path}".encode()
signature = base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha1).digest()).decode()
gateway = http.client.HTTPConnection("127.0.0.1", int(port))
headers = {"Date": date, "Authorization": f"AWS {key}:{signature}", "Content-MD5": digest}
gateway.request("PUT", path, body, headers=headers)
answer = gateway.getresponse()
assert answer.status == 200, (answer.status, answer.read())
"#;
/// Pages of every site may use signed addresses.
const OPEN_TO_BROWSERS: &str = "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin>\
     <AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>\
     <AllowedMethod>DELETE</AllowedMethod><AllowedHeader>*</AllowedHeader>\
     <ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>";

/// A cluster; dropped, it is gone with all its processes and files.
#[derive(Debug)]
pub(crate) struct Radosgw {
    directory: TempDir,
    /// The youngest first.
    processes: Vec<Child>,
    pub(crate) port: u16,
}

impl Radosgw {
    /// Starts one; its files are below a directory.
    pub(crate) fn start(below: &Path, disk: Disk) -> Self {
        install();
        // Another program may have taken a port that was free, or a monitor may answer too early.
        let first = (1..ATTEMPTS).find_map(|_| Self::try_start(below, disk).ok());
        first.unwrap_or_else(|| Self::try_start(below, disk).unwrap_or_else(|why| panic!("{why}")))
    }

    fn try_start(below: &Path, disk: Disk) -> Result<Self, String> {
        let prefix = tempfile::Builder::new().prefix("radosgw-").tempdir_in(below);
        let directory = prefix.expect("a directory for a cluster");
        let ports = [free_port(), free_port()];
        let mut cluster = Self { directory, processes: Vec::new(), port: ports[1] };
        cluster.configure(ports, disk);
        cluster.start_monitor(ports[0])?;
        cluster.start_osd()?;
        cluster.start_gateway()?;
        Ok(cluster)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes a bucket of a user's.
    pub(crate) fn make_bucket(&self, user: User, name: &str) {
        self.put(user, &format!("/{name}"), "");
    }

    /// Lets browsers at a bucket of a user's, with signed addresses.
    pub(crate) fn open_to_browsers(&self, user: User, bucket: &str) {
        self.put(user, &format!("/{bucket}?cors"), OPEN_TO_BROWSERS);
    }

    fn put(&self, user: User, path: &str, body: &str) {
        let mut python = Command::new("python3");
        python.args(["-c", PUT, &self.port.to_string(), path, body, user.key, user.secret]);
        run(&mut python);
    }

    /// Lets a user make others.
    pub(crate) fn let_make_users(&self, user: User) {
        let mut admin = self.program("radosgw-admin");
        admin.args(["-n", "client.rgw", "caps", "add", "--uid", user.name, "--caps", "users=*"]);
        run(&mut admin);
    }

    /// The names of all users, and what buckets there are.
    pub(crate) fn users_and_buckets(&self) -> String {
        let list = |what: &str| {
            let mut admin = self.program("radosgw-admin");
            let output = admin.args(["-n", "client.rgw", what, "list"]).output();
            String::from_utf8_lossy(&output.expect("radosgw-admin runs").stdout).into_owned()
        };
        list("user") + &list("bucket")
    }

    /// Makes a user known.
    pub(crate) fn add_user(&self, User { name, key, secret }: User) {
        let mut admin = self.program("radosgw-admin");
        admin.args(["-n", "client.rgw", "user", "create", "--uid", name]);
        admin.args(["--display-name", name, "--access-key", key, "--secret-key", secret]);
        run(&mut admin);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn configure(&self, [monitor, gateway]: [u16; 2], disk: Disk) {
        let root = self.directory.path().display();
        let store = match disk {
            Disk::Memory => {
                "osd objectstore = memstore\nmemstore device bytes = 6442450944\n".to_owned()
            }
            Disk::File => "osd objectstore = bluestore\nbluestore block size = 21474836480\n\
                 bluestore block create = true\n"
                .to_owned(),
        };
        for name in ["mon", "osd", "rgw", "run"] {
            std::fs::create_dir(self.path(name)).expect("a directory of the cluster");
        }
        let text = format!(
            "[global]\n\
             fsid = 0b5b1d6c-6f6e-4d53-9a55-6c3d4e8c1f00\n\
             mon host = v1:127.0.0.1:{monitor}\n\
             auth cluster required = none\n\
             auth service required = none\n\
             auth client required = none\n\
             public addr = 127.0.0.1\n\
             ms bind ipv6 = false\n\
             osd pool default size = 1\n\
             osd pool default min size = 1\n\
             osd pool default pg num = 1\n\
             osd pool default pgp num = 1\n\
             osd pool default pg autoscale mode = off\n\
             osd crush chooseleaf type = 0\n\
             mon allow pool size one = true\n\
             mon max pg per osd = 1000\n\
             mon data avail crit = 1\n\
             mon data avail warn = 2\n\
             run dir = {root}/run\n\
             pid file =\n\
             admin socket =\n\
             log file =\n\
             log to stderr = true\n\
             mon cluster log file =\n\
             crash dir = {root}/run\n\
             keyring = {root}/keyring\n\
             [mon.a]\n\
             mon data = {root}/mon\n\
             [osd.0]\n\
             osd data = {root}/osd\n\
             osd max object size = 134217728\n\
             {store}\
             [client.rgw]\n\
             rgw data = {root}/rgw\n\
             rgw frontends = beast endpoint=127.0.0.1:{gateway}\n\
             rgw enable usage log = false\n\
             rgw num rados handles = 1\n\
             rgw thread pool size = 64\n\
             rgw run sync thread = false\n\
             rgw enable gc threads = true\n"
        );
        std::fs::write(self.path("ceph.conf"), text).expect("the cluster's configuration");
        std::fs::write(self.path("keyring"), "").expect("a keyring");
    }

    /// A program of the cluster's.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.arg("-c").arg(self.path("ceph.conf")).env_remove("CEPH_ARGS");
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    /// One that goes on, until this process ends at the latest.
    fn keep(&mut self, name: &str, arguments: &[&str]) {
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).expect("a log");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", name, "-c"]).arg(self.path("ceph.conf"));
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        let log_too = log.try_clone().expect("a log");
        command.stdout(log).stderr(log_too);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        self.processes.insert(0, child);
    }

    fn start_monitor(&mut self, port: u16) -> Result<(), String> {
        let map = self.path("monmap");
        let mut tool = Command::new("monmaptool");
        tool.args(["--create", "--clobber", "--fsid", "0b5b1d6c-6f6e-4d53-9a55-6c3d4e8c1f00"]);
        tool.args(["--addv", "a", &format!("[v1:127.0.0.1:{port}]")]).arg(&map);
        run(&mut tool);
        run(self.program("ceph-mon").args(["--mkfs", "-i", "a", "--monmap"]).arg(&map));
        self.keep("ceph-mon", &["-f", "-i", "a"]);
        let configuration = self.path("ceph.conf");
        self.until("the monitor", || {
            let mut ceph = Command::new("ceph");
            ceph.arg("-c").arg(&configuration);
            ceph.args(["--connect-timeout", "5", "mon", "stat"]);
            ceph.output().is_ok_and(|output| output.status.success())
        })
    }

    fn start_osd(&mut self) -> Result<(), String> {
        let id = "5c1a2a56-7ad1-4f5f-8c25-95d5c3d0b700";
        run(self.program("ceph").args(["osd", "new", id]));
        run(self.program("ceph-osd").args(["--mkfs", "-i", "0", "--osd-uuid", id]));
        self.keep("ceph-osd", &["-f", "-i", "0"]);
        let configuration = self.path("ceph.conf");
        self.until("the OSD", || {
            let mut ceph = Command::new("ceph");
            let output = ceph.arg("-c").arg(&configuration).args(["osd", "stat"]).output();
            output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("1 up"))
        })
    }

    fn start_gateway(&mut self) -> Result<(), String> {
        self.add_user(OWNER);
        self.keep("radosgw", &["-f", "-n", "client.rgw"]);
        let port = self.port;
        self.until("the gateway", || TcpStream::connect(("127.0.0.1", port)).is_ok())
    }

    /// Waits for something, unless a program of the cluster ends before.
    fn until(&mut self, what: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
        let end = Instant::now() + SOON;
        while !is_so() {
            let ended = |child: &mut Child| child.try_wait().is_ok_and(|ended| ended.is_some());
            if Instant::now() > end || self.processes.iter_mut().any(ended) {
                return Err(format!("{what} of the cluster does not get up:\n{}", self.logs()));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// The end of what its programs said.
    fn logs(&self) -> String {
        let read = |name: &str| {
            let text = std::fs::read(self.path(&format!("{name}.log"))).unwrap_or_default();
            let end = text.len().saturating_sub(3_000);
            format!("{name}: {}\n", String::from_utf8_lossy(&text[end..]))
        };
        ["ceph-mon", "ceph-osd", "radosgw"].map(read).concat()
    }
}

impl Drop for Radosgw {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

/// Runs a program to its end.
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
}

/// Root installs it where it is missing, without starting anything.
fn install() {
    let is_there = || {
        let paths = ["/usr/bin/ceph-mon", "/usr/bin/ceph-osd", "/usr/bin/radosgw", "/usr/bin/ceph"];
        paths.iter().all(|path| Path::new(path).exists())
    };
    if !is_there() && rustix::process::geteuid().is_root() {
        let options = ["-o", "DPkg::Lock::Timeout=300"];
        for arguments in [&["update", "-q"][..], &["install", "-qy", "--no-install-recommends"]] {
            let mut apt = Command::new("apt-get");
            apt.args(options).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
            if arguments[0] == "install" {
                apt.args(PACKAGES);
            }
            // Whether it is there then says what came of it.
            let _ = apt.output();
        }
    }
    assert!(
        is_there(),
        "radosgw is needed: on Debian `sudo apt-get install --no-install-recommends {}`",
        PACKAGES.join(" ")
    );
}
