//! Python's compiled files, which name the time of the source that they were compiled from.
//!
//! A checkout gives every file the same fixed time, so Python would find all of them out of date:
//! each dyno would compile the app again at each start, and write the results into its layer. So a
//! compiled file that is up to date in the build is stored as up to date in a checkout. That
//! also makes it the same file in every build.

/// Where the flags, the time and the source's size stand in a compiled file's head (PEP 552).
const HEAD: usize = 16;

/// Puts `fixed_time` into a compiled file whose source, of which `source` tells the time (seconds
/// since 1970) and size (bytes), it is up to date with.
pub(crate) fn settle(
    path: &[u8],
    content: &mut [u8],
    fixed_time: u32,
    source: impl Fn(&[u8]) -> Option<(i64, u64)>,
) {
    let Some(compiled_from) = source_of(path) else { return };
    let is_compiled = content.len() >= HEAD && content[2..4] == *b"\r\n" && content[4..8] == [0; 4];
    if !is_compiled {
        return;
    }
    // Python compares the low 32 bits.
    let current = source(&compiled_from).is_some_and(|(time, size)| {
        content[8..12] == time.to_le_bytes()[..4] && content[12..16] == size.to_le_bytes()[..4]
    });
    if current {
        content[8..12].copy_from_slice(&fixed_time.to_le_bytes());
    }
}

/// `a/__pycache__/b.cpython-313.pyc` is compiled from `a/b.py`, and `a/b.pyc` too.
pub(crate) fn source_of(path: &[u8]) -> Option<Vec<u8>> {
    let path = path.strip_suffix(b".pyc")?;
    let name_at = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at(name_at);
    let Some(parent) = directory.strip_suffix(b"__pycache__/") else {
        return Some([path, b".py"].concat());
    };
    let module = name.split(|b| *b == b'.').next()?;
    Some([parent, module, b".py"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(flags: u32, time: u32, size: u32) -> Vec<u8> {
        let words = [flags, time, size].map(u32::to_le_bytes).concat();
        [b"\xf3\x0d\r\n", words.as_slice(), b"code"].concat()
    }

    fn settled(path: &str, mut content: Vec<u8>) -> Vec<u8> {
        settle(path.as_bytes(), &mut content, 7, |source| {
            (source == b"app/views.py").then_some((1_700_000_000, 42))
        });
        content
    }

    #[test]
    fn an_up_to_date_file_stays_up_to_date() {
        for path in ["app/__pycache__/views.cpython-313.opt-1.pyc", "app/views.pyc"] {
            assert_eq!(settled(path, compiled(0, 1_700_000_000, 42)), compiled(0, 7, 42));
        }
    }

    #[test]
    fn any_other_file_is_left_alone() {
        let path = "app/__pycache__/views.cpython-313.pyc";
        let stale = [compiled(0, 1_600_000_000, 42), compiled(0, 1_700_000_000, 41)];
        for content in stale.into_iter().chain([compiled(1, 1_700_000_000, 42), b"x".to_vec()]) {
            assert_eq!(settled(path, content.clone()), content);
        }
        let content = compiled(0, 1_700_000_000, 42);
        assert_eq!(settled("app/__pycache__/gone.cpython-313.pyc", content.clone()), content);
        assert_eq!(settled("app/views.py", content.clone()), content);
    }
}
