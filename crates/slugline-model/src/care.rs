//! The care of the slug store: what a check finds, what goes, and what takes the room.

use serde::{Deserialize, Serialize};

use crate::size;
use crate::slug::SlugId;

/// How many slugs and files a finding names.
pub const NAMED: usize = 5;

/// What a part of the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartKind {
    /// The head of a slug's manifest.
    Head,
    /// A page of manifests.
    Page,
    /// A file's content.
    Object,
}

/// What is wrong with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Damage {
    /// It is not there.
    Missing,
    /// Its content is not what its name says.
    Damaged,
    /// Its mode is not what its name says.
    Mode,
    /// The disk does not give it.
    Unreadable,
}

/// A part that is damaged, and whom that hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub part: PartKind,
    /// Its name in the store.
    pub name: String,
    /// What is wrong with it.
    pub damage: Damage,
    /// The first few slugs that need it, each with the first few of its files there.
    pub slugs: Vec<Hit>,
    /// How many slugs need it.
    pub slug_count: u64,
    /// Where a whole copy came from, if it was repaired.
    pub repaired: Option<String>,
}

/// A slug that needs a damaged part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The slug.
    pub slug: SlugId,
    /// Files of it whose content is the part; empty for a head or a page.
    pub files: Vec<String>,
    /// What people call the slug: `library v41, v42`. Empty where nobody knows it.
    #[serde(default)]
    pub known_as: Vec<String>,
}

/// What a check of a store found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Slugs.
    pub slugs: u64,
    /// Pages of their manifests.
    pub pages: u64,
    /// Objects that were read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is damaged.
    pub findings: Vec<Finding>,
    /// Files that are none of the store's, named from its root: the first few.
    pub strays: Vec<String>,
    /// How many of those there are.
    pub stray_count: u64,
    /// Objects that no slug needs, which the next sweep takes. Not counted where a manifest is
    /// damaged, since it may need them.
    pub unneeded: Option<Unneeded>,
    /// Whether a running dyno may still hold a damaged file open, though it is repaired.
    pub renewed_checkouts: u64,
}

/// Objects that no slug needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unneeded {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Checked {
    /// Whether something is damaged that was not repaired.
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.repaired.is_none())
    }
}

/// What a sweep removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Slugs.
    pub slugs: u64,
    /// Checkouts.
    pub checkouts: u64,
    /// Pages of manifests.
    pub pages: u64,
    /// Objects that no slug holds any more.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The line that people read of a finding.
pub fn describe(finding: &Finding) -> Vec<String> {
    let part = match finding.part {
        PartKind::Head => "slug",
        PartKind::Page => "page",
        PartKind::Object => "object",
    };
    let damage = match finding.damage {
        Damage::Missing => "is missing",
        Damage::Damaged => "is damaged",
        Damage::Mode => "has a wrong mode",
        Damage::Unreadable => "cannot be read",
    };
    let repaired = finding.repaired.as_ref().map(|from| format!("; repaired from {from}"));
    let name = finding.name.get(..16).unwrap_or(&finding.name);
    let mut lines = vec![format!("{part} {name}… {damage}{}", repaired.unwrap_or_default())];
    lines.extend(finding.slugs.iter().map(|hit| format!("  {}", hit_line(hit))));
    let more = finding.slug_count.saturating_sub(finding.slugs.len() as u64);
    if more > 0 {
        lines.push(format!("  and {} other slugs", size::count(more)));
    }
    if finding.slug_count == 0 && finding.part == PartKind::Object {
        lines.push("  no slug needs it".to_owned());
    }
    lines
}

fn hit_line(hit: &Hit) -> String {
    let slug = hit.slug.as_str().get(..16).unwrap_or_default();
    let known =
        if hit.known_as.is_empty() { format!("slug {slug}…") } else { hit.known_as.join("; ") };
    if hit.files.is_empty() { known } else { format!("{known}: {}", hit.files.join(", ")) }
}

/// The last lines of a check.
pub fn summary(checked: &Checked) -> Vec<String> {
    let Checked { slugs, pages, objects, bytes, .. } = checked;
    let mut lines = vec![format!(
        "Checked {} slugs, {} pages, {} objects ({})",
        size::count(*slugs),
        size::count(*pages),
        size::count(*objects),
        size::human(*bytes)
    )];
    if let Some(unneeded) = checked.unneeded.filter(|unneeded| unneeded.objects > 0) {
        lines.push(format!(
            "{} objects ({}) are needed by no slug: slugline store:gc",
            size::count(unneeded.objects),
            size::human(unneeded.bytes)
        ));
    }
    if checked.stray_count > 0 {
        let strays = checked.strays.join(", ");
        lines.push(format!("{} not the store's: {strays}", size::files(checked.stray_count)));
    }
    if checked.renewed_checkouts > 0 {
        lines.push(format!(
            "{} checkouts are made anew at the next start of a dyno; a dyno that runs now keeps \
             the file as it was: restart it",
            size::count(checked.renewed_checkouts)
        ));
    }
    let repaired = checked.findings.iter().filter(|finding| finding.repaired.is_some()).count();
    let damaged = checked.findings.len() - repaired;
    lines.push(match (damaged, repaired) {
        (0, 0) => "Everything is whole.".to_owned(),
        (0, repaired) => format!("{repaired} repaired; everything is whole now."),
        (damaged, 0) => format!("{damaged} damaged."),
        (damaged, repaired) => format!("{repaired} repaired, {damaged} still damaged."),
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(repaired: Option<&str>) -> Finding {
        let slug: SlugId = "ab".repeat(32).parse().unwrap();
        let known_as = vec!["library v41, v42".to_owned()];
        Finding {
            part: PartKind::Object,
            name: "cd".repeat(32),
            damage: Damage::Damaged,
            slugs: vec![Hit { slug, files: vec!["static/app.js".into()], known_as }],
            slug_count: 3,
            repaired: repaired.map(str::to_owned),
        }
    }

    #[test]
    fn a_finding_names_whom_it_hits() {
        assert_eq!(
            describe(&finding(None)),
            [
                "object cdcdcdcdcdcdcdcd… is damaged",
                "  library v41, v42: static/app.js",
                "  and 2 other slugs",
            ]
        );
        assert!(describe(&finding(Some("/backup")))[0].ends_with("; repaired from /backup"));
    }

    #[test]
    fn the_end_of_a_check_says_what_remains() {
        let end = |findings: Vec<Finding>| {
            let checked = Checked { findings, ..Checked::default() };
            (checked.is_damaged(), summary(&checked).pop().unwrap())
        };
        assert_eq!(end(vec![]), (false, "Everything is whole.".into()));
        assert_eq!(end(vec![finding(None)]), (true, "1 damaged.".into()));
        let both = vec![finding(None), finding(Some("x"))];
        assert_eq!(end(both), (true, "1 repaired, 1 still damaged.".into()));
        assert!(!end(vec![finding(Some("x"))]).0);
    }
}
