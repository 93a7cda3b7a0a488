//! Another plan, other credentials, another name.

use std::collections::BTreeMap;

use slugline_model::addon::{AddonName, Provisioned, detach};

use super::{AddOnError, no_plan};
use crate::clock;
use crate::db;
use crate::db::add_on::AddOn;
use crate::platform::Platform;
use crate::releases::{NewRelease, Start};

impl Platform {
    /// Brings an add-on to another plan of its service.
    pub(crate) async fn change_addon_plan(
        &self,
        addon: &AddOn,
        plan: &str,
    ) -> Result<AddOn, AddOnError> {
        let no_service = || AddOnError::NoService(addon.service.clone());
        let provider = self.provider(&addon.service).ok_or_else(no_service)?;
        let service = provider.service();
        let plan = service.plan(plan).ok_or_else(|| no_plan(&service, plan))?;
        let mut changed = addon.clone();
        changed.plan.clone_from(&plan.name);
        let order = changed.order();
        let made = self.blocking(move |_| provider.change_plan(&order)).await?;
        self.take_values(changed, made)
    }

    /// Has an add-on's credentials replaced.
    pub(crate) async fn rotate_addon(&self, addon: &AddOn) -> Result<AddOn, AddOnError> {
        let no_service = || AddOnError::NoService(addon.service.clone());
        let provider = self.provider(&addon.service).ok_or_else(no_service)?;
        let order = addon.order();
        let made = self.blocking(move |_| provider.rotate(&order)).await?;
        self.take_values(addon.clone(), made)
    }

    /// Gives an add-on other values, of those that it has, as its provider may.
    pub(crate) fn set_addon_values(
        &self,
        addon: &AddOn,
        values: BTreeMap<String, String>,
    ) -> Result<AddOn, AddOnError> {
        let mut vars = addon.vars.clone();
        vars.extend(values);
        self.take_values(addon.clone(), Provisioned { vars, message: addon.message.clone() })
    }

    /// Keeps what a provider has answered, and releases it to every app that has the add-on. The old
    /// values are good no more, so that nothing is asked of the app first.
    fn take_values(&self, addon: AddOn, made: Provisioned) -> Result<AddOn, AddOnError> {
        let before = addon;
        let mut addon = before.clone();
        addon.vars = made.vars;
        addon.message = made.message;
        addon.updated_at = clock::now();
        let drafts = self.drafts_for(&addon)?;
        let released = self.inner.db.transaction(|db| {
            db::add_on::put(db, &addon)?;
            let mut released = Vec::new();
            for attachment in db::add_on_attachment::of_addon(db, addon.id)? {
                // An app that is attached this very moment gets the new values by that.
                let Some((app, draft, _)) = drafts.get(&attachment.app_id) else { continue };
                let had = db::config_var::of_app(db, app.id)?;
                let mut vars = detach(&had, &before.held(&attachment.name));
                vars.extend(addon.held(&attachment.name).vars());
                if vars != had || before.plan != addon.plan {
                    db::config_var::replace(db, app.id, &vars)?;
                    let description = format!("Update {} by {}", attachment.name, addon.service);
                    let draft = NewRelease { description, ..draft.clone() };
                    released.push((app, Start::at_once(app).write(db, &draft)?));
                }
            }
            Ok(released)
        })?;
        for (app, release) in released {
            self.announce(app, &release);
        }
        Ok(addon)
    }

    /// Gives an add-on another name; what apps know it by stays.
    pub(crate) fn rename_addon(
        &self,
        addon: &AddOn,
        name: &AddonName,
    ) -> Result<AddOn, AddOnError> {
        let mut renamed = addon.clone();
        renamed.name = name.to_string();
        renamed.updated_at = clock::now();
        let free = self.inner.db.transaction(|db| {
            let other = db::add_on::named(db, name.as_str())?;
            if other.is_some_and(|other| other.id != addon.id) {
                return Ok(false);
            }
            db::add_on::put(db, &renamed)?;
            Ok(true)
        })?;
        if free { Ok(renamed) } else { Err(AddOnError::NameTaken(name.to_string())) }
    }
}
