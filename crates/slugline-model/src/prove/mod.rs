//! The proof: whether each static file that an app's pages need is in its slug.
//!
//! A dyno that is thrown away is asked for the pages and for all that they refer to; a second one,
//! as fresh, for the same files *before any page*, so that what a page makes when it is first seen
//! is missing there. What was found is judged here; who asks is the platform.

mod address;
mod css;
mod frontier;
mod html;
mod manifest;
mod remedy;
mod script;
mod verdict;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use address::{Base, resolve};
pub use frontier::{Ask, Bounds, Frontier};
pub use verdict::{
    Answer, Asset, Evidence, Finding, LiveAsset, PageSeen, Problem, Verdict, Written, judge,
};

/// What an address is of, as far as its reference or its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What a person opens.
    Page,
    /// A style sheet.
    Style,
    /// A script.
    Script,
    /// A picture.
    Image,
    /// A font.
    Font,
    /// A source map.
    Map,
    /// A list of files: of a packer of scripts, or of a web app.
    Manifest,
    /// A list of pages.
    Sitemap,
    /// Anything else: sound, film, documents.
    Other,
}

/// How sure it is that a page needs what is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// It looks like an address. It counts once it was served.
    Guess,
    /// A list of files names it. It counts once another file of the list was served.
    Listed,
    /// A browser will ask for it.
    Certain,
}

/// An address that a text refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Path and query on the app's own host.
    pub url: String,
    /// What it is of.
    pub kind: Kind,
    /// How sure it is that it is needed.
    pub trust: Trust,
}

impl Kind {
    /// The kind that a path's last extension tells.
    pub fn of_path(url: &str) -> Self {
        match extension(url).as_str() {
            "css" => Self::Style,
            "js" | "mjs" | "cjs" => Self::Script,
            "png" | "jpg" | "jpeg" | "gif" | "svg" | "webp" | "avif" | "ico" | "bmp" => Self::Image,
            "woff" | "woff2" | "ttf" | "otf" | "eot" => Self::Font,
            "map" => Self::Map,
            "webmanifest" => Self::Manifest,
            _ => Self::Other,
        }
    }

    /// Whether it is one of the files that a page needs, and no page.
    pub fn is_asset(self) -> bool {
        !matches!(self, Self::Page | Self::Sitemap)
    }

    /// Whether a media type, without parameters and in lower case, may stand for this kind. Browsers
    /// refuse style sheets of another type, and what is HTML is none of these.
    pub fn accepts(self, media_type: &str) -> bool {
        match self {
            Self::Page | Self::Sitemap | Self::Other => true,
            Self::Style => media_type == "text/css",
            Self::Script => !matches!(media_type, "text/html" | "text/css" | "text/csv"),
            Self::Image | Self::Font | Self::Map | Self::Manifest => media_type != "text/html",
        }
    }
}

/// Extensions of files that pages refer to beside those that have a kind of their own.
const OTHERS: [&str; 18] = [
    "json", "wasm", "mp3", "mp4", "webm", "ogg", "m4a", "wav", "mov", "pdf", "vtt", "txt", "xml",
    "glb", "zip", "csv", "data", "bin",
];

/// Whether a path's name ends as static files' names do.
pub fn looks_static(url: &str) -> bool {
    Kind::of_path(url) != Kind::Other || OTHERS.contains(&extension(url).as_str())
}

/// The references of a text of this media type (without parameters, in lower case), once each.
pub fn references(kind: Kind, media_type: &str, text: &str, base: &Base) -> Vec<Reference> {
    let mut found = match (kind, media_type) {
        (Kind::Sitemap, _) => html::sitemap(text),
        (_, "text/html" | "application/xhtml+xml") => html::references(text, base),
        (_, "text/css") => css::references(text, base, Trust::Certain),
        (Kind::Map, _) => vec![],
        (Kind::Manifest, _) | (_, "application/manifest+json") => manifest::references(text, base),
        (Kind::Script, _) | (_, "text/javascript" | "application/javascript") => {
            script::references(text, base)
        }
        _ => vec![],
    };
    found.sort_by(|a, b| a.url.cmp(&b.url).then(b.trust.cmp(&a.trust)));
    found.dedup_by(|again, first| again.url == first.url);
    found
}

/// What follows the last dot of the last segment, in lower case.
fn extension(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or_else(String::new, |(_, end)| end.to_ascii_lowercase())
}

/// What a release's proof is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// None is made.
    #[default]
    Off,
    /// It is told, and the release takes effect.
    Warn,
    /// A release takes effect only if nothing is wrong.
    Block,
}

impl Gate {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Off, Self::Warn, Self::Block].into_iter().find(|gate| gate.as_str() == name)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Block => "block",
        }
    }
}
