//! A slug and some more files: another slug.

use std::io::Read;

use slugline_model::exchange::Extended;
use slugline_model::limits::Limits;
use slugline_model::slug::SlugId;

use super::import::{TgzError, bounds, import};
use crate::archive::place::{self, Place};
use crate::archive::read::{self, Item, Kind};
use crate::manifest::{Entry, Manifest};
use crate::pack::Packed;
use crate::{Assembly, IngestRequest, Store};

/// What no slug holds, as when a build's tree is stored.
const LEFT_OUT: [&[u8]; 2] = [b"tmp", b".git"];

impl Store {
    /// Makes a slug of another one and the files of a tar, whose paths are from the root on
    /// (`app/media/a.png`) and which may come from anyone. Nothing of the first one is read but its
    /// manifest: it costs what is added. What lies where an addition does makes room for it. When it
    /// fails, no part of the slug is visible.
    pub fn extend(
        &self,
        slug: &SlugId,
        additions: &mut dyn Read,
        limits: &Limits,
    ) -> Result<Extended, TgzError> {
        self.bring(slug)?;
        let mut assembly = self.assemble(&IngestRequest {
            process_types: self.manifest(slug)?.process_types,
            limits: limits.clone(),
            series: None,
        })?;
        let manifest = self.read_manifest(slug)?;
        self.take_over(&mut assembly, manifest)?;
        let (mut added, mut bytes) = (Vec::new(), 0);
        read::each(additions, bounds(limits), |item| {
            let Some((path, is_file)) = addition(&item) else { return Ok(()) };
            let size = item.size;
            if item.kind == Kind::Directory {
                assembly.make_way(&path);
            }
            import(&mut assembly, item)?;
            if is_file {
                bytes += size;
                added.push(String::from_utf8_lossy(&path).into_owned());
            }
            Ok::<_, TgzError>(())
        })?;
        if added.is_empty() {
            return Err(TgzError::Empty);
        }
        Ok(Extended { slug: assembly.finish()?, added, bytes })
    }

    /// Puts all of a slug into another one, by name.
    fn take_over(&self, assembly: &mut Assembly<'_>, manifest: Manifest) -> Result<(), TgzError> {
        let sizes = self.packed_sizes()?;
        for (path, entry) in manifest.entries {
            let Entry::File { object, size } = entry else {
                assembly.put_entry(path, entry);
                continue;
            };
            match sizes.get(&object.hash) {
                None => assembly.known_file(&path, object, size)?,
                weight => {
                    let packed = Packed { object, size, weight, weighed: false, new: false };
                    assembly.put_known(&path, packed)?;
                }
            }
        }
        Ok(())
    }
}

/// Where in the slug an entry lies that becomes part of it, and whether it is more than a directory.
fn addition(item: &Item<'_>) -> Option<(Vec<u8>, bool)> {
    let Ok(path) = place::normal(&item.path) else { return Some((item.path.clone(), true)) };
    let below = match place::below_app(&path) {
        Place::Below(below) => below.to_vec(),
        // Refused where it is taken in.
        _ => return Some((path, item.kind != Kind::Directory)),
    };
    let first = below.split(|byte| *byte == b'/').next().unwrap_or_default();
    (!LEFT_OUT.contains(&first)).then_some((below, item.kind != Kind::Directory))
}
