//! An add-on is detached, or ends.

use std::collections::{BTreeSet, HashMap};

use slugline_model::addon::{AttachmentName, Usage, detach};

use super::AddOnError;
use crate::db;
use crate::db::add_on::{AddOn, State};
use crate::db::add_on_attachment::Attachment;
use crate::db::app::App;
use crate::platform::Platform;
use crate::releases::{NewRelease, Start};
use uuid::Uuid;

impl Platform {
    /// Takes an attachment away, and releases that. The last one goes with its add-on alone.
    pub(crate) fn detach_addon(
        &self,
        addon: &AddOn,
        attachment: &Attachment,
    ) -> Result<(), AddOnError> {
        let app = self.inner.db.read(|db| db::app::find(db, &attachment.app_id.to_string()))?;
        let app = app.ok_or(AddOnError::NoApp)?;
        let (mut draft, start) = self.draft_on_current(&app)?;
        draft.description = detached(&attachment.name, addon);
        let release = self.inner.db.transaction(|db| {
            if db::add_on_attachment::of_addon(db, addon.id)?.len() == 1 {
                return Ok(Err(AddOnError::LastAttachment { name: addon.name.clone() }));
            }
            detach_from(db, &app, addon, attachment)?;
            Ok(Ok(start.write(db, &draft)?))
        })??;
        self.announce(&app, &release);
        self.go_on(&app, draft, &release);
        Ok(())
    }

    /// Destroys an add-on. Where something would be lost or another app suffers, only by force.
    pub(crate) async fn destroy_addon(
        &self,
        addon: AddOn,
        force: bool,
    ) -> Result<AddOn, AddOnError> {
        if !force {
            self.refuse_shared(&addon)?;
            if let Some(held) = self.held_by(&addon).await? {
                return Err(AddOnError::Holds { name: addon.name, held });
            }
        }
        let mut addon = addon;
        addon.state = State::Deprovisioned;
        let drafts = self.drafts_for(&addon)?;
        let released = self.inner.db.transaction(|db| {
            let mut released = Vec::new();
            for attachment in db::add_on_attachment::of_addon(db, addon.id)? {
                // An app that is attached this very moment is not: its release says so.
                let Some((app, draft, start)) = drafts.get(&attachment.app_id) else {
                    continue;
                };
                detach_from(db, app, &addon, &attachment)?;
                let description = detached(&attachment.name, &addon);
                let draft = NewRelease { description, ..draft.clone() };
                let release = start.write(db, &draft)?;
                released.push((app, draft, release));
            }
            db::add_on::put(db, &addon)?;
            Ok(released)
        })?;
        for (app, draft, release) in released {
            self.announce(app, &release);
            self.go_on(app, draft, &release);
        }
        self.remove(addon.clone()).await;
        Ok(addon)
    }

    /// Whether an app may be destroyed with what it owns: not if another app uses that, or if
    /// something would be lost that nobody was told of.
    pub(crate) async fn refuse_to_destroy_with(&self, app: &App) -> Result<(), AddOnError> {
        for addon in self.inner.db.read(|db| db::add_on::of_app(db, app.id))? {
            self.refuse_shared(&addon)?;
            if let Some(held) = self.held_by(&addon).await? {
                return Err(AddOnError::Holds { name: addon.name, held });
            }
        }
        Ok(())
    }

    /// A release for each app that has an add-on, which is to be written.
    pub(super) fn drafts_for(
        &self,
        addon: &AddOn,
    ) -> Result<HashMap<Uuid, (App, NewRelease, Start)>, AddOnError> {
        let attached = |db: &rusqlite::Connection| {
            let attachments = db::add_on_attachment::of_addon(db, addon.id)?.into_iter();
            let apps = attachments.map(|one| db::app::find(db, &one.app_id.to_string()));
            apps.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut drafts = HashMap::new();
        for app in self.inner.db.read(attached)?.into_iter().flatten() {
            let (draft, start) = self.draft_on_current(&app)?;
            drafts.insert(app.id, (app, draft, start));
        }
        Ok(drafts)
    }

    fn refuse_shared(&self, addon: &AddOn) -> Result<(), AddOnError> {
        let others = self.inner.db.read(|db| {
            let attachments = db::add_on_attachment::of_addon(db, addon.id)?.into_iter();
            let foreign = attachments.filter(|attachment| Some(attachment.app_id) != addon.app_id);
            let named = foreign.map(|other| db::app::find(db, &other.app_id.to_string()));
            named.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let apps: BTreeSet<String> =
            others.into_iter().flatten().map(|app| app.name.to_string()).collect();
        if apps.is_empty() {
            return Ok(());
        }
        let apps = Vec::from_iter(apps).join(", ");
        Err(AddOnError::Shared { name: addon.name.clone(), apps })
    }

    /// What would be lost with an add-on.
    pub(crate) async fn held_by(&self, addon: &AddOn) -> Result<Option<String>, AddOnError> {
        let Some(provider) = self.provider(&addon.service) else { return Ok(None) };
        let order = addon.order();
        Ok(self.blocking(move |_| provider.would_lose(&order)).await?)
    }

    /// How much is in an add-on, as far as its provider says.
    pub(crate) async fn usage_of(&self, addon: &AddOn) -> Result<Option<Usage>, AddOnError> {
        let Some(provider) = self.provider(&addon.service) else { return Ok(None) };
        let order = addon.order();
        Ok(self.blocking(move |_| provider.usage(&order)).await?)
    }

    /// Takes back what was begun and cannot be finished.
    pub(super) async fn give_up(&self, mut addon: AddOn) {
        addon.state = State::Deprovisioned;
        if let Err(error) = self.inner.db.transaction(|db| db::add_on::put(db, &addon)) {
            tracing::error!(?error, addon = addon.name, "an add-on could not be given up");
        }
        self.remove(addon).await;
    }

    /// Has the provider remove what is given up. Where it cannot, the next server tries again.
    async fn remove(&self, addon: AddOn) {
        let name = addon.name.clone();
        let provider = self.provider(&addon.service);
        let order = addon.order();
        let removed = self
            .blocking(move |_| provider.map_or(Ok(()), |provider| provider.deprovision(&order)))
            .await;
        match removed {
            Ok(()) => {
                if let Err(error) = self.inner.db.transaction(|db| db::add_on::delete(db, addon.id))
                {
                    tracing::error!(?error, addon = name, "an add-on could not be forgotten");
                }
            }
            Err(error) => {
                tracing::error!(?error, addon = name, "an add-on could not be removed");
            }
        }
    }

    /// Removes what earlier servers left half-made or half-removed, and what apps that were
    /// destroyed owned. It goes on by itself.
    pub(crate) fn remove_given_up_addons(&self) {
        match self.inner.db.read(db::add_on::given_up) {
            Ok(left) => {
                let platform = self.clone();
                tokio::spawn(async move {
                    for addon in left {
                        platform.remove(addon).await;
                    }
                });
            }
            Err(error) => tracing::error!(?error, "add-ons that are given up could not be told"),
        }
    }

    /// Gives up what an earlier server was making when it ended: nobody was told of it.
    pub(crate) fn recover_addons(&self) {
        if let Err(error) = self.inner.db.transaction(|db| db::add_on::give_up_unfinished(db)) {
            tracing::error!(?error, "add-ons that were being made could not be given up");
        }
        self.remove_given_up_addons();
    }
}

fn detached(name: &AttachmentName, addon: &AddOn) -> String {
    format!("Detach {name} (@ref:{})", addon.name)
}

fn detach_from(
    db: &rusqlite::Connection,
    app: &App,
    addon: &AddOn,
    attachment: &Attachment,
) -> rusqlite::Result<()> {
    let vars = db::config_var::of_app(db, app.id)?;
    db::config_var::replace(db, app.id, &detach(&vars, &addon.held(&attachment.name)))?;
    db::add_on_attachment::delete(db, attachment.id)
}
