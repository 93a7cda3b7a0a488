//! `slug:import`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek as _};
use std::path::Path;

use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::limits::Limits;
use slugline_model::procfile;

use super::SlugExchangeError;
use super::{Import, Release, archive, text};
use crate::builds::App;
use crate::console::say;
use crate::errors::CommandError;
use crate::outgoing::stream;

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
