//! What goes from a bucket, and what never does. These tests need pip's and npm's package indexes,
//! or mirrors of them.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
#[path = "scene/house.rs"]
mod house;
#[expect(dead_code, reason = "shared with tests that use more of it")]
#[path = "scene/proxy.rs"]
mod proxy;
#[path = "scene/s3.rs"]
mod s3;

use std::time::Duration;

use house::{House, to};
use proxy::Fault;
use slugline_store::StoreError;
use slugline_store::bucket::Collected;

/// One that may collect, and does so at once.
fn house() -> House {
    let mut house = House::new();
    house.settings.collect = true;
    house.settings.grace = Duration::ZERO;
    house
}

#[test]
fn what_no_slug_needs_goes_and_what_one_needs_stays() {
    let house = house();
    house.files(5);
    (0..100).for_each(|number| house.noise(&format!("noise{number}"), 2_000));
    house.noise("first only", 9 << 20);
    let (store, one) = house.release("first");
    store.share(&one).unwrap();
    fs_err::remove_file(house.tree.join("first only")).unwrap();
    (0..5).for_each(|number| house.write(&format!("d{number}/f{number}"), "changed"));
    let two = house.ingest(&store);
    store.share(&two).unwrap();
    assert_eq!(store.collect(&[one.clone(), two.clone()]).unwrap(), Collected::default());
    house.store("both").fetch(&one).unwrap();

    let collected = store.collect(std::slice::from_ref(&two)).unwrap();
    assert_eq!((collected.slugs, collected.packs), (1, 1), "{collected:?}");
    assert_eq!(collected.bytes, 9 << 20, "the pack of a hundred files is needed by the second");
    let none = house.store("none").fetch(&one).unwrap_err();
    assert!(matches!(none, StoreError::UnknownSlug { .. }), "{none}");
    let other = house.store("other");
    other.checkout(&two).unwrap();
    other.verify(&two).unwrap();
    store.share(&one).unwrap();
    house.store("again").checkout(&one).unwrap();
}

#[test]
fn little_that_is_needed_of_a_pack_goes_into_a_new_one() {
    let house = house();
    (0..3).for_each(|number| house.noise(&format!("noise{number}"), 1 << 20));
    house.write("small", "small");
    let (store, one) = house.release("first");
    store.share(&one).unwrap();
    (0..3).for_each(|n| fs_err::remove_file(house.tree.join(format!("noise{n}"))).unwrap());
    house.write("new", "new");
    let two = house.ingest(&store);
    store.share(&two).unwrap();
    let collected = store.collect(std::slice::from_ref(&two)).unwrap();
    assert_eq!((collected.slugs, collected.packs, collected.new_packs), (1, 1, 1));
    let second = house.store("second");
    second.checkout(&two).unwrap();
    second.verify(&two).unwrap();
    assert_eq!(store.collect(&[two]).unwrap(), Collected::default());
}

#[test]
fn a_slug_of_another_machine_stays() {
    let house = house();
    house.files(20);
    let (first, shared) = house.release("first");
    first.share(&shared).unwrap();
    let (second, same) = house.release("second");
    second.share(&same).unwrap();
    house.write("own", "own");
    let own = house.ingest(&second);
    second.share(&own).unwrap();
    assert_eq!(first.collect(&[]).unwrap(), Collected::default());
    house.store("third").checkout(&shared).unwrap();
    house.store("third").checkout(&own).unwrap();
    assert_eq!(second.collect(&[]).unwrap().slugs, 2);
}

#[test]
fn what_came_lately_is_left_alone_and_who_may_not_collect_removes_nothing() {
    let mut house = house();
    house.settings.grace = Duration::from_hours(1);
    house.files(20);
    let (store, slug) = house.release("first");
    // As while an upload is under way: everything is there but the record.
    house.proxy.break_by(|request| {
        let record = to(request, "PUT", "/slugs/") && !request.path.contains("probe");
        if record { Fault::Answer(403, "") } else { Fault::None }
    });
    store.share(&slug).unwrap_err();
    assert_eq!(store.collect(std::slice::from_ref(&slug)).unwrap(), Collected::default());
    house.proxy.heal();
    assert_eq!(store.share(&slug).unwrap().packs, 0, "all that was sent is still there");
    house.settings.collect = false;
    house.settings.grace = Duration::ZERO;
    assert_eq!(house.store("first").collect(&[]).unwrap(), Collected::default());
    house.store("second").checkout(&slug).unwrap();
}

#[test]
fn a_list_that_lies_or_a_record_that_cannot_be_read_removes_nothing() {
    let house = house();
    house.files(20);
    let (store, slug) = house.release("first");
    store.share(&slug).unwrap();
    let keep = [slug.clone()];
    let empty = "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>\
                 </ListBucketResult>";
    house.proxy.break_by(move |request| {
        let list = to(request, "GET", "list-type=2") && request.path.contains("slugs");
        if list { Fault::Answer(200, empty) } else { Fault::None }
    });
    store.collect(&keep).unwrap_err();
    house.proxy.break_by(
        |request| {
            if to(request, "GET", "/slugs/") { Fault::Flip } else { Fault::None }
        },
    );
    store.collect(&keep).unwrap_err();
    house.proxy.heal();
    let deleted = house.proxy.take().into_iter().filter(|r| r.method == "DELETE");
    let deleted: Vec<_> = deleted.filter(|r| !r.path.contains("probe")).collect();
    assert!(deleted.is_empty(), "{deleted:#?}");
    house.store("second").checkout(&slug).unwrap();
}
