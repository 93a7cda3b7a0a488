//! Completions for shells, and manual pages, from the definition that the help is made from.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Subcommand};
use clap_complete::Shell;
use slugline_model::build::exit_code;

use crate::Slugline;
use crate::console::say;
use crate::errors::CommandError;

/// The commands about the commands.
#[derive(Debug, Subcommand)]
pub(crate) enum ManualCommand {
    /// Print what a shell completes commands and options by
    #[command(
        after_help = "Example:\n  slugline completions bash > ~/.local/share/bash-completion/\
                            completions/slugline"
    )]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write a manual page for each command
    #[command(after_help = "Example:\n  slugline man ~/.local/share/man/man1 && man slugline-up")]
    Man {
        /// Where to; it is made where there is none
        directory: PathBuf,
    },
}

/// Runs one of the commands; gives the exit code.
pub(crate) fn run(command: ManualCommand) -> Result<i32, CommandError> {
    match command {
        ManualCommand::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Slugline::command(), "slugline", &mut text);
            // A reader that went away is no reason to fail.
            let _ = io::stdout().write_all(&text);
        }
        ManualCommand::Man { directory } => {
            let written = write_pages(&directory);
            let pages = written
                .map_err(|source| CommandError::Destination { path: directory.clone(), source })?;
            say(&format!("{}: {pages} pages.", directory.display()));
        }
    }
    Ok(exit_code::OK)
}

/// `slugline.1`, and `slugline-up.1` for `slugline up`.
fn write_pages(directory: &Path) -> io::Result<usize> {
    fs_err::create_dir_all(directory)?;
    let all = Slugline::command();
    let visible = all.get_subcommands().filter(|command| !command.is_hide_set());
    let mut pages = vec![("slugline".to_owned(), all.clone())];
    pages.extend(visible.map(|command| {
        // A file system may not know colons, and `man` takes them for sections.
        let name = format!("slugline-{}", command.get_name().replace(':', "-"));
        let shown = format!("slugline {}", command.get_name());
        (name, command.clone().display_name(shown.clone()).bin_name(shown))
    }));
    for (name, command) in &pages {
        let mut text = Vec::new();
        clap_mangen::Man::new(command.clone()).render(&mut text)?;
        fs_err::write(directory.join(format!("{name}.1")), text)?;
    }
    Ok(pages.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_is_completed() {
        let directory = tempfile::tempdir().unwrap();
        assert!(write_pages(directory.path()).unwrap() > 20);
        let page = std::fs::read_to_string(directory.path().join("slugline-store-fsck.1")).unwrap();
        assert!(page.contains("Examples:"), "{page}");
        let mut text = Vec::new();
        clap_complete::generate(Shell::Bash, &mut Slugline::command(), "slugline", &mut text);
        assert!(String::from_utf8(text).unwrap().contains("store:fsck"));
    }

    /// Help shows an example, of every command that people type.
    #[test]
    fn every_command_shows_an_example() {
        let all = Slugline::command();
        let visible = all.get_subcommands().filter(|command| !command.is_hide_set());
        let without: Vec<&str> = visible
            .filter(|command| command.get_after_help().is_none() && !command.has_subcommands())
            .map(clap::Command::get_name)
            .collect();
        assert_eq!(without, [""; 0]);
    }
}
