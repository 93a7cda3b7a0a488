//! What is another between two lists of packages, in a few words: `1 added, 1 changed: six 1.17.0;
//! django 5.2 → 5.2.1`.

use std::collections::BTreeMap;

/// Packages by name, each with what is asked of it: a version, a range, a URL, or nothing.
pub(crate) type Packages = BTreeMap<String, String>;

/// So many are named; the rest is counted.
const NAMED: usize = 3;

/// The difference in words; `None` if there is none.
pub(crate) fn describe(before: &Packages, now: &Packages) -> Option<String> {
    let added = now.iter().filter(|(name, _)| !before.contains_key(*name));
    let added: Vec<_> = added.map(|(name, what)| named(name, what)).collect();
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    let gone: Vec<_> = gone.cloned().collect();
    let changed: Vec<_> = now
        .iter()
        .filter_map(|(name, what)| {
            let old = before.get(name).filter(|old| *old != what)?;
            Some(change(name, old, what))
        })
        .collect();
    let counts = [("added", &added), ("changed", &changed), ("removed", &gone)];
    let counts: Vec<_> = counts.iter().filter(|(_, list)| !list.is_empty()).collect();
    if counts.is_empty() {
        return None;
    }
    let how_many: Vec<_> =
        counts.iter().map(|(word, list)| format!("{} {word}", list.len())).collect();
    let all: Vec<&String> = counts.iter().flat_map(|(_, list)| list.iter()).collect();
    let mut which: Vec<_> = all.iter().take(NAMED).map(|text| text.as_str()).collect();
    let more = format!("{} more", all.len().saturating_sub(NAMED));
    if all.len() > NAMED {
        which.push(&more);
    }
    Some(format!("{}: {}", how_many.join(", "), which.join("; ")))
}

fn named(name: &str, what: &str) -> String {
    if what.is_empty() { name.to_owned() } else { format!("{name} {}", version(what)) }
}

fn change(name: &str, old: &str, now: &str) -> String {
    let any =
        |what: &str| if what.is_empty() { "any".to_owned() } else { version(what).to_owned() };
    format!("{name} {} → {}", any(old), any(now))
}

/// `==5.2` reads as `5.2`.
fn version(what: &str) -> &str {
    what.trim().trim_start_matches("==")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &[(&str, &str)], now: &[(&str, &str)], expect: Option<&str>) {
        let packages = |list: &[(&str, &str)]| -> Packages {
            list.iter().map(|(name, what)| ((*name).to_owned(), (*what).to_owned())).collect()
        };
        assert_eq!(describe(&packages(before), &packages(now)).as_deref(), expect);
    }

    #[test]
    fn a_difference_counts_and_names() {
        check(&[("a", "==1")], &[("a", "==1")], None);
        check(&[("a", "==1")], &[("a", "==1"), ("six", "")], Some("1 added: six"));
        check(
            &[("a", "==1"), ("b", ""), ("c", "")],
            &[("a", "==2"), ("b", ">3"), ("d", "==4")],
            Some("1 added, 2 changed, 1 removed: d 4; a 1 → 2; b any → >3; 1 more"),
        );
    }
}
