//! An add-on begins, and is attached.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Transaction;
use slugline_model::addon::{
    AddonName, AttachmentName, Order, Provisioned, attach, detach, free_name, invented_name,
};
use slugline_model::limits::Limits;
use uuid::Uuid;

use super::AddOnError;
use crate::clock;
use crate::db::add_on::{AddOn, State};
use crate::db::add_on_attachment::Attachment;
use crate::db::app::App;
use crate::db::{self, DbError};
use crate::platform::Platform;
use crate::releases::{NewRelease, Start};

/// What somebody asks for.
#[derive(Debug, Default)]
pub(crate) struct NewAddOn {
    /// `postgres:dev`.
    pub(crate) plan: String,
    pub(crate) name: Option<AddonName>,
    pub(crate) attachment: NewAttachment,
    pub(crate) options: BTreeMap<String, String>,
}

/// How it is to be attached.
#[derive(Debug, Default)]
pub(crate) struct NewAttachment {
    pub(crate) name: Option<AttachmentName>,
    pub(crate) namespace: Option<String>,
    /// Whether another add-on may lose that name.
    pub(crate) replace: bool,
}

impl Platform {
    /// Provisions an add-on, attaches it to its app, and releases that.
    pub(crate) async fn create_addon(
        &self,
        app: &App,
        new: NewAddOn,
    ) -> Result<(AddOn, Attachment), AddOnError> {
        let (service, plan) = self.offered(&new.plan)?;
        let now = clock::now();
        let mut addon = AddOn {
            id: Uuid::new_v4(),
            app_id: Some(app.id),
            app_name: app.name.clone(),
            service: service.name.clone(),
            prefix: service.prefix,
            plan: plan.name,
            name: String::new(),
            state: State::Provisioning,
            options: new.options,
            vars: BTreeMap::new(),
            message: None,
            created_at: now,
            updated_at: now,
        };
        self.inner.db.transaction(|db| {
            if let Some(refused) = refused_name(db, app, &new.attachment)? {
                return Ok(Err(refused));
            }
            let Some(name) = choose_name(db, new.name.as_ref(), &addon.service)? else {
                return Ok(Err(AddOnError::NameTaken(
                    new.name.as_ref().map(ToString::to_string).unwrap_or_default(),
                )));
            };
            addon.name = name;
            db::add_on::put(db, &addon)?;
            Ok(Ok(()))
        })??;
        match self.ask_for(&addon.service, addon.order()).await {
            Ok(made) => {
                addon.vars = made.vars;
                addon.message = made.message;
            }
            Err(error) => {
                self.give_up(addon).await;
                return Err(error);
            }
        }
        addon.state = State::Provisioned;
        match self.release_attached(app, &addon, &new.attachment) {
            Ok(attachment) => Ok((addon, attachment)),
            Err(error) => {
                self.give_up(addon).await;
                Err(error)
            }
        }
    }

    pub(super) async fn ask_for(
        &self,
        service: &str,
        order: Order,
    ) -> Result<Provisioned, AddOnError> {
        let provider =
            self.provider(service).ok_or_else(|| AddOnError::NoService(service.to_owned()))?;
        Ok(self.blocking(move |_| provider.provision(&order)).await?)
    }

    /// Attaches an add-on to another app, or to its own once more, and releases that.
    pub(crate) fn attach_addon(
        &self,
        app: &App,
        addon: &AddOn,
        new: &NewAttachment,
    ) -> Result<Attachment, AddOnError> {
        let foreign = addon.app_id != Some(app.id);
        let shareable = self.provider(&addon.service).is_none_or(|p| p.service().is_shareable);
        if foreign && !shareable {
            return Err(AddOnError::NotShareable(addon.service.clone()));
        }
        self.release_attached(app, addon, new)
    }

    /// Attaches an add-on and releases that, both or neither.
    fn release_attached(
        &self,
        app: &App,
        addon: &AddOn,
        new: &NewAttachment,
    ) -> Result<Attachment, AddOnError> {
        let limits = &self.inner.config.limits;
        let (mut draft, start) = self.draft_on_current(app)?;
        let (attachment, release) = self.inner.db.transaction(|db| {
            Ok(match attach_to(db, app, addon, new, limits)? {
                Ok(attachment) => {
                    draft.description = format!("Attach {} (@ref:{})", attachment.name, addon.name);
                    Ok((attachment, start.write(db, &draft)?))
                }
                Err(refused) => Err(refused),
            })
        })??;
        self.announce(app, &release);
        self.go_on(app, draft, &release);
        Ok(attachment)
    }

    /// A release that is to be written, on the slug that runs.
    pub(super) fn draft_on_current(&self, app: &App) -> Result<(NewRelease, Start), DbError> {
        let slug = self.running(app.id)?.map(|running| running.slug);
        let draft = NewRelease { slug, description: String::new() };
        let start = self.start_of(app, &draft)?;
        Ok((draft, start))
    }
}

/// Writes an attachment, and what follows for the app's config vars.
fn attach_to(
    db: &Transaction<'_>,
    app: &App,
    addon: &AddOn,
    new: &NewAttachment,
    limits: &Limits,
) -> rusqlite::Result<Result<Attachment, AddOnError>> {
    if db::app::find(db, &app.id.to_string())?.is_none() {
        return Ok(Err(AddOnError::NoApp));
    }
    let mut attached = db::add_on::attached(db, app.id)?;
    let mut vars = db::config_var::of_app(db, app.id)?;
    if let Some(refused) = refused_name(db, app, new)? {
        return Ok(Err(refused));
    }
    let holder =
        attached.iter().position(|(attachment, _)| Some(&attachment.name) == new.name.as_ref());
    if let Some((old, holder)) = holder.map(|at| attached.remove(at)) {
        if holder.id == addon.id {
            let told = AddOnError::AttachedAlready(addon.name.clone(), old.name.to_string());
            return Ok(Err(told));
        }
        vars = detach(&vars, &holder.held(&old.name));
        db::add_on_attachment::delete(db, old.id)?;
    }
    let names: BTreeSet<AttachmentName> =
        attached.iter().map(|(attachment, _)| attachment.name.clone()).collect();
    let free = || free_name(&addon.prefix, &addon.vars, &names, &vars);
    let name = new.name.clone().unwrap_or_else(free);
    let vars = match attach(&vars, &addon.held(&name), limits) {
        Ok(vars) => vars,
        Err(error) => return Ok(Err(error.into())),
    };
    let now = clock::now();
    let attachment = Attachment {
        id: Uuid::new_v4(),
        addon_id: addon.id,
        app_id: app.id,
        name,
        namespace: new.namespace.clone(),
        created_at: now,
        updated_at: now,
    };
    db::add_on::put(db, addon)?;
    db::add_on_attachment::insert(db, &attachment)?;
    db::config_var::replace(db, app.id, &vars)?;
    Ok(Ok(attachment))
}

/// Why the name that was asked for cannot be had without a word of whoever asks.
fn refused_name(
    db: &Transaction<'_>,
    app: &App,
    new: &NewAttachment,
) -> rusqlite::Result<Option<AddOnError>> {
    let (Some(name), false) = (&new.name, new.replace) else { return Ok(None) };
    let attached = db::add_on::attached(db, app.id)?;
    let holder = attached.into_iter().find(|(attachment, _)| attachment.name == *name);
    Ok(holder.map(|(_, holder)| AddOnError::NeedsConfirmation {
        app: app.name.to_string(),
        holder: holder.name,
        name: name.to_string(),
    }))
}

/// A name that no other add-on has; none where the one that is asked for is taken.
fn choose_name(
    db: &Transaction<'_>,
    asked: Option<&AddonName>,
    service: &str,
) -> rusqlite::Result<Option<String>> {
    if let Some(asked) = asked {
        let taken = db::add_on::named(db, asked.as_str())?.is_some();
        return Ok((!taken).then(|| asked.to_string()));
    }
    invent_name(db, service).map(Some)
}

/// A name that no add-on has.
pub(super) fn invent_name(db: &Transaction<'_>, service: &str) -> rusqlite::Result<String> {
    loop {
        let (random, _) = Uuid::new_v4().as_u64_pair();
        let name = invented_name(service, random);
        if db::add_on::named(db, name.as_str())?.is_none() {
            return Ok(name.to_string());
        }
    }
}
