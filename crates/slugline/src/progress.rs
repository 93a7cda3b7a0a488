//! A sign of life below output that may pause for long: on a terminal a spinner with the time,
//! elsewhere nothing but the lines themselves.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::console::say;

/// Shows lines, and a spinner below them where there is a terminal.
pub(crate) struct Progress {
    spinner: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn start() -> Self {
        let spinner = std::io::stdout().is_terminal().then(|| {
            let spinner = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("       {spinner} {elapsed}  {msg}") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(Duration::from_millis(120));
            spinner
        });
        Self { spinner }
    }

    /// Shows a line; what stands behind an arrow or a dollar sign names the step that now runs.
    pub(crate) fn line(&self, line: &str) {
        let Some(spinner) = &self.spinner else {
            say(line);
            return;
        };
        spinner.println(line);
        if let Some(step) = line.strip_prefix("-----> ") {
            spinner.set_message(step.to_owned());
        }
    }

    pub(crate) fn finish(self) {
        if let Some(spinner) = self.spinner {
            spinner.finish_and_clear();
        }
    }
}
