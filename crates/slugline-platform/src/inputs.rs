//! What builds start from: kept for the last few of an app, so that one can be run again.

use std::path::PathBuf;

use slugline_model::config_vars::ConfigVars;

use crate::builds::Inputs;
use crate::db::app::App;
use crate::db::build::Build;
use crate::db::{self, DbError};
use crate::outputs::Output;
use crate::platform::{Inner, Platform};

impl Inner {
    /// Forgets what builds started from that are too old to be run again.
    pub(crate) fn forget_old_inputs(&self) {
        let kept = self.config.limits.replayable_builds;
        if let Err(error) = self.db.transaction(|db| db::build::forget_inputs(db, kept)) {
            tracing::error!(?error, "what old builds started from could not be forgotten");
            return;
        }
        self.remove_old_sources();
    }
}

impl Platform {
    /// What a build sees: the app's config vars, or those of the build that it repeats.
    pub(crate) fn config_vars_of(
        &self,
        app: &App,
        build: &mut Build,
        output: &Output,
    ) -> Result<ConfigVars, DbError> {
        let current = self.inner.db.read(|db| db::config_var::of_app(db, app.id))?;
        let vars = match &build.config_vars {
            Some(replayed) => {
                tell_replay(build, replayed, &current, output);
                replayed.clone()
            }
            None => current,
        };
        build.config_vars = Some(vars.clone());
        let names: Vec<&String> = vars.keys().collect();
        self.inner.db.transaction(|db| {
            db::build::put(db, app.id, build)?;
            db::retention::set_config_var_names(db, build.id, &names)
        })?;
        Ok(vars)
    }

    /// The inputs of an earlier build and where its source lies; none where they are no longer kept.
    pub(crate) fn inputs_of(&self, build: &Build) -> Option<(Inputs, PathBuf)> {
        let config_vars = build.config_vars.clone()?;
        let source = self.source_of_url(&build.source.url)?;
        let inputs = Inputs {
            source: build.source.clone(),
            buildpacks: build.buildpacks.clone(),
            config_vars: Some(config_vars),
            replay_of: Some(build.id),
        };
        Some((inputs, source))
    }
}

/// Says what is repeated, and which config vars are others now. Names only.
fn tell_replay(build: &Build, replayed: &ConfigVars, current: &ConfigVars, output: &Output) {
    let Some(original) = build.replay_of else { return };
    output.line(&format!("-----> Replaying build {original}"));
    let differing = differing(replayed, current);
    if !differing.is_empty() {
        output.line(&format!(
            "       Built with the config vars of that build; other now: {}",
            differing.join(", ")
        ));
    }
}

fn differing<'a>(one: &'a ConfigVars, other: &'a ConfigVars) -> Vec<&'a str> {
    let mut names: Vec<&str> = one
        .keys()
        .chain(other.keys())
        .filter(|name| one.get(*name) != other.get(*name))
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_vars_that_differ_are_named_once() {
        let vars = |pairs: &[(&str, &str)]| -> ConfigVars {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        let (old, new) = (
            vars(&[("A", "1"), ("B", "1"), ("C", "1")]),
            vars(&[("A", "1"), ("B", "2"), ("D", "1")]),
        );
        assert_eq!(differing(&old, &new), ["B", "C", "D"]);
    }
}
