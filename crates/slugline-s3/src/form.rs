//! Browsers' forms: the name of the file in one, which may be a part of its key.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// What a key has where the file's name goes.
const PLACE: &str = "${filename}";
/// How the header of the file's part begins.
const MARK: &[u8] = b"name=\"file\"; filename=\"";
/// Headers of parts are looked at up to this length.
const LONGEST: usize = 4_096;

/// The name of a form's file, once it has come by.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileName(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The end of what has come by.
    seen: Vec<u8>,
    found: Option<String>,
}

impl FileName {
    /// Looks at a piece of the body.
    pub(crate) fn look(&self, bytes: &Bytes) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.found.is_some() {
            return;
        }
        state.seen.extend_from_slice(bytes);
        state.found = find(&state.seen);
        let over = state.seen.len().saturating_sub(LONGEST);
        state.seen.drain(..over);
    }

    /// A key with the name in its place: without the directories that some browsers send along.
    pub(crate) fn fill(&self, key: &str) -> String {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = state.found.as_deref().unwrap_or_default();
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        key.replace(PLACE, name)
    }
}

fn find(seen: &[u8]) -> Option<String> {
    let start = seen.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let rest = seen.get(start..)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    let name = String::from_utf8_lossy(&rest[..end]).into_owned();
    // As browsers write what would end the name.
    Some(name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_is_found_however_the_body_is_cut() {
        let body =
            b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\a b.png\"\r\n";
        for cut in 1..body.len() {
            let name = FileName::default();
            for piece in body.chunks(cut) {
                name.look(&Bytes::from_static(piece));
            }
            assert_eq!(name.fill("forms/${filename}"), "forms/a b.png");
        }
        assert_eq!(FileName::default().fill("plain"), "plain");
    }
}
