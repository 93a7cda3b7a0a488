//! Assets that are made when a dyno starts, or in the release phase.

use crate::advice;

use super::code::{Code, Line};
use super::commands::maker;
use super::places::has_ending;
use super::{Cause, Finding, Said, Source};

pub(super) fn find(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, line, process_type, command) in commands(source) {
        if let Some((maker, hook)) = maker(&command)
            && !goes_to_a_bucket(source, maker)
        {
            findings.push(said(&process_type, maker, hook).at(file, line));
        }
    }
    findings
}

fn said(process_type: &str, maker: &str, hook: &str) -> Said {
    let (cause, why) = if process_type == "release" {
        let why = "The release phase runs in a dyno of its own, whose files go when it ends: what \
                   it makes is never in the slug, and no web dyno sees it.";
        (Cause::AssetsInRelease, why)
    } else {
        let why = "Each dyno makes them anew when it starts, for itself: the start is slow, and \
                   two dynos, or two releases, may have assets of different names.";
        (Cause::AssetsAtStart, why)
    };
    Said { cause, why: format!("`{maker}` runs there. {why}"), advice: advice::bake(hook) }
}

/// Whether what is collected does not stay on the disk.
fn goes_to_a_bucket(source: &Source, maker: &str) -> bool {
    let buckets = ["storages.backends.", "StaticS3", "cloudinary_storage.storage.Static"];
    maker == "collectstatic" && source.mentions(&buckets)
}

/// Every command line that a dyno starts with: where it stands, its process type, and the line.
fn commands(source: &Source) -> Vec<(&Code, &Line, String, String)> {
    let mut found = Vec::new();
    let procfile = source.file("Procfile");
    for (file, line, process_type, command) in procfile.into_iter().flat_map(of_procfile) {
        let in_script = script_of(source, &command);
        let lines = in_script
            .into_iter()
            .flat_map(|script| script.lines.iter().map(move |line| (script, line)));
        found.extend(
            lines.map(|(script, line)| (script, line, process_type.clone(), line.text.clone())),
        );
        found.push((file, line, process_type, command));
    }
    let starts_by_npm = procfile.is_none()
        || found.iter().any(|(_, _, _, command)| {
            ["npm start", "npm run start", "yarn start", "pnpm start"]
                .iter()
                .any(|start| command.contains(start))
        });
    if starts_by_npm && let Some(package) = source.file("package.json") {
        found.extend(of_package(package));
    }
    found
}

fn of_procfile(file: &Code) -> Vec<(&Code, &Line, String, String)> {
    let parts = file.lines.iter().filter_map(|line| {
        let (process_type, command) = line.text.split_once(':')?;
        Some((file, line, process_type.trim().to_owned(), command.trim().to_owned()))
    });
    parts.collect()
}

/// `start` and what npm runs before it.
fn of_package(file: &Code) -> Vec<(&Code, &Line, String, String)> {
    let mut in_scripts = false;
    let mut found = Vec::new();
    for line in &file.lines {
        let text = line.text.trim();
        if text.starts_with("\"scripts\"") {
            in_scripts = true;
        } else if text.starts_with('}') {
            in_scripts = false;
        }
        let start = ["\"start\"", "\"prestart\""].iter().find_map(|key| text.strip_prefix(key));
        if let Some(value) = start.filter(|_| in_scripts) {
            let command = value.trim_start_matches([' ', ':']).trim_end_matches(',');
            let command = command.trim_matches('"').to_owned();
            found.push((file, line, "web".to_owned(), command));
        }
    }
    found
}

/// The script of the source that a command line runs: `./start.sh`, `bash bin/web`.
fn script_of<'a>(source: &'a Source, command: &str) -> Option<&'a Code> {
    let first = command.split(['&', ';', '|']).next()?;
    let mut words = first.split_whitespace().filter(|word| !word.contains('='));
    let shells = ["bash", "sh", "exec", "source", "-e", "-l"];
    let program = words.find(|word| !shells.contains(word))?;
    let path = program.trim_start_matches("./");
    let is_script =
        has_ending(path, &["sh"]) || path.starts_with("bin/") || path.starts_with("scripts/");
    source.file(path).filter(|_| is_script)
}
