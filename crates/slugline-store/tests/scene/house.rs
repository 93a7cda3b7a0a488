//! Machines that share a bucket: a tree, a store for each machine, and the way to the bucket.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use slugline_model::slug::SlugId;
use slugline_store::bucket::{Bucket, BucketSettings, Credentials, Keys};
use slugline_store::{IngestRequest, ObjectKey, Store};

use crate::proxy::{Proxy, Seen};
use crate::s3;

pub(crate) struct House {
    directory: tempfile::TempDir,
    pub(crate) tree: PathBuf,
    pub(crate) proxy: Proxy,
    pub(crate) settings: BucketSettings,
}

impl House {
    /// With a prefix of its own in the bucket that all tests share.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        fs_err::create_dir(&tree).unwrap();
        let proxy = Proxy::new(s3::port());
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let address = format!("s3://{}/{}-{number}", s3::BUCKET, std::process::id());
        let settings = settings(&address, proxy.port);
        Self { directory, tree, proxy, settings }
    }

    pub(crate) fn root(&self, machine: &str) -> PathBuf {
        self.directory.path().join(machine)
    }

    /// The store of a machine, opened anew, as after a restart.
    pub(crate) fn store(&self, machine: &str) -> Store {
        let bucket = Bucket::open(self.settings.clone()).unwrap();
        Store::open(self.root(machine)).unwrap().with_bucket(bucket).unwrap()
    }

    /// A machine that has the tree as a slug, which is not in the bucket.
    pub(crate) fn release(&self, machine: &str) -> (Store, SlugId) {
        let store = self.store(machine);
        let slug = self.ingest(&store);
        (store, slug)
    }

    pub(crate) fn ingest(&self, store: &Store) -> SlugId {
        store.ingest(&self.tree, &IngestRequest::default(), &mut |_| {}).unwrap().id
    }

    /// So many small files, in directories.
    pub(crate) fn files(&self, count: usize) {
        for number in 0..count {
            self.write(&format!("d{}/f{number}", number % 40), &content(number));
        }
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.tree.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }

    /// A file that nothing makes smaller.
    pub(crate) fn noise(&self, path: &str, size: usize) {
        let mut content = vec![0; size];
        blake3::Hasher::new().update(path.as_bytes()).finalize_xof().fill(&mut content);
        fs_err::write(self.tree.join(path), content).unwrap();
    }

    pub(crate) fn object(&self, machine: &str, object: ObjectKey) -> PathBuf {
        let name = object.to_string();
        self.root(machine).join("objects").join(&name[..2]).join(name)
    }

    /// Turns a bit over in an object.
    pub(crate) fn damage(&self, machine: &str, object: ObjectKey) {
        let path = self.object(machine, object);
        let mut content = fs_err::read(&path).unwrap();
        content[0] ^= 1;
        replace(&path, &content);
    }

    pub(crate) fn mend(&self, machine: &str, object: ObjectKey, content: &[u8]) {
        replace(&self.object(machine, object), content);
    }
}

fn settings(address: &str, port: u16) -> BucketSettings {
    let keys = Keys { key_id: s3::KEY.into(), secret: s3::KEY.into(), session_token: None };
    let mut settings = BucketSettings::new(address, Credentials::Given(keys)).unwrap();
    settings.endpoint = Some(format!("http://127.0.0.1:{port}"));
    settings.patience = Duration::from_secs(30);
    settings
}

/// A store whose way to the bucket has no proxy on it.
pub(crate) fn direct(root: &Path, address: &str) -> Store {
    let bucket = Bucket::open(settings(address, s3::port())).unwrap();
    Store::open(root).unwrap().with_bucket(bucket).unwrap()
}

pub(crate) fn content(number: usize) -> String {
    format!("{number} ").repeat(number + 1)
}

/// Not in place: a checkout may share the file.
fn replace(path: &Path, content: &[u8]) {
    fs_err::remove_file(path).unwrap();
    fs_err::write(path, content).unwrap();
}

/// Whether a request has this method, and this in its path.
pub(crate) fn to(request: &Seen, method: &str, part: &str) -> bool {
    request.method == method && request.path.contains(part)
}

/// Bytes that were sent.
pub(crate) fn sent(requests: &[Seen]) -> usize {
    requests.iter().map(|request| request.sent).sum()
}
