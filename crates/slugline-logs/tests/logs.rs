//! Logs as their readers see them.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::sync::Arc;
use std::time::Duration;

use slugline_logs::{Hub, Session};
use slugline_model::limits::Limits;
use slugline_model::logline::{LogFilter, LogLine, LogSink, Origin, Source};

fn line(process: &str, text: impl Into<String>) -> LogLine {
    LogLine { time: 1, source: Source::App, process: process.into(), text: text.into() }
}

fn web() -> LogFilter {
    LogFilter { process: Some("web".into()), source: None }
}

async fn next(session: &mut Session) -> Option<(u64, LogLine)> {
    tokio::time::timeout(Duration::from_secs(20), session.next()).await.unwrap()
}

async fn texts(mut session: Session) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some((_, line)) = next(&mut session).await {
        texts.push(line.text);
    }
    texts
}

#[tokio::test]
async fn a_session_gives_the_last_lines_that_pass_and_then_those_that_come() {
    let hub = Hub::in_memory(&Limits::default());
    for number in 0..10 {
        hub.write(
            "owl",
            line(if number % 2 == 0 { "web.1" } else { "worker.1" }, number.to_string()),
        );
    }
    assert_eq!(texts(hub.session("owl", web(), 3, false)).await, ["4", "6", "8"]);
    assert_eq!(texts(hub.session("owl", LogFilter::default(), 100, false)).await.len(), 10);
    assert!(texts(hub.session("cat", web(), 3, false)).await.is_empty());
    let mut tail = hub.session("owl", web(), 1, true);
    assert_eq!(next(&mut tail).await.unwrap(), (9, line("web.1", "8")));
    hub.write("owl", line("worker.1", "no"));
    hub.write("cat", line("web.1", "no"));
    hub.write("owl", line("web.2", "yes"));
    assert_eq!(next(&mut tail).await.unwrap(), (12, line("web.2", "yes")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_is_lost_or_doubled_while_many_write() {
    const WRITERS: usize = 4;
    const EACH: usize = 2_000;
    let limits = Limits { log_history: WRITERS * EACH, ..Limits::default() };
    let hub = Arc::new(Hub::in_memory(&limits));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let hub = Arc::clone(&hub);
            tokio::spawn(async move {
                let mut session = hub.session("owl", LogFilter::default(), usize::MAX, true);
                for expected in 1..=WRITERS * EACH {
                    let (number, _) = next(&mut session).await.unwrap();
                    assert_eq!(number, expected as u64);
                }
            })
        })
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| (0..EACH).for_each(|n| hub.write("owl", line("web.1", n.to_string()))));
        }
    });
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_lags_is_told_how_much_it_missed() {
    let hub = Hub::in_memory(&Limits { log_history: 10, ..Limits::default() });
    hub.write("owl", line("web.1", "first"));
    let mut session = hub.session("owl", LogFilter::default(), 1, true);
    next(&mut session).await.unwrap();
    (0..25).for_each(|number| hub.write("owl", line("web.1", number.to_string())));
    let (number, missed) = next(&mut session).await.unwrap();
    assert_eq!((number, missed.process.as_str()), (16, "logplex"));
    assert_eq!(
        missed.text,
        "Error L10 (output buffer overflow): 15 messages dropped since \
         1970-01-01T00:00:00.000001+00:00."
    );
    for expected in 17..=26 {
        assert_eq!(next(&mut session).await.unwrap().0, expected);
    }
}

#[tokio::test]
async fn a_reader_goes_on_where_it_was() {
    let hub = Hub::in_memory(&Limits::default());
    (0..5).for_each(|number| hub.write("owl", line("web.1", number.to_string())));
    assert_eq!(texts(hub.resume("owl", web(), 3, false)).await, ["3", "4"]);
    assert!(texts(hub.resume("owl", web(), 5, false)).await.is_empty());
    // From a server that had seen more than this one remembers.
    let mut ahead = hub.resume("owl", web(), 1_000, true);
    hub.write("owl", line("web.1", "new"));
    assert_eq!(next(&mut ahead).await.unwrap().1.text, "new");
}

#[tokio::test]
async fn history_survives_a_restart_and_stays_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { log_history: 100, ..Limits::default() };
    for start in 0..5 {
        let hub = Hub::open(directory.path(), &limits, |_| ()).unwrap();
        for number in 0..70 {
            hub.write("owl", line("web.1", (start * 70 + number).to_string()));
        }
        assert_eq!(hub.unsaved(), 0);
    }
    // As a crash may leave it.
    let path = directory.path().join("owl.log");
    let mut torn = fs_err::read(&path).unwrap();
    torn.extend_from_slice(b"[351,{\"ti");
    fs_err::write(&path, torn).unwrap();
    for _ in 0..2 {
        let hub = Hub::open(directory.path(), &limits, |_| ()).unwrap();
        let kept = texts(hub.session("owl", LogFilter::default(), usize::MAX, false)).await;
        assert_eq!(kept.len(), 100);
        hub.write("owl", line("web.1", "more"));
    }
    let hub = Hub::open(directory.path(), &limits, |_| ()).unwrap();
    let mut last = hub.session("owl", LogFilter::default(), 2, false);
    assert_eq!([next(&mut last).await.unwrap().0, next(&mut last).await.unwrap().0], [351, 352]);
    let lines = |name| fs_err::read_to_string(directory.path().join(name)).unwrap().lines().count();
    assert!(lines("owl.log") <= 170 && lines("owl.1.log") <= 170);
    hub.forget("owl");
    drop(hub);
    assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_disk_that_fails_stops_nobody_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs");
    let hub = Hub::open(&path, &Limits::default(), |_| ()).unwrap();
    fs_err::create_dir(path.join("owl.log")).unwrap();
    let mut session = hub.session("owl", LogFilter::default(), 0, true);
    hub.write("owl", line("web.1", "shown"));
    assert_eq!(next(&mut session).await.unwrap().1.text, "shown");
    while hub.unsaved() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(hub.unsaved(), 1);
}

#[tokio::test]
async fn long_lines_are_split_and_none_leads_out_of_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs");
    let hub = Hub::open(&path, &Limits { log_line: 4, ..Limits::default() }, |_| ()).unwrap();
    hub.write("owl", line("web.1", "aäbcö"));
    assert_eq!(texts(hub.session("owl", web(), 9, false)).await, ["aäb", "cö"]);
    hub.write("../owl", line("web.1", "x"));
    drop(hub);
    assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_line_of_a_dyno_that_is_told_again_after_a_kill_is_kept_once() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let (dyno, app) = (uuid::Uuid::from_u128(7), "owl");
    let origin = |position, part| Origin { dyno, position, part };
    let (send, saved) = std::sync::mpsc::channel();
    let hub =
        Hub::open(directory.path(), &limits, move |origin| send.send(origin).unwrap()).unwrap();
    hub.write_once(app, line("web.1", "a"), origin(10, 0));
    hub.write_once(app, line("web.1", "b"), origin(20, 0));
    assert!(hub.has_room());
    hub.all_written(origin(25, 0));
    drop(hub);
    assert_eq!(saved.iter().last(), Some(origin(25, 0)));
    // The last event again, of which one line was saved and another was not.
    let hub = Hub::open(directory.path(), &limits, |_| ()).unwrap();
    hub.write_once(app, line("web.1", "b"), origin(20, 0));
    hub.write_once(app, line("web.1", "c"), origin(20, 1));
    hub.write_once(app, line("web.1", "d"), origin(30, 0));
    let other = Origin { dyno: uuid::Uuid::from_u128(8), position: 1, part: 0 };
    hub.write_once(app, line("web.1", "e"), other);
    let all = texts(hub.session(app, LogFilter::default(), 100, false)).await;
    assert_eq!(all, ["a", "b", "c", "d", "e"]);
}
