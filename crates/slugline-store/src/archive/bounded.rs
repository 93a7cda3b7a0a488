//! A reader that gives so much and then an error, and that knows when it came to its end.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Gives at most so many bytes.
#[derive(Debug)]
pub(crate) struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
    ended: Rc<Cell<bool>>,
}

/// What a reader says that would give more than it may.
#[derive(Debug, thiserror::Error)]
#[error("there is more of it than {limit} bytes")]
pub(crate) struct OverBound {
    limit: u64,
}

impl<R> Bounded<R> {
    pub(crate) fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit, limit, ended: Rc::default() }
    }

    /// Whether somebody read on where nothing was left, now and later.
    pub(crate) fn has_ended(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.ended)
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        // One byte more than is allowed tells whether there is more.
        let most = usize::try_from(self.left.saturating_add(1)).unwrap_or(usize::MAX);
        let most = buffer.len().min(most);
        let read = self.inner.read(&mut buffer[..most])?;
        self.ended.set(self.ended.get() || read == 0);
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(OverBound { limit: self.limit })),
        }
        Ok(read)
    }
}

/// The limit that an error of a reader speaks of, if it is of this kind.
pub(crate) fn over_bound(error: &io::Error) -> Option<u64> {
    let mut cause = error.get_ref().map(|error| error as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        if let Some(over) = error.downcast_ref::<OverBound>() {
            return Some(over.limit);
        }
        // The reader of archives wraps what it met, and tells it as the source.
        cause = match error.downcast_ref::<io::Error>() {
            Some(inner) => inner.get_ref().map(|error| error as _),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_reached_and_not_crossed() {
        let mut out = Vec::new();
        Bounded::new(&b"12345"[..], 5).read_to_end(&mut out).unwrap();
        assert_eq!(out, b"12345");
        let error = Bounded::new(io::repeat(0), 5).read_to_end(&mut out).unwrap_err();
        assert_eq!(over_bound(&error), Some(5));
        assert_eq!(over_bound(&io::Error::other(error)), Some(5));
        assert_eq!(over_bound(&io::ErrorKind::UnexpectedEof.into()), None);
    }
}
