//! git's tar of a commit, block by block.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use slugline_model::large_file::{LONGEST, Pointer};

/// A tar is made of blocks (bytes).
const BLOCK: usize = 512;

/// Where a header has a file's size, in octal digits.
const SIZE: std::ops::Range<usize> = 124..136;

/// Where it has the sum of its bytes, which counts itself as spaces.
const SUM: std::ops::Range<usize> = 148..156;

/// Where it has the kind of what follows.
const KIND: usize = 156;

/// Files of this size and more do not fit in a header (bytes).
const TOO_LARGE: u64 = 1 << 33;

/// Passes a tar on without its end.
pub(super) struct Pass<'a, W> {
    /// Where files of git-lfs lie whose pointers are replaced.
    pub(super) large_files: Option<&'a Path>,
    pub(super) output: &'a mut W,
}

impl<W: Write> Pass<'_, W> {
    pub(super) fn on(&mut self, mut input: impl Read) -> io::Result<()> {
        let mut header = [0; BLOCK];
        loop {
            input.read_exact(&mut header)?;
            if header.iter().all(|byte| *byte == 0) {
                // The rest is the same; whoever writes it is to come to its end.
                return io::copy(&mut input, &mut io::sink()).map(drop);
            }
            let size = size(&header)?;
            let is_file = matches!(header[KIND], b'0' | 0);
            if is_file && (1..LONGEST).contains(&size) {
                self.small(&mut header, size, &mut input)?;
            } else {
                self.output.write_all(&header)?;
                copy(&mut input, self.output, padded(size))?;
            }
        }
    }

    /// A file that may be a pointer.
    fn small(
        &mut self,
        header: &mut [u8; BLOCK],
        size: u64,
        input: &mut impl Read,
    ) -> io::Result<()> {
        let mut content = Vec::new();
        input.by_ref().take(padded(size)).read_to_end(&mut content)?;
        let length = usize::try_from(size).unwrap_or(usize::MAX).min(content.len());
        let Some((file, size)) = self.large_file(&content[..length]) else {
            self.output.write_all(header)?;
            return self.output.write_all(&content);
        };
        set_size(header, size);
        self.output.write_all(header)?;
        copy(file, self.output, size)?;
        let padding = usize::try_from(padded(size) - size).unwrap_or_default();
        self.output.write_all(&[0; BLOCK][..padding])
    }

    /// What a pointer points to, if it is here.
    fn large_file(&self, content: &[u8]) -> Option<(File, u64)> {
        let pointer = Pointer::of(content)?;
        let file = File::open(self.large_files?.join(pointer.oid.path())).ok()?;
        let is_whole = file.metadata().ok()?.len() == pointer.size && pointer.size < TOO_LARGE;
        is_whole.then_some((file, pointer.size))
    }
}

/// The end of a tar.
pub(super) fn end(output: &mut impl Write) -> io::Result<()> {
    output.write_all(&[0; 2 * BLOCK])
}

fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64)
}

fn size(header: &[u8; BLOCK]) -> io::Result<u64> {
    let digits = std::str::from_utf8(&header[SIZE]).unwrap_or_default();
    let digits = digits.trim_matches(['\0', ' ']);
    u64::from_str_radix(digits, 8).map_err(|_| io::Error::other("a file is larger than 8 GB"))
}

fn set_size(header: &mut [u8; BLOCK], size: u64) {
    header[SIZE].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[SUM].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn copy(input: impl Read, output: &mut impl Write, length: u64) -> io::Result<()> {
    if io::copy(&mut input.take(length), output)? == length {
        return Ok(());
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use slugline_model::large_file::VERSION;

    #[test]
    fn pointers_are_replaced_where_the_file_is_here_and_the_tar_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let oid = "ab".repeat(32);
        let place = directory.path().join("ab/ab").join(&oid);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, vec![b'x'; 100_000]).unwrap();
        let pointer = format!("{VERSION}\noid sha256:{oid}\nsize 100000\n");
        let other = pointer.replace("ab", "cd");
        let long = "d/".repeat(80) + "long.txt";
        let mut tar = tar::Builder::new(Vec::new());
        for (name, text) in
            [("big.bin", &*pointer), ("other.bin", &*other), (&long, "short"), ("no", "")]
        {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        let mut out = Vec::new();
        let large_files = Some(directory.path());
        Pass { large_files, output: &mut out }.on(&*tar.into_inner().unwrap()).unwrap();
        end(&mut out).unwrap();
        let mut found = Vec::new();
        for entry in tar::Archive::new(&*out).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.push((entry.path().unwrap().display().to_string(), text));
        }
        let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let big = "x".repeat(100_000);
        let wanted = [
            text("big.bin", &big),
            text("other.bin", &other),
            text(&long, "short"),
            text("no", ""),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_tar_that_breaks_off_is_an_error() {
        let mut out = Vec::new();
        let mut pass = Pass { large_files: None, output: &mut out };
        assert!(pass.on(&[1_u8; 100][..]).is_err() && pass.on(&[][..]).is_err());
    }
}
