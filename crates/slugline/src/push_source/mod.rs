//! The source of a push: what git says is in a commit, with the files of git-lfs in the place of
//! their pointers, and submodules where the commit has them.

mod archive;
mod submodules;

use std::io::{self, PipeReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

pub(crate) use submodules::{Fetched, Fetching};

use archive::Pass;

/// A tar that is written while it is read. One that cannot be finished is an error, no end.
pub(crate) struct Source {
    output: PipeReader,
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Source {
    /// Of a commit of the repository that git runs the hook in.
    pub(crate) fn of(commit: &str, submodules: Fetched) -> io::Result<Self> {
        let (output, input) = io::pipe()?;
        let commit = commit.to_owned();
        let writer = std::thread::spawn(move || write(&commit, &submodules, input));
        Ok(Self { output, writer: Some(writer) })
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.output.read(buffer)?;
        if length > 0 || buffer.is_empty() {
            return Ok(length);
        }
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(done)) => done.map(|()| 0),
            Some(Err(_)) => Err(io::Error::other("the source could not be written")),
            None => Ok(0),
        }
    }
}

fn write(commit: &str, submodules: &Fetched, mut output: impl Write) -> io::Result<()> {
    let mut own = Command::new("git");
    own.args(["archive", "--format=tar", commit]);
    pass(own, &mut Pass { large_files: Some(&large_files()), output: &mut output })?;
    for archive in submodules.archives() {
        pass(archive, &mut Pass { large_files: None, output: &mut output })?;
    }
    archive::end(&mut output)
}

/// Where the repository's files of git-lfs lie: git runs hooks within it.
pub(crate) fn large_files() -> PathBuf {
    std::env::var_os("GIT_DIR").map_or_else(|| ".".into(), PathBuf::from).join("lfs/objects")
}

fn pass<W: Write>(mut git: Command, pass: &mut Pass<'_, W>) -> io::Result<()> {
    git.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = git.spawn()?;
    let output = child.stdout.take().ok_or_else(|| io::Error::other("git has no pipe"))?;
    let passed = pass.on(output);
    finished(child).and(passed)
}

fn finished(mut child: Child) -> io::Result<()> {
    if child.wait()?.success() {
        return Ok(());
    }
    Err(io::Error::other("git could not finish the archive"))
}
