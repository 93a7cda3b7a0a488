//! A bucket that answers slowly, wrongly, or not at all. These tests need pip's and npm's package
//! indexes, or mirrors of them.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
#[path = "scene/house.rs"]
mod house;
#[path = "scene/proxy.rs"]
mod proxy;
#[path = "scene/s3.rs"]
mod s3;

use std::time::Duration;

use house::{House, to};
use proxy::{Fault, Seen};
use slugline_store::StoreError;
use slugline_store::bucket::{Bucket, BucketError, Credentials, Keys, Trouble};

const BUSY: &str = "<Error><Code>SlowDown</Code></Error>";
const BROKEN: &str = "<Error><Code>InternalError</Code></Error>";
const SKEWED: &str = "<Error><Code>RequestTimeTooSkewed</Code></Error>";
const PAGE: &str = "<html><body>Please sign in to the guest network</body></html>";

/// A page of kilobytes, with line breaks and control characters.
const LONG: &str =
    concat!("<html>\u{1b}[31m\n", include_str!("scene/proxy.rs"), include_str!("scene/s3.rs"));

#[test]
fn faults_that_pass_are_outlived() {
    for fault in [
        Fault::Answer(500, BROKEN),
        Fault::Answer(503, BUSY),
        Fault::Cut(10),
        Fault::Flip,
        Fault::Close,
        Fault::Answer(200, PAGE),
    ] {
        let house = House::new();
        house.files(20);
        let (first, slug) = house.release("first");
        let lies = matches!(fault, Fault::Cut(_) | Fault::Flip | Fault::Answer(200, _));
        if !lies {
            house.proxy.break_by(once_each(fault));
        }
        first.share(&slug).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        house.proxy.break_by(once_each(fault));
        let second = house.store("second");
        second.fetch(&slug).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        second.verify(&slug).unwrap();
    }
}

type Is = fn(&Trouble) -> bool;

#[test]
fn faults_that_stay_are_said_and_nothing_is_lost_or_half_visible() {
    let damaged = |trouble: &Trouble| *trouble == Trouble::Damaged;
    let busy = |trouble: &Trouble| matches!(trouble, Trouble::Busy(_));
    let cases: [(Fault, Is); 7] = [
        (Fault::Answer(500, BROKEN), busy),
        (Fault::Answer(503, BUSY), busy),
        (Fault::Answer(502, PAGE), busy),
        (Fault::Answer(403, SKEWED), |trouble| *trouble == Trouble::Clock),
        (Fault::Flip, damaged),
        (Fault::Hang, |trouble| *trouble == Trouble::Silent),
        (Fault::Close, |trouble| matches!(trouble, Trouble::Unreachable(_))),
    ];
    for (fault, expected) in cases {
        let mut house = House::new();
        house.settings.patience = Duration::from_millis(500);
        house.settings.retries = 2;
        house.files(20);
        let (first, slug) = house.release("first");
        if !matches!(fault, Fault::Flip) {
            house.proxy.break_by(move |request| broken(request, "PUT", "/slugs/", fault));
            let error = trouble(first.share(&slug).unwrap_err());
            assert!(expected(&error.trouble), "{fault:?} of an upload: {error}");
            house.proxy.heal();
            let none = house.store("none").fetch(&slug).unwrap_err();
            assert!(matches!(none, StoreError::UnknownSlug { .. }), "{fault:?}: {none}");
        }
        first.verify(&slug).unwrap();
        first.share(&slug).unwrap();
        for part in ["/packs/", "/slugs/"] {
            house.proxy.break_by(move |request| broken(request, "GET", part, fault));
            let second = house.store("second");
            let error = trouble(second.fetch(&slug).unwrap_err());
            assert!(expected(&error.trouble), "{fault:?} of a fetch: {error}");
            assert!(second.slugs().unwrap().is_empty());
        }
        house.proxy.heal();
        house.store("second").checkout(&slug).unwrap();
    }
}

#[test]
fn an_answer_that_is_none_of_s3_is_not_believed_and_shown_cut_short() {
    let house = House::new();
    house.files(3);
    let (first, slug) = house.release("first");
    house.proxy.break_by(|request| broken(request, "GET", "list-type=2", Fault::Answer(200, PAGE)));
    trouble(first.share(&slug).unwrap_err());
    house.proxy.break_by(|request| broken(request, "GET", "list-type=2", Fault::Answer(404, LONG)));
    let error = trouble(first.share(&slug).unwrap_err());
    assert!(error.to_string().len() < 400, "{error}");
    house.proxy.heal();
    first.share(&slug).unwrap();
    house.store("second").checkout(&slug).unwrap();
}

#[test]
fn a_bucket_that_cannot_be_used_is_told_apart_by_whose_move_it_is() {
    let house = House::new();
    let check = |change: &dyn Fn(&mut slugline_store::bucket::BucketSettings)| {
        let mut settings = house.settings.clone();
        settings.retries = 1;
        settings.patience = Duration::from_secs(5);
        change(&mut settings);
        Bucket::open(settings).and_then(|bucket| bucket.check())
    };
    let keys = |key_id: &str, secret: &str| {
        let (key_id, secret) = (key_id.to_owned(), secret.to_owned());
        Credentials::Given(Keys { key_id, secret, session_token: None })
    };
    assert_eq!(check(&|_| {}).unwrap().slugs, 0);
    let left = house.proxy.take();
    assert!(left.iter().any(|request| request.method != "GET" && request.method != "PUT"));

    let wrong = |change: &dyn Fn(&mut _)| check(change).unwrap_err();
    let secret = wrong(&|settings| settings.credentials = keys(s3::KEY, "verysecret"));
    assert_eq!(secret.trouble, Trouble::Unknown("SignatureDoesNotMatch".into()));
    assert!(!format!("{secret:?} {secret}").contains("verysecret"));
    let key = wrong(&|settings| settings.credentials = keys("NOBODY", "verysecret"));
    assert_eq!(key.trouble, Trouble::Unknown("InvalidAccessKeyId".into()));
    let bucket = wrong(&|settings| settings.bucket = "nowhere".into());
    assert_eq!(bucket.trouble, Trouble::NoBucket);
    let host = wrong(&|settings| settings.endpoint = Some("http://127.0.0.1:9".into()));
    assert!(matches!(host.trouble, Trouble::Unreachable(_)), "{host}");
    let tls = wrong(&|settings| settings.endpoint = Some("https://127.0.0.1:9".into()));
    assert!(matches!(tls.trouble, Trouble::Unreachable(_)), "{tls}");
    let file = wrong(&|settings| settings.credentials = Credentials::File("/nowhere".into()));
    assert!(matches!(file.trouble, Trouble::Credentials(_)), "{file}");
}

fn trouble(error: StoreError) -> BucketError {
    match error {
        StoreError::Bucket(error) => error,
        other => panic!("{other}"),
    }
}

fn broken(request: &Seen, method: &str, part: &str, fault: Fault) -> Fault {
    if to(request, method, part) { fault } else { Fault::None }
}

/// Every request fares badly the first time. Lists are told apart from what lies in them.
fn once_each(fault: Fault) -> impl FnMut(&Seen) -> Fault + Send + 'static {
    let mut seen = std::collections::HashSet::new();
    move |request| {
        let lies = matches!(fault, Fault::Cut(_) | Fault::Flip | Fault::Answer(200, _));
        let spared = lies && !(to(request, "GET", "/packs/") || to(request, "GET", "/slugs/"));
        let first = seen.insert((request.method.clone(), request.path.clone()));
        if first && !spared { fault } else { Fault::None }
    }
}
