//! What is said of a build that went beyond a limit, or left something running.

use std::path::Path;
use std::time::Duration;

use slugline_model::message::{Message, gutter_line};
use slugline_model::resources::{Excess, Resource};
use slugline_model::size::count;

/// It was ended at a limit.
pub(crate) fn ended(excess: &Excess, data_dir: &Path) -> Message {
    let (found, allowed) = (excess.found_text(), excess.allowed_text());
    let again = |what: &str| format!("{what}, then build again: slugline up");
    let message = |what: &str, found: String, allowed: String, next: String| Message {
        what: format!("The build was ended: {what}"),
        found,
        allowed,
        next,
        state: String::new(),
    };
    match excess.resource {
        Resource::Memory => message(
            "it ran out of memory",
            "Its processes together wanted more than that. Its last lines above say what ran."
                .to_owned(),
            operators(&format!("A build has {allowed} of memory"), "--build-memory"),
            again("do less at a time (fewer workers, a smaller --max-old-space-size)"),
        ),
        Resource::Processes => message(
            "it started too many processes",
            format!("There were {found}."),
            operators(&format!("A build has at most {allowed}"), "--build-processes"),
            again("look for what starts itself over and over, or use fewer workers"),
        ),
        Resource::Disk => message(
            "it filled the disk",
            format!("Its source, its cache and all that it wrote take {found}."),
            operators(&format!("A build has at most {allowed} of disk"), "--build-disk"),
            again("remove what is only needed on the way"),
        ),
        Resource::FreeDisk => message(
            "the disk is full",
            format!("{found} are free where the server keeps its data."),
            format!(
                "This may be no problem of the app: builds go on while {allowed} are free there, \
                 so that the server and its dynos can."
            ),
            format!("df -h {}", data_dir.display()),
        ),
    }
}

/// A limit, and how whoever runs the server can change it.
fn operators(limit: &str, option: &str) -> String {
    format!("{limit}. Whoever runs the server can allow more: slugline serve {option}")
}

/// It took longer than it may.
pub(crate) fn out_of_time(allowed: Duration) -> Message {
    Message {
        what: format!("The build took longer than {} and was stopped", duration(allowed)),
        found: "Its last lines are above.".to_owned(),
        allowed: "A build's time is limited, so that one that hangs does not hang for ever."
            .to_owned(),
        next: "mend what it waited for, then build again: slugline up".to_owned(),
        state: String::new(),
    }
}

fn duration(time: Duration) -> String {
    let (number, unit) = match time.as_secs() {
        seconds @ 0..60 => (seconds, "second"),
        seconds if seconds % 60 == 0 => (seconds / 60, "minute"),
        seconds => (seconds, "second"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// Lines of a warning about what it left running.
pub(crate) fn left_running(commands: &[String]) -> Vec<String> {
    let several = if commands.len() == 1 { "a process" } else { "processes" };
    let mut lines =
        vec![gutter_line(&format!("Warning: the build left {several} running, ended now:"))];
    lines.extend(commands.iter().map(|command| gutter_line(&format!("  {command}"))));
    lines.push(gutter_line("What a build starts ends with it; the Procfile says what runs later."));
    lines
}

/// A line in the place of those that came faster than they could be kept.
pub(crate) fn dropped(lines: u64) -> String {
    let lines = if lines == 1 { "A line".to_owned() } else { format!("{} lines", count(lines)) };
    gutter_line(&format!("{lines} of output came too fast to be kept"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excess(resource: Resource) -> Excess {
        match resource {
            Resource::Processes => Excess { resource, found: 4_095, allowed: 4_096 },
            _ => Excess { resource, found: 12_345_678_901, allowed: 10 << 30 },
        }
    }

    #[test]
    fn every_limit_is_told_in_full() {
        let resources = [Resource::Memory, Resource::Processes, Resource::Disk, Resource::FreeDisk];
        for resource in resources {
            let message = ended(&excess(resource), Path::new("/var/lib/slugline"));
            assert_eq!(message.silent_parts(), ["state"], "{message:?}");
            let name = format!("ended_{resource:?}").to_lowercase();
            insta::assert_snapshot!(name, message.gutter());
        }
    }

    #[test]
    fn the_time_that_is_up_is_told_in_the_unit_it_was_given_in() {
        assert_eq!(duration(Duration::from_mins(15)), "15 minutes");
        assert_eq!(duration(Duration::from_secs(1)), "1 second");
        assert_eq!(duration(Duration::from_secs(90)), "90 seconds");
        assert_eq!(out_of_time(Duration::from_mins(15)).silent_parts(), ["state"]);
    }

    #[test]
    fn lines_that_were_dropped_are_counted() {
        assert_eq!(dropped(1), " !     A line of output came too fast to be kept");
        assert_eq!(dropped(1_234), " !     1,234 lines of output came too fast to be kept");
    }

    #[test]
    fn what_was_left_running_is_named() {
        let lines = left_running(&["redis-server *:6379".to_owned()]);
        assert_eq!(lines[0], " !     Warning: the build left a process running, ended now:");
        assert_eq!(lines[1], " !       redis-server *:6379");
    }
}
