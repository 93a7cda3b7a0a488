//! What becomes of what a dyno writes: seen while it lives, kept for a while, or refused.

use std::io::Read as _;

use slugline_model::dyno::{DynoSpec, Event, Layer};
use slugline_model::ledger::Class;
use slugline_model::port::Engine as _;

use crate::scene::Host;

const WRITES: &str = "mkdir -p media cache-of-mine && head -c 3000 /dev/zero > media/a.png && \
    echo x > cache-of-mine/y && rm baked.txt && ln -s /etc media/link && echo written && ";

fn keeping(host: &Host, command: &str) -> DynoSpec {
    let layer = Layer { keep: true, scratch: vec!["/app/cache-of-mine".into()], strict: false };
    DynoSpec { layer, ..host.spec(command) }
}

fn exported(host: &Host, id: uuid::Uuid, paths: &[&str]) -> Vec<(String, usize)> {
    let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    let mut tar = Vec::new();
    host.engine.export(id, &paths, &mut tar).unwrap();
    let mut found = Vec::new();
    for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        found.push((entry.path().unwrap().display().to_string(), content.len()));
    }
    found.sort();
    found
}

#[test]
fn a_live_dyno_shows_what_it_has_written_and_what_for() {
    let host = Host::new();
    let spec = keeping(&host, &format!("{WRITES} exec sleep 600"));
    host.engine.start(&spec).unwrap();
    host.wait_for(&Event::Line { text: "written".into(), partial: false });
    let ledger = host.engine.ledger(spec.id).unwrap();
    let found: Vec<_> = ledger.largest.iter().map(|c| (c.path.as_str(), c.class)).collect();
    assert_eq!(found[0], ("/app/media/a.png", Class::Upload), "{ledger:?}");
    assert_eq!((ledger.content.files, ledger.noise.files), (3, 1), "{ledger:?}");
    assert!(ledger.largest[0].time > 0);
    let media = exported(&host, spec.id, &["/app/media"]);
    assert_eq!(media, [("app/media/a.png".to_owned(), 3_000), ("app/media/link".to_owned(), 0)]);
    host.engine.stop(spec.id).unwrap();
    host.outcome(spec.id);
}

#[test]
fn a_layer_that_is_kept_outlives_its_dyno_until_it_is_discarded() {
    let host = Host::new();
    let spec = keeping(&host, &format!("{WRITES} true"));
    host.engine.start(&spec).unwrap();
    let outcome = host.outcome(spec.id);
    assert_eq!(outcome.receipt.content.files, 3);
    let hash = blake3::hash(&[0; 3_000]).to_hex().to_string();
    assert_eq!(outcome.receipt.largest[0].hash, Some(hash));
    assert_eq!(host.engine.kept_layers().unwrap(), [spec.id]);
    assert_eq!(exported(&host, spec.id, &[]).iter().filter(|(_, size)| *size == 3_000).count(), 1);
    host.engine.discard_layer(spec.id).unwrap();
    assert!(host.engine.kept_layers().unwrap().is_empty());
    assert!(exported_nothing(&host, spec.id));
    // Nobody misses what another one wrote.
    let spec = keeping(&host, "mkdir cache-of-mine && echo x > cache-of-mine/y && echo x > /tmp/z");
    host.engine.start(&spec).unwrap();
    host.outcome(spec.id);
    assert!(host.engine.kept_layers().unwrap().is_empty());
}

#[test]
fn who_wrote_a_file_is_told_where_the_kernel_tells() {
    let host = Host::new();
    let script = "import time; time.sleep(0.3); open(\"by-python\", \"w\").write(\"x\"); \
        open(\"/tmp/x\", \"w\").write(\"x\"); print(\"written\", flush=True); time.sleep(600)";
    let spec = keeping(&host, &format!("exec python3 -c '{script}'"));
    host.engine.start(&spec).unwrap();
    host.wait_for(&Event::Line { text: "written".into(), partial: false });
    let by = || host.engine.ledger(spec.id).unwrap().largest[0].by.clone();
    if slugline_dyno::is_host_root() {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while by().is_none() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(by().unwrap().starts_with("python3 -c import time"), "{:?}", by());
    } else {
        assert_eq!(by(), None);
    }
    host.engine.stop(spec.id).unwrap();
    let receipt = host.outcome(spec.id).receipt;
    assert_eq!(receipt.largest[0].by.is_some(), slugline_dyno::is_host_root(), "{receipt:?}");
}

fn exported_nothing(host: &Host, id: uuid::Uuid) -> bool {
    host.engine.export(id, &[], &mut Vec::new()).is_err()
}

#[test]
fn a_strict_dyno_is_refused_to_write_but_where_its_app_says_so() {
    let host = Host::new();
    let layer = Layer { keep: true, scratch: vec!["/app/thumbs/small".into()], strict: true };
    let command = "for place in /app /app/media /app/thumbs /app/thumbs/small /tmp /var/tmp \
        /dev/shm /app/.heroku /app/tmp /home; do mkdir -p $place 2>&1 && echo x 2>&1 >$place/file \
        && echo \"$place open\"; done; echo y >baked.txt; cat baked.txt";
    let spec = DynoSpec { layer, ..host.spec(command) };
    host.engine.start(&spec).unwrap();
    let outcome = host.outcome(spec.id);
    let open: Vec<&str> =
        outcome.lines.iter().filter_map(|line| line.strip_suffix(" open")).collect();
    let expected =
        ["/app/thumbs/small", "/tmp", "/var/tmp", "/dev/shm", "/app/.heroku", "/app/tmp"];
    assert_eq!(open, expected, "{outcome:?}");
    let refused = outcome.lines.iter().filter(|line| line.contains("Read-only file system"));
    assert_eq!(refused.count(), 5, "{outcome:?}");
    assert_eq!(outcome.lines.last().map(String::as_str), Some("baked"));
}
