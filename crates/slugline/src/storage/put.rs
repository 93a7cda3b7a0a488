//! `slugline storage:put`: large files in parts, several at once; what was begun is gone on with.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path as Key;
use object_store::{Attribute, Attributes, ObjectStore as _, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};
use serde_json::json;
use slugline_model::build::exit_code;
use slugline_model::size;
use slugline_model::static_site::content_type;

use super::OfBucket;
use super::bucket::AppBucket;
use super::error::StorageCommandError;
use super::progress::bar;
use crate::builds::App;
use crate::errors::CommandError;

/// Above this a file comes in parts (bytes).
const WHOLE: u64 = 16 * 1024 * 1024;
/// A part (bytes); larger ones where there would be too many.
const PART: u64 = 16 * 1024 * 1024;
/// Parts of one object.
const MOST_PARTS: u64 = 10_000;
/// Parts, or small files, on their way at once.
const AT_ONCE: usize = 4;

/// What to put, and where to.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// A file, or a directory with all that is in it
    source: PathBuf,
    /// The key; for a directory what the keys begin with. Of the file's own name where it is not
    /// given
    key: Option<String>,
    #[command(flatten)]
    of: OfBucket,
}

/// An upload in parts that was begun.
#[derive(Debug, Serialize, Deserialize)]
struct Begun {
    upload: String,
    part: u64,
    /// What the bucket knows each part by, in their order; none for one that is not there.
    parts: Vec<Option<String>>,
}

impl PutArgs {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.of.options)?;
        let bucket = AppBucket::of(&app, self.of.bucket.as_deref()).await?;
        let files = files(&self.source, self.key.as_deref())?;
        let mut total = 0;
        let puts = files.iter().map(|(path, key)| {
            let bucket = &bucket;
            async move { put(bucket, path, key).await }
        });
        let mut puts = stream::iter(puts).buffer_unordered(AT_ONCE);
        while let Some(bytes) = puts.try_next().await? {
            total += bytes;
        }
        let count = size::files(files.len() as u64);
        let text = format!("Put {count}, {}, into {}", size::human(total), bucket.name);
        app.tell(&text, &json!({ "files": files.len(), "bytes": total, "bucket": bucket.name }));
        Ok(exit_code::OK)
    }
}

fn wrong(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CommandError {
    let path = path.to_path_buf();
    move |source| StorageCommandError::File { operation, path, source }.into()
}

/// Each file with its key.
fn files(source: &Path, key: Option<&str>) -> Result<Vec<(PathBuf, String)>, CommandError> {
    let is_directory = std::fs::metadata(source).map_err(wrong("read", source))?.is_dir();
    let own = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !is_directory {
        let key = match key {
            Some(key) if key.ends_with('/') => format!("{key}{own}"),
            Some(key) => key.to_owned(),
            None => own,
        };
        return Ok(vec![(source.to_path_buf(), key)]);
    }
    let prefix = key.map_or(own, |key| key.trim_end_matches('/').to_owned());
    let mut found = Vec::new();
    let mut directories = vec![(source.to_path_buf(), prefix)];
    while let Some((directory, prefix)) = directories.pop() {
        for entry in std::fs::read_dir(&directory).map_err(wrong("read", &directory))? {
            let entry = entry.map_err(wrong("read", &directory))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let key = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let kind = entry.file_type().map_err(wrong("read", &directory))?;
            if kind.is_dir() {
                directories.push((entry.path(), key));
            } else if kind.is_file() {
                found.push((entry.path(), key));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What browsers are told of an object.
pub(super) fn attributes(key: &str) -> Attributes {
    Attributes::from_iter([(Attribute::ContentType, content_type(key, "utf-8"))])
}

async fn put(bucket: &AppBucket, path: &Path, key: &str) -> Result<u64, CommandError> {
    let key = Key::from(format!("{}{key}", bucket.prefix));
    let file = File::open(path).map_err(wrong("read", path))?;
    let length = file.metadata().map_err(wrong("read", path))?.len();
    let progress = bar(length, key.as_ref());
    if length > WHOLE {
        in_parts(bucket, &file, path, &key, &progress).await?;
    } else {
        let bytes = std::fs::read(path).map_err(wrong("read", path))?;
        let options = PutOptions { attributes: attributes(key.as_ref()), ..PutOptions::default() };
        let put = bucket.s3.put_opts(&key, PutPayload::from(bytes), options).await;
        put.map_err(|error| bucket.failed(format!("write {key}"), error))?;
    }
    progress.finish_and_clear();
    Ok(length)
}

/// Where it is kept how far an upload is: by what would make it another one.
fn record(bucket: &AppBucket, file: &File, path: &Path, key: &Key) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = file.metadata()?;
    let absolute = std::path::absolute(path)?;
    let of = format!(
        "{}\n{key}\n{}\n{}\n{}\n{}",
        bucket.name,
        absolute.display(),
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec()
    );
    let digest = <sha2::Sha256 as sha2::Digest>::digest(of);
    let name = digest.iter().take(16).fold(0_u128, |name, byte| name << 8 | u128::from(*byte));
    let directory = records()?.join("uploads");
    std::fs::create_dir_all(&directory)?;
    Ok(directory.join(format!("{name:032x}.json")))
}

/// Where this user keeps how far copies are.
pub(super) fn records() -> std::io::Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let directory = cache.unwrap_or_else(std::env::temp_dir).join("slugline");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

async fn in_parts(
    bucket: &AppBucket,
    file: &File,
    path: &Path,
    key: &Key,
    progress: &indicatif::ProgressBar,
) -> Result<(), CommandError> {
    let record = record(bucket, file, path, key).map_err(wrong("note the upload of", path))?;
    let noted = std::fs::read(&record).ok();
    let begun = noted.and_then(|text| serde_json::from_slice::<Begun>(&text).ok());
    if let Some(begun) = begun {
        // It may have been given up there meanwhile: then it begins anew.
        if send(bucket, file, path, key, (begun, &record), progress).await.is_ok() {
            return Ok(());
        }
        progress.set_position(0);
    }
    let length = file.metadata().map_err(wrong("read", path))?.len();
    let part = PART.max(length.div_ceil(MOST_PARTS));
    let count = usize::try_from(length.div_ceil(part)).unwrap_or(usize::MAX);
    let failed = |error| bucket.failed(format!("write {key}"), error);
    let described = bucket.describing(&content_type(key.as_ref(), "utf-8")).map_err(failed)?;
    let upload = described.create_multipart(key).await.map_err(failed)?;
    let begun = Begun { upload, part, parts: vec![None; count] };
    send(bucket, file, path, key, (begun, &record), progress).await
}

/// Sends the parts that lack, and makes the object of all.
async fn send(
    bucket: &AppBucket,
    file: &File,
    path: &Path,
    key: &Key,
    (mut begun, record): (Begun, &Path),
    progress: &indicatif::ProgressBar,
) -> Result<(), CommandError> {
    let length = file.metadata().map_err(wrong("read", path))?.len();
    let failed = |error| bucket.failed(format!("write {key}"), error);
    let missing: Vec<usize> =
        (0..begun.parts.len()).filter(|place| begun.parts[*place].is_none()).collect();
    let there = (begun.parts.len() - missing.len()) as u64 * begun.part;
    progress.set_position(there.min(length));
    let (part, upload) = (begun.part, begun.upload.clone());
    let sends = missing.into_iter().map(|place| {
        let upload = &upload;
        async move {
            let start = place as u64 * part;
            let size = usize::try_from(part.min(length - start)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; size];
            file.read_exact_at(&mut bytes, start).map_err(wrong("read", path))?;
            let sent = bucket.s3.put_part(key, upload, place, PutPayload::from(bytes)).await;
            Ok::<_, CommandError>((place, sent.map_err(failed)?, size as u64))
        }
    });
    let mut sends = stream::iter(sends).buffer_unordered(AT_ONCE);
    while let Some((place, PartId { content_id }, size)) = sends.try_next().await? {
        begun.parts[place] = Some(content_id);
        progress.inc(size);
        let text = serde_json::to_vec(&begun).unwrap_or_default();
        std::fs::write(record, text).map_err(wrong("note the upload of", path))?;
    }
    drop(sends);
    let parts = begun.parts.into_iter().flatten().map(|content_id| PartId { content_id });
    let done = bucket.s3.complete_multipart(key, &begun.upload, parts.collect()).await;
    // Whatever became of it, this upload is not gone on with.
    let _ = std::fs::remove_file(record);
    done.map(drop).map_err(failed)
}

/// Puts bytes unless the key has an object already; says whether it had none.
pub(super) async fn put_new(
    bucket: &AppBucket,
    key: &Key,
    bytes: Vec<u8>,
) -> object_store::Result<bool> {
    let options = PutOptions {
        mode: PutMode::Create,
        attributes: attributes(key.as_ref()),
        ..PutOptions::default()
    };
    match bucket.s3.put_opts(key, PutPayload::from(bytes), options).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
