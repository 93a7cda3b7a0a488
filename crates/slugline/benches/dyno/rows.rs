//! Rows of a table: one way of running a command each, all measured in turn.

use std::time::Duration;

use crate::Failed;

/// One way; no times where it cannot be run here.
pub(crate) struct Row {
    pub(crate) name: String,
    times: Vec<Duration>,
    run: Box<dyn FnMut() -> Result<Duration, Failed>>,
    why_not: Option<String>,
}

impl Row {
    pub(crate) fn new(name: &str, run: impl FnMut() -> Result<Duration, Failed> + 'static) -> Self {
        Self { name: name.to_owned(), times: vec![], run: Box::new(run), why_not: None }
    }

    fn median(&self) -> Option<Duration> {
        self.times.get(self.times.len() / 2).copied()
    }
}

/// Before each run: how long what stands ready takes to be made again after it was taken, at most.
pub(crate) const REST: Duration = Duration::from_millis(250);

/// Runs each row so often, in turn with the others, so that only ratios within one table are
/// compared; tells medians, and each as a multiple of the last row.
#[expect(clippy::print_stdout, reason = "the bench's report")]
pub(crate) fn measure(title: &str, rounds: usize, rows: &mut [Row]) {
    for round in 0..=rounds {
        for row in rows.iter_mut().filter(|row| row.why_not.is_none()) {
            std::thread::sleep(REST);
            match (row.run)() {
                // The first round only warms up.
                Ok(time) if round > 0 => row.times.push(time),
                Ok(_) => {}
                Err(error) => row.why_not = Some(error.to_string()),
            }
        }
    }
    for row in rows.iter_mut() {
        row.times.sort();
    }
    println!("\n{title} ({rounds} rounds, medians)");
    let last = rows.last().and_then(Row::median);
    for row in rows.iter() {
        match (row.median(), last, &row.why_not) {
            (Some(time), Some(last), None) => println!(
                "  {:<46} {:>8.2} ms   {:>6.2} times a dyno's",
                row.name,
                time.as_secs_f64() * 1e3,
                time.as_secs_f64() / last.as_secs_f64()
            ),
            (.., why) => println!(
                "  {:<46} cannot be run here: {}",
                row.name,
                why.as_deref().unwrap_or("no dyno to compare with").lines().next().unwrap_or("")
            ),
        }
    }
}
