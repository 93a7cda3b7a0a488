//! Real dynos on this kernel, as root and as an ordinary user alike.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod layers;
mod scene;
mod sessions;

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use slugline_dyno::LocalEngine;
use slugline_model::dyno::{Bind, DynoSpec, Event, Times};
use slugline_model::ledger::Receipt;
use slugline_model::port::Engine as _;
use slugline_model::slug::SlugView;
use slugline_store::Store;

use crate::scene::{Host, open};

#[test]
fn a_dyno_sees_its_slug_and_its_environment_and_nothing_of_the_host() {
    let host = Host::new();
    let secret = host.directory.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let outcome = host.run(&format!(
        "pwd; cat baked.txt; echo; echo \"$A $(id -un) $$\"; ls /; ls {} 2>&1; ls /root /home; \
         grep -c . /proc/mounts >/dev/null; ls -d /proc/[0-9]* | wc -l; touch /usr/x",
        secret.display()
    ));
    let lines = outcome.lines.join("\n");
    assert!(lines.starts_with("/app\nbaked\nb c dyno "), "{outcome:?}");
    assert!(lines.contains("No such file or directory"), "{lines}");
    assert!(!lines.contains("secret\n"), "{lines}");
    assert!(lines.contains("/usr/x") && lines.contains("Read-only"), "{lines}");
    assert_eq!(outcome.status, Some(1));
}

#[test]
fn what_a_dyno_writes_is_gone_and_on_its_receipt() {
    let host = Host::new();
    let outcome = host.run(
        "mkdir -p media && head -c 3000 /dev/zero > media/a.png && echo new > baked.txt && \
         echo x > /tmp/scratch && cat baked.txt",
    );
    assert_eq!(outcome.lines, ["new"]);
    assert_eq!(outcome.status, Some(0));
    assert_eq!(
        outcome.receipt.headline(),
        "Discarded 2 files, 3kB: media/ (1, 3kB) baked.txt (1, 4B)"
    );
    assert_eq!(outcome.receipt.noise.files, 1);
    let again = host.run("cat baked.txt; echo; ls media");
    assert_eq!(again.lines[0], "baked");
    assert_eq!(std::fs::read_dir(host.dynos()).unwrap().count(), 0, "nothing is left behind");
    let slug = std::fs::read_to_string(host.directory.path().join("slug/app/baked.txt"));
    assert_eq!(slug.unwrap(), "baked");
}

/// A package manager puts another file in the place of one that a dyno is about to see.
#[test]
fn what_is_replaced_while_dynos_start_is_there_all_the_same() {
    let host = Host::new();
    let program = host.directory.path().join("program");
    std::fs::write(&program, "new").unwrap();
    let bind = Bind { from: program.clone(), to: PathBuf::from("/usr-program"), writable: false };
    std::thread::scope(|scope| {
        let (_end, ended) = mpsc::channel::<()>();
        scope.spawn(move || {
            let next = program.with_extension("next");
            while ended.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
                std::fs::write(&next, "new").unwrap();
                std::fs::rename(&next, &program).unwrap();
            }
        });
        for _ in 0..20 {
            let binds = vec![bind.clone()];
            let spec = DynoSpec { binds, ..host.spec("cat /usr-program") };
            host.engine.start(&spec).unwrap();
            let outcome = host.outcome(spec.id);
            assert_eq!(outcome.lines, ["new"], "{outcome:?}");
        }
    });
}

/// What a dyno finds in its slug, does to it, and leaves on its receipt.
fn use_a_slug(host: &Host) -> (Vec<String>, Receipt) {
    let outcome = host.run(
        "find . | sort | md5sum; find . -type f | sort | xargs cat | md5sum; stat -c '%n %U %a %F %h %Y' \
         static/7.js static/css run.sh empty; ./run.sh; cat static/link; echo; readlink static/link; \
         python3 -c 'import mmap; f = open(\"static/css/out.css\", \"rb\"); \
         print(len(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)))'; \
         echo changed >> static/7.js; rm -r static/css; mv static/8.js moved; chmod 600 run.sh; \
         cat static/7.js; touch created; ls static | wc -l; ls -d static/css",
    );
    assert!(
        outcome.others.iter().all(|event| matches!(event, Event::Started { .. } | Event::Up)),
        "{outcome:?}"
    );
    let mut receipt = outcome.receipt;
    receipt.largest.iter_mut().for_each(|change| change.time = 0);
    (outcome.lines, receipt)
}

#[test]
fn a_mounted_slug_and_one_of_hard_links_are_the_same_to_a_dyno_and_on_its_receipt() {
    let linked = Host::with_stored_slug(false);
    let (lines, receipt) = use_a_slug(&linked);
    assert!(lines.contains(&"ran".to_owned()) && lines.contains(&"150000".to_owned()), "{lines:?}");
    let mut names: Vec<&str> = receipt.largest.iter().map(|change| change.path.as_str()).collect();
    names.sort_unstable();
    let changed =
        ["created", "moved", "run.sh", "static/7.js", "static/8.js", "static/css/out.css"];
    assert_eq!(names, changed.map(|name| format!("/app/{name}")), "{receipt:?}");
    let mounted = Host::with_stored_slug(true);
    let SlugView::Image { image, objects } = &mounted.slug else { panic!() };
    if !slugline_dyno::is_host_root() {
        let why = slugline_dyno::can_mount_slugs(image, objects).unwrap_err();
        assert_eq!(why, "only root may mount them");
        return;
    }
    let (mounted_lines, mounted_receipt) = use_a_slug(&mounted);
    // A file of its own has one name, whatever shares its content in the store.
    let but_links = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| !line.contains("regular")).cloned().collect()
    };
    assert_eq!(but_links(&mounted_lines), but_links(&lines));
    assert_eq!(mounted_receipt, receipt);
    for (object, content) in [("7", "// 7"), ("8", "// 8")] {
        let key = blake3::hash(content.as_bytes()).to_hex();
        let stored = std::fs::read_to_string(objects.join(&key[..2]).join(key.as_str())).unwrap();
        assert_eq!(stored, content, "{object}");
    }
}

#[test]
fn no_dyno_can_alter_an_object_of_the_store() {
    for mounted in [false, true].into_iter().filter(|m| !m || slugline_dyno::is_host_root()) {
        let host = Host::with_stored_slug(mounted);
        let outcome = host.run(
            "for f in $(find /app -type f); do echo x >> $f; chmod 777 $f; touch $f; \
             setfattr -n user.a -v b $f 2>/dev/null; truncate -s 0 $f; ln $f $f.l; rm $f; done; \
             mount 2>&1 | head -1; ls /tmp /mnt",
        );
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        let store = Store::open(host.directory.path().join("store")).unwrap();
        let id = store.slugs().unwrap().remove(0);
        store.verify(&id).unwrap();
    }
}

#[test]
fn profile_scripts_run_in_order_before_the_command() {
    let host = Host::new();
    let profile = host.directory.path().join("slug/app/.profile.d");
    std::fs::create_dir_all(&profile).unwrap();
    std::fs::write(profile.join("b.sh"), "export ORDER=\"$ORDER b\"").unwrap();
    std::fs::write(profile.join("a.sh"), "export ORDER=a").unwrap();
    let dot_profile = host.directory.path().join("slug/app/.profile");
    std::fs::write(dot_profile, "ORDER=\"$ORDER .profile\"").unwrap();
    assert_eq!(host.run("echo $ORDER").lines, ["a b .profile"]);
}

#[test]
fn sigterm_reaches_every_process_and_the_command_may_finish() {
    let host = Host::new();
    let spec = host.spec(
        "python3 -c 'import os,signal,sys,time\n\
         signal.signal(signal.SIGTERM, lambda *a: (os.write(1, b\"child got TERM\\n\"), sys.exit(3)))\n\
         print(\"ready\", flush=True)\ntime.sleep(60)' & wait",
    );
    host.engine.start(&spec).unwrap();
    while !matches!(host.next(), Event::Line { .. }) {}
    host.engine.stop(spec.id).unwrap();
    let outcome = host.outcome(spec.id);
    assert_eq!(outcome.lines, ["child got TERM"]);
    assert_eq!(outcome.status, Some(143));
    assert_eq!(outcome.others, [Event::Stopping]);
}

#[test]
fn a_command_that_ignores_sigterm_is_killed_after_the_stop_time() {
    let host = Host::new();
    let spec = host.spec("trap '' TERM; echo ready; while true; do sleep 0.1; done");
    host.engine.start(&spec).unwrap();
    while !matches!(host.next(), Event::Line { .. }) {}
    host.engine.stop(spec.id).unwrap();
    let outcome = host.outcome(spec.id);
    assert_eq!(outcome.others, [Event::Stopping, Event::ExitTimeout]);
    assert_eq!(outcome.status, Some(137));
}

#[test]
fn a_build_that_ignores_sigterm_when_its_time_is_up_is_killed() {
    let host = Host::new();
    let mut spec = host.build_spec("trap '' TERM; while true; do sleep 0.1; done");
    spec.times = Times { boot: 0, stop: 300, run: Some(500) };
    host.engine.start(&spec).unwrap();
    let outcome = host.outcome(spec.id);
    let ends = [Event::RunTimeout, Event::Stopping, Event::ExitTimeout];
    assert!(outcome.others.ends_with(&ends), "{outcome:?}");
    assert_eq!(outcome.status, Some(137));
}

#[test]
fn control_groups_of_a_build_are_removed_even_if_its_supervisor_was_killed() {
    let host = Host::new();
    let spec = host.build_spec("echo ready; sleep 61.3");
    host.engine.start(&spec).unwrap();
    while !matches!(host.next(), Event::Line { .. }) {}
    let directory = host.dynos().join(spec.id.to_string());
    let list = std::fs::read_to_string(directory.join("groups")).unwrap_or_default();
    // What is noted down before it is made may be refused, to an ordinary user.
    let groups: Vec<PathBuf> = list.lines().map(PathBuf::from).filter(|g| g.is_dir()).collect();
    assert!(!groups.is_empty() || !slugline_dyno::is_host_root(), "{list}");
    let pid = std::fs::read_to_string(directory.join("lock")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(host.outcome(spec.id).status, Some(137));
    assert!(!groups.iter().any(|group| group.exists()), "{groups:?}");
}

#[test]
fn what_is_left_running_beside_a_build_is_named_and_what_is_about_to_end_is_not() {
    let host = Host::new();
    let spec = host.build_spec("(setsid sleep 271.5 &) ; (setsid sleep 0.1 &)");
    host.engine.start(&spec).unwrap();
    let left = Event::LeftRunning { commands: vec!["sleep 271.5".to_owned()] };
    let outcome = host.outcome(spec.id);
    assert!(outcome.others.contains(&left), "{outcome:?}");
    assert_eq!(outcome.status, Some(0));
    let run = host.run("(setsid sleep 271.5 &)");
    assert!(!run.others.contains(&left), "only a build is told: {run:?}");
}

#[test]
fn a_web_dyno_is_up_when_it_listens_and_killed_when_it_never_does() {
    let host = Host::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut spec = host.spec(&format!("exec python3 -m http.server --bind 127.0.0.1 {free}"));
    spec.port = Some(free);
    spec.times.boot = 20_000;
    host.engine.start(&spec).unwrap();
    while host.next() != Event::Up {}
    let here = std::net::TcpStream::connect(("127.0.0.1", free));
    assert!(here.is_err(), "it listens in a network of its own");
    host.engine.stop(spec.id).unwrap();
    host.outcome(spec.id);
    let mut silent = host.spec("sleep 60");
    silent.port = Some(free);
    silent.times.boot = 200;
    host.engine.start(&silent).unwrap();
    let outcome = host.outcome(silent.id);
    assert!(outcome.others.contains(&Event::BootTimeout), "{outcome:?}");
    assert_eq!(outcome.status, Some(137));
}

#[test]
fn a_dyno_outlives_its_server_and_is_adopted_by_the_next() {
    let host = Host::new();
    let spec = host.spec("echo one; echo two; sleep 63.1");
    host.engine.start(&spec).unwrap();
    let line = |text: &str| Event::Line { text: text.into(), partial: false };
    let second = std::iter::from_fn(|| host.events.recv_timeout(Duration::from_secs(20)).ok());
    let second = second.map(|(_, timed)| timed).find(|timed| timed.event == line("two")).unwrap();
    host.engine.keep(spec.id, second.position);
    let (next, events) = open(host.directory.path());
    let adopted = next.adopt().unwrap();
    assert_eq!(adopted.iter().map(|dyno| dyno.spec.id).collect::<Vec<_>>(), [spec.id]);
    next.catch_up(spec.id);
    next.stop(spec.id).unwrap();
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(Event::Discarded { .. })) {
        seen.push(events.recv_timeout(Duration::from_secs(10)).unwrap().1.event);
    }
    assert!(seen.contains(&Event::Exited { status: 143 }), "{seen:?}");
    assert_eq!(seen[0], line("two"), "told from what was kept on: {seen:?}");
}

#[test]
fn a_killed_supervisor_takes_its_dyno_with_it_and_the_receipt_is_still_written() {
    let host = Host::new();
    let spec = host.spec("echo data > lost.txt; echo $$; sleep 61.7");
    host.engine.start(&spec).unwrap();
    while !matches!(host.next(), Event::Line { .. }) {}
    let pid = std::fs::read_to_string(host.dynos().join(spec.id.to_string()).join("lock")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let outcome = host.outcome(spec.id);
    assert_eq!(outcome.status, Some(137));
    assert_eq!(outcome.receipt.headline(), "Discarded 1 file, 5B: lost.txt (1, 5B)");
    let left = std::process::Command::new("pgrep").args(["-f", "sleep 61.7"]).output().unwrap();
    assert!(left.stdout.is_empty(), "the dyno's processes are gone");
}

#[test]
fn a_dyno_has_no_capabilities_and_cannot_get_any() {
    let host = Host::new();
    let outcome = host.run(
        "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; mount -t tmpfs t /mnt 2>&1 | tail -1; \
         cat /proc/1/environ; hostname newname",
    );
    let text = outcome.lines.join("\n").replace('\t', "");
    assert!(text.contains("CapEff:0000000000000000"), "{text}");
    assert!(text.contains("CapBnd:0000000000000000"), "{text}");
    assert!(text.contains("NoNewPrivs:1"), "{text}");
    assert!(text.contains("Permission denied"), "init is hidden: {text}");
}

#[test]
fn a_dyno_makes_no_namespaces_and_yet_everything_that_apps_do() {
    let host = Host::new();
    let outcome = host.run(
        "python3 -c 'import ctypes, threading, subprocess, socket, os\n\
         libc = ctypes.CDLL(None, use_errno=True)\n\
         def errno(call): return ctypes.get_errno() if call() < 0 else 0\n\
         print(errno(lambda: libc.unshare(0x10000000)))\n\
         print(errno(lambda: libc.syscall(435, None, 0)), errno(lambda: libc.syscall(425, 1, None)))\n\
         threads = [threading.Thread(target=os.getpid) for _ in range(9)]\n\
         [thread.start() for thread in threads]; [thread.join() for thread in threads]\n\
         print(subprocess.check_output([\"git\", \"--version\"])[:3])\n\
         socket.socketpair(); os.fork() or os._exit(0); print(os.wait()[1])'",
    );
    // EPERM; ENOSYS for clone3 and EPERM for io_uring_setup.
    assert_eq!(outcome.lines, ["1", "38 1", "b'git'", "0"], "{outcome:?}");
}

#[test]
fn what_the_server_was_started_under_does_not_reach_a_dyno() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let wrapper = directory.path().join("wrapper");
    // A session keyring with a key in it, as a login leaves one, and an ignored signal, as `nohup`
    // leaves one.
    let script = format!(
        "#!/usr/bin/env python3\n\
         import ctypes, os, signal, sys\n\
         signal.signal(signal.SIGHUP, signal.SIG_IGN)\n\
         libc = ctypes.CDLL(None)\n\
         libc.syscall({keyctl}, 1, None)\n\
         libc.syscall({add_key}, b'user', b'slugline-test', b'secret', 6, ctypes.c_int(-3))\n\
         os.execv('{program}', sys.argv)\n",
        keyctl = if cfg!(target_arch = "x86_64") { 250 } else { 219 },
        add_key = if cfg!(target_arch = "x86_64") { 248 } else { 217 },
        program = env!("CARGO_BIN_EXE_slugline"),
    );
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut host = Host::new();
    let (send, events) = mpsc::channel();
    let sink = Box::new(move |id, event| drop(send.send((id, event))));
    host.engine = LocalEngine::open(&host.dynos(), &wrapper, sink).unwrap();
    host.events = events;
    let request_key = if cfg!(target_arch = "x86_64") { 249 } else { 218 };
    let outcome = host.run(&format!(
        "python3 -c 'import ctypes; \
         print(ctypes.CDLL(None).syscall({request_key}, b\"user\", b\"slugline-test\", None, 0))'; \
         grep SigIgn /proc/self/status"
    ));
    assert_eq!(outcome.lines[0], "-1", "a key of the server's was found: {outcome:?}");
    let ignored = u64::from_str_radix(outcome.lines[1].split_whitespace().nth(1).unwrap(), 16);
    assert_eq!(ignored.unwrap() & 1, 0, "SIGHUP is ignored: {outcome:?}");
}
