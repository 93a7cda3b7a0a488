//! `slug:export`.

use std::io::Write as _;
use std::path::Path;

use http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use slugline_model::build::exit_code;
use slugline_model::exchange::Checksum;
use slugline_model::size;

use super::{Export, Format, SlugExchangeError, archive, slug_of, text};
use crate::builds::App;
use crate::console::say;
use crate::errors::CommandError;

impl Export {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        if self.output.exists() {
            return Err(SlugExchangeError::OutputExists { path: self.output }.into());
        }
        let app = App::of(&self.options)?;
        let (version, slug) = slug_of(&app, self.release.as_deref()).await?;
        let url = match self.format {
            Format::Tgz => text(&slug["blob"]["url"]).to_owned(),
            Format::Oci | Format::OciArchive => self.image_path(&app, &slug, version),
        };
        let body = app.client.open(Method::GET, &url, &Value::Null).await?.into_body();
        let (bytes, checksum) = self.receive(body).await?;
        let path = self.output.display();
        if self.options.json {
            let checksum = checksum.to_string();
            say(&json!({ "bytes": bytes, "checksum": checksum, "path": self.output }).to_string());
        } else {
            say(&format!("Exporting v{version} of {} to {path}... done", app.name));
            say(&format!("{}, {checksum}", size::human(bytes)));
        }
        Ok(exit_code::OK)
    }

    fn image_path(&self, app: &App, slug: &Value, version: u64) -> String {
        let stack = archive::percent(&self.stack.stack);
        let id = text(&slug["id"]);
        app.path(&format!("/slugs/{id}/image?stack={stack}&name={}:v{version}", app.name))
    }

    /// What came is at its place whole, or not at all.
    async fn receive(&self, body: Incoming) -> Result<(u64, Checksum), CommandError> {
        let error = |source| SlugExchangeError::Output { path: self.output.clone(), source };
        let parent = self.output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(parent).map_err(error)?;
        let told = copy(body, &mut file, &self.output).await?;
        if self.format == Format::Oci {
            archive::unpack(file.path(), &self.output)?;
        } else {
            archive::publish(file, &self.output).map_err(error)?;
        }
        Ok(told)
    }
}

async fn copy(
    mut body: Incoming,
    file: &mut tempfile::NamedTempFile,
    path: &Path,
) -> Result<(u64, Checksum), CommandError> {
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| CommandError::Api {
            what: format!("export to {}", path.display()),
            found: format!("the answer broke off: {error}; the server's log says why"),
        })?;
        let data = frame.data_ref().map(AsRef::as_ref).unwrap_or_default();
        hasher.update(data);
        bytes += data.len() as u64;
        let error = |source| SlugExchangeError::Output { path: path.to_path_buf(), source };
        file.write_all(data).map_err(error)?;
    }
    Ok((bytes, Checksum::Sha256(hasher.finalize().into())))
}
