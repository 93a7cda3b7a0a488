//! S3's answers.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Result, WireError};

/// Reads an answer.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    quick_xml::de::from_str(text).map_err(|error| WireError::Strange(error.to_string()))
}

/// A key as `encoding-type=url` writes it.
pub(super) fn decoded(key: &str) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let [first, more @ ..] = rest {
        let hex = || u8::from_str_radix(std::str::from_utf8(more.get(..2)?).ok()?, 16).ok();
        match first {
            b'%' if let Some(byte) = hex() => {
                bytes.push(byte);
                rest = &more[2..];
                continue;
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(*other),
        }
        rest = more;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Why not.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Trouble {
    pub(super) code: String,
    pub(super) message: String,
}

/// A part of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    #[serde(default)]
    pub(super) contents: Vec<Entry>,
    #[serde(default)]
    pub(super) is_truncated: bool,
    pub(super) next_continuation_token: Option<String>,
}

/// An object in a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) size: u64,
    #[serde(rename = "ETag", default)]
    pub(super) e_tag: String,
}

/// An upload in parts that was begun.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Begun {
    pub(super) upload_id: String,
}

/// Uploads in parts.
#[derive(Debug, Deserialize)]
pub(super) struct Uploads {
    #[serde(default, rename = "Upload")]
    pub(super) uploads: Vec<Upload>,
}

/// One of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) upload_id: String,
}

/// An object's tags.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tagging {
    pub(super) tag_set: TagSet,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct TagSet {
    #[serde(default, rename = "Tag")]
    pub(super) tags: Vec<Tag>,
}

/// One tag.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_each_server_writes_them() {
        let text = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Name>b</Name><IsTruncated>true</IsTruncated><Contents><Key>a%2F%2Fb%20c+d%2B</Key>\
            <ETag>&quot;x&quot;</ETag><Size>7</Size></Contents><CommonPrefixes/>\
            <Contents><Key>z</Key><Size>0</Size></Contents>\
            <NextContinuationToken>next</NextContinuationToken></ListBucketResult>";
        let page: Page = read(text).unwrap();
        assert_eq!(page.contents.len(), 2);
        assert_eq!(decoded(&page.contents[0].key), "a//b c d+");
        assert_eq!(page.contents[0].e_tag, "\"x\"");
        assert!(page.is_truncated);
        let empty: Page = read("<ListBucketResult></ListBucketResult>").unwrap();
        assert!(empty.contents.is_empty() && !empty.is_truncated);
        assert_eq!(decoded("100%"), "100%");
    }

    #[test]
    fn troubles_say_why() {
        let text = "<Error><Code>NoSuchKey</Code><Message>None.</Message></Error>";
        assert_eq!(read::<Trouble>(text).unwrap().code, "NoSuchKey");
        assert!(read::<Trouble>("no XML").is_err());
    }
}
