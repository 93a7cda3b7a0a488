//! Builds by podman, on a Debian with its Python and the Node of this machine.

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Builder, run};

const BASE: &str = "localhost/slugline-bench-base";

/// What tells package clients how to reach their registries, where this machine sets it.
const NETWORK: [&str; 6] = [
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_REGISTRY",
    "PIP_CERT",
    "PIP_INDEX_URL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

/// podman with one of the Dockerfiles.
pub(crate) struct Podman {
    pub(crate) dockerfile: &'static str,
    /// Whether it has built already, in this measurement.
    pub(crate) warm: Cell<bool>,
}

impl Builder for Podman {
    fn name(&self) -> String {
        format!("podman build, {}", self.dockerfile)
    }

    fn build(&self, source: &Path) {
        let dockerfile = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/rebuild");
        let image = format!("slugline-bench-{}", self.dockerfile.to_lowercase());
        let mut podman = Command::new("podman");
        podman.args(["--runtime=runc", "build", "--quiet", "--layers", "--network=host"]);
        podman.args(["--tag", &image, "--file"]).arg(Path::new(dockerfile).join(self.dockerfile));
        if !self.warm.replace(true) {
            // Layers of an earlier measurement are no empty cache.
            podman.arg("--no-cache");
        }
        run(podman.arg(source));
    }
}

/// Makes the Debian that it starts from, unless podman has it. It takes minutes, and is never removed here.
pub(crate) fn have_debian(directory: &Path) {
    let there = Command::new("podman").args(["image", "exists", BASE]).status();
    if !there.is_ok_and(|status| status.success()) {
        let root = debian(directory);
        let mut import = String::from("tar -C \"$0\" -cf - . | podman import");
        for name in NETWORK {
            if let Ok(value) = std::env::var(name) {
                let _ = write!(import, " -c 'ENV {name}={value}'");
            }
        }
        run(Command::new("sh").args(["-c", &format!("{import} - {BASE}")]).arg(root));
    }
}

fn debian(directory: &Path) -> PathBuf {
    let root = directory.join("debian");
    let include = "--include=python3,python3-venv,ca-certificates";
    run(Command::new("debootstrap").args(["--variant=minbase", include, "stable"]).arg(&root));
    let script = r#"
        cp "$(readlink -f "$(command -v node)")" "$0/usr/bin/node"
        npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
        mkdir -p "$0/usr/lib/node_modules"
        cp -R "$npm" "$0/usr/lib/node_modules/npm"
        ln -s ../lib/node_modules/npm/bin/npm-cli.js "$0/usr/bin/npm"
        cp /etc/pip.conf /etc/npmrc "$0/etc/" 2>/dev/null
        cp -RL /etc/ssl/certs/. "$0/etc/ssl/certs/"
    "#;
    run(Command::new("sh").args(["-c", script]).arg(&root));
    root
}
