//! A check of everything that a store holds, and its repair: heads → pages → objects → whom it hits.
//!
//! What no slug needs is checked too: the next ingest would take it for whole. A check holds the
//! store's lock beside ingests and checkouts, so only a sweep waits for it.

mod copies;
mod repair;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::unix::fs::MetadataExt;

use slugline_model::care::{Checked, Damage, Finding, Hit, NAMED, PartKind, Unneeded};
use slugline_model::slug::SlugId;

use crate::error::{Result, StoreError};
use crate::live::files_of;
use crate::manifest::Head;
use crate::object::{self, ObjectKey};
use crate::page::{Page, PageId};
use crate::sweep::list;
use crate::tree::as_path;
use crate::{Store, manifest, parallel};

pub use copies::{Backup, Copies, KeptTrees};

/// How often progress is told (objects).
const STEP: usize = 1_000;

/// How many stray files are named.
const STRAYS: usize = 20;

/// What a check is asked for.
#[derive(Default)]
pub struct FsckRequest<'a> {
    /// Slugs that must be there.
    pub expected: Vec<SlugId>,
    /// Whether what is damaged is to be repaired.
    pub repair: bool,
    /// Where copies may be, the first one first.
    pub copies: Vec<&'a dyn Copies>,
}

impl std::fmt::Debug for FsckRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FsckRequest").field("repair", &self.repair).finish_non_exhaustive()
    }
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsckProgress {
    /// Objects that were read.
    pub objects: u64,
    /// Of so many.
    pub of: u64,
}

/// What a check knows so far.
#[derive(Debug, Default)]
struct Check {
    /// Whole heads, and the pages that each names. Those that came from a copy are not in place.
    heads: BTreeMap<SlugId, Vec<PageId>>,
    /// Heads from copies, to be put in place once all that they name is there.
    fetched: Vec<(SlugId, Vec<u8>, String)>,
    /// Whole pages: what is needed of them, by page.
    pages: BTreeSet<PageId>,
    damage: Vec<Broken>,
    /// Objects that slugs need, with their sizes (bytes).
    needed: HashMap<ObjectKey, u64>,
    checked: Checked,
}

/// A part, and what is wrong with it.
#[derive(Debug, Clone)]
struct Broken {
    part: Part,
    damage: Damage,
    repaired: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Head(SlugId),
    Page(PageId),
    Object(ObjectKey),
}

impl Part {
    fn kind_and_name(&self) -> (PartKind, String) {
        match self {
            Self::Head(id) => (PartKind::Head, id.to_string()),
            Self::Page(id) => (PartKind::Page, id.to_string()),
            Self::Object(key) => (PartKind::Object, key.to_string()),
        }
    }
}

impl Store {
    /// Checks every head, page and object against its hash; repairs what is damaged where it is
    /// asked to and a copy is found. An error says that the check could not be made.
    pub fn fsck(
        &self,
        request: &FsckRequest<'_>,
        progress: &mut dyn FnMut(FsckProgress),
    ) -> Result<Checked> {
        let _lock = self.lock_shared()?;
        let mut check = Check::default();
        self.check_heads(request, &mut check)?;
        self.check_pages(request, &mut check)?;
        self.check_objects(&mut check, progress)?;
        let whom = self.whom_it_hits(&check);
        if request.repair {
            self.repair_objects(request, &mut check, &whom);
            self.place_fetched(&mut check);
        }
        if check.damage.iter().any(|broken| broken.damage != Damage::Mode) {
            self.forget_what_is_known();
        }
        self.find_strays(&mut check)?;
        Ok(check.finish(&whom))
    }

    fn check_heads(&self, request: &FsckRequest<'_>, check: &mut Check) -> Result<()> {
        let there = self.slugs()?;
        check.checked.slugs = there.len() as u64;
        let ids: BTreeSet<SlugId> = there.into_iter().chain(request.expected.clone()).collect();
        for id in ids {
            let damage = match self.pages_of(&id) {
                Ok(pages) => {
                    check.heads.insert(id, pages);
                    continue;
                }
                Err(error) => damage_of(&error),
            };
            if request.repair
                && let Some((head, pages, from)) = fetch_head(request, &id)
            {
                check.heads.insert(id.clone(), pages);
                check.fetched.push((id.clone(), head, from));
            }
            check.damage.push(Broken { part: Part::Head(id), damage, repaired: None });
        }
        Ok(())
    }

    fn check_pages(&self, request: &FsckRequest<'_>, check: &mut Check) -> Result<()> {
        let names = list(&self.layout.pages())?.into_iter();
        let there = names.filter_map(|(name, _)| PageId::parse(name.to_str()?));
        let needed: BTreeSet<PageId> = check.heads.values().flatten().copied().collect();
        let all: BTreeSet<PageId> = there.chain(needed.iter().copied()).collect();
        check.checked.pages = all.len() as u64;
        for id in all {
            let damage = match self.page_text(id) {
                Ok(text) => {
                    check.take_page(id, needed.contains(&id), &text);
                    continue;
                }
                Err(damage) => damage,
            };
            let part = Part::Page(id);
            let repaired =
                request.repair.then(|| self.repair_page(request, id, needed.contains(&id)));
            let repaired = repaired.flatten();
            if repaired.is_some()
                && let Ok(text) = self.page_text(id)
            {
                check.take_page(id, needed.contains(&id), &text);
            }
            check.damage.push(Broken { part, damage, repaired });
        }
        Ok(())
    }

    fn page_text(&self, id: PageId) -> std::result::Result<Vec<u8>, Damage> {
        match fs_err::read(self.layout.page(id)) {
            Ok(bytes) => Ok(Page::from_squeezed(id, &bytes).ok_or(Damage::Damaged)?.text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Damage::Missing),
            Err(_) => Err(Damage::Unreadable),
        }
    }

    fn check_objects(
        &self,
        check: &mut Check,
        progress: &mut dyn FnMut(FsckProgress),
    ) -> Result<()> {
        let mut objects: BTreeSet<ObjectKey> = check.needed.keys().copied().collect();
        let mut unneeded = Unneeded::default();
        for (_, directory) in list(&self.layout.objects())? {
            for (name, path) in list(&directory).unwrap_or_default() {
                let Some(object) = name.to_str().and_then(ObjectKey::parse) else { continue };
                if self.layout.object(object) == path && objects.insert(object) {
                    unneeded.objects += 1;
                    unneeded.bytes +=
                        fs_err::symlink_metadata(&path).map_or(0, |found| found.len());
                }
            }
        }
        // A damaged manifest may need what seems to be needed by none.
        check.checked.unneeded = check.damage.is_empty().then_some(unneeded);
        let objects: Vec<ObjectKey> = objects.into_iter().collect();
        let (of, mut done) = (objects.len() as u64, 0);
        let (damage, checked) = (&mut check.damage, &mut check.checked);
        checked.objects = of;
        let work = |buffer: &mut Vec<u8>, object: &ObjectKey| {
            Ok::<_, StoreError>(self.check_object(*object, buffer))
        };
        parallel::each(
            &objects,
            || Ok(vec![0; 1 << 17]),
            work,
            |index, found| {
                done += 1;
                match found {
                    Ok(bytes) => checked.bytes += bytes,
                    Err(wrong) => damage.push(Broken {
                        part: Part::Object(objects[index]),
                        damage: wrong,
                        repaired: None,
                    }),
                }
                if done % STEP == 0 || done == objects.len() {
                    progress(FsckProgress { objects: done as u64, of });
                }
            },
        )
    }

    /// The object's bytes, or what is wrong with it.
    fn check_object(&self, key: ObjectKey, buffer: &mut [u8]) -> std::result::Result<u64, Damage> {
        let place = self.layout.object(key);
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Damage::Missing,
            _ => Damage::Unreadable,
        };
        let found = fs_err::symlink_metadata(&place).map_err(unreadable)?;
        if !found.is_file() {
            return Err(Damage::Damaged);
        }
        let file = fs_err::File::open(&place).map_err(unreadable)?;
        let (hash, bytes) = object::hash(file, buffer).map_err(|_| Damage::Unreadable)?;
        if hash != key.hash {
            return Err(Damage::Damaged);
        }
        let mode = key.mode().as_raw_mode();
        if found.mode() & 0o7777 == mode { Ok(bytes) } else { Err(Damage::Mode) }
    }

    /// The slugs that need each damaged part, with the paths of objects.
    fn whom_it_hits(&self, check: &Check) -> Whom {
        let mut whom = Whom::default();
        let broken: BTreeSet<&Part> = check.damage.iter().map(|broken| &broken.part).collect();
        if broken.is_empty() {
            return whom;
        }
        let mut texts: HashMap<PageId, Vec<(ObjectKey, Vec<u8>)>> = HashMap::new();
        for (id, pages) in &check.heads {
            for page in pages {
                if broken.contains(&Part::Page(*page)) {
                    whom.add(Part::Page(*page), id, None);
                }
                let files = texts.entry(*page).or_insert_with(|| self.broken_files(*page, &broken));
                for (object, path) in files.iter() {
                    whom.add(Part::Object(*object), id, Some(path));
                }
            }
        }
        for broken in &check.damage {
            if let Part::Head(id) = &broken.part {
                whom.add(broken.part.clone(), id, None);
            }
        }
        whom
    }

    fn broken_files(&self, page: PageId, broken: &BTreeSet<&Part>) -> Vec<(ObjectKey, Vec<u8>)> {
        let text = self.page_text(page).unwrap_or_default();
        let files = files_of(&text).unwrap_or_default().into_iter();
        let hit = files.filter(|(object, ..)| broken.contains(&Part::Object(*object)));
        hit.map(|(object, _, path)| (object, manifest::unescape(path).unwrap_or_default()))
            .collect()
    }

    /// Files that are none of the store's, wherever they lie.
    fn find_strays(&self, check: &mut Check) -> Result<()> {
        let layout = &self.layout;
        let known: BTreeSet<_> = layout.known().into_iter().collect();
        let mut stray = |path: &std::path::Path| {
            check.checked.stray_count += 1;
            if check.checked.strays.len() < STRAYS {
                let path = path.strip_prefix(layout.root()).unwrap_or(path);
                check.checked.strays.push(path.display().to_string());
            }
        };
        for (_, path) in list(layout.root())? {
            if !known.contains(&path) {
                stray(&path);
            }
        }
        for (name, path) in list(&layout.slugs())? {
            if name.to_str().is_none_or(|name| name.parse::<SlugId>().is_err()) {
                stray(&path);
            }
        }
        for (name, path) in list(&layout.pages())? {
            if name.to_str().and_then(PageId::parse).is_none() {
                stray(&path);
            }
        }
        for (_, directory) in list(&layout.objects())? {
            let Ok(names) = list(&directory) else {
                stray(&directory);
                continue;
            };
            for (name, path) in names {
                // Behind a dot: one that is being stored, or that a killed ingest left.
                let name = name.to_str().unwrap_or_default();
                let object = ObjectKey::parse(name.split('.').next().unwrap_or_default());
                let path = path.with_extension("");
                if object.is_none_or(|object| layout.object(object) != path) {
                    stray(&path);
                }
            }
        }
        Ok(())
    }
}

fn damage_of(error: &StoreError) -> Damage {
    match error {
        StoreError::UnknownSlug { .. } => Damage::Missing,
        StoreError::Read { .. } => Damage::Unreadable,
        _ => Damage::Damaged,
    }
}

/// A whole head from a copy, with the pages that it names.
fn fetch_head(request: &FsckRequest<'_>, id: &SlugId) -> Option<(Vec<u8>, Vec<PageId>, String)> {
    request.copies.iter().find_map(|copies| {
        let head = copies.head(id).filter(|head| manifest::identity(head) == *id)?;
        let pages = Head::decode(&head).ok()?.pages;
        Some((head, pages, copies.name()))
    })
}

impl Check {
    fn take_page(&mut self, id: PageId, needed: bool, text: &[u8]) {
        self.pages.insert(id);
        if needed {
            let files = files_of(text).unwrap_or_default();
            self.needed.extend(files.into_iter().map(|(object, size, _)| (object, size)));
        }
    }

    fn finish(mut self, whom: &Whom) -> Checked {
        self.damage.sort_by(|a, b| a.part.cmp(&b.part));
        let findings = self.damage.iter().map(|broken| {
            let (part, name) = broken.part.kind_and_name();
            let hits = whom.0.get(&broken.part);
            Finding {
                part,
                name,
                damage: broken.damage,
                slugs: hits.map(first_hits).unwrap_or_default(),
                slug_count: hits.map_or(0, |hits| hits.len() as u64),
                repaired: broken.repaired.clone(),
            }
        });
        self.checked.findings = findings.collect();
        self.checked
    }
}

/// Who needs what: by part, the slugs and their paths.
#[derive(Debug, Default)]
struct Whom(BTreeMap<Part, BTreeMap<SlugId, Vec<Vec<u8>>>>);

impl Whom {
    fn add(&mut self, part: Part, id: &SlugId, path: Option<&Vec<u8>>) {
        let paths = self.0.entry(part).or_default().entry(id.clone()).or_default();
        paths.extend(path.filter(|_| paths.len() < NAMED).cloned());
    }

    fn slugs(&self, part: &Part) -> impl Iterator<Item = &SlugId> {
        self.0.get(part).into_iter().flat_map(BTreeMap::keys)
    }

    /// Paths at which slugs have an object, each once.
    fn paths(&self, part: &Part) -> Vec<Vec<u8>> {
        let all = self.0.get(part).into_iter().flat_map(BTreeMap::values).flatten();
        all.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn first_hits(hits: &BTreeMap<SlugId, Vec<Vec<u8>>>) -> Vec<Hit> {
    let hit = |(slug, paths): (&SlugId, &Vec<Vec<u8>>)| Hit {
        slug: slug.clone(),
        files: paths.iter().map(|path| as_path(path).display().to_string()).collect(),
        known_as: vec![],
    };
    hits.iter().take(NAMED).map(hit).collect()
}
