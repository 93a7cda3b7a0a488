//! `object_store`, as Rust's programs use it, this one among them.

use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use http::Method;
use object_store::path::Path as Key;
use object_store::signer::Signer as _;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutPayload, WriteMultipart,
};
use slugline_s3::KeyPair;

use crate::scene::Place;

/// What every client lists: `many/00000` and so on.
const MANY: usize = 10_000;
/// Requests at once.
const AT_ONCE: usize = 32;
const LARGE: usize = 200 * 1024 * 1024;

/// Puts what clients list.
pub(crate) fn fill(place: &Place) {
    let s3 = place.store();
    runtime().block_on(async {
        let puts = futures_util::stream::iter(names()).map(|key| {
            let s3 = &s3;
            async move { s3.put(&key, PutPayload::from_static(b".")).await }
        });
        puts.buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await.unwrap();
    });
}

fn names() -> impl Iterator<Item = Key> {
    (0..MANY).map(|number| Key::from(format!("many/{number:05}")))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

pub(crate) fn object_store(place: &Place, own: &Path) {
    runtime().block_on(async {
        puts_and_gets(place).await;
        comes_in_parts(place).await;
        lists(place).await;
        is_refused(place).await;
        signs(place, own).await;
    });
}

async fn puts_and_gets(place: &Place) {
    let (s3, key) = (place.store(), Key::from("rust/ü b"));
    s3.put(&key, PutPayload::from_static(b"a picture")).await.unwrap();
    assert_eq!(s3.get(&key).await.unwrap().bytes().await.unwrap(), "a picture");
    let part = GetOptions { range: Some(GetRange::Suffix(4)), ..GetOptions::default() };
    assert_eq!(s3.get_opts(&key, part).await.unwrap().bytes().await.unwrap(), "ture");
    s3.copy(&key, &Key::from("rust/copy")).await.unwrap();
    assert_eq!(s3.head(&Key::from("rust/copy")).await.unwrap().size, 9);
    s3.delete(&key).await.unwrap();
    assert!(matches!(s3.get(&key).await, Err(Error::NotFound { .. })));
}

async fn comes_in_parts(place: &Place) {
    let (s3, key) = (place.store(), Key::from("rust/large"));
    let mut bytes = vec![0; LARGE];
    blake3::Hasher::new().update(b"large").finalize_xof().fill(&mut bytes);
    let upload = s3.put_multipart(&key).await.unwrap();
    let mut writer = WriteMultipart::new_with_chunk_size(upload, 16 * 1024 * 1024);
    for piece in bytes.chunks(1024 * 1024) {
        writer.wait_for_capacity(4).await.unwrap();
        writer.write(piece);
    }
    writer.finish().await.unwrap();
    let back = s3.get(&key).await.unwrap().bytes().await.unwrap();
    assert!(back == bytes, "{} bytes came back", back.len());
}

async fn lists(place: &Place) {
    let listed = place.store();
    let listed = listed.list(Some(&Key::from("many"))).map_ok(|object| object.location);
    let listed: Vec<Key> = listed.try_collect().await.unwrap();
    assert!(listed.into_iter().eq(names()));
}

async fn is_refused(place: &Place) {
    let keys = KeyPair { secret: "x".repeat(40), ..place.keys.clone() };
    let wrong = Place { keys, ..place.clone() }.store();
    let key = Key::from("many/00000");
    let told = wrong.get(&key).await.unwrap_err();
    assert!(matches!(told, Error::PermissionDenied { .. }), "{told:?}");
    let told = wrong.put(&key, PutPayload::from_static(b"x")).await.unwrap_err();
    assert!(format!("{told:?}").contains("SignatureDoesNotMatch"), "{told:?}");
}

async fn signs(place: &Place, own: &Path) {
    let (s3, key) = (place.store(), Key::from("rust/signed ü"));
    let sign = async |method: Method, seconds: u64| {
        let signed = s3.signed_url(method, &key, Duration::from_secs(seconds)).await;
        signed.unwrap()
    };
    let (put, get) = (sign(Method::PUT, 3_600).await, sign(Method::GET, 3_600).await);
    let expired = sign(Method::GET, 1).await;
    let plain = {
        let mut plain = get.clone();
        plain.set_query(None);
        plain
    };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let done = http.put(put.clone()).body("by a link").send().await.unwrap();
    assert_eq!(done.status(), 200);
    let got = http.get(get.clone()).send().await.unwrap();
    assert_eq!(got.text().await.unwrap(), "by a link");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    for refused in [&expired, &plain] {
        assert_eq!(http.get(refused.clone()).send().await.unwrap().status(), 403, "{refused}");
    }
    let links = format!("put {put}\nget {get}\nplain {plain}\nexpired {expired}\n");
    std::fs::write(own.join("links"), links).unwrap();
}
