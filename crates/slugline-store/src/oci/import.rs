//! Image to slug: what lies below `/app` once all the layers are on each other.

use std::collections::BTreeMap;

use slugline_model::exchange::{ImportRequest, Imported};
use slugline_model::procfile::ProcessTypes;

use super::document::Config;
use super::error::ImageError;
use super::image::PROCESS_TYPES;
use super::source::{Blobs, SourceLayer, digests};
use crate::archive::place::{self, Place};
use crate::archive::read::{self, Bounds, Item, Kind, display};
use crate::tgz::import::ingest_request;
use crate::{Assembly, Store, StoreError};

/// How many entries a layer may have, those of a stack among them, which are passed over.
const ENTRIES: u64 = 5_000_000;

/// What hides the entry that is called as what follows.
const WHITEOUT: &[u8] = b".wh.";

/// What hides all that lies in its directory in the layers beneath.
const OPAQUE: &[u8] = b".wh..wh..opq";

impl Store {
    /// Makes a slug of what an image has in `/app`. When it fails, no part of the slug is visible.
    pub(crate) fn import_image(
        &self,
        blobs: &Blobs,
        request: &ImportRequest,
    ) -> Result<Imported, ImageError> {
        let image = blobs.image()?;
        let mut request = request.clone();
        if request.process_types.is_empty() {
            request.process_types = process_types(&image.config);
        }
        let mut assembly = self.assemble(&ingest_request(&request))?;
        let mut left = request.limits.build_disk;
        let mut found = false;
        for layer in &image.layers {
            let bounds = Bounds { entries: ENTRIES, bytes: left };
            let (hidden, bytes) = checked(layer, bounds)?;
            left -= bytes.min(left);
            for hidden in &hidden {
                hidden.apply(&mut assembly);
            }
            let blob = layer.file.open(0);
            let blob = blob.map_err(|source| ImageError::from(read::reading(1, source)))?;
            read::each(blob, bounds, |mut item| {
                found |= put(&mut assembly, &mut item)?;
                Ok::<_, ImageError>(())
            })?;
        }
        if !found {
            return Err(ImageError::NoApp);
        }
        Ok(Imported { slug: assembly.finish()?, checksum: None })
    }
}

/// What a layer hides of those beneath it.
#[derive(Debug)]
enum Hidden {
    /// A path below `/app`, with all that lies there.
    Path(Vec<u8>),
    /// What lies below a path; below `/app`, if it is empty.
    Below(Vec<u8>),
}

impl Hidden {
    fn of(path: &[u8]) -> Option<Self> {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path),
        };
        if name == OPAQUE {
            return match place::below_app(parent) {
                Place::Root | Place::App => Some(Self::Below(Vec::new())),
                Place::Below(below) => Some(Self::Below(below.to_vec())),
                Place::Elsewhere => None,
            };
        }
        let name = name.strip_prefix(WHITEOUT).filter(|name| !name.starts_with(WHITEOUT))?;
        let hidden = if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() };
        match place::below_app(&hidden) {
            Place::App => Some(Self::Below(Vec::new())),
            Place::Below(below) => Some(Self::Path(below.to_vec())),
            Place::Root | Place::Elsewhere => None,
        }
    }

    fn apply(&self, assembly: &mut Assembly<'_>) {
        match self {
            Self::Path(path) => assembly.remove(path),
            Self::Below(path) => assembly.clear(path),
        }
    }
}

/// Holds a layer's blob against its digests, before anything of it is used; gives what it hides,
/// and how large it is unpacked (bytes).
fn checked(layer: &SourceLayer, bounds: Bounds) -> Result<(Vec<Hidden>, u64), ImageError> {
    let mut hidden = Vec::new();
    let (digest, diff_id, bytes) = digests(&layer.file, bounds, &mut |item| {
        if let Ok(path) = place::normal(&item.path) {
            hidden.extend(Hidden::of(&path));
        }
        Ok(())
    })?;
    for (expected, found) in [(layer.digest, digest), (Some(layer.diff_id), diff_id)] {
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(ImageError::Damaged { expected, found });
        }
    }
    Ok((hidden, bytes))
}

/// Takes an entry in; false if it is not the app's.
fn put(assembly: &mut Assembly<'_>, item: &mut Item<'_>) -> Result<bool, ImageError> {
    // Layers have absolute names too, by programs that know no better.
    let bare = item.path.iter().skip_while(|byte| **byte == b'/').copied().collect::<Vec<_>>();
    let path = match place::normal(&bare) {
        Ok(path) => path,
        Err(why) => return Err(ImageError::Place { name: display(&item.path), why }),
    };
    let below = match place::below_app(&path) {
        Place::App if item.kind == Kind::Directory => return Ok(true),
        Place::App => {
            let why = "/app must be a directory";
            return Err(ImageError::Entry { name: display(&item.path), why });
        }
        Place::Below(below) => below,
        Place::Root | Place::Elsewhere => return Ok(false),
    };
    let name = below.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if name.starts_with(WHITEOUT) {
        return Ok(true);
    }
    let refused = |why| Err(ImageError::Entry { name: display(&item.path), why });
    match item.kind {
        Kind::Directory => directory(assembly, below)?,
        Kind::File => assembly.file(below, item.executable, item.content)?,
        Kind::Symlink => assembly.symlink(below, &item.link)?,
        Kind::HardLink => match hard_link(&item.link) {
            Some(existing) => assembly.hard_link(below, &existing)?,
            None => return refused("it is a hard link to what lies outside of /app"),
        },
        Kind::Sparse => return refused("a slug cannot hold a sparse file"),
        // A slug does without what only a running program can use.
        Kind::Other => {}
    }
    Ok(true)
}

/// A directory takes the place of what else was there in a layer beneath.
fn directory(assembly: &mut Assembly<'_>, path: &[u8]) -> Result<(), StoreError> {
    match assembly.directory(path) {
        Err(StoreError::BadPath { .. }) => {
            assembly.remove(path);
            assembly.directory(path)
        }
        other => other,
    }
}

fn hard_link(target: &[u8]) -> Option<Vec<u8>> {
    let bare = target.iter().skip_while(|byte| **byte == b'/').copied().collect::<Vec<_>>();
    match place::below_app(&place::normal(&bare).ok()?) {
        Place::Below(below) => Some(below.to_vec()),
        _ => None,
    }
}

/// What an image says of its processes: by our label, else by what it would run.
fn process_types(config: &Config) -> ProcessTypes {
    let label = config.config.labels.as_ref().and_then(|labels| labels.get(PROCESS_TYPES));
    if let Some(types) = label.and_then(|label| serde_json::from_str(label).ok()) {
        return types;
    }
    let parts = [&config.config.entrypoint, &config.config.cmd];
    let words: Vec<String> =
        parts.into_iter().flatten().flatten().map(|word| quoted(word)).collect();
    match ("web".parse(), words.is_empty()) {
        (Ok(web), false) => BTreeMap::from([(web, words.join(" "))]),
        _ => BTreeMap::new(),
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_layer_hides_is_told_by_names() {
        let told = |path: &str| format!("{:?}", Hidden::of(path.as_bytes()));
        let bytes = |path: &str| format!("{:?}", path.as_bytes());
        assert_eq!(told("app/a/.wh.b"), format!("Some(Path({}))", bytes("a/b")));
        assert_eq!(told("app/a/.wh..wh..opq"), format!("Some(Below({}))", bytes("a")));
        for all in ["app/.wh..wh..opq", ".wh.app", ".wh..wh..opq"] {
            assert_eq!(told(all), "Some(Below([]))", "{all}");
        }
        for none in ["etc/.wh.passwd", "app/a", "app/.wh..wh.plnk", "app/wh.a"] {
            assert_eq!(told(none), "None", "{none}");
        }
    }

    #[test]
    fn without_our_label_an_image_runs_what_it_would_have_run() {
        let mut config = Config::default();
        assert_eq!(process_types(&config), ProcessTypes::new());
        config.config.entrypoint = Some(vec!["/bin/sh".into(), "-c".into()]);
        config.config.cmd = Some(vec!["echo it's me".into()]);
        let types = process_types(&config);
        let web = types.values().next().unwrap();
        assert_eq!(web, r"/bin/sh -c 'echo it'\''s me'");
        let label = (PROCESS_TYPES.to_owned(), r#"{"worker":"work"}"#.to_owned());
        config.config.labels = Some(BTreeMap::from([label]));
        assert_eq!(process_types(&config).keys().next().unwrap().to_string(), "worker");
    }
}
