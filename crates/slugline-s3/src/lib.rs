//! An S3 server for one machine: buckets, objects and keys below one directory, crash-safe.
//!
//! A request's way is the order of the modules: the `server` takes it, its body to the end (`incoming`), and answers
//! browsers' questions (`cors`); s3s reads it and verifies its signature with the `keys`; the `service` does what it asks
//! for, one file a kind of request; bytes go through `content`; and the `index` says what exists,
//! which the `storage` changes so that nothing is lost that was answered for.

mod content;
mod cors;
mod error;
mod form;
mod incoming;
mod index;
mod keys;
mod server;
mod service;
mod storage;

pub use error::{Result, StorageError};
pub use index::bucket::Bucket;
pub use keys::KeyPair;
pub use server::{Answer, Server};
pub use storage::{BucketChange, Files, Setting, Storage};
