//! Other ways of isolating a program, each running the same command on the same tree.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::rows::Row;
use crate::{Failed, now};

/// Compiles one of the bench's C programs, so that it needs no library where it runs.
pub(crate) fn compile(name: &str, to: &Path) -> Result<PathBuf, Failed> {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/dyno").join(format!("{name}.c"));
    let program = to.join(name);
    let done =
        Command::new("cc").args(["-O2", "-static", "-o"]).arg(&program).arg(source).status()?;
    if done.success() { Ok(program) } else { Err("cc could not compile".into()) }
}

/// A command whose output is when the measured program was started.
fn stamped(mut command: Command) -> Result<Duration, Failed> {
    let started = now()?;
    let output = command.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let stamp: u64 = text.trim().parse().map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        said.lines().last().unwrap_or("it said nothing").to_owned()
    })?;
    Ok(Duration::from_nanos(stamp - started))
}

/// The peers; `root` is a tree with the command in it at `/app/stamp`.
pub(crate) fn rows(directory: &Path, root: &Path, stamp: &Path) -> Vec<Row> {
    let stamp = stamp.to_path_buf();
    let mut rows =
        vec![Row::new("a process, and nothing around it", move || stamped(Command::new(&stamp)))];
    rows.push(floor(directory, root));
    rows.push(bubblewrap(root));
    for engine in ["crun", "runc"] {
        rows.push(oci(engine, directory, root));
    }
    let imported = import(root).map_err(|error| error.to_string());
    // With and without a way out; a dyno has one. Podman leaves its bridge and its rules behind.
    for network in ["bridge", "none"] {
        rows.push(podman(root, network));
        rows.push(docker(imported.clone(), network));
    }
    rows
}

/// The floor, with a layer of its own each time.
fn floor(directory: &Path, root: &Path) -> Row {
    let program = compile("floor", directory).map_err(|error| error.to_string());
    let (base, root) = (directory.join("floor-disk"), root.to_path_buf());
    let mut count = 0_u32;
    Row::new("floor: clone, overlay, pivot_root, exec", move || {
        let program = program.clone()?;
        count += 1;
        let disk = base.join(count.to_string());
        for name in ["upper", "work", "root"] {
            std::fs::create_dir_all(disk.join(name))?;
        }
        let mut command = Command::new(program);
        command.arg(&root).args([disk.join("upper"), disk.join("work"), disk.join("root")]);
        command.arg("/app/stamp");
        stamped(command)
    })
}

fn bubblewrap(root: &Path) -> Row {
    let root = root.to_path_buf();
    Row::new("bwrap --unshare-all", move || {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-all", "--bind"]).arg(&root).args(["/", "--proc", "/proc"]);
        command.args(["--dev", "/dev", "/app/stamp"]);
        stamped(command)
    })
}

/// `crun` and `runc`, by the specification that they write themselves.
fn oci(engine: &'static str, directory: &Path, root: &Path) -> Row {
    let place = directory.join(engine);
    let prepared = prepare_oci(engine, &place, root).map_err(|error| error.to_string());
    let mut count = 0_u32;
    Row::new(&format!("{engine} run"), move || {
        prepared.clone()?;
        count += 1;
        let mut command = Command::new(engine);
        command.arg("run").arg("-b").arg(&place).arg(format!("slugline-bench-{count}"));
        stamped(command)
    })
}

fn prepare_oci(engine: &str, place: &Path, root: &Path) -> Result<(), Failed> {
    std::fs::create_dir_all(place)?;
    let written = Command::new(engine).arg("spec").current_dir(place).status()?;
    if !written.success() {
        return Err("it wrote no specification".into());
    }
    let path = place.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(["/app/stamp"]);
    config["root"] = serde_json::json!({ "path": root, "readonly": true });
    std::fs::write(path, config.to_string())?;
    Ok(())
}

fn podman(root: &Path, network: &'static str) -> Row {
    let root = root.to_path_buf();
    Row::new(&format!("podman run --network {network}"), move || {
        let mut command = Command::new("podman");
        command.args(["--runtime", "runc", "run", "--rm", "--network", network]);
        // Its own limits are higher than some machines let anybody set.
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--rootfs"]);
        command.arg(&root).arg("/app/stamp");
        stamped(command)
    })
}

/// What docker calls the tree.
const IMAGE: &str = "slugline-bench";

/// Needs a daemon that somebody has started.
fn docker(imported: Result<(), String>, network: &'static str) -> Row {
    Row::new(&format!("docker run --network {network}"), move || {
        imported.clone()?;
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--network", network, IMAGE, "/app/stamp"]);
        stamped(command)
    })
}

fn import(root: &Path) -> Result<(), Failed> {
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(root).args(["-c", "."]).stdout(Stdio::piped());
    let mut tar = tar.spawn()?;
    let input = tar.stdout.take().ok_or("tar has no output")?;
    // What is left of tar's output is closed with the command, or tar would wait for a reader.
    let output = Command::new("docker").args(["import", "-", IMAGE]).stdin(input).output();
    tar.wait()?;
    let output = output?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(said.lines().last().unwrap_or("").into()) }
}
