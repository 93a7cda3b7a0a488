//! Every line of the app's log, as a reader has it who asks again and again.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::api::{Api, parted};
use crate::support::http::Request;

#[derive(Default)]
pub(crate) struct Journal {
    /// By number.
    lines: BTreeMap<u64, String>,
}

impl Journal {
    /// Reads what is new.
    pub(crate) fn read(&mut self, api: &Api) {
        let asked = json!({ "lines": 1_500, "tail": false });
        let session = api.json("POST", "/apps/owl/log-sessions", &asked);
        let path = parted(session["logplex_url"].as_str().unwrap()).1;
        let headers = [("Accept", "text/event-stream")];
        let (port, host) = (api.port, "localhost");
        let request = Request { port, host, method: "GET", path, headers: &headers, body: &[] };
        let text = request.send().unwrap().text();
        // Of what was read before: whether nothing has gone since.
        let last = self.lines.keys().next_back().copied();
        let mut oldest = None;
        for event in text.split("\n\n") {
            let Some((number, line)) = numbered(event) else { continue };
            oldest.get_or_insert(number);
            let known = self.lines.entry(number).or_insert_with(|| line.to_owned());
            assert_eq!(known, line, "line {number} was another one before");
        }
        let follows = oldest.zip(last).is_none_or(|(oldest, last)| oldest <= last + 1);
        assert!(follows, "lines were read too seldom: {last:?}, and then {oldest:?}");
    }

    /// Whether a line was read that holds this.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.lines.values().any(|line| line.contains(text))
    }

    /// Each run counts from 0 on: nothing is missing in between, and nothing is there twice.
    pub(crate) fn assert_whole(&self) {
        let mut next: BTreeMap<&str, u64> = BTreeMap::new();
        for (number, line) in &self.lines {
            let Some((run, count)) = counted(line) else { continue };
            let expected = next.entry(run).or_default();
            assert_eq!(
                count,
                *expected,
                "line {number} of run {run}: {line}\n{}",
                self.around(*number)
            );
            *expected += 1;
        }
        let numbers: Vec<u64> = self.lines.keys().copied().collect();
        let gaps: Vec<_> = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
        assert!(gaps.is_empty(), "numbers without lines: {gaps:?}");
        assert!(next.values().any(|count| *count > 10), "somebody counted: {next:?}");
    }

    fn around(&self, number: u64) -> String {
        let near = self.lines.range(number.saturating_sub(30)..number + 10);
        let near: Vec<String> = near.map(|(number, line)| format!("{number}: {line}")).collect();
        near.join("\n")
    }
}

fn numbered(event: &str) -> Option<(u64, &str)> {
    let (number, line) = event.strip_prefix("id: ")?.split_once("\ndata: ")?;
    Some((number.parse().ok()?, line))
}

fn counted(line: &str) -> Option<(&str, u64)> {
    let (_, text) = line.split_once("]: run ")?;
    let (run, count) = text.split_once(' ')?;
    Some((run, count.parse().ok()?))
}
