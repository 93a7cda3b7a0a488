//! `slug:import`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;

use http::Method;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::limits::Limits;
use slugline_model::procfile;

use super::SlugExchangeError;
use super::{Import, Release, archive, text};
use crate::builds::App;
use crate::client::Outgoing;
use crate::console::say;
use crate::errors::CommandError;

/// Chunks that are read ahead, and how large each is (bytes).
const AHEAD: usize = 8;
const CHUNK: usize = 1 << 16;

impl Import {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.options)?;
        let error = |source| SlugExchangeError::Input { path: self.file.clone(), source };
        let is_layout = self.file.is_dir();
        let mut file = if is_layout { archive::pack(&self.file) } else { File::open(&self.file) }
            .map_err(error)?;
        let types = self.release.process_types(&mut file).map_err(error)?;
        let asked = json!({
            "process_types": types,
            "checksum": self.checksum,
            "commit_description": format!("Imported from {}", self.file.display()),
        });
        let slug = app.client.send(Method::POST, &app.path("/slugs"), &asked).await?;
        app.client.put_stream(text(&slug["blob"]["url"]), stream(file)).await?;
        let id = text(&slug["id"]);
        let slug = app.client.get(&app.path(&format!("/slugs/{id}"))).await?;
        let what = self.file.file_name().map_or(self.file.as_path(), Path::new).display();
        self.release.release(&app, &slug, &what.to_string(), self.options.json).await
    }
}

impl Release {
    pub(super) fn given(&self) -> BTreeMap<String, String> {
        self.processes.iter().cloned().collect()
    }

    /// What was given, else what the Procfile of a slug.tgz says. An image says it itself.
    fn process_types(&self, file: &mut File) -> io::Result<BTreeMap<String, String>> {
        if !self.processes.is_empty() {
            return Ok(self.given());
        }
        // What cannot be read here is refused by the server, which says why.
        let found = slugline_store::tgz::procfile(&mut *file, &Limits::default());
        file.rewind()?;
        let Ok(Some(text)) = found else { return Ok(BTreeMap::new()) };
        let types = procfile::parse(&text).map_err(io::Error::other)?;
        Ok(types.into_iter().map(|(name, command)| (name.to_string(), command)).collect())
    }

    /// Releases a slug that came, unless nobody wants that, and tells of it.
    pub(super) async fn release(
        &self,
        app: &App,
        slug: &Value,
        from: &str,
        as_json: bool,
    ) -> Result<i32, CommandError> {
        let mut said = vec![format!("Importing {from} to {}... done", app.name)];
        let mut told = slug.clone();
        said.push(format!("Slug: {}", text(&slug["id"])));
        if !self.no_release {
            let description = format!("Import {from}");
            let body = json!({ "slug": slug["id"], "description": description });
            let release = app.client.send(Method::POST, &app.path("/releases"), &body).await?;
            said.push(format!("Released v{}", release["version"]));
            told["release"] = release;
        }
        if as_json {
            say(&told.to_string());
        } else {
            for line in &said {
                say(line);
            }
        }
        Ok(exit_code::OK)
    }
}

/// A file as a request's body. Where it cannot be read on, the request breaks off.
fn stream(mut file: File) -> Outgoing {
    let (sender, receiver) = tokio::sync::mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk);
            let last = read.as_ref().map_or(true, |read| *read == 0);
            if last && read.is_ok() {
                return;
            }
            let sent = sender.blocking_send(read.map(|_| Frame::data(Bytes::from(chunk))));
            if sent.is_err() || last {
                return;
            }
        }
    });
    let next = |mut receiver: tokio::sync::mpsc::Receiver<io::Result<Frame<Bytes>>>| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    };
    let chunks = futures_util::stream::unfold(receiver, next);
    BodyExt::boxed(StreamBody::new(SyncStream(std::sync::Mutex::new(Box::pin(chunks)))))
}

/// Lets a stream that one task polls count as one that any could.
struct SyncStream<S>(std::sync::Mutex<std::pin::Pin<Box<S>>>);

impl<S: futures_util::Stream> futures_util::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        let inner = self.get_mut().0.get_mut();
        inner.unwrap_or_else(std::sync::PoisonError::into_inner).as_mut().poll_next(context)
    }
}
