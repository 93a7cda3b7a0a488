//! A server on a port of its own, and clients that are told of it.

pub(crate) mod install;

use std::net::TcpListener as StdListener;
use std::path::Path;
use std::process::Command;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use slugline_s3::{BucketChange, KeyPair, Server, Storage};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What clients sign for.
pub(crate) const REGION: &str = "us-east-1";
/// The bucket that is there, one that a client has to itself, and one that the keys do not open.
pub(crate) const BUCKET: &str = "library-uploads";
pub(crate) const ALONE: &str = "library-alone";
pub(crate) const OTHER: &str = "somebody-elses";

/// A bucket, and what opens it: all that a client is told.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Whose server it is on, where servers differ: `slugline` or `radosgw`.
    pub(crate) server: &'static str,
    pub(crate) endpoint: String,
    pub(crate) bucket: String,
    pub(crate) keys: KeyPair,
}

impl Place {
    /// A client's program, told where the bucket is. What it keeps is below a directory.
    pub(crate) fn client(&self, program: &Path, home: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .env("AWS_ACCESS_KEY_ID", &self.keys.name)
            .env("AWS_SECRET_ACCESS_KEY", &self.keys.secret)
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("S3_SERVER", self.server)
            .env("S3_BUCKET", &self.bucket)
            .env("S3_OTHER_BUCKET", OTHER)
            .env("S3_ENDPOINT_URL", &self.endpoint)
            .env("HOME", home);
        command
    }

    /// A client in this process, which asks once.
    pub(crate) fn store(&self) -> AmazonS3 {
        // Another test may have chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry = object_store::RetryConfig { max_retries: 0, ..Default::default() };
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_bucket_name(&self.bucket)
            .with_region(REGION)
            .with_access_key_id(&self.keys.name)
            .with_secret_access_key(&self.keys.secret)
            .with_retry(retry)
            .build()
            .unwrap()
    }
}

/// This project's server with its buckets, until it is dropped.
pub(crate) struct Scene {
    pub(crate) shared: Place,
    pub(crate) alone: Place,
    _directory: TempDir,
    /// Serves for as long as it lives.
    _runtime: Runtime,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (storage, keys, listener) = runtime.block_on(async {
            let storage = Storage::open(directory.path()).unwrap();
            let mut keys = Vec::new();
            for bucket in [BUCKET, ALONE, OTHER] {
                keys.push(storage.create_bucket(bucket).await.unwrap());
                let change = BucketChange::open_to_browsers();
                storage.change_bucket(bucket, change).await.unwrap();
            }
            (storage, keys, listen(0))
        });
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let place = |bucket: &str, keys: &KeyPair| Place {
            server: "slugline",
            endpoint: endpoint.clone(),
            bucket: bucket.to_owned(),
            keys: keys.clone(),
        };
        let (shared, alone) = (place(BUCKET, &keys[0]), place(ALONE, &keys[1]));
        runtime.spawn(serve(storage, listener));
        Self { shared, alone, _directory: directory, _runtime: runtime }
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
