//! Logs in files.

use crate::advice::{self, Framework};

use super::code::{Code, Line};
use super::places::has_ending;
use super::{Cause, Finding, Said, Source};

const SCRIPTS: [&str; 6] = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"];

pub(super) fn find(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut look = |endings: &[&str], is_it: fn(&Code, &Line) -> bool, framework| {
        for file in source.ending(endings) {
            let lines = file.unconditional().filter(|line| is_it(file, line));
            findings.extend(lines.map(|line| said(framework).at(file, line)));
        }
    };
    look(&[".py"], of_python, Framework::Django);
    look(&SCRIPTS, of_node, Framework::Node);
    look(&[".rb"], of_ruby, Framework::Rails);
    look(&["Procfile"], of_command, Framework::Unknown);
    findings
}

fn said(framework: Framework) -> Said {
    Said {
        cause: Cause::LogFiles,
        why: "What is logged there is on the dyno's disk: it is not in the app's log, and is gone \
              when the dyno stops."
            .to_owned(),
        advice: advice::logs(framework),
    }
}

const HANDLERS: [&str; 4] =
    ["FileHandler", "RotatingFileHandler", "TimedRotatingFileHandler", "WatchedFileHandler"];

fn of_python(file: &Code, line: &Line) -> bool {
    let called = HANDLERS.iter().any(|handler| {
        let call = format!("{handler}(");
        let at = line.names(&call);
        at.is_some_and(|at| !is_passing(&file.from(line, at, 2)))
            && !line.bare.trim_start().starts_with("class ")
    });
    let named = HANDLERS.iter().any(|handler| {
        ["\"", "'"].iter().any(|quote| {
            let class = format!("{quote}logging.{handler}{quote}");
            let of_handlers = format!("{quote}logging.handlers.{handler}{quote}");
            line.text.contains(&class) || line.text.contains(&of_handlers)
        })
    });
    let configured = line.names("basicConfig(").is_some_and(|at| {
        let call = file.from(line, at, 4);
        let call = call.split(')').next().unwrap_or_default();
        call.contains("filename=") && !is_passing(call)
    });
    let opens = named && {
        // Its file may be given by a name of the system's.
        let around = file.from(line, 0, 5);
        !is_passing(around.split('}').next().unwrap_or_default())
    };
    called || opens || configured
}

/// Whether it writes to what is no file of the dyno's disk.
fn is_passing(text: &str) -> bool {
    ["/dev/std", "/dev/null", "/proc/self/fd", "/tmp/", "os.devnull"]
        .iter()
        .any(|p| text.contains(p))
}

fn of_node(file: &Code, line: &Line) -> bool {
    let transport = line.names("transports.File(").or_else(|| line.names("DailyRotateFile("));
    let stream = line.names("createWriteStream(").is_some_and(|at| {
        let call = line.text[at..].split(')').next().unwrap_or_default();
        call.contains(".log\"") || call.contains(".log'") || call.contains(".log`")
    });
    transport.is_some_and(|at| !is_passing(&file.from(line, at, 3))) || stream
}

fn of_ruby(_: &Code, line: &Line) -> bool {
    let Some(at) = line.names("Logger.new(") else { return false };
    let call = line.text[at..].split(')').next().unwrap_or_default();
    call.contains("\"log/") || call.contains("'log/") || call.contains("Rails.root.join")
}

fn of_command(_: &Code, line: &Line) -> bool {
    let words: Vec<&str> = line.text.split_whitespace().collect();
    let flags = ["--access-logfile", "--error-logfile", "--log-file", "--logfile"];
    let by_flag = words
        .windows(2)
        .any(|pair| flags.contains(&pair[0]) && pair[1] != "-" && !is_passing(pair[1]));
    let by_shell = words.windows(2).any(|pair| {
        matches!(pair[0], ">" | ">>" | "&>" | "&>>")
            && has_ending(pair[1], &["log"])
            && !is_passing(pair[1])
    });
    by_flag || by_shell
}
