//! Releases: all or nothing, with a release phase where the app declares one.

use std::convert::Infallible;

use rusqlite::Transaction;
use slugline_model::name::{DynoName, ProcessType};
use slugline_model::prove::Gate;
use uuid::Uuid;

use crate::asking;
use crate::cancel::Cancel;
use crate::clock;
use crate::db::app::App;
use crate::db::release::{Release, Status};
use crate::db::slug::Slug;
use crate::db::{self, DbError};
use crate::dynos::Role;
use crate::one_off::Ending;
use crate::outputs::Output;
use crate::platform::Platform;
use crate::prove::Subject;
use crate::reconcile::millis;

/// What a release is made of, beside the config vars as they are when it is written.
#[derive(Debug, Clone)]
pub(crate) struct NewRelease {
    pub(crate) slug: Option<Slug>,
    /// `Deploy 1a2b3c4`, `Set A, B config vars`.
    pub(crate) description: String,
}

impl NewRelease {
    fn release_command(&self) -> Option<&str> {
        let types = &self.slug.as_ref()?.process_types;
        types.iter().find(|(name, _)| name.is_release()).map(|(_, command)| command.as_str())
    }
}

/// How a release begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    app: Uuid,
    status: Status,
}

impl Start {
    /// A release that takes effect at once, as one does that only has other values of an add-on: what
    /// the old ones were good for is over.
    pub(crate) fn at_once(app: &App) -> Self {
        Self { app: app.id, status: Status::Succeeded }
    }

    /// Writes the release, with the config vars as they are now.
    pub(crate) fn write(
        &self,
        db: &Transaction<'_>,
        new: &NewRelease,
    ) -> rusqlite::Result<Release> {
        for process_type in new.slug.iter().flat_map(|slug| slug.process_types.keys()) {
            // A release phase has a row too, of none: clients look for it before they retry one.
            db::formation::introduce(db, self.app, process_type)?;
        }
        let (slug_id, vars) =
            (new.slug.as_ref().map(|slug| slug.id), db::config_var::of_app(db, self.app)?);
        let (text, by) = (&new.description, (asking::user_id(), clock::now()));
        db::release::insert(db, self.app, slug_id, &vars, text, self.status, by)
    }
}

/// A release whose command runs.
#[derive(Clone, Copy)]
struct ReleasePhase<'a> {
    app: &'a App,
    release: &'a Release,
    slug: &'a Slug,
    command: &'a str,
}

impl Platform {
    /// Adds a release: at once a succeeded one, or a pending one where a release phase must run.
    pub(crate) fn add_release(&self, app: &App, new: &NewRelease) -> Result<Release, DbError> {
        let nothing = |_: &Transaction<'_>| Ok(Ok::<_, Infallible>(()));
        let Ok(((), release)) = self.add_release_with(app, new, nothing)?;
        Ok(release)
    }

    /// The same, in one transaction with the change that leads to it: a server that is killed leaves
    /// both or neither. A change that is refused has written nothing.
    pub(crate) fn add_release_with<T, E>(
        &self,
        app: &App,
        new: &NewRelease,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Result<T, E>>,
    ) -> Result<Result<(T, Release), E>, DbError> {
        let start = self.start_of(app, new)?;
        let written = self.inner.db.transaction(|db| {
            Ok(match change(db)? {
                Ok(changed) => Ok((changed, start.write(db, new)?)),
                Err(refused) => Err(refused),
            })
        })?;
        Ok(written.inspect(|(_, release)| self.announce(app, release)))
    }

    /// How a release begins. This looks at the state, so it is asked for before a transaction.
    pub(crate) fn start_of(&self, app: &App, new: &NewRelease) -> Result<Start, DbError> {
        let pending = new.release_command().is_some() || self.gate(app, new)? != Gate::Off;
        Ok(Start { app: app.id, status: if pending { Status::Pending } else { Status::Succeeded } })
    }

    /// Says that a release is there, and has it take effect where nothing else has to happen before.
    pub(crate) fn announce(&self, app: &App, release: &Release) {
        let Release { id, version, description, status, .. } = release;
        let pending = *status == Status::Pending;
        if pending && let Err(error) = self.inner.outputs.start(*id) {
            tracing::error!(?error, "a release phase's output could not be kept");
        }
        self.say_api(&app.name, format!("Release v{version} created: {description}"));
        self.tell_release(app, *id, "create");
        if !pending {
            self.take_effect(app, *version);
        }
    }

    /// Adds a release whose release phase and proof, if there are any, go on by themselves.
    pub(crate) fn release_in_background(
        &self,
        app: &App,
        new: NewRelease,
    ) -> Result<Release, DbError> {
        let release = self.add_release(app, &new)?;
        self.go_on(app, new, &release);
        Ok(release)
    }

    /// The same, with the change that leads to it, as [`Platform::add_release_with`].
    pub(crate) fn release_in_background_with<T, E>(
        &self,
        app: &App,
        new: NewRelease,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Result<T, E>>,
    ) -> Result<Result<(T, Release), E>, DbError> {
        let added = self.add_release_with(app, &new, change)?;
        Ok(added.inspect(|(_, release)| self.go_on(app, new, release)))
    }

    /// Has a release's phase and proof go on by themselves.
    pub(crate) fn go_on(&self, app: &App, new: NewRelease, release: &Release) {
        if release.status == Status::Pending {
            let (platform, app, pending) = (self.clone(), app.clone(), release.clone());
            tokio::spawn(async move { platform.finish_in_background(&app, &new, &pending).await });
        }
    }

    async fn finish_in_background(&self, app: &App, new: &NewRelease, release: &Release) {
        let nobody = Cancel::never();
        if let Err(error) = self.finish_release(app, new, release, (None, &nobody)).await {
            tracing::error!(?error, "a release could not be settled");
        }
    }

    /// Runs a pending release's release phase, proves it where its app asks for that, and settles
    /// it. True if it may run. That has an output of its own; a build shows it in its own one too.
    pub(crate) async fn finish_release(
        &self,
        app: &App,
        new: &NewRelease,
        release: &Release,
        (build, cancel): (Option<&Output>, &Cancel),
    ) -> Result<bool, DbError> {
        let (Status::Pending, Some(slug)) = (release.status, &new.slug) else { return Ok(true) };
        // Without it, a full disk for one, the command runs as well.
        let own = self.inner.outputs.start(release.id).ok();
        let outputs: Vec<&Output> = own.as_deref().into_iter().chain(build).collect();
        let mut succeeded = true;
        if let Some(command) = new.release_command() {
            if let Some(build) = build {
                build.line(&format!("-----> Running release command: {command}"));
            }
            let phase = ReleasePhase { app, release, slug, command };
            succeeded = self.release_phase(&phase, (own.as_deref(), build), cancel).await;
        }
        if succeeded {
            let gate = self.gate(app, new)?;
            let (app, release, slug) = (app.clone(), release.clone(), slug.clone());
            let subject = Subject { app, release, slug };
            let mut write = |text: &str| outputs.iter().for_each(|output| output.write(text));
            succeeded = self.pass_gate(&subject, gate, cancel, &mut write).await;
        }
        let status = if succeeded { Status::Succeeded } else { Status::Failed };
        let now = clock::now();
        self.inner.db.transaction(|db| db::release::settle(db, release.id, status, now))?;
        if succeeded {
            self.take_effect(app, release.version);
        } else {
            self.say_api(&app.name, format!("Release v{} failed", release.version));
        }
        self.inner.outputs.finish(release.id);
        self.tell_release(app, release.id, "update");
        Ok(succeeded)
    }

    /// Runs a release's command. True if it has succeeded.
    async fn release_phase(
        &self,
        phase: &ReleasePhase<'_>,
        (own, build): (Option<&Output>, Option<&Output>),
        cancel: &Cancel,
    ) -> bool {
        let on_line = |line: &str| {
            if let Some(own) = own {
                own.line(line);
            }
            if let Some(build) = build {
                build.line(&format!("       {line}"));
            }
        };
        let ending = self.run_release_phase(phase, cancel, on_line).await;
        let succeeded = ending == Ending::Exited(0) && !cancel.is_canceled();
        // Whoever canceled it knows why.
        if !succeeded && !cancel.is_canceled() {
            let limit = self.inner.config.limits.release_phase;
            let failed = failed_release_phase(&ending, phase.command, limit).gutter();
            own.into_iter().chain(build).for_each(|output| output.write(&failed));
        }
        succeeded
    }

    async fn run_release_phase(
        &self,
        phase: &ReleasePhase<'_>,
        cancel: &Cancel,
        on_line: impl FnMut(&str) + Send,
    ) -> Ending {
        let ReleasePhase { app, release, slug, command } = *phase;
        let number =
            u32::from(u16::try_from(Uuid::new_v4().as_u128() % 9_000).unwrap_or(0)) + 1_000;
        let name = DynoName::new(ProcessType::release(), number);
        let mut spec = self.dyno_spec(app, name, command, (release, slug), None);
        spec.times.run = Some(millis(self.inner.config.limits.release_phase));
        let dyno = spec.dyno.to_string();
        self.say(&app.name, &dyno, format!("Starting process with command `{command}`"));
        let tree = slug.tree.clone();
        self.run_once_unless(cancel, spec, Some(tree), Role::ReleasePhase, on_line).await
    }

    fn take_effect(&self, app: &App, version: u64) {
        self.pardon(&app.name, |_| true);
        self.say_api(&app.name, format!("Release v{version} takes effect"));
        self.changed();
        self.inner.other_entries.notify_one();
        self.inner.care.is_due();
    }
}

fn failed_release_phase(
    ending: &Ending,
    command: &str,
    limit: std::time::Duration,
) -> slugline_model::message::Message {
    let found = match ending {
        Ending::Exited(status) => format!("`{command}` exited with status {status}."),
        Ending::OverLimit(excess) => {
            format!("`{command}` took more than {} and was ended.", excess.allowed_text())
        }
        Ending::OutOfTime => format!(
            "`{command}` ran longer than {} minutes, which is the limit, and was stopped.",
            limit.as_secs() / 60
        ),
        Ending::NotLaunched { step, error, remedy } => {
            format!("The release phase could not be started: {step}: {error}\n{remedy}")
        }
    };
    slugline_model::message::Message {
        what: "The release command failed".to_owned(),
        found: format!("{found}\nThe reason is in its output above."),
        allowed: "A release takes effect only when its `release` process exits with status 0."
            .to_owned(),
        next: "mend what it names, then build again: slugline up".to_owned(),
        state: String::new(),
    }
}
