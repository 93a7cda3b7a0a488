//! What to do about a file that is not in the slug, as a line that can be pasted.

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::listing::Listing;

/// What an app is built with, as far as its slug tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// Django: `manage.py`.
    pub django: bool,
    /// Rails: `bin/rails`.
    pub rails: bool,
    /// `package.json`.
    pub node: bool,
}

impl Tools {
    /// What a slug's top has.
    pub fn of(listing: &Listing) -> Self {
        let has = |path: &str| listing.items.contains_key(path.as_bytes());
        Self { django: has("manage.py"), rails: has("bin/rails"), node: has("package.json") }
    }

    /// How a file comes to be in the slug.
    pub(super) fn remedy(self, url: &str, kind: Kind) -> String {
        match self.command(url, kind) {
            Some(command) => format!("add `{command}` to bin/post_compile"),
            None if is_upload(url) => {
                "keep what users upload in a bucket (S3): a dyno's disk goes with it".to_owned()
            }
            None => "make it in the build (bin/post_compile), so that it is in the slug".to_owned(),
        }
    }

    fn command(self, url: &str, kind: Kind) -> Option<&'static str> {
        let code = matches!(kind, Kind::Style | Kind::Script | Kind::Map | Kind::Manifest);
        if url.contains("/_next/") {
            return Some("npx next build");
        }
        if self.django && url.contains("/CACHE/") {
            let thumbnails = url.contains("/CACHE/images/");
            let compress = "python manage.py compress";
            return Some(if thumbnails { "python manage.py generateimages" } else { compress });
        }
        if is_upload(url) {
            return None;
        }
        match self {
            Self { rails: true, .. } => Some("bin/rails assets:precompile"),
            // Whatever a packer of scripts makes has a hash of its own form, or says chunk.
            Self { node: true, django: false, .. } if code => Some("npm run build"),
            Self { node: true, .. } if url.contains("chunk") => Some("npm run build"),
            Self { django: true, .. } => Some("python manage.py collectstatic --noinput"),
            _ => None,
        }
    }
}

fn is_upload(url: &str) -> bool {
    ["/media/", "/uploads/", "/upload/", "/storage/", "/system/"]
        .iter()
        .any(|place| url.starts_with(place))
}
