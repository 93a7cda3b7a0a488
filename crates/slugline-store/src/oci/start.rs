//! What starts a slug in an image: a script that does what a dyno does, and the process types for
//! it to read.

use slugline_model::procfile::ProcessTypes;
use slugline_model::sandbox::{COMMAND_PROFILE, group, passwd, root_directories};

use super::cache::LayerWriter;
use super::error::ImageError;
use super::layer::DYNO;
use crate::archive::write::Owner;

/// Where the script is.
pub(crate) const PATH: &str = "/slugline/start";

/// The layer between the stack and the slug.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// Whether what lies beneath brings `/etc/passwd`, and the directories that programs expect.
    pub(crate) has_users: bool,
    /// Whether there may be an `/app` below, which is not the slug's.
    pub(crate) hides_app: bool,
}

impl Start {
    /// What it is cached by.
    pub(crate) fn key(self) -> String {
        let kind = [u8::from(self.has_users), u8::from(self.hides_app)];
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"slugline start 1\0").update(&kind).update(script().as_bytes());
        hasher.update(passwd().as_bytes()).update(group().as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    pub(crate) fn pack(self, tar: &mut LayerWriter<'_>) -> Result<(), ImageError> {
        if !self.has_users {
            for (path, mode) in root_directories().filter(|(path, _)| *path != "app") {
                tar.directory(path.as_bytes(), mode, Owner::ROOT)?;
            }
            pack_users(tar)?;
        }
        tar.directory(b"app", 0o755, DYNO)?;
        if self.hides_app {
            text(tar, "app/.wh..wh..opq", 0o644, "")?;
        }
        tar.directory(b"slugline", 0o755, Owner::ROOT)?;
        text(tar, PATH.trim_start_matches('/'), 0o755, &script())
    }
}

/// Whom programs ask for who they are.
pub(crate) fn pack_users(tar: &mut LayerWriter<'_>) -> Result<(), ImageError> {
    text(tar, "etc/passwd", 0o644, &passwd())?;
    text(tar, "etc/group", 0o644, &group())?;
    text(tar, "etc/nsswitch.conf", 0o644, "passwd: files\ngroup: files\nhosts: files dns\n")
}

/// Each process type's command in a file of its name.
pub(crate) fn pack_processes(
    types: &ProcessTypes,
    tar: &mut LayerWriter<'_>,
) -> Result<(), ImageError> {
    tar.directory(b"slugline", 0o755, Owner::ROOT)?;
    tar.directory(b"slugline/process", 0o755, Owner::ROOT)?;
    types.iter().try_for_each(|(name, command)| {
        text(tar, &format!("slugline/process/{name}"), 0o644, command)
    })
}

fn text(tar: &mut LayerWriter<'_>, path: &str, mode: u32, text: &str) -> Result<(), ImageError> {
    let size = text.len() as u64;
    Ok(tar.file(path.as_bytes(), (mode, size), Owner::ROOT, &mut text.as_bytes())?)
}

/// The script, with what dynos run before a command in single quotes.
fn script() -> String {
    include_str!("start.sh").replace("PROFILE", &COMMAND_PROFILE.replace('\'', r"'\''"))
}
