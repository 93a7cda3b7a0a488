//! An add-on's place in its apps goes to another one of its service, once what it holds is there.
//!
//! Whoever carries what it holds stands outside: here is what is wanted, which survives a server that
//! is killed, and the moment at which the apps change over.

use std::collections::{BTreeMap, HashMap};

use slugline_model::addon::{Provisioned, attach, detach};
use uuid::Uuid;

use super::{AddOnError, no_plan};
use crate::clock;
use crate::db;
use crate::db::add_on::{AddOn, State};
use crate::db::add_on_attachment::Attachment;
use crate::db::add_on_move::Move;
use crate::db::app::App;
use crate::platform::Platform;
use crate::releases::{NewRelease, Start};

impl Platform {
    /// Begins a move to another plan: an add-on of that plan that no app knows yet. The same again
    /// gives the one that was begun.
    pub(crate) async fn begin_move(
        &self,
        app: &App,
        source: &AddOn,
        plan: &str,
        options: BTreeMap<String, String>,
    ) -> Result<Move, AddOnError> {
        if let Some(begun) = self.inner.db.read(|db| db::add_on_move::of_source(db, source.id))? {
            return Ok(begun);
        }
        let no_service = || AddOnError::NoService(source.service.clone());
        let provider = self.provider(&source.service).ok_or_else(no_service)?;
        let service = provider.service();
        let plan = service.plan(plan).ok_or_else(|| no_plan(&service, plan))?.name.clone();
        let mut target = AddOn {
            id: Uuid::new_v4(),
            app_id: Some(app.id),
            app_name: app.name.clone(),
            plan,
            name: String::new(),
            state: State::Provisioning,
            options,
            vars: BTreeMap::new(),
            message: None,
            created_at: clock::now(),
            ..source.clone()
        };
        self.inner.db.transaction(|db| {
            target.name = super::create::invent_name(db, &target.service)?;
            db::add_on::put(db, &target)
        })?;
        match self.ask_for(&target.service, target.order()).await {
            Ok(Provisioned { vars, message }) => (target.vars, target.message) = (vars, message),
            Err(error) => {
                self.give_up(target).await;
                return Err(error);
            }
        }
        target.state = State::Provisioned;
        let one = Move {
            source: source.id,
            target: target.id,
            started_at: clock::now(),
            switched_at: None,
            finished_at: None,
        };
        let begun = self.inner.db.transaction(|db| {
            if let Some(other) = db::add_on_move::of_source(db, source.id)? {
                return Ok(other);
            }
            db::add_on::put(db, &target)?;
            db::add_on_move::put(db, &one)?;
            Ok(one.clone())
        });
        match begun {
            // Somebody else was at it too, and was first.
            Ok(other) if other.target != target.id => {
                self.give_up(target).await;
                Ok(other)
            }
            Ok(one) => Ok(one),
            Err(error) => {
                self.give_up(target).await;
                Err(error.into())
            }
        }
    }

    /// Gives every app that has the source the target under the same name: one release each. The
    /// source stays as it is, with its credentials, and no app knows it any more.
    pub(crate) fn switch_move(&self, one: &Move) -> Result<Move, AddOnError> {
        if one.switched_at.is_some() {
            return Ok(one.clone());
        }
        let (source, target) = self.inner.db.read(|db| {
            Ok((db::add_on::find(db, one.source)?, db::add_on::find(db, one.target)?))
        })?;
        let (Some(source), Some(target)) = (source, target) else { return Err(AddOnError::NoApp) };
        let drafts = self.drafts_for(&source)?;
        let switched = Move { switched_at: Some(clock::now()), ..one.clone() };
        let released = self.inner.db.transaction(|db| {
            let released = self.put_in_place(db, (&source, &target), &drafts)?;
            if released.is_ok() {
                db::add_on_move::put(db, &switched)?;
            }
            Ok(released)
        })??;
        for (app, draft, release) in released {
            self.announce(app, &release);
            self.go_on(app, draft, &release);
        }
        Ok(switched)
    }

    /// Writes the attachments, the config vars and the releases.
    fn put_in_place<'a>(
        &self,
        db: &rusqlite::Transaction<'_>,
        (source, target): (&AddOn, &AddOn),
        drafts: &'a HashMap<Uuid, (App, NewRelease, Start)>,
    ) -> rusqlite::Result<Result<Vec<Released<'a>>, AddOnError>> {
        let mut released = Vec::new();
        for old in db::add_on_attachment::of_addon(db, source.id)? {
            // An app that is attached this very moment is told of when this is tried again.
            let Some((app, draft, start)) = drafts.get(&old.app_id) else { continue };
            let before = db::config_var::of_app(db, app.id)?;
            let without = detach(&before, &source.held(&old.name));
            let limits = &self.inner.config.limits;
            let vars = match attach(&without, &target.held(&old.name), limits) {
                Ok(vars) => vars,
                Err(error) => return Ok(Err(error.into())),
            };
            db::add_on_attachment::delete(db, old.id)?;
            let now = clock::now();
            let new = Attachment {
                id: Uuid::new_v4(),
                addon_id: target.id,
                created_at: now,
                updated_at: now,
                ..old.clone()
            };
            db::add_on_attachment::insert(db, &new)?;
            db::config_var::replace(db, app.id, &vars)?;
            let description =
                format!("Move {} to {} (@ref:{})", old.name, target.full_plan(), target.name);
            let draft = NewRelease { description, ..draft.clone() };
            let release = start.write(db, &draft)?;
            released.push((app, draft, release));
        }
        Ok(Ok(released))
    }

    /// Notes that all was carried.
    pub(crate) fn finish_move(&self, one: &Move) -> Result<Move, AddOnError> {
        let finished_at = one.finished_at.or_else(|| Some(clock::now()));
        let finished = Move { finished_at, ..one.clone() };
        self.inner.db.transaction(|db| db::add_on_move::put(db, &finished))?;
        Ok(finished)
    }
}

/// What an app gets.
type Released<'a> = (&'a App, NewRelease, db::release::Release);
