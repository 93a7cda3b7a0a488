//! Which part of a list a client asks for: Heroku's `Range` header.
//!
//! `version ..; order=desc, max=10` · `name ]owl..; max=200` · `id ..; max=1000;`. Real clients are
//! lax: options stand behind commas or semicolons, and nothing at all is fine.

use std::cmp::Ordering;

/// The most items of one answer.
pub const MOST: usize = 1_000;

/// How many there are where nobody says.
pub const USUAL: usize = 200;

/// What of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// What it is ordered by; empty where the client leaves that open.
    pub field: String,
    /// Where it begins.
    pub start: Option<Bound>,
    /// Where it ends.
    pub end: Option<Bound>,
    /// Whether the last comes first.
    pub descending: bool,
    /// How many at most.
    pub max: usize,
}

/// An end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The field's value there.
    pub value: String,
    /// Which one of several with this value: an id.
    pub id: Option<String>,
    /// Whether the one that is there belongs to it.
    pub inclusive: bool,
}

/// Why a range can be of no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// A number that is none, or none that is allowed.
    #[error("`max={0}` is not a number from 1 to {MOST}")]
    Max(String),
    /// An order that there is not.
    #[error("`order={0}` is neither asc nor desc")]
    Order(String),
}

impl Default for Range {
    fn default() -> Self {
        Self { field: String::new(), start: None, end: None, descending: false, max: USUAL }
    }
}

/// Stands between a value and the id that tells it from equal ones.
const TIE: char = '~';

/// Reads the header's value. What it says of fields and places is never wrong.
pub fn parse(text: &str) -> Result<Range, RangeError> {
    let mut range = Range::default();
    let mut parts = text.split([';', ',']).map(str::trim);
    let place = parts.next().unwrap_or_default();
    if place.contains('=') {
        option(&mut range, place)?;
    } else if let Some((field, bounds)) = place.split_once(' ') {
        field.clone_into(&mut range.field);
        if let Some((start, end)) = bounds.trim().split_once("..") {
            range.start = bound(start.trim());
            range.end = bound(end.trim());
        }
    }
    for part in parts {
        option(&mut range, part)?;
    }
    Ok(range)
}

fn option(range: &mut Range, part: &str) -> Result<(), RangeError> {
    match part.split_once('=') {
        Some(("max", max)) => {
            let number = max.parse().ok().filter(|max| (1..=MOST).contains(max));
            range.max = number.ok_or_else(|| RangeError::Max(max.to_owned()))?;
        }
        Some(("order", "asc")) => range.descending = false,
        Some(("order", "desc")) => range.descending = true,
        Some(("order", other)) => return Err(RangeError::Order(other.to_owned())),
        _ => {}
    }
    Ok(())
}

/// `]owl` and `owl[` leave `owl` out.
fn bound(text: &str) -> Option<Bound> {
    let inner = text.trim_matches([']', '[']);
    if inner.is_empty() {
        return None;
    }
    let (value, id) = match inner.split_once(TIE) {
        Some((value, id)) => (value, Some(id.to_owned())),
        None => (inner, None),
    };
    Some(Bound { value: value.to_owned(), id, inclusive: inner.len() == text.len() })
}

/// One of a list: the value that it is ordered by, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Numbers in decimal.
    pub value: String,
    /// Tells it from others of the same value; may be empty.
    pub id: String,
}

/// What of a list is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Which items, by their places in the list that was given, in the answer's order.
    pub items: Vec<usize>,
    /// What to ask for next; none at the end.
    pub next: Option<String>,
}

/// Chooses the part of a list. `sorted` says whether the keys are to be put in order; otherwise they
/// stay in that of the list.
pub fn page(range: &Range, keys: &[Key], sorted: bool) -> Page {
    let mut items: Vec<usize> = (0..keys.len()).collect();
    if sorted {
        items.sort_by(|a, b| compare(&keys[*a], &keys[*b]));
    }
    if range.descending {
        items.reverse();
    }
    let within = |at: &usize| {
        let key = &keys[*at];
        let after = |bound: &Bound, backwards: bool| {
            let order = against(key, bound);
            let order = if backwards { order.reverse() } else { order };
            order == Ordering::Greater || order == Ordering::Equal && bound.inclusive
        };
        range.start.as_ref().is_none_or(|start| after(start, range.descending))
            && range.end.as_ref().is_none_or(|end| after(end, !range.descending))
    };
    items.retain(within);
    let more = items.len() > range.max;
    items.truncate(range.max);
    let last = more.then(|| items.last()).flatten();
    Page { next: last.map(|last| next(range, &keys[*last])), items }
}

/// The header that a client sends back as it is.
fn next(range: &Range, last: &Key) -> String {
    let Range { field, end, descending, max, .. } = range;
    let tie = if last.id.is_empty() { String::new() } else { format!("{TIE}{}", last.id) };
    let end = end.as_ref().map_or_else(String::new, |end| {
        let id = end.id.as_ref().map_or_else(String::new, |id| format!("{TIE}{id}"));
        format!("{}{id}{}", end.value, if end.inclusive { "" } else { "[" })
    });
    let order = if *descending { "order=desc, " } else { "" };
    format!("{field} ]{}{tie}..{end}; {order}max={max}", last.value)
}

fn compare(a: &Key, b: &Key) -> Ordering {
    by_value(&a.value, &b.value).then_with(|| a.id.cmp(&b.id))
}

fn against(key: &Key, bound: &Bound) -> Ordering {
    let order = by_value(&key.value, &bound.value);
    match &bound.id {
        Some(id) => order.then_with(|| key.id.cmp(id)),
        None => order,
    }
}

/// Numbers as numbers, all else as text.
fn by_value(a: &str, b: &str) -> Ordering {
    match (a.parse::<i128>(), b.parse::<i128>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_of_real_clients_are_understood() {
        let read = |text: &str| parse(text).unwrap();
        for (text, field, descending, max) in [
            ("version ..; max=15, order=desc", "version", true, 15),
            ("version ..; order=desc,max=15", "version", true, 15),
            ("version ..; order=desc", "version", true, USUAL),
            ("id ..; max=1000;", "id", false, 1_000),
            ("id ..; ;", "id", false, USUAL),
            ("number ..; order=desc,max=1", "number", true, 1),
            ("", "", false, USUAL),
            ("what ever", "what", false, USUAL),
            ("bytes=0-99", "", false, USUAL),
        ] {
            let range = read(text);
            let found = (range.field.as_str(), range.descending, range.max);
            assert_eq!(found, (field, descending, max), "{text}");
            assert_eq!((range.start, range.end), (None, None), "{text}");
        }
        let range = read("name ]myapp..; max=1");
        let start = Bound { value: "myapp".into(), id: None, inclusive: false };
        assert_eq!((range.start, range.end, range.max), (Some(start), None, 1));
        let range = read("name a..c[");
        assert!(range.start.unwrap().inclusive && !range.end.unwrap().inclusive);
    }

    #[test]
    fn what_no_list_can_answer_is_refused() {
        for bad in ["id ..; max=0", "id ..; max=1001", "id ..; max=x", "id ..; max=-1"] {
            assert!(matches!(parse(bad), Err(RangeError::Max(_))), "{bad}");
        }
        assert_eq!(parse("id ..; order=up"), Err(RangeError::Order("up".into())));
    }

    fn keys(values: &[&str]) -> Vec<Key> {
        let key = |(at, value): (usize, &&str)| Key { value: (*value).into(), id: at.to_string() };
        values.iter().enumerate().map(key).collect()
    }

    #[test]
    fn a_range_has_ends_that_may_belong_to_it() {
        let keys = keys(&["a", "b", "c", "d"]);
        let items = |text: &str| page(&parse(text).unwrap(), &keys, true).items;
        assert_eq!(items("name b..c"), [1, 2]);
        assert_eq!(items("name ]b..d["), [2]);
        assert_eq!(items("name c..; order=desc"), [2, 1, 0]);
        assert_eq!(items("name ..b; order=desc"), [3, 2, 1]);
    }

    proptest! {
        #[test]
        fn pages_give_the_whole_list_once(
            values in proptest::collection::vec(0_u8..6, 0..30),
            max in 1_usize..7,
            descending: bool,
        ) {
            let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
            let keys = keys(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let order = if descending { "order=desc, " } else { "" };
            let mut asked = format!("seq ..; {order}max={max}");
            let mut all = Vec::new();
            for _ in 0..=values.len() {
                let page = page(&parse(&asked).unwrap(), &keys, true);
                all.extend(page.items);
                let Some(next) = page.next else { break };
                asked = next;
            }
            let mut once = all.clone();
            once.sort_unstable();
            prop_assert_eq!(once, (0..values.len()).collect::<Vec<_>>());
            let ordered = all.windows(2).all(|pair| {
                let (a, b) = (values[pair[0]], values[pair[1]]);
                if descending { a >= b } else { a <= b }
            });
            prop_assert!(ordered);
        }
    }
}
