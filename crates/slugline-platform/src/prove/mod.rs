//! The proof of a release: whether each static file that its pages need is in its slug.
//!
//! A dyno of the slug alone is asked for the pages and all that they refer to (`walk`), and thrown
//! away; a second one, as fresh, for the same files and nothing before them. What that means is
//! decided in `slugline_model::prove`.

mod ask;
mod dyno;
mod gate;
mod walk;

use slugline_model::message::Message;
use slugline_model::prove::{Answer, Asset, Evidence, LiveAsset, Verdict, judge};

use crate::cancel::Cancel;
use crate::db;
use crate::db::app::App;
use crate::db::release::Release;
use crate::db::slug::Slug;
use crate::lost_files::framework_of;
use crate::platform::Platform;
use ask::Asker;
use walk::{Extent, Walked};

/// What is proven.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) app: App,
    pub(crate) release: Release,
    pub(crate) slug: Slug,
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotProven {
    /// The release has no web process: it has no pages.
    NoPages,
    /// A fresh dyno does not get up: why not, and the last that it wrote.
    NotBooted { why: String, lines: Vec<String> },
    /// Nobody wants it any more.
    Canceled,
}

/// Takes the lines that tell how far a proof is.
pub(crate) type Say<'a> = &'a mut (dyn FnMut(&str) + Send);

impl Platform {
    /// Proves a release, and keeps what that came to.
    pub(crate) async fn prove(
        &self,
        subject: &Subject,
        cancel: &Cancel,
        say: Say<'_>,
    ) -> Result<Verdict, NotProven> {
        let evidence = self.gather(subject, cancel, say).await?;
        let verdict = judge(&evidence);
        let release = subject.release.id;
        if let Err(error) = self.inner.db.transaction(|db| db::prove::put(db, release, &verdict)) {
            tracing::error!(?error, "a verdict could not be kept");
        }
        Ok(verdict)
    }

    async fn gather(
        &self,
        subject: &Subject,
        cancel: &Cancel,
        say: Say<'_>,
    ) -> Result<Evidence, NotProven> {
        let slug = subject.slug.clone();
        let listing = self.blocking(move |inner| inner.store.listing(&slug.tree)).await;
        let framework = listing.map(|listing| framework_of(&listing)).unwrap_or_default();
        say(&format!("Booting a dyno from the slug of v{} alone", subject.release.version));
        let first = self.boot_to_throw_away(subject, cancel).await?;
        let paths = &subject.slug.manifest.prove_paths;
        let walked = walk::walk(&first.asker, paths, Extent::WHOLE, cancel).await;
        let written = first.throw_away().await;
        say(&format!("It answered for {}", walked.counted()));
        let live = match self.live(subject) {
            Some(live) => walk::walk(&live, paths, Extent::SHORT, cancel).await,
            None => Walked::default(),
        };
        say("Booting a second one, and asking for these files before any page");
        let second = self.boot_to_throw_away(subject, cancel).await?;
        let (assets, live) = ask_again(&second.asker, walked.assets, live.assets, cancel).await;
        let booted = second.throw_away().await;
        // A server that stops has ended the dynos: that they gave no answers says nothing.
        if cancel.is_canceled() || self.proves_no_more() {
            return Err(NotProven::Canceled);
        }
        let Walked { pages, cut, .. } = walked;
        Ok(Evidence { pages, assets, written, booted, live, framework, cut })
    }

    /// Whether the server is stopping.
    pub(crate) fn proves_no_more(&self) -> bool {
        let dynos = self.dynos();
        dynos.are_one_offs_refused() || dynos.is_shutting_down()
    }

    /// A dyno that serves now, of another slug than the one that is proven.
    fn live(&self, subject: &Subject) -> Option<Asker> {
        let running = self.running(subject.app.id).ok().flatten()?;
        if running.slug.tree == subject.slug.tree {
            return None;
        }
        let (id, port) = {
            let dynos = self.dynos();
            let serves = |dyno: &&crate::dynos::Dyno| {
                dyno.app == subject.app.name
                    && dyno.is_web()
                    && dyno.state == slugline_model::dyno::DynoState::Up
                    && dyno.release == running.release.version
            };
            let dyno = dynos.alive.values().find(serves)?;
            (dyno.id, dyno.port?)
        };
        Some(self.asker(&subject.app.name, id, port))
    }
}

/// Asks the second dyno for what the first one, and the release that serves, have answered.
async fn ask_again(
    asker: &Asker,
    walked: Vec<Asset>,
    live: Vec<Asset>,
    cancel: &Cancel,
) -> (Vec<Asset>, Vec<LiveAsset>) {
    let mut assets = vec![];
    for mut asset in walked {
        if asset.first.status == 200 && !cancel.is_canceled() {
            asset.second = asker.get(&asset.url, asset.kind).await.answer;
        }
        if !is_made_for_each_request(asker, &asset).await {
            assets.push(asset);
        }
    }
    let mut compared = vec![];
    for Asset { url, kind, first, .. } in live.into_iter().filter(|asset| asset.first.status == 200)
    {
        let known = assets.iter().find(|asset| asset.url == url && asset.first.status == 200);
        let new = match known {
            Some(asset) => asset.second.clone(),
            None if cancel.is_canceled() => Answer::default(),
            None => asker.get(&url, kind).await.answer,
        };
        compared.push(LiveAsset { url, live: first, new });
    }
    (assets, compared)
}

/// Whether one dyno gives another content each time: that is no file, and nothing is lost with it.
async fn is_made_for_each_request(asker: &Asker, asset: &Asset) -> bool {
    let Asset { url, kind, first, second, .. } = asset;
    if first.status != 200 || second.status != 200 || first.hash == second.hash {
        return false;
    }
    let third = asker.get(url, *kind).await.answer;
    third.status == 200 && third.hash != second.hash
}

impl NotProven {
    /// What is said where that is why a release has no proof. The caller adds its state.
    pub(crate) fn message(&self) -> Message {
        let (found, next) = match self {
            Self::NoPages => (
                "The release has no process type `web`, and so no pages.".to_owned(),
                "add a line `web: …` to the Procfile, or turn the proof off: slugline prove:gate off",
            ),
            Self::NotBooted { why, lines } => {
                let lines: Vec<String> = lines.iter().map(|line| format!("    {line}")).collect();
                let said = [String::new()].into_iter().chain(lines).collect::<Vec<_>>().join("\n");
                (
                    format!("A fresh dyno of its slug does not get up: {why}.{said}"),
                    "mend what it says, then build again: slugline up",
                )
            }
            Self::Canceled => ("It was stopped.".to_owned(), "ask for it again: slugline prove"),
        };
        Message {
            what: "The proof could not be made".to_owned(),
            found,
            allowed: "A proof boots two dynos of the process type `web`, one after the other, and \
                      asks them for the app's pages."
                .to_owned(),
            next: next.to_owned(),
            state: String::new(),
        }
    }
}
