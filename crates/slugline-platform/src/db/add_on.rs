//! Table `add_on`.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slugline_model::addon::{AttachmentName, Held, Order};
use slugline_model::config_vars::ConfigVars;
use slugline_model::name::AppName;
use uuid::Uuid;

use super::add_on_attachment::{self, Attachment};
use super::{from_json, parsed, to_json};

/// An add-on.
#[derive(Debug, Clone)]
pub(crate) struct AddOn {
    pub(crate) id: Uuid,
    /// None once its app was destroyed.
    pub(crate) app_id: Option<Uuid>,
    /// As its app was called when it was made.
    pub(crate) app_name: AppName,
    pub(crate) service: String,
    /// The service's, which it may no longer offer.
    pub(crate) prefix: AttachmentName,
    /// Within the service.
    pub(crate) plan: String,
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) options: BTreeMap<String, String>,
    /// Values under the names that the service gives them.
    pub(crate) vars: ConfigVars,
    pub(crate) message: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// Where an add-on stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Its provider is being asked for it.
    Provisioning,
    /// It is there.
    Provisioned,
    /// It is given up, and its provider is to remove it.
    Deprovisioned,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Provisioning => "provisioning",
            State::Provisioned => "provisioned",
            State::Deprovisioned => "deprovisioned",
        }
    }

    fn from_text(text: &str) -> Self {
        match text {
            "provisioning" => State::Provisioning,
            "provisioned" => State::Provisioned,
            _ => State::Deprovisioned,
        }
    }
}

impl AddOn {
    /// As its provider knows it.
    pub(crate) fn order(&self) -> Order {
        Order {
            id: self.id,
            name: self.name.clone(),
            app: self.app_name.clone(),
            plan: self.plan.clone(),
            options: self.options.clone(),
        }
    }

    /// What it gives to an app where it has this name.
    pub(crate) fn held<'a>(&'a self, name: &'a AttachmentName) -> Held<'a> {
        Held { prefix: &self.prefix, name, values: &self.vars }
    }

    /// `postgres:dev`.
    pub(crate) fn full_plan(&self) -> String {
        format!("{}:{}", self.service, self.plan)
    }
}

const COLUMNS: &str = "id, app_id, app_name, service, plan, name, state, options,
     unseal(vars, 'add_on' || id), message,
                       created_at, updated_at, prefix FROM add_on";

fn from_row(row: &Row<'_>) -> rusqlite::Result<AddOn> {
    Ok(AddOn {
        id: parsed(&row.get::<_, String>(0)?)?,
        app_id: row.get::<_, Option<String>>(1)?.map(|id| parsed(&id)).transpose()?,
        app_name: parsed(&row.get::<_, String>(2)?)?,
        service: row.get(3)?,
        plan: row.get(4)?,
        name: row.get(5)?,
        state: State::from_text(&row.get::<_, String>(6)?),
        options: from_json(&row.get::<_, String>(7)?)?,
        vars: from_json(&row.get::<_, String>(8)?)?,
        message: row.get(9)?,
        created_at: row.get(10)?,
        updated_at: row.get(11)?,
        prefix: parsed(&row.get::<_, String>(12)?)?,
    })
}

/// Adds an add-on, or replaces what is known of it.
pub(crate) fn put(db: &Connection, addon: &AddOn) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO add_on (id, app_id, app_name, service, plan, name, state, options, vars,
         message, created_at, updated_at, prefix)
         VALUES (?1, ?, ?, ?, ?, ?, ?, ?, seal(?, 'add_on' || ?1), ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET plan = excluded.plan, name = excluded.name,
         state = excluded.state, vars = excluded.vars, message = excluded.message,
         updated_at = excluded.updated_at",
        params![
            addon.id.to_string(),
            addon.app_id.map(|id| id.to_string()),
            addon.app_name.as_str(),
            addon.service,
            addon.plan,
            addon.name,
            addon.state.as_str(),
            to_json(&addon.options)?,
            to_json(&addon.vars)?,
            addon.message,
            addon.created_at,
            addon.updated_at,
            addon.prefix.as_str()
        ],
    )?;
    Ok(())
}

/// Every add-on that is there or is being made, oldest first.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<AddOn>> {
    let sql = format!("SELECT {COLUMNS} WHERE state != 'deprovisioned' ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([], from_row)?.collect()
}

/// The add-ons that an app owns, oldest first.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<AddOn>> {
    let sql = format!(
        "SELECT {COLUMNS} WHERE app_id = ? AND state != 'deprovisioned' ORDER BY created_at, id"
    );
    db.prepare_cached(&sql)?.query_map([app.to_string()], from_row)?.collect()
}

/// What an app has attached, oldest attachment first, whoever owns it.
pub(crate) fn attached(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<(Attachment, AddOn)>> {
    let attachments = add_on_attachment::of_app(db, app)?.into_iter();
    let pair = |attachment: Attachment| {
        let addon = find(db, attachment.addon_id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok((attachment, addon))
    };
    attachments.map(pair).collect()
}

/// Gives up what an app owns, which its provider is to remove.
pub(crate) fn give_up(db: &Connection, app: Uuid) -> rusqlite::Result<()> {
    db.execute("UPDATE add_on SET state = 'deprovisioned' WHERE app_id = ?", [app.to_string()])?;
    Ok(())
}

/// Gives up what an earlier server began and did not finish.
pub(crate) fn give_up_unfinished(db: &Connection) -> rusqlite::Result<usize> {
    let sql = "UPDATE add_on SET state = 'deprovisioned' WHERE state = 'provisioning'";
    db.execute(sql, [])
}

/// What is given up and still to be removed.
pub(crate) fn given_up(db: &Connection) -> rusqlite::Result<Vec<AddOn>> {
    let sql = format!("SELECT {COLUMNS} WHERE state = 'deprovisioned' ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([], from_row)?.collect()
}

/// One by its id.
pub(crate) fn find(db: &Connection, id: Uuid) -> rusqlite::Result<Option<AddOn>> {
    let sql = format!("SELECT {COLUMNS} WHERE id = ?");
    db.query_row(&sql, [id.to_string()], from_row).optional()
}

/// One by its name, whatever state it is in: names are given once.
pub(crate) fn named(db: &Connection, name: &str) -> rusqlite::Result<Option<AddOn>> {
    let sql = format!("SELECT {COLUMNS} WHERE name = ?");
    db.query_row(&sql, [name], from_row).optional()
}

pub(crate) fn delete(db: &Connection, id: Uuid) -> rusqlite::Result<()> {
    db.execute("DELETE FROM add_on WHERE id = ?", [id.to_string()])?;
    Ok(())
}
