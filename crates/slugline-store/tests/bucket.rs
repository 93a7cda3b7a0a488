//! A bucket as the store's home, with an S3 server of somebody else's. These tests need pip's and
//! npm's package indexes, or mirrors of them.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[path = "scene/house.rs"]
mod house;
#[expect(dead_code, reason = "shared with tests that use more of it")]
#[path = "scene/proxy.rs"]
mod proxy;
#[path = "scene/s3.rs"]
mod s3;

use house::{House, sent, to};
use proxy::Fault;
use slugline_store::bucket::Trouble;
use slugline_store::{FsckRequest, StoreError};

#[test]
fn a_slug_that_is_only_in_the_bucket_is_checked_out_as_if_it_were_here() {
    let house = House::new();
    house.files(300);
    let (first, slug) = house.release("first");
    first.share(&slug).unwrap();
    let second = house.store("second");
    let app = second.checkout(&slug).unwrap();
    assert_eq!(fs_err::read_to_string(app.join("d7/f7")).unwrap(), house::content(7));
    second.verify(&slug).unwrap();
    assert_eq!(second.manifest(&slug).unwrap(), first.manifest(&slug).unwrap());
    let third = house.store("third");
    assert_eq!(third.summary(&slug).unwrap().files, 300);
    let unknown = "0".repeat(64).parse().unwrap();
    let error = third.checkout(&unknown).unwrap_err();
    assert!(matches!(error, StoreError::UnknownSlug { .. }), "{error}");
}

#[test]
fn thousands_of_files_are_few_requests_and_five_changed_files_fewer() {
    let house = House::new();
    house.files(3_000);
    let (first, one) = house.release("first");
    first.share(&one).unwrap();
    let requests = house.proxy.take();
    assert!(requests.len() < 12, "{requests:#?}");
    let second = house.store("second");
    second.fetch(&one).unwrap();
    assert!(house.proxy.take().len() < 12);

    (0..5).for_each(|number| house.write(&format!("d{number}/f{number}"), "changed"));
    let two = house.ingest(&first);
    let shared = first.share(&two).unwrap();
    assert_eq!(shared.packs, 1);
    let requests = house.proxy.take();
    assert!(requests.len() <= 7, "{requests:#?}");
    assert!(sent(&requests) < 200_000, "{requests:#?}");

    second.fetch(&two).unwrap();
    let requests = house.proxy.take();
    let received: usize = requests.iter().map(|request| request.received).sum();
    assert!(requests.len() <= 6, "{requests:#?}");
    assert!(received < 250_000, "{requests:#?}");
    second.verify(&two).unwrap();
    assert_eq!(first.share(&two).unwrap().packs, 0, "what is there is not sent again");
    assert_eq!(house.proxy.take().len(), 1);
}

#[test]
fn an_upload_that_broke_goes_on_where_it_was_and_shows_nothing_until_it_is_whole() {
    let house = House::new();
    // Three to a pack.
    (0..20).for_each(|number| house.noise(&format!("noise{number}"), 2 << 20));
    let (first, slug) = house.release("first");
    house.proxy.break_by(after(3, |request| to(request, "PUT", "/packs/")));
    let error = first.share(&slug).unwrap_err();
    assert!(matches!(trouble(&error), Trouble::Forbidden(_)), "{error}");
    assert_eq!(whole(&house, "/packs/"), 3);
    house.proxy.heal();
    let second = house.store("second");
    assert!(matches!(second.fetch(&slug), Err(StoreError::UnknownSlug { .. })));
    assert!(first.verify(&slug).is_ok(), "the slug stays here");
    let shared = house.store("first").share(&slug).unwrap();
    assert_eq!((shared.packs, whole(&house, "/packs/")), (4, 4), "of seven, three were there");
    second.checkout(&slug).unwrap();
}

#[test]
fn parts_of_a_large_file_are_sent_once_and_fetched_once_though_the_way_breaks() {
    let house = House::new();
    house.noise("large", 50 << 20);
    let (first, slug) = house.release("first");
    house.proxy.break_by(after(4, |request| to(request, "PUT", "partNumber=")));
    first.share(&slug).unwrap_err();
    let before = whole(&house, "partNumber=");
    house.proxy.heal();
    house.store("first").share(&slug).unwrap();
    assert_eq!((before, whole(&house, "partNumber=")), (4, 3), "seven parts");

    let second = house.store("second");
    house.proxy.break_by(after(3, |request| to(request, "GET", "/packs/")));
    second.checkout(&slug).unwrap_err();
    assert!(second.slugs().unwrap().is_empty());
    house.proxy.heal();
    house.proxy.take();
    house.store("second").checkout(&slug).unwrap();
    let got: usize = house.proxy.take().iter().map(|request| request.received).sum();
    assert!(got < 45 << 20, "{got} bytes came again");
    second.verify(&slug).unwrap();
}

#[test]
fn what_has_come_when_the_way_breaks_stays_and_is_not_visible() {
    let house = House::new();
    (0..20).for_each(|number| house.noise(&format!("noise{number}"), 2 << 20));
    let (first, slug) = house.release("first");
    first.share(&slug).unwrap();
    let second = house.store("second");
    house.proxy.break_by(after(6, |request| to(request, "GET", "/packs/")));
    second.fetch(&slug).unwrap_err();
    assert!(second.slugs().unwrap().is_empty());
    house.proxy.heal();
    house.proxy.take();
    second.fetch(&slug).unwrap();
    let requests = house.proxy.take();
    let got: usize = requests.iter().map(|request| request.received).sum();
    assert!(got < 36 << 20, "{got} bytes came again: {requests:#?}");
}

#[test]
fn what_is_damaged_or_gone_here_comes_from_the_bucket() {
    let house = House::new();
    house.files(50);
    let (first, slug) = house.release("first");
    first.share(&slug).unwrap();
    let objects: Vec<_> = first.manifest(&slug).unwrap().files().map(|(_, o, _)| o).collect();
    house.damage("first", objects[3]);
    fs_err::remove_file(house.object("first", objects[5])).unwrap();
    first.fetch_object(objects[5]).unwrap();
    assert!(first.has_object(objects[5]));
    fs_err::remove_file(house.object("first", objects[7])).unwrap();
    let first = house.store("first");
    first.checkout(&slug).unwrap();
    first.verify(&slug).unwrap();
    fs_err::remove_dir_all(house.root("first").join("pages")).unwrap();
    let first = house.store("first");
    fs_err::remove_dir_all(house.root("first").join("checkouts")).unwrap();
    let first = {
        drop(first);
        house.store("first")
    };
    first.checkout(&slug).unwrap();
}

#[test]
fn a_check_of_the_store_finds_copies_in_the_bucket() {
    let house = House::new();
    house.files(50);
    house.noise("large", 9 << 20);
    let (first, slug) = house.release("first");
    first.share(&slug).unwrap();
    let manifest = first.manifest(&slug).unwrap();
    for wanted in ["d7/f7", "large"] {
        let (_, object, _) = manifest.files().find(|(p, _, _)| *p == wanted.as_bytes()).unwrap();
        house.damage("first", object);
    }
    fs_err::remove_file(house.root("first").join("slugs").join(slug.as_str())).unwrap();
    let copies = first.copies_in_bucket().unwrap();
    let request = FsckRequest { expected: vec![slug.clone()], repair: true, copies: vec![&copies] };
    first.fsck(&request, &mut |_| {}).unwrap();
    first.verify(&slug).unwrap();
}

#[test]
fn damage_here_never_goes_to_the_bucket() {
    let house = House::new();
    house.files(50);
    house.noise("large", 9 << 20);
    let (first, slug) = house.release("first");
    let manifest = first.manifest(&slug).unwrap();
    for wanted in ["d7/f7", "large"] {
        let (_, object, _) = manifest.files().find(|(p, _, _)| *p == wanted.as_bytes()).unwrap();
        let good = fs_err::read(house.object("first", object)).unwrap();
        house.damage("first", object);
        let error = first.share(&slug).unwrap_err();
        assert!(matches!(error, StoreError::DamagedObject { .. }), "{error}");
        house.mend("first", object, &good);
    }
    first.share(&slug).unwrap();
}

fn trouble(error: &StoreError) -> &Trouble {
    match error {
        StoreError::Bucket(error) => &error.trouble,
        other => panic!("{other}"),
    }
}

/// How many requests that write there were passed on since the last call.
fn whole(house: &House, part: &str) -> usize {
    house.proxy.take().iter().filter(|r| r.whole && to(r, "PUT", part)).count()
}

/// From so many of these requests on, all of them break.
fn after(
    number: usize,
    is: impl Fn(&proxy::Seen) -> bool + Send + 'static,
) -> impl FnMut(&proxy::Seen) -> Fault + Send + 'static {
    let mut seen = 0;
    move |request| {
        seen += usize::from(is(request));
        if is(request) && seen > number { Fault::Answer(403, "") } else { Fault::None }
    }
}

const STEP: &str = "BUCKET_TEST_STEP";

/// Each step in a process of its own, whose memory the kernel tells.
#[test]
fn neither_way_takes_much_memory() {
    if let Ok(step) = std::env::var(STEP) {
        return take_step(&step);
    }
    let house = House::new();
    house.files(2_000);
    (0..30).for_each(|number| house.noise(&format!("noise{number}"), 3 << 20));
    house.noise("large", 80 << 20);
    let (_, slug) = house.release("first");
    for step in ["share", "fetch"] {
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "neither_way_takes_much_memory"])
            .env(STEP, format!("{step} {slug} {}", house.settings.shown()))
            .env("TMPDIR", house.root(""))
            .env("SLUGLINE_TEST_S3_PORT", s3::port().to_string())
            .status();
        assert!(run.unwrap().success(), "{step}");
    }
}

fn take_step(step: &str) {
    let [step, slug, address] = step.split(' ').collect::<Vec<_>>()[..] else { panic!("{step}") };
    let slug = slug.parse().unwrap();
    let machine = |name| std::env::temp_dir().join(name);
    let before = peak();
    match step {
        "share" => {
            let store = house::direct(&machine("first"), address);
            assert!(store.share(&slug).unwrap().bytes > 150 << 20);
        }
        _ => house::direct(&machine("second"), address).fetch(&slug).unwrap(),
    }
    let grown = peak() - before;

    assert!(grown < 64 << 10, "{step} took {grown} kB");
}

/// The most memory that this process has had (kB).
fn peak() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
