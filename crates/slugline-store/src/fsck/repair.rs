//! Repair: whole copies take the place of what is damaged, each checked before it is seen.

use std::collections::BTreeSet;

use slugline_model::care::Damage;
use slugline_model::slug::SlugId;

use super::{Broken, Check, FsckRequest, Part, Whom};
use crate::Store;
use crate::commit::sync_path;
use crate::object::ObjectKey;
use crate::pack::settle;
use crate::page::PageId;

impl Store {
    /// Repairs objects. What cannot be repaired loses its name, so that the next build that has the
    /// file stores it anew instead of taking what is there for whole.
    pub(super) fn repair_objects(&self, request: &FsckRequest<'_>, check: &mut Check, whom: &Whom) {
        let mut renew: BTreeSet<SlugId> = BTreeSet::new();
        for broken in &mut check.damage {
            let Part::Object(object) = broken.part else { continue };
            broken.repaired = self.repair_object(request, object, broken, whom);
            if broken.damage != Damage::Mode {
                renew.extend(whom.slugs(&broken.part).cloned());
            }
        }
        let renewed = renew.iter().filter(|id| self.renew_checkout(id)).count();
        check.checked.renewed_checkouts = renewed as u64;
    }

    fn repair_object(
        &self,
        request: &FsckRequest<'_>,
        object: ObjectKey,
        broken: &Broken,
        whom: &Whom,
    ) -> Option<String> {
        if broken.damage == Damage::Mode {
            let file = self.open_object(object).ok()?;
            return settle(&file, object).ok().map(|()| "its own name".to_owned());
        }
        let twin = ObjectKey { executable: !object.executable, ..object };
        if let Ok(mut file) = self.open_object(twin)
            && self.put_whole(object, &mut file)
        {
            return Some("the same content in this store".to_owned());
        }
        let paths = whom.paths(&broken.part);
        for copies in &request.copies {
            if let Some(mut content) = copies.object(object, &paths)
                && self.put_whole(object, &mut content)
            {
                return Some(copies.name());
            }
        }
        let gone = fs_err::remove_file(self.layout.object(object)).is_ok();
        let unneeded = whom.slugs(&broken.part).next().is_none();
        (gone && unneeded).then(|| "its removal".to_owned())
    }

    /// Whether the content was what the key says, and is in its place now, safe on the disk.
    fn put_whole(&self, object: ObjectKey, content: &mut dyn std::io::Read) -> bool {
        let place = self.layout.object(object);
        let parent = place.parent().unwrap_or(self.layout.root());
        self.put_object(object, content).and_then(|()| sync_path(parent)).is_ok()
    }

    /// Repairs a page, or takes its name: no ingest may take it for whole.
    pub(super) fn repair_page(
        &self,
        request: &FsckRequest<'_>,
        id: PageId,
        needed: bool,
    ) -> Option<String> {
        for copies in &request.copies {
            if let Some(squeezed) = copies.page(id)
                && self.put_page(id, &squeezed).is_ok()
                && sync_path(&self.layout.pages()).is_ok()
            {
                return Some(copies.name());
            }
        }
        let gone = fs_err::remove_file(self.layout.page(id)).is_ok();
        (gone && !needed).then(|| "its removal".to_owned())
    }

    /// Puts heads from copies in their places, where all that they name is there.
    pub(super) fn place_fetched(&self, check: &mut Check) {
        for (id, head, from) in std::mem::take(&mut check.fetched) {
            let placed = self.put_head(&id, &head).is_ok();
            let part = Part::Head(id);
            let mut damage = check.damage.iter_mut();
            if let Some(broken) = damage.find(|broken| broken.part == part).filter(|_| placed) {
                broken.repaired = Some(from);
            }
        }
    }
}
