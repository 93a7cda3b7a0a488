//! Through an app's pages, and all that they refer to.

use std::time::{Duration, Instant};

use slugline_model::prove::{
    Answer, Ask, Asset, Base, Bounds, Frontier, Kind, PageSeen, Trust, references,
};

use super::ask::{Asker, Got};
use crate::cancel::Cancel;

/// Where sites list their pages.
const SITEMAP: &str = "/sitemap.xml";

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    bounds: Bounds,
    longest: Duration,
}

impl Extent {
    /// Through a dyno that nobody else asks.
    pub(super) const WHOLE: Self = Self {
        bounds: Bounds { pages: 25, assets: 2_000, depth: 2 },
        longest: Duration::from_mins(5),
    };
    /// Through one that serves.
    pub(super) const SHORT: Self = Self {
        bounds: Bounds { pages: 5, assets: 500, depth: 1 },
        longest: Duration::from_mins(1),
    };
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) pages: Vec<PageSeen>,
    pub(super) assets: Vec<Asset>,
    pub(super) cut: bool,
}

impl Walked {
    /// `4 pages and 37 files`.
    pub(super) fn counted(&self) -> String {
        let pages = self.pages.iter().filter(|page| page.status == 200).count();
        let files = self.assets.iter().filter(|asset| asset.first.status == 200).count();
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        format!("{pages} page{} and {files} file{}", plural(pages), plural(files))
    }
}

/// Walks from these paths on; from the start page and the sitemap where there are none.
pub(super) async fn walk(
    asker: &Asker,
    paths: &[String],
    extent: Extent,
    cancel: &Cancel,
) -> Walked {
    let start = ["/".to_owned()];
    let first = if paths.is_empty() { &start[..] } else { paths };
    let mut frontier = Frontier::new(&asker.host, first, extent.bounds);
    let (begun, mut walked) = (Instant::now(), Walked::default());
    while let Some(ask) = frontier.next_ask() {
        if cancel.is_canceled() || begun.elapsed() > extent.longest {
            walked.cut = true;
            break;
        }
        let got = asker.get(&ask.url, ask.kind).await;
        learn(&mut frontier, &ask, &got, &asker.host);
        walked.note(ask, got.answer);
        if paths.is_empty() && walked.pages.len() == 1 && walked.assets.is_empty() {
            look_for_pages(asker, &mut frontier).await;
        }
    }
    for asset in &mut walked.assets {
        asset.trust = frontier.trust(&asset.url);
    }
    walked.cut |= frontier.is_cut();
    walked
}

async fn look_for_pages(asker: &Asker, frontier: &mut Frontier) {
    let kind = Kind::Sitemap;
    let got = asker.get(SITEMAP, kind).await;
    let ask = Ask { url: SITEMAP.to_owned(), kind, from: String::new(), depth: 0 };
    if got.answer.media_type.ends_with("xml") {
        learn(frontier, &ask, &got, &asker.host);
    }
}

fn learn(frontier: &mut Frontier, ask: &Ask, got: &Got, host: &str) {
    let Answer { status, media_type, .. } = &got.answer;
    // An error's page has files, too; what stands in a file's place has none.
    let is_read = *status == 200 || (ask.kind == Kind::Page && *status >= 400);
    if is_read && ask.kind.accepts(media_type) {
        let base = Base::new(host, &got.url);
        frontier.learn(ask, references(ask.kind, media_type, &got.text, &base));
    }
}

impl Walked {
    fn note(&mut self, ask: Ask, answer: Answer) {
        let Ask { url, kind, from, depth } = ask;
        if kind.is_asset() {
            let (first, second) = (answer, Answer::default());
            self.assets.push(Asset { url, kind, trust: Trust::Guess, from, first, second });
        } else {
            self.pages.push(PageSeen { url, status: answer.status, first: depth == 0 });
        }
    }
}
