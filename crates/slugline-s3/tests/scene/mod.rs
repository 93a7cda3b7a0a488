//! A server on a port of its own, and clients that are installed for it.

pub(crate) mod install;

use std::net::TcpListener as StdListener;
use std::path::Path;
use std::process::Command;

use slugline_s3::{BucketChange, KeyPair, Server, Storage};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What clients sign for.
pub(crate) const REGION: &str = "us-east-1";
/// The bucket that is there, and one that the key does not open.
pub(crate) const BUCKET: &str = "library-uploads";
pub(crate) const OTHER: &str = "somebody-elses";

/// A server with two buckets, until it is dropped.
pub(crate) struct Scene {
    pub(crate) port: u16,
    pub(crate) keys: KeyPair,
    pub(crate) directory: TempDir,
    /// Serves for as long as it lives.
    _runtime: Runtime,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (storage, keys, listener) = runtime.block_on(async {
            let storage = Storage::open(directory.path()).unwrap();
            let keys = storage.create_bucket(BUCKET).await.unwrap();
            let change = BucketChange::open_to_browsers();
            storage.change_bucket(BUCKET, change).await.unwrap();
            storage.create_bucket(OTHER).await.unwrap();
            (storage, keys, listen(0))
        });
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(serve(storage, listener));
        Self { port, keys, directory, _runtime: runtime }
    }

    /// A client's program, told where the server is.
    pub(crate) fn client(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .env("AWS_ACCESS_KEY_ID", &self.keys.name)
            .env("AWS_SECRET_ACCESS_KEY", &self.keys.secret)
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("S3_BUCKET", BUCKET)
            .env("S3_OTHER_BUCKET", OTHER)
            .env("S3_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
            .env("HOME", self.directory.path());
        command
    }
}

pub(crate) fn listen(port: u16) -> StdListener {
    let listener = StdListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

pub(crate) async fn serve(storage: Storage, listener: StdListener) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let server = Server::new(storage, vec!["s3.localhost".to_owned()], REGION);
    server.serve(vec![listener], std::future::pending()).await;
}

/// Runs a client to its end; what it printed is shown if it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{printed}\n{errors}", output.status);
    printed
}

/// A client in this process, which asks once.
pub(crate) fn client(port: u16, keys: &KeyPair) -> object_store::aws::AmazonS3 {
    // Another test may have chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let retry = object_store::RetryConfig { max_retries: 0, ..Default::default() };
    object_store::aws::AmazonS3Builder::new()
        .with_endpoint(format!("http://127.0.0.1:{port}"))
        .with_allow_http(true)
        .with_bucket_name(BUCKET)
        .with_region(REGION)
        .with_access_key_id(&keys.name)
        .with_secret_access_key(&keys.secret)
        .with_retry(retry)
        .build()
        .unwrap()
}
