//! Content on its way out, each piece held against its hash first.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};

use crate::content::{ContentId, PIECE, Pin, Places};
use crate::error::{Result, StorageError};

/// Pieces that are read before somebody takes them.
const AHEAD: usize = 2;

/// One content of an object, as the index knows it.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) id: ContentId,
    pub(crate) size: u64,
    pub(crate) hashes: Arc<[u8]>,
    pub(crate) data: Option<Bytes>,
}

/// A segment whose file is opened when its first piece is read.
#[derive(Debug)]
struct Opened {
    segment: Segment,
    file: OnceLock<File>,
}

/// What is read and verified at once, and what of it is wanted.
#[derive(Debug)]
struct Piece {
    of: Arc<Opened>,
    number: u64,
    wanted: Range<u64>,
}

/// The bytes of a range, piece by piece. The pin is held until all are read.
pub(crate) fn read(
    places: Places,
    segments: Vec<Segment>,
    range: Range<u64>,
    pin: Option<Pin>,
) -> impl Stream<Item = Result<Bytes>> + Send + Sync + 'static {
    let pin = Arc::new(pin);
    let read = move |piece: Piece| {
        let (places, pin) = (places.clone(), Arc::clone(&pin));
        async move {
            let read = if piece.of.segment.data.is_some() {
                piece.read(&places)
            } else {
                let read = tokio::task::spawn_blocking(move || piece.read(&places)).await;
                read.map_err(|_| StorageError::Closed)?
            };
            drop(pin);
            read
        }
    };
    stream::iter(parts(segments, &range).into_iter().flat_map(pieces)).map(read).buffered(AHEAD)
}

/// What of which segment a range of an object is.
fn parts(segments: Vec<Segment>, range: &Range<u64>) -> Vec<(Segment, Range<u64>)> {
    let mut start = 0;
    let mut found = Vec::new();
    for segment in segments {
        let end = start + segment.size;
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            found.push((segment, from - start..to - start));
        }
        start = end;
    }
    found
}

fn pieces((segment, range): (Segment, Range<u64>)) -> impl Iterator<Item = Piece> {
    let of = Arc::new(Opened { segment, file: OnceLock::new() });
    let whole = PIECE as u64;
    (range.start / whole..range.end.div_ceil(whole)).map(move |number| {
        let start = number * whole;
        let wanted = range.start.max(start)..range.end.min(start + whole);
        Piece { of: Arc::clone(&of), number, wanted: wanted.start - start..wanted.end - start }
    })
}

impl Piece {
    /// Blocks on the disk.
    fn read(&self, places: &Places) -> Result<Bytes> {
        let segment = &self.of.segment;
        let start = self.number * PIECE as u64;
        let end = (start + PIECE as u64).min(segment.size);
        let bytes = match &segment.data {
            Some(data) => slice(data, start..end),
            None => self.on_disk(places, start..end)?,
        };
        let at = usize::try_from(self.number).unwrap_or(usize::MAX).saturating_mul(32);
        let expected = segment.hashes.get(at..at.saturating_add(32));
        if expected != Some(blake3::hash(&bytes).as_bytes()) {
            return Err(self.damaged());
        }
        Ok(slice(&bytes, self.wanted.clone()))
    }

    fn on_disk(&self, places: &Places, range: Range<u64>) -> Result<Bytes> {
        let file = if let Some(file) = self.of.file.get() {
            file
        } else {
            let opened = open(places, self.of.segment.id)?;
            self.of.file.get_or_init(|| opened)
        };
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(PIECE)];
        match file.read_exact_at(&mut bytes, range.start) {
            Ok(()) => Ok(bytes.into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damaged()),
            Err(error) => {
                let path = places.settled(self.of.segment.id);
                Err(StorageError::file("read", &path, error))
            }
        }
    }

    fn damaged(&self) -> StorageError {
        StorageError::Damaged { content: self.of.segment.id.to_string() }
    }
}

fn slice(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end))
}

/// It is in its place, or has not got there.
fn open(places: &Places, id: ContentId) -> Result<File> {
    let settled = places.settled(id);
    let opened = match File::open(&settled) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // It may move between the two.
            File::open(places.arriving(id)).or_else(|_| File::open(&settled))
        }
        other => other,
    };
    opened.map_err(|error| StorageError::file("open", &settled, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::write::write;
    use futures_util::TryStreamExt as _;

    async fn stored(places: &Places, bytes: &[u8]) -> Segment {
        let body = stream::iter([Ok(Bytes::copy_from_slice(bytes))]);
        let mut written = write(places, body, u64::MAX, Vec::new()).await.unwrap();
        if let Some(arrived) = written.arrived.take() {
            arrived.settle();
        }
        let Written { id, size, hashes, data, .. } = written;
        Segment { id, size, hashes: hashes.into(), data }
    }

    use crate::content::write::Written;

    async fn all(places: &Places, segments: &[Segment], range: Range<u64>) -> Result<Vec<u8>> {
        let read = read(places.clone(), segments.to_vec(), range, None);
        read.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
    }

    #[tokio::test]
    async fn a_range_is_the_same_bytes_wherever_segments_and_pieces_end() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::open(directory.path()).unwrap();
        let sizes = [PIECE + 1, 3, 2 * PIECE, 0, 70_000];
        let (mut segments, mut bytes) = (Vec::new(), Vec::new());
        for (number, size) in sizes.into_iter().enumerate() {
            let more: Vec<u8> =
                (0..size).map(|n| ((n * 7 + number) % 251).to_le_bytes()[0]).collect();
            segments.push(stored(&places, &more).await);
            bytes.extend(more);
        }
        let end = bytes.len() as u64;
        let piece = PIECE as u64;
        for (from, to) in [(0, end), (piece - 1, piece + 5), (piece, piece + 2), (end - 1, end)] {
            let expected = &bytes[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()];
            assert!(all(&places, &segments, from..to).await.unwrap() == expected, "{from}..{to}");
        }
    }

    #[tokio::test]
    async fn a_bit_that_has_turned_is_never_answered() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::open(directory.path()).unwrap();
        let segment = stored(&places, &vec![7; 3 * PIECE]).await;
        let path = places.settled(segment.id);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[2 * PIECE + 5] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let one = std::slice::from_ref(&segment);
        assert!(all(&places, one, 0..10).await.is_ok(), "another piece is whole");
        let damaged = all(&places, one, 0..3 * PIECE as u64).await;
        assert!(matches!(damaged, Err(StorageError::Damaged { .. })));
    }
}
