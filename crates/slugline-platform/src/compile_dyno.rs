//! The one-off dyno that a build is: what it is started with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use slugline_model::dyno::{Bind, DynoSpec, Network, Streams, Times};
use slugline_model::name::{DynoName, ProcessType};
use slugline_model::network::loopback_names;
use slugline_model::resources::Resources;
use uuid::Uuid;

use crate::apt;
use crate::buildpacks;
use crate::db;
use crate::db::app::App;
use crate::db::build::Build;
use crate::locales;
use crate::mirrors;
use crate::platform::Platform;
use crate::reconcile::{STACK_PATH, millis};
use crate::workspace::Workspace;

/// Where the binary appears in a build.
const PROGRAM: &str = "/.slugline/slugline";

/// Configuration of package clients for every user of a machine. Never a user's own, which may
/// hold tokens.
const NETWORK_FILES: [&str; 3] = ["/etc/pip.conf", "/etc/uv/uv.toml", "/etc/npmrc"];

impl Platform {
    /// A dyno that runs `slugline compile` on a workspace.
    pub(crate) fn compile_spec(&self, app: &App, build: &Build, workspace: &Workspace) -> DynoSpec {
        let config = &self.inner.config;
        let limits = &config.limits;
        let (tree, env) = (&workspace.tree_name, &workspace.env_name);
        let bind = |from: PathBuf, to: &str, writable| Bind { from, to: to.into(), writable };
        let own =
            [bind(workspace.tmp(), "/tmp", true), bind(config.program.clone(), PROGRAM, false)];
        DynoSpec {
            id: Uuid::new_v4(),
            app: app.name.clone(),
            dyno: DynoName::new(ProcessType::build(), 1),
            release: 0,
            // One pipe for both outputs, or their lines would not stay in order.
            command: format!(
                "exec {PROGRAM} compile --source /tmp/source.tgz --build-dir /tmp/{tree} \
                 --cache-dir /tmp/codon/tmp/cache --last-tree /tmp/codon/tmp/last \
                 --buildpacks-dir /tmp/codon/tmp/buildpacks --env-dir /tmp/{env} --app-dir /app \
                 --result /tmp/result.json --app {} --stack host --announced-stack {}{}{}{} 2>&1",
                app.name,
                buildpacks::quoted(&config.announced_stack),
                if self.is_test_app(app) { " --test" } else { "" },
                app_root(&build.source.root),
                buildpacks::arguments(&build.buildpacks),
            ),
            env: self.compile_env(build),
            slug: None,
            slug_id: None,
            binds: own
                .into_iter()
                .chain(self.network_binds())
                .chain(mirrors::binds(&config.mirrors, &workspace.mirrors(), &config.program))
                .chain(apt::binds(&workspace.apt()))
                .chain(locales::binds(&workspace.locales()))
                .collect(),
            port: None,
            host_uid: None,
            times: Times { boot: 0, stop: millis(limits.stop), run: Some(millis(limits.build)) },
            resources: Resources::of_build(limits),
            network: Network::Host,
            hosts: self.loopback_names_of(app),
            streams: Streams::Lines,
            layer: slugline_model::dyno::Layer::default(),
        }
    }

    /// What the app's config vars, which a build reads as files, call this machine.
    fn loopback_names_of(&self, app: &App) -> Vec<String> {
        let vars = self.inner.db.read(|db| db::config_var::of_app(db, app.id));
        loopback_names(&vars.unwrap_or_default())
    }

    /// Files of this machine that builds need to reach the network, where they are not part of the
    /// stack: the clients' configuration for everyone, and what the operator's variables name.
    fn network_binds(&self) -> impl Iterator<Item = Bind> {
        let named = self.inner.config.network_env.values().map(String::as_str);
        let paths: BTreeSet<PathBuf> = NETWORK_FILES
            .into_iter()
            .chain(named)
            .filter(|path| path.starts_with('/') && !is_of_the_stack(path))
            .map(PathBuf::from)
            .filter(|path| path.exists())
            .collect();
        paths.into_iter().map(|path| Bind { from: path.clone(), to: path, writable: false })
    }

    /// Heroku's environment of a build, and what the network of this machine asks for. Config vars
    /// are not in it: buildpacks read them as files.
    fn compile_env(&self, build: &Build) -> BTreeMap<String, String> {
        let mut env = self.inner.config.network_env.clone();
        let version = build.source.version.clone().unwrap_or_default();
        for (name, value) in [
            ("BUILDPACK_LOG_FILE", "/dev/fd/3"),
            ("DYNO", &one_off_name(build.id)),
            ("HOME", "/app"),
            ("LANG", "en_US.UTF-8"),
            ("PATH", STACK_PATH),
            ("REQUEST_ID", &build.id.to_string()),
            ("SOURCE_VERSION", &version),
            ("STACK", &self.inner.config.announced_stack),
        ] {
            env.insert(name.to_owned(), value.to_owned());
        }
        env
    }
}

/// A name as of a one-off dyno, with four digits.
fn one_off_name(build: Uuid) -> String {
    format!("run.{}", 1_000 + build.as_u128() % 9_000)
}

/// The argument for an app that is not at the top of its source.
fn app_root(root: &str) -> String {
    if root.is_empty() { String::new() } else { format!(" --root {}", buildpacks::quoted(root)) }
}

/// Whether a path is in every dyno anyway, or is the dyno's own.
fn is_of_the_stack(path: &str) -> bool {
    let in_the_stack = ["/usr", "/etc/ssl/certs", "/etc/pki"];
    let the_dynos_own = ["/tmp", "/var/tmp", "/app", "/proc", "/sys", "/dev"];
    in_the_stack.iter().chain(&the_dynos_own).any(|place| {
        path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_dyno_has_is_not_bound_again() {
        for path in ["/usr", "/usr/share/ca.pem", "/etc/ssl/certs/ca.crt", "/tmp/x", "/app"] {
            assert!(is_of_the_stack(path), "{path}");
        }
        for path in ["/usrlocal", "/opt/wheels", "/etc/pip.conf", "/home/x/ca.pem"] {
            assert!(!is_of_the_stack(path), "{path}");
        }
    }
}
