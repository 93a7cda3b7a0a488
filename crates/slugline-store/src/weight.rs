//! How large a slug is when packed: the size that its limits speak of.
//!
//! To pack a slug only to learn its size would take longer than to store it. So the size is
//! estimated, from an eighth of what there is: of small files every eighth, chosen by its hash, of
//! large ones every eighth part. What is chosen depends on the contents and on nothing else, so a
//! slug has the same size each time. Where the estimate comes near a limit, or where there is
//! little to pack, all of it is packed.

use std::io::{self, Read, Seek, SeekFrom, Write};

use slugline_model::limits::Limits;

use crate::object::ObjectKey;

/// The compression that a slug's size is judged by: zstd's fastest, near to gzip's sizes.
const LEVEL: i32 = 1;

/// From here on files are large (bytes).
const LARGE: u64 = 64 << 10;

/// One of so many is packed.
const SHARE: u64 = 8;

/// The parts that large files are packed in (bytes).
const PART: usize = 32 << 10;

/// A slug with less in it is packed whole (bytes).
const LITTLE: u64 = 16 << 20;

/// Whether a file is packed to learn the size of all.
pub(crate) fn is_sample(object: ObjectKey, size: u64) -> bool {
    size >= LARGE || u64::from(object.hash[31]).is_multiple_of(SHARE)
}

/// What is known of a slug's packed size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Estimate {
    large_bytes: u64,
    large_packed: u64,
    small_bytes: u64,
    sample_bytes: u64,
    sample_packed: u64,
}

impl Estimate {
    /// Counts a file of this size (bytes) in. The packed size, of a sample.
    pub(crate) fn add(&mut self, size: u64, weight: Option<u64>) {
        if size >= LARGE {
            self.large_bytes += size;
            self.large_packed += weight.unwrap_or(size);
            return;
        }
        self.small_bytes += size;
        if let Some(weight) = weight {
            self.sample_bytes += size;
            self.sample_packed += weight;
        }
    }

    /// Takes a file out that was counted in just so.
    pub(crate) fn take(&mut self, size: u64, weight: Option<u64>) {
        if size >= LARGE {
            self.large_bytes -= size;
            self.large_packed -= weight.unwrap_or(size);
            return;
        }
        self.small_bytes -= size;
        if let Some(weight) = weight {
            self.sample_bytes -= size;
            self.sample_packed -= weight;
        }
    }

    /// The packed size of all (bytes), as far as can be told.
    pub(crate) fn packed(&self) -> u64 {
        let scaled = u128::from(self.small_bytes) * u128::from(self.sample_packed)
            / u128::from(self.sample_bytes.max(1));
        let small = if self.sample_bytes == 0 { self.small_bytes.into() } else { scaled };
        self.large_packed.saturating_add(u64::try_from(small).unwrap_or(u64::MAX))
    }

    /// Whether that will do.
    pub(crate) fn judge(&self, limits: &Limits) -> Verdict {
        let packed = self.packed();
        let near =
            |limit: u64| packed > limit - limit / 5 && packed < limit.saturating_add(limit / 5);
        if near(limits.slug_soft) || near(limits.slug_hard) {
            Verdict::NearLimit
        } else if is_little(self.large_bytes + self.small_bytes)
            && self.sample_bytes != self.small_bytes
        {
            Verdict::Incomplete
        } else {
            Verdict::WillDo(packed)
        }
    }
}

/// What an estimate is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the packed size (bytes).
    WillDo(u64),
    /// There is so little that all small files are to be packed.
    Incomplete,
    /// So near to a limit that all is to be packed.
    NearLimit,
}

/// Whether there is so little (bytes) that every small file is packed.
pub(crate) fn is_little(bytes: u64) -> bool {
    bytes < LITTLE
}

/// Whether a file of this size (bytes) is a small one.
pub(crate) fn is_small(size: u64) -> bool {
    size < LARGE
}

/// Packs contents to learn their size. Holds buffers that are used again.
pub(crate) struct Scale {
    packer: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
    part: Vec<u8>,
}

impl std::fmt::Debug for Scale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scale").finish_non_exhaustive()
    }
}

impl Scale {
    pub(crate) fn new() -> io::Result<Self> {
        let packer = zstd::bulk::Compressor::new(LEVEL)?;
        Ok(Self { packer, packed: Vec::new(), part: vec![0; PART] })
    }

    /// The packed size of a content in memory (bytes): estimated, of a large one.
    pub(crate) fn weigh(&mut self, content: &[u8]) -> io::Result<u64> {
        if (content.len() as u64) < LARGE {
            return self.pack(content);
        }
        let mut sample = Sample::default();
        for at in parts(content.len() as u64) {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let part = &content[at..content.len().min(at + PART)];
            sample.add(part, self.pack(part)?);
        }
        Ok(sample.of(content.len() as u64))
    }

    /// The estimated packed size of a large file's content (bytes).
    pub(crate) fn weigh_file(&mut self, mut file: impl Read + Seek, size: u64) -> io::Result<u64> {
        let mut sample = Sample::default();
        for at in parts(size) {
            file.seek(SeekFrom::Start(at))?;
            let mut part = std::mem::take(&mut self.part);
            let read = crate::pack::fill(&mut file, &mut part)?;
            sample.add(&part[..read], self.pack(&part[..read])?);
            self.part = part;
        }
        Ok(sample.of(size))
    }

    /// The packed size of a file's content (bytes): estimated, of a large one.
    pub(crate) fn weigh_any(&mut self, mut file: impl Read + Seek, size: u64) -> io::Result<u64> {
        if size >= LARGE {
            return self.weigh_file(file, size);
        }
        let mut content = Vec::new();
        file.rewind()?;
        file.take(LARGE).read_to_end(&mut content)?;
        self.pack(&content)
    }

    fn pack(&mut self, content: &[u8]) -> io::Result<u64> {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(content.len()));
        Ok(self.packer.compress_to_buffer(content, &mut self.packed)? as u64)
    }
}

/// Parts of one content.
#[derive(Default)]
struct Sample {
    bytes: u64,
    packed: u64,
}

impl Sample {
    fn add(&mut self, part: &[u8], packed: u64) {
        self.bytes += part.len() as u64;
        self.packed += packed;
    }

    fn of(&self, size: u64) -> u64 {
        let packed = u128::from(size) * u128::from(self.packed) / u128::from(self.bytes.max(1));
        u64::try_from(packed).unwrap_or(u64::MAX)
    }
}

/// Where the parts of a large content begin that are packed: not its head, which is seldom like
/// the rest.
fn parts(size: u64) -> impl Iterator<Item = u64> {
    let count = size.div_ceil(PART as u64);
    let first = (count / 2).min(SHARE / 2);
    (first..count).step_by(usize::try_from(SHARE).unwrap_or(1)).map(|part| part * PART as u64)
}

/// The packed size of a content, whole (bytes).
pub(crate) fn weigh_whole(mut content: impl Read) -> io::Result<u64> {
    let mut packer = zstd::Encoder::new(Count(0), LEVEL)?;
    io::copy(&mut content, &mut packer)?;
    Ok(packer.finish()?.0)
}

/// Counts what is written to it (bytes).
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words that repeat more or less.
    fn text(seed: u64, size: usize) -> Vec<u8> {
        let mut state = seed;
        let words = std::iter::from_fn(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some(format!("value{} = {:x};\n", state >> 56, (state >> 33) % (seed + 50)))
        });
        words.flat_map(String::into_bytes).take(size).collect()
    }

    #[test]
    fn an_estimate_is_near_to_what_all_weighs() {
        let mut scale = Scale::new().unwrap();
        let (mut estimate, mut whole) = (Estimate::default(), 0);
        for seed in 0..4_000 {
            let content = text(seed, usize::try_from(seed * 37 % 9_000).unwrap());
            let object = ObjectKey { hash: *blake3::hash(&content).as_bytes(), executable: false };
            let size = content.len() as u64;
            let weight = is_sample(object, size).then(|| scale.weigh(&content).unwrap());
            estimate.add(size, weight);
            whole += scale.pack(&content).unwrap();
        }
        for seed in [1, 2, 3] {
            let content = text(seed, 3_000_000);
            let weight = scale.weigh(&content).unwrap();
            assert_eq!(scale.weigh_file(io::Cursor::new(&content), 3_000_000).unwrap(), weight);
            estimate.add(3_000_000, Some(weight));
            whole += weigh_whole(content.as_slice()).unwrap();
        }
        let off = estimate.packed().abs_diff(whole) * 100 / whole;
        assert!(off <= 8, "{off} per cent off");
    }

    #[test]
    fn near_a_limit_and_where_there_is_little_an_estimate_will_not_do() {
        let limits = Limits { slug_soft: 30 << 20, slug_hard: 50 << 20, ..Limits::default() };
        for (packed, near) in [(1, false), (25, true), (30, true), (41, true), (70, false)] {
            let mut estimate = Estimate::default();
            estimate.add(90 << 20, Some(packed << 20));
            let verdict = if near { Verdict::NearLimit } else { Verdict::WillDo(packed << 20) };
            assert_eq!(estimate.judge(&limits), verdict, "{packed} MiB");
        }
        let mut estimate = Estimate::default();
        estimate.add(10, Some(8));
        assert_eq!(estimate.judge(&limits), Verdict::WillDo(8));
        estimate.add(10, None);
        assert_eq!(estimate.judge(&limits), Verdict::Incomplete);
    }

    #[test]
    fn what_is_taken_out_leaves_no_trace() {
        let mut estimate = Estimate::default();
        for (size, weight) in [(LARGE, Some(7)), (5, None), (5, Some(3))] {
            estimate.add(size, weight);
            estimate.take(size, weight);
        }
        assert_eq!(estimate, Estimate::default());
    }
}
