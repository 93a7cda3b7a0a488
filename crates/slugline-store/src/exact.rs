//! An object's content, checked against its hash while it is read.

use std::io::{self, Read};

use crate::object::ObjectKey;

/// Gives an error in place of the end where the content was not what the key says.
#[derive(Debug)]
pub(crate) struct Exact<R> {
    inner: R,
    object: ObjectKey,
    hasher: blake3::Hasher,
    damaged: bool,
}

impl<R> Exact<R> {
    pub(crate) fn new(inner: R, object: ObjectKey) -> Self {
        Self { inner, object, hasher: blake3::Hasher::new(), damaged: false }
    }

    /// Whether the end was reached, and the hash was another.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged
    }
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() {
            self.damaged = self.hasher.finalize() != self.object.hash;
        }
        if self.damaged { Err(io::ErrorKind::InvalidData.into()) } else { Ok(read) }
    }
}
