//! Which address is asked for next, and when it is enough.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Base, Kind, Reference, Trust, manifest};

/// How far a proof goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Pages that are asked for at most.
    pub pages: usize,
    /// Files that are asked for at most.
    pub assets: usize,
    /// How many links a page may be away from the first ones.
    pub depth: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { pages: 25, assets: 2_000, depth: 2 }
    }
}

/// What is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Path and query.
    pub url: String,
    /// What it should be.
    pub kind: Kind,
    /// What refers to it; empty for where a proof begins.
    pub from: String,
    /// How many links it is away from where the proof began.
    pub depth: u32,
}

/// Addresses that were found, and those that wait.
#[derive(Debug)]
pub struct Frontier {
    bounds: Bounds,
    host: String,
    pages: VecDeque<Ask>,
    assets: VecDeque<Ask>,
    trusts: HashMap<String, Trust>,
    asked_pages: usize,
    asked_assets: usize,
    /// Directories of scripts in which a list of files was looked for.
    looked_in: HashSet<String>,
    cut: bool,
}

impl Frontier {
    /// One that begins with these pages of a host.
    pub fn new(host: &str, paths: &[String], bounds: Bounds) -> Self {
        let mut frontier = Self {
            bounds,
            host: host.to_owned(),
            pages: VecDeque::new(),
            assets: VecDeque::new(),
            trusts: HashMap::new(),
            asked_pages: 0,
            asked_assets: 0,
            looked_in: HashSet::new(),
            cut: false,
        };
        for url in paths {
            frontier.add(
                Reference { url: url.clone(), kind: Kind::Page, trust: Trust::Certain },
                "",
                0,
            );
        }
        frontier
    }

    /// The next one: what a page needs before the next page.
    pub fn next_ask(&mut self) -> Option<Ask> {
        if let Some(ask) = self.assets.pop_front() {
            if self.asked_assets < self.bounds.assets {
                self.asked_assets += 1;
                return Some(ask);
            }
            self.assets.clear();
            self.cut = true;
        }
        let ask = self.pages.pop_front()?;
        if self.asked_pages < self.bounds.pages {
            self.asked_pages += 1;
            return Some(ask);
        }
        self.pages.clear();
        self.cut = true;
        None
    }

    /// Takes what an answer's text refers to.
    pub fn learn(&mut self, ask: &Ask, references: Vec<Reference>) {
        for reference in references {
            let is_page = !reference.kind.is_asset();
            if is_page && ask.depth >= self.bounds.depth {
                continue;
            }
            let script = (reference.kind == Kind::Script && reference.trust == Trust::Certain)
                .then(|| reference.url.clone());
            self.add(reference, &ask.url, ask.depth + u32::from(is_page));
            if let Some(script) = script {
                self.look_for_lists(&script, ask.depth);
            }
        }
    }

    /// How sure it is that something is needed.
    pub fn trust(&self, url: &str) -> Trust {
        self.trusts.get(url).copied().unwrap_or(Trust::Guess)
    }

    /// Whether there was more than the bounds let through.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    fn add(&mut self, reference: Reference, from: &str, depth: u32) {
        let Reference { url, kind, trust } = reference;
        if let Some(known) = self.trusts.get_mut(&url) {
            *known = (*known).max(trust);
            return;
        }
        // What is never asked for need not be remembered for ever.
        if self.trusts.len() >= 4 * (self.bounds.assets + self.bounds.pages) {
            self.cut = true;
            return;
        }
        self.trusts.insert(url.clone(), trust);
        let ask = Ask { url, kind, from: from.to_owned(), depth };
        let queue = if kind.is_asset() { &mut self.assets } else { &mut self.pages };
        queue.push_back(ask);
    }

    fn look_for_lists(&mut self, script: &str, depth: u32) {
        let base = Base::new(&self.host, script);
        if self.looked_in.len() < 8 && self.looked_in.insert(base.directory().to_owned()) {
            for place in manifest::places(&base) {
                self.add(place, script, depth);
            }
        }
    }
}
