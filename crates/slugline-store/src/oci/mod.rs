//! OCI images: a slug as one, with a stack beneath and one layer a part, and slugs out of them.
//!
//! The layers are cached in the store's `layers/`, by what goes into them: whoever asks again for
//! an image of which only the app changed has only the app's layer packed.

mod cache;
pub mod digest;
pub mod document;
mod error;
mod host;
mod image;
mod import;
mod layer;
mod output;
mod source;
mod stack;
mod start;

pub use error::ImageError;
pub(crate) use image::document as document_of;
pub use image::{Image, ImageRequest};
pub use layer::Layer;
pub(crate) use layer::unnamed_with;
pub(crate) use source::{BlobFile, Blobs, fitting};
