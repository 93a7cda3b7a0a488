//! What is said of a dyno that went beyond a limit. Of builds more is said: see `excess`.

use slugline_model::code::Code;
use slugline_model::resources::{Excess, Resource};
use slugline_model::size::human;
use slugline_model::usage::memory_line;

use crate::events::error_line;

/// As Heroku says it.
const KILLED: &str = "Stopping process with SIGKILL";

/// It has more memory than its quota, and goes on.
pub(crate) fn above_quota(used: u64, quota: u64) -> Vec<String> {
    vec![memory_line(used, quota), error_line(Code::R14)]
}

/// It was ended.
pub(crate) fn ended(excess: &Excess, biggest: &[(String, u64)]) -> Vec<String> {
    let (found, allowed) = (excess.found_text(), excess.allowed_text());
    let mut lines = match excess.resource {
        Resource::Memory => {
            vec![memory_line(excess.found, excess.allowed), error_line(Code::R15)]
        }
        Resource::Processes => {
            vec![format!("It had {found}, which is more than the {allowed} that it may have")]
        }
        Resource::Disk => vec![
            format!("It wrote {found} to its disk, where a dyno may keep {allowed}{}", of(biggest)),
            "What a dyno writes goes when it stops: keep files that matter elsewhere, and remove \
             temporary ones. Whoever runs the server can allow more: slugline serve --dyno-disk"
                .to_owned(),
        ],
        Resource::FreeDisk => vec![
            format!("The server's disk is full, and this dyno holds much of it{}", of(biggest)),
            format!("{found} are free there, and {allowed} must be for dynos to go on"),
        ],
    };
    lines.push(KILLED.to_owned());
    lines
}

/// Where the room went.
fn of(biggest: &[(String, u64)]) -> String {
    let each = biggest.iter().map(|(path, bytes)| format!("{path} {}", human(*bytes)));
    let each: Vec<String> = each.collect();
    if each.is_empty() { String::new() } else { format!(": {}", each.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_herokus_words() {
        let quota = 512 << 20;
        let said = ["Process running mem=528M(103.1%)", "Error R14 (Memory quota exceeded)"];
        assert_eq!(above_quota(528 << 20, quota), said);
        let excess = Excess { resource: Resource::Memory, found: 1_029 << 20, allowed: quota };
        assert_eq!(
            ended(&excess, &[]),
            [
                "Process running mem=1029M(201.0%)",
                "Error R15 (Memory quota vastly exceeded)",
                "Stopping process with SIGKILL"
            ]
        );
    }

    #[test]
    fn a_full_disk_is_told_with_what_took_the_room_and_what_to_do() {
        let disk = Excess { resource: Resource::Disk, found: 4_600_000_000, allowed: 4 << 30 };
        let biggest = [("/app/media".to_owned(), 4_100_000_000), ("/tmp".to_owned(), 300_000_000)];
        let lines = ended(&disk, &biggest);
        assert_eq!(
            lines[0],
            "It wrote 4.6GB to its disk, where a dyno may keep 4.2GB: /app/media 4.1GB, /tmp 300.0MB"
        );
        assert!(lines[1].contains("--dyno-disk") && lines[2] == KILLED);
        let free = Excess { resource: Resource::FreeDisk, found: 9_000_000, allowed: 256 << 20 };
        let lines = ended(&free, &[]);
        assert_eq!(lines[0], "The server's disk is full, and this dyno holds much of it");
        assert!(lines[1].contains("9.0MB") && lines[1].contains("268.4MB"));
    }
}
