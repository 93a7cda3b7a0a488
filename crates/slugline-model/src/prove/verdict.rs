//! What was found, judged.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::remedy::remedy;
use super::{Kind, Trust};
use crate::advice::Framework;
use crate::bridge::{common_tail, has_hash};
use crate::ledger::{Change, ChangeKind, Receipt};
use crate::message::Message;

/// Findings that are told one by one.
const TOLD: usize = 20;

/// What a dyno answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its status; zero where there was no answer.
    pub status: u16,
    /// Its media type, in lower case and without parameters.
    pub media_type: String,
    /// BLAKE3 of its body, in hexadecimal; of what was read of it, where it is too long.
    pub hash: String,
    /// Its length (bytes).
    pub bytes: u64,
}

impl Answer {
    fn is_ok(&self) -> bool {
        self.status == 200
    }

    /// Whether only those who log in see it, or whether it lies elsewhere.
    fn is_closed(&self) -> bool {
        matches!(self.status, 300..=399 | 401 | 403 | 429)
    }
}

/// A file, and what two fresh dynos answered for it: one after its pages, one before any page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Path and query.
    pub url: String,
    /// What it should be.
    pub kind: Kind,
    /// How sure it is that it is needed.
    pub trust: Trust,
    /// What refers to it.
    pub from: String,
    /// After the pages.
    pub first: Answer,
    /// After a restart, before any page.
    pub second: Answer,
}

/// A page that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSeen {
    /// Path and query.
    pub url: String,
    /// Its status; zero where there was no answer.
    pub status: u16,
    /// Whether the proof began with it.
    pub first: bool,
}

/// A file of the release that serves now, and what the new one answers for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveAsset {
    /// Path and query.
    pub url: String,
    /// From a dyno that serves.
    pub live: Answer,
    /// From the new release.
    pub new: Answer,
}

/// A file that a dyno made, and that its slug has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Absolute in the dyno.
    pub path: String,
    /// BLAKE3 of its content, in hexadecimal, where it was read.
    pub hash: Option<String>,
}

impl Written {
    /// The files that a dyno made, of its ledger.
    pub fn of(receipt: Receipt) -> Vec<Self> {
        let made = receipt.largest.into_iter().filter(|change| change.kind == ChangeKind::Created);
        made.map(|Change { path, hash, .. }| Self { path, hash }).collect()
    }
}

/// All that was found.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The pages.
    pub pages: Vec<PageSeen>,
    /// The files.
    pub assets: Vec<Asset>,
    /// The files that the first dyno made.
    pub written: Vec<Written>,
    /// The files that the second one made, which saw no page: it made them as it booted.
    pub booted: Vec<Written>,
    /// The files of the release that serves now; empty where there is none, or it is this one.
    pub live: Vec<LiveAsset>,
    /// What the app is written with.
    pub framework: Framework,
    /// Whether there was more than is looked at.
    pub cut: bool,
}

/// What is wrong with a file or a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Problem {
    /// It is made when first asked for, and not there after a restart.
    Vanishes,
    /// Each dyno makes it anew as it boots.
    Boot,
    /// It is not there.
    Missing,
    /// A page is answered in its place, as if all were well.
    Fallback,
    /// Browsers refuse it for its type.
    Type,
    /// It has another content after each restart.
    Differs,
    /// The page cannot be seen.
    Page,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Of what.
    pub url: String,
    /// What.
    pub problem: Problem,
    /// What refers to it; empty for where the proof began.
    pub from: String,
    /// A sentence that says it, and what to do.
    pub text: String,
}

/// What a proof comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Pages that were seen.
    pub pages: usize,
    /// Files that they need.
    pub assets: usize,
    /// What is wrong; empty where all is well.
    pub findings: Vec<Finding>,
    /// What is good to know, and wrong with nothing.
    pub notes: Vec<String>,
}

/// Judges.
pub fn judge(evidence: &Evidence) -> Verdict {
    let lists = lists_that_are_served(&evidence.assets);
    let needed: Vec<&Asset> =
        evidence.assets.iter().filter(|asset| is_needed(asset, &lists)).collect();
    let pages = evidence.pages.iter().filter_map(page);
    let findings = pages.chain(needed.iter().filter_map(|asset| find(asset, evidence))).collect();
    Verdict {
        pages: evidence.pages.iter().filter(|page| page.status == 200).count(),
        assets: needed.len(),
        findings,
        notes: notes(evidence, &needed),
    }
}

/// Lists of files of which a file was served: their names lead where they should.
fn lists_that_are_served(assets: &[Asset]) -> HashSet<&str> {
    let served = assets.iter().filter(|asset| is_served(asset) && asset.trust == Trust::Listed);
    served.map(|asset| asset.from.as_str()).collect()
}

fn is_served(asset: &Asset) -> bool {
    asset.first.is_ok() && asset.kind.accepts(&asset.first.media_type)
}

/// Whether a page needs it, or would have had it. What the app keeps for those who log in, or
/// elsewhere, is not proven.
fn is_needed(asset: &Asset, lists: &HashSet<&str>) -> bool {
    match asset.trust {
        _ if asset.first.is_closed() => false,
        Trust::Certain => true,
        Trust::Listed => is_served(asset) || lists.contains(asset.from.as_str()),
        // A guess that a page is answered for was none; nor is it the app's fault if there is no list.
        Trust::Guess => is_served(asset) && asset.first.media_type != "text/html",
    }
}

fn page(page: &PageSeen) -> Option<Finding> {
    let PageSeen { url, status, first } = page;
    let says = match status {
        0 => "does not answer".to_owned(),
        500.. => format!("answers {status}"),
        _ => return None,
    };
    let text = format!("The page `{url}` {says}: what it needs could not be seen.");
    first.then(|| Finding { url: url.clone(), problem: Problem::Page, from: String::new(), text })
}

fn find(asset: &Asset, evidence: &Evidence) -> Option<Finding> {
    let problem = problem(asset).or_else(|| made_at_boot(asset, evidence))?;
    let text = sentence(asset, problem, evidence);
    Some(Finding { url: asset.url.clone(), problem, from: asset.from.clone(), text })
}

fn problem(asset: &Asset) -> Option<Problem> {
    let Asset { kind, first, second, .. } = asset;
    let is_page = |answer: &Answer| {
        answer.is_ok() && answer.media_type == "text/html" && !kind.accepts("text/html")
    };
    if is_page(first) {
        return Some(Problem::Fallback);
    }
    if !first.is_ok() {
        return Some(Problem::Missing);
    }
    if !second.is_ok() || is_page(second) {
        return Some(Problem::Vanishes);
    }
    if !kind.accepts(&first.media_type) {
        return Some(Problem::Type);
    }
    (first.hash != second.hash).then_some(Problem::Differs)
}

/// What is there before any page, and not in the slug.
fn made_at_boot(asset: &Asset, evidence: &Evidence) -> Option<Problem> {
    made(&asset.url, &asset.second, &evidence.booted).map(|_| Problem::Boot)
}

/// The file that an answer came from: one with its name and, where that is known, its content.
fn made<'a>(url: &str, answer: &Answer, files: &'a [Written]) -> Option<&'a str> {
    let path = url.split('?').next().unwrap_or_default();
    let same = |file: &&Written| file.hash.as_ref().is_none_or(|hash| *hash == answer.hash);
    let named = files.iter().filter(|file| common_tail(&file.path, path) > 0);
    let best = named.filter(same).max_by_key(|file| common_tail(&file.path, path));
    best.map(|file| file.path.as_str())
}

fn sentence(asset: &Asset, problem: Problem, evidence: &Evidence) -> String {
    let Asset { url, kind, first, second, from, .. } = asset;
    let file = match problem {
        Problem::Boot => made(url, second, &evidence.booted),
        _ => made(url, first, &evidence.written),
    };
    let remedy = remedy(evidence.framework, url, file);
    let by = if from.is_empty() { String::new() } else { format!(" (`{from}` refers to it)") };
    match problem {
        Problem::Vanishes => {
            let place = match file {
                Some(path) => format!(", as {path},"),
                None => String::new(),
            };
            format!(
                "`{url}` is generated{place} when first asked for and vanishes at restart: {remedy}."
            )
        }
        Problem::Boot => {
            let path = file.unwrap_or_default();
            format!(
                "`{url}` is not in the slug: each dyno makes {path} anew as it boots; {remedy}."
            )
        }
        Problem::Missing => {
            let answer = match first.status {
                0 => "is not answered".to_owned(),
                status => format!("is answered {status}"),
            };
            format!("`{url}` {answer}{by}: it is not in the slug; {remedy}.")
        }
        Problem::Fallback => format!(
            "`{url}` is answered with a page (200, text/html) in place of {}{by}: it is not in the \
             slug, and a page that is answered for every path hides that; {remedy}.",
            a_file(*kind)
        ),
        Problem::Type => format!(
            "`{url}` is answered as {}{by}, and browsers refuse {} of that type: send the right \
             Content-Type.",
            if first.media_type.is_empty() { "no type" } else { &first.media_type },
            a_file(*kind)
        ),
        Problem::Differs => format!(
            "`{url}` has another content after each restart, so that two dynos answer differently: \
             {remedy}."
        ),
        Problem::Page => String::new(),
    }
}

fn a_file(kind: Kind) -> &'static str {
    match kind {
        Kind::Style => "a style sheet",
        Kind::Script => "a script",
        Kind::Image => "a picture",
        Kind::Font => "a font",
        Kind::Map => "a source map",
        Kind::Manifest => "a list of files",
        _ => "a file",
    }
}

fn notes(evidence: &Evidence, needed: &[&Asset]) -> Vec<String> {
    let mut notes = vec![];
    for page in evidence.pages.iter().filter(|page| page.first) {
        if (300..500).contains(&page.status) {
            notes.push(format!(
                "`{}` answers {}, so nothing behind it was seen. Name others in app.json: \
                 \"prove\": {{\"paths\": [\"/about\"]}}",
                page.url, page.status
            ));
        }
    }
    let gone = evidence.live.iter().filter(|asset| asset.live.is_ok() && !asset.new.is_ok());
    if let count @ 1.. = gone.count() {
        notes.push(format!(
            "{count} {} of the pages that are open now {} not in this release. The router can \
             answer for them: slugline assets bridge",
            assets(count),
            if count == 1 { "is" } else { "are" }
        ));
    }
    for asset in evidence.live.iter().filter(|asset| is_stale(asset)).take(TOLD) {
        notes.push(format!(
            "`{}` has another content than in the release that serves now, under a name with a \
             hash: browsers may keep the old one",
            asset.url
        ));
    }
    let closed = evidence.assets.iter().filter(|asset| asset.trust == Trust::Certain);
    if let count @ 1.. = closed.filter(|asset| asset.first.is_closed()).count() {
        let does = if count == 1 { "lies elsewhere or needs" } else { "lie elsewhere or need" };
        notes.push(format!("{count} {} {does} a login: not looked at", assets(count)));
    }
    if evidence.cut {
        let (pages, files) = (of_pages(evidence.pages.len()), needed.len());
        notes.push(format!(
            "There is more than {pages} and {files} {}: a proof has bounds",
            assets(files)
        ));
    }
    notes
}

fn is_stale(asset: &LiveAsset) -> bool {
    let both = asset.live.is_ok() && asset.new.is_ok();
    both && has_hash(&asset.url) && asset.live.hash != asset.new.hash
}

fn assets(count: usize) -> &'static str {
    if count == 1 { "asset" } else { "assets" }
}

fn of_pages(pages: usize) -> String {
    format!("{pages} {}", if pages == 1 { "page" } else { "pages" })
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }

    /// The verdict in one sentence.
    pub fn headline(&self) -> String {
        let (all, pages) = (self.assets, of_pages(self.pages));
        let bad = self.findings.iter().filter(|found| found.problem != Problem::Page).count();
        match (bad, all) {
            (0, _) if !self.is_good() => format!("Of {pages} not all could be seen."),
            (0, 0) => format!("{pages} and no asset: there is nothing to lose."),
            (0, 1) => format!("The one asset of {pages} is in the slug."),
            (0, _) => format!("All {all} assets of {pages} are in the slug."),
            _ => format!("Of {all} {} of {pages}, {bad} cannot be relied on.", assets(all)),
        }
    }

    /// The whole verdict, line by line.
    pub fn lines(&self) -> Vec<String> {
        let findings = self.findings.iter().take(TOLD).map(|finding| finding.text.clone());
        let more = self.findings.len().saturating_sub(TOLD);
        let more = (more > 0).then(|| format!("… and {more} more"));
        let head = std::iter::once(self.headline());
        head.chain(findings).chain(more).chain(self.notes.iter().cloned()).collect()
    }

    /// What is said where something is wrong. The caller adds its state.
    pub fn message(&self) -> Message {
        let lines = self.lines();
        Message {
            what: "The proof failed: not all that the pages need is in the slug".to_owned(),
            found: lines.join("\n"),
            allowed: "What a page needs is in the slug, so that it is there after every restart \
                      and on every dyno."
                .to_owned(),
            next: "mend what it names, then build again: slugline up".to_owned(),
            state: String::new(),
        }
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
