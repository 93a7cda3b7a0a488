//! What is in a bucket, in the order of its keys, a page at a time.

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::index::object::{COLUMNS, Object, object, read_error};

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    /// Listing goes on behind this key, or behind all keys that this stands for.
    pub(crate) after: Option<String>,
    pub(crate) most: usize,
}

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Object>,
    /// Each stands for all keys that begin with it.
    pub(crate) prefixes: Vec<String>,
    /// Where the next page goes on, if there is more.
    pub(crate) next: Option<String>,
}

/// Where to look on: from a key, or behind it.
enum From {
    At(Vec<u8>),
    Behind(Vec<u8>),
    Nowhere,
}

/// One page.
pub(crate) fn page(db: &Connection, bucket: i64, query: &Query) -> Result<Page> {
    let mut page = Page::default();
    let mut from = beginning(query);
    let mut last = None;
    while query.most > 0
        && let Some(next) = stretch(db, bucket, query, &from, (&mut page, &mut last))?
    {
        from = next;
    }
    Ok(page)
}

/// Keys up to the first that another stands for, or to the page's end. Says where it goes on.
fn stretch(
    db: &Connection,
    bucket: i64,
    query: &Query,
    from: &From,
    (page, last): (&mut Page, &mut Option<String>),
) -> Result<Option<From>> {
    let (compare, key) = match from {
        From::At(key) => (">=", key),
        From::Behind(key) => (">", key),
        From::Nowhere => return Ok(None),
    };
    let end = match behind_all(query.prefix.as_bytes()) {
        From::At(end) | From::Behind(end) => Some(end),
        From::Nowhere => None,
    };
    let select = format!(
        "SELECT {COLUMNS} FROM object WHERE bucket = ?1 AND key {compare} ?2 \
         AND (?3 IS NULL OR key < ?3) ORDER BY key"
    );
    let mut select = db.prepare_cached(&select).map_err(read_error)?;
    let rows = select.query_map(params![bucket, key, end], object).map_err(read_error)?;
    for object in rows {
        let object = object.map_err(read_error)?;
        if page.objects.len() + page.prefixes.len() >= query.most {
            page.next = last.take();
            return Ok(None);
        }
        if let Some(prefix) = rolled_up(query, &object.key) {
            let next = behind_all(prefix.as_bytes());
            *last = Some(prefix.clone());
            page.prefixes.push(prefix);
            return Ok(Some(next));
        }
        *last = Some(object.key.clone());
        page.objects.push(object);
    }
    Ok(None)
}

fn beginning(query: &Query) -> From {
    let Some(after) = query.after.as_deref().filter(|after| !after.is_empty()) else {
        return From::At(query.prefix.clone().into_bytes());
    };
    if rolled_up(query, after).as_deref() == Some(after) {
        return behind_all(after.as_bytes());
    }
    if after < query.prefix.as_str() {
        return From::At(query.prefix.clone().into_bytes());
    }
    From::Behind(after.as_bytes().to_vec())
}

/// The prefix that stands for a key, if the delimiter comes behind the prefix that was asked for.
fn rolled_up(query: &Query, key: &str) -> Option<String> {
    let delimiter = query.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
    let rest = key.strip_prefix(&query.prefix)?;
    let at = rest.find(delimiter)?;
    Some(key[..query.prefix.len() + at + delimiter.len()].to_owned())
}

/// The first key behind all that begin with these bytes.
fn behind_all(prefix: &[u8]) -> From {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if last < u8::MAX {
            next.push(last + 1);
            return From::At(next);
        }
    }
    From::Nowhere
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::object::{Condition, Details, NewObject, put};
    use crate::index::{Index, bucket};

    fn filled(keys: &[String]) -> (tempfile::TempDir, Index) {
        let directory = tempfile::tempdir().unwrap();
        let index = Index::open(&directory.path().join("index.sqlite3")).unwrap();
        let keys = keys.to_vec();
        let fill = move |db: &Connection| {
            bucket::add(db, "owl", 0)?;
            let id = bucket::find(db, "owl")?.unwrap().id;
            for key in keys {
                let new = NewObject {
                    bucket: id,
                    key,
                    size: 0,
                    etag: String::new(),
                    modified: 0,
                    public_read: false,
                    details: Details::default(),
                    contents: Vec::new(),
                };
                put(db, &new, &Condition::default(), &mut Vec::new())?;
            }
            Ok(())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(index.write(fill, |_| ())).unwrap();
        (directory, index)
    }

    /// All pages, as one.
    fn all(index: &Index, query: &Query) -> (Vec<String>, Vec<String>) {
        let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
        let mut query = query.clone();
        for _ in 0..1_000 {
            let page = index.read_now(|db| page(db, 1, &query)).unwrap();
            assert!(page.objects.len() + page.prefixes.len() <= query.most);
            keys.extend(page.objects.into_iter().map(|object| object.key));
            prefixes.extend(page.prefixes);
            let Some(next) = page.next else { return (keys, prefixes) };
            query.after = Some(next);
        }
        panic!("listing does not end");
    }

    #[test]
    fn a_directory_stands_for_what_is_in_it() {
        let keys = ["a", "a/b", "a/c/d", "b/", "b/x", "c"].map(str::to_owned);
        let (_directory, index) = filled(&keys);
        let query = |prefix: &str| Query {
            prefix: prefix.to_owned(),
            delimiter: Some("/".to_owned()),
            after: None,
            most: 2,
        };
        let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(all(&index, &query("")), (strings(&["a", "c"]), strings(&["a/", "b/"])));
        assert_eq!(all(&index, &query("a/")), (strings(&["a/b"]), strings(&["a/c/"])));
        assert_eq!(all(&index, &query("b/")), (strings(&["b/", "b/x"]), strings(&[])));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn pages_together_are_the_whole_list(
            keys in prop::collection::btree_set("[ab/\u{ff}é\u{10ffff}]{1,5}", 0..20),
            prefix in "[ab/]{0,2}",
            most in 1_usize..5,
        ) {
            let keys: Vec<String> = keys.into_iter().collect();
            let (_directory, index) = filled(&keys);
            for delimiter in [None, Some("/".to_owned())] {
                let query = Query { prefix: prefix.clone(), delimiter, after: None, most };
                let (mut plain, mut rolled) = (Vec::new(), Vec::new());
                for key in keys.iter().filter(|key| key.starts_with(&prefix)) {
                    match rolled_up(&query, key) {
                        Some(prefix) => rolled.push(prefix),
                        None => plain.push(key.clone()),
                    }
                }
                rolled.dedup();
                prop_assert_eq!(all(&index, &query), (plain, rolled));
            }
        }
    }
}
