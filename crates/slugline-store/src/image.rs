//! Slug to image: what a dyno's view of a slug is mounted from, where the kernel can.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use slugline_model::slug::SlugId;

use crate::checkout::{APP, boot_id};
use crate::error::{Result, writing};
use crate::lock::Lock;
use crate::staging::Staging;
use crate::{Store, erofs};

impl Store {
    /// The image of a slug that is whole here.
    pub(crate) fn image_here(&self, id: &SlugId) -> Result<PathBuf> {
        let _lock = self.lock_shared()?;
        self.read_head(id)?;
        let place = self.layout.image(id);
        let label = label_of_boot();
        if !is_of_boot(&place, label) {
            let _making = Lock::exclusive(&self.layout.checkout_lock())?;
            if !is_of_boot(&place, label) {
                self.make_image(id, &place, label)?;
            }
        }
        Ok(place)
    }

    /// The directory of all objects, in which images find their files.
    pub fn objects(&self) -> PathBuf {
        self.layout.objects()
    }

    fn make_image(&self, id: &SlugId, place: &Path, label: [u8; 16]) -> Result<()> {
        let staging = Staging::new(&self.layout)?;
        let manifest =
            self.verified_manifest(id).inspect_err(|error| self.forget_damaged(error))?;
        let new = staging.path().join("image");
        fs_err::write(&new, erofs::image(&manifest, APP, label)).map_err(writing(&new))?;
        fs_err::rename(&new, place).map_err(writing(place))
    }
}

/// Says since which start of the machine an image is known to be whole.
fn label_of_boot() -> [u8; 16] {
    let hash = blake3::hash(boot_id().as_bytes());
    let (label, _) = hash.as_bytes().split_at(16);
    label.try_into().unwrap_or_default()
}

/// Whether an image was made since the machine started. An older one is made anew: power may have
/// failed before all of it was on the disk, and files rot.
fn is_of_boot(place: &Path, label: [u8; 16]) -> bool {
    let mut head = vec![0; erofs::LABEL_WITHIN];
    let read = fs_err::File::open(place).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && erofs::label(&head) == Some(label)
}
