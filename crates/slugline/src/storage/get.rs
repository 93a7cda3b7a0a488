//! `slugline storage:get`: under its own name there is only ever a whole file, and what was half
//! fetched is gone on with.

use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Component, Path, PathBuf};

use clap::Args;
use futures_util::StreamExt as _;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use serde_json::json;
use slugline_model::build::exit_code;
use slugline_model::size;

use super::OfBucket;
use super::bucket::AppBucket;
use super::error::StorageCommandError;
use super::ls::list;
use super::progress::bar;
use crate::builds::App;
use crate::errors::CommandError;

/// What to get, and where to.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// A key, or all that begins with a prefix which ends with a slash
    key: String,
    /// The file, or the directory for a prefix; of the key's own name where it is not given
    destination: Option<PathBuf>,
    #[command(flatten)]
    of: OfBucket,
}

impl GetArgs {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.of.options)?;
        let bucket = AppBucket::of(&app, self.of.bucket.as_deref()).await?;
        let full = format!("{}{}", bucket.prefix, self.key);
        let wanted = if self.key.ends_with('/') || self.key.is_empty() {
            let root = self.destination.unwrap_or_else(|| PathBuf::from("."));
            let listed = list(&bucket, &self.key).await?;
            let at = |meta: &ObjectMeta| meta.location.as_ref()[full.len()..].to_owned();
            listed.into_iter().map(|meta| (root.join(below(&at(&meta))), meta)).collect()
        } else {
            let key = object_store::path::Path::from(full.as_str());
            let meta = bucket.s3.head(&key).await;
            let meta = meta.map_err(|error| bucket.failed(format!("find {}", self.key), error))?;
            let name = self.key.rsplit('/').next().unwrap_or(&self.key);
            vec![(self.destination.unwrap_or_else(|| below(name)), meta)]
        };
        let (mut files, mut bytes) = (0, 0);
        for (to, meta) in &wanted {
            fetch(&bucket, meta, to).await?;
            files += 1;
            bytes += meta.size;
        }
        let text = format!("Got {}, {}", size::files(files), size::human(bytes));
        app.tell(&text, &json!({ "files": files, "bytes": bytes, "bucket": bucket.name }));
        Ok(exit_code::OK)
    }
}

/// A key as a path that does not leave the directory.
fn below(key: &str) -> PathBuf {
    let safe = Path::new(key).components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    safe.collect()
}

/// Of what is being fetched: the name says of which content it is the beginning.
fn half(to: &Path, meta: &ObjectMeta) -> PathBuf {
    let tag = meta.e_tag.as_deref().unwrap_or_default().replace(|c: char| !c.is_alphanumeric(), "");
    let mut name = to.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{tag}.part"));
    to.with_file_name(name)
}

async fn fetch(bucket: &AppBucket, meta: &ObjectMeta, to: &Path) -> Result<(), CommandError> {
    let file = |operation, path: &Path| {
        let path = path.to_path_buf();
        move |source| CommandError::from(StorageCommandError::File { operation, path, source })
    };
    if let Some(directory) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(file("make", directory))?;
    }
    let part = half(to, meta);
    let mut options = OpenOptions::new();
    let mut out = options.create(true).append(true).open(&part).map_err(file("write", &part))?;
    let have = out.seek(SeekFrom::End(0)).map_err(file("write", &part))?;
    let progress = bar(meta.size, meta.location.as_ref());
    progress.set_position(have);
    if have < meta.size {
        let range = (have > 0).then_some(GetRange::Offset(have));
        let asked = GetOptions { range, if_match: meta.e_tag.clone(), ..GetOptions::default() };
        let failed = |error| bucket.failed(format!("read {}", meta.location), error);
        let got = bucket.s3.get_opts(&meta.location, asked).await.map_err(failed)?;
        let mut body = got.into_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(failed)?;
            out.write_all(&chunk).map_err(file("write", &part))?;
            progress.inc(chunk.len() as u64);
        }
    }
    out.sync_all().map_err(file("write", &part))?;
    std::fs::rename(&part, to).map_err(file("write", to))?;
    progress.finish_and_clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_leads_out_of_the_directory() {
        for key in ["../../etc/passwd", "/etc/passwd", "./etc/../passwd"] {
            assert!(below(key).components().all(|part| matches!(part, Component::Normal(_))));
        }
        assert_eq!(below("covers/1.png"), Path::new("covers/1.png"));
    }
}
