//! Table `receipt`: what was in the layer of each dyno that stopped, and what became of the layer.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;
use slugline_model::dyno::DynoId;
use slugline_model::kept::{RunName, Why};
use slugline_model::ledger::Receipt;
use slugline_model::name::DynoName;
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// The receipt of a run of a dyno that has just stopped.
#[derive(Debug, Clone)]
pub(crate) struct NewReceipt {
    pub(crate) dyno_id: DynoId,
    pub(crate) dyno: DynoName,
    pub(crate) release: u64,
    pub(crate) receipt: Receipt,
    pub(crate) created_at: i64,
    /// Whether the layer is kept for a while.
    pub(crate) kept: bool,
}

/// The receipt of one run of a dyno.
#[derive(Debug, Clone)]
pub(crate) struct DynoReceipt {
    pub(crate) dyno_id: DynoId,
    pub(crate) run: RunName,
    pub(crate) release: u64,
    pub(crate) receipt: Receipt,
    pub(crate) layer: Layer,
    /// All that the layer held (bytes).
    pub(crate) layer_bytes: u64,
    pub(crate) created_at: i64,
}

/// What became of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// There was nothing in it to keep, or nothing was to be kept.
    None,
    /// What was in it can be had back.
    Kept,
    /// It was kept, and is not any more.
    Discarded {
        /// Microseconds since 1970.
        at: i64,
        why: Why,
    },
}

/// How many receipts an app keeps, beside those whose layers are kept.
const KEPT: u32 = 500;

/// Adds a receipt; the oldest ones of the app go. One that is told again is known already. Gives
/// the number of the run.
pub(crate) fn insert(db: &Connection, app: Uuid, new: &NewReceipt) -> rusqlite::Result<u64> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (content, noise) = (new.receipt.content, new.receipt.noise);
    db.execute(
        "INSERT INTO receipt (dyno_id, app_id, dyno, release, receipt, created_at, files, bytes,
             layer, layer_bytes, run)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, (SELECT coalesce(max(run), 0) + 1
             FROM receipt WHERE app_id = ?2 AND dyno = ?3))
         ON CONFLICT (dyno_id) DO NOTHING",
        params![
            new.dyno_id.to_string(),
            app.to_string(),
            new.dyno.to_string(),
            number(new.release),
            to_json(&new.receipt)?,
            new.created_at,
            number(content.files),
            number(content.bytes),
            if new.kept { "kept" } else { "none" },
            number(content.bytes + noise.bytes),
        ],
    )?;
    db.execute(
        "DELETE FROM receipt WHERE app_id = ?1 AND layer != 'kept' AND dyno_id NOT IN
         (SELECT dyno_id FROM receipt WHERE app_id = ?1 ORDER BY created_at DESC LIMIT ?2)",
        params![app.to_string(), KEPT],
    )?;
    let sql = "SELECT run FROM receipt WHERE dyno_id = ?";
    let run = db.query_row(sql, [new.dyno_id.to_string()], |row| row.get::<_, i64>(0));
    Ok(run.optional()?.unwrap_or(0).unsigned_abs())
}

const SELECT: &str = "SELECT dyno_id, dyno, run, release, receipt, layer, discarded_at,
    discarded_why, layer_bytes, created_at FROM receipt";

fn from_row(row: &Row<'_>) -> rusqlite::Result<DynoReceipt> {
    let why = row.get::<_, Option<String>>(7)?.and_then(|why| Why::named(&why));
    let layer = match row.get::<_, String>(5)?.as_str() {
        "kept" => Layer::Kept,
        "discarded" => Layer::Discarded { at: row.get(6)?, why: why.unwrap_or(Why::Missing) },
        _ => Layer::None,
    };
    Ok(DynoReceipt {
        dyno_id: parsed(&row.get::<_, String>(0)?)?,
        run: run_name(row, 1)?,
        release: row.get::<_, i64>(3)?.unsigned_abs(),
        receipt: from_json(&row.get::<_, String>(4)?)?,
        layer,
        layer_bytes: row.get::<_, i64>(8)?.unsigned_abs(),
        created_at: row.get(9)?,
    })
}

/// Of two columns beside each other: the dyno's name, and the number of the run.
fn run_name(row: &Row<'_>, at: usize) -> rusqlite::Result<RunName> {
    let run = row.get::<_, i64>(at + 1)?.unsigned_abs();
    Ok(RunName { dyno: parsed(&row.get::<_, String>(at)?)?, run })
}

/// The receipts of an app from a release on, newest first.
pub(crate) fn of_app(db: &Connection, app: Uuid, since: u64) -> rusqlite::Result<Vec<DynoReceipt>> {
    let sql = format!("{SELECT} WHERE app_id = ? AND release >= ? ORDER BY created_at DESC");
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    db.prepare_cached(&sql)?.query_map(params![app.to_string(), since], from_row)?.collect()
}

/// A receipt by its run (`web.1@3`) or its dyno's id.
pub(crate) fn find(
    db: &Connection,
    app: Uuid,
    name: &str,
) -> rusqlite::Result<Option<DynoReceipt>> {
    let (dyno, run) = match name.parse::<RunName>() {
        Ok(name) => (name.dyno.to_string(), i64::try_from(name.run).unwrap_or(-1)),
        Err(_) => (String::new(), -1),
    };
    let sql = format!("{SELECT} WHERE app_id = ?1 AND (dyno_id = ?2 OR (dyno = ?3 AND run = ?4))");
    db.query_row(&sql, params![app.to_string(), name, dyno, run], from_row).optional()
}

/// A layer that is kept, with what is said when it goes.
#[derive(Debug, Clone)]
pub(crate) struct KeptRow {
    pub(crate) id: DynoId,
    pub(crate) app: String,
    pub(crate) run: RunName,
    /// What somebody may miss of it.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// All that it holds.
    pub(crate) layer_bytes: u64,
    pub(crate) since: i64,
    pub(crate) quiet: bool,
}

/// The layers that are kept, of all apps.
pub(crate) fn kept(db: &Connection) -> rusqlite::Result<Vec<KeptRow>> {
    let sql = "SELECT dyno_id, dyno, run, app.name, files, bytes, layer_bytes, receipt.created_at,
                   app.ephemeral = 'quiet'
               FROM receipt JOIN app ON app.id = app_id WHERE layer = 'kept'";
    let row = |row: &Row<'_>| {
        Ok(KeptRow {
            id: parsed(&row.get::<_, String>(0)?)?,
            run: run_name(row, 1)?,
            app: row.get(3)?,
            files: row.get::<_, i64>(4)?.unsigned_abs(),
            bytes: row.get::<_, i64>(5)?.unsigned_abs(),
            layer_bytes: row.get::<_, i64>(6)?.unsigned_abs(),
            since: row.get(7)?,
            quiet: row.get(8)?,
        })
    };
    db.prepare_cached(sql)?.query_map([], row)?.collect()
}

/// Says that a layer that was kept is not any more, before it goes.
pub(crate) fn discard(db: &Connection, id: DynoId, why: Why, now: i64) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE receipt SET layer = 'discarded', discarded_at = ?, discarded_why = ?
         WHERE dyno_id = ? AND layer = 'kept'",
        params![now, why.as_str(), id.to_string()],
    )?;
    Ok(())
}

/// What was lost, under a dyno's name or in a release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Lost {
    /// Runs that lost something.
    pub(crate) runs: u64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Of those runs the ones of which it can be had back.
    pub(crate) restorable: u64,
}

const SUMS: &str = "SELECT count(*), coalesce(sum(files), 0), coalesce(sum(bytes), 0),
    coalesce(sum(layer = 'kept'), 0) FROM receipt WHERE files > 0";

fn sums(row: &Row<'_>) -> rusqlite::Result<Lost> {
    let number = |at| Ok::<_, rusqlite::Error>(row.get::<_, i64>(at)?.unsigned_abs());
    Ok(Lost { runs: number(0)?, files: number(1)?, bytes: number(2)?, restorable: number(3)? })
}

/// What the runs of a dyno of this name lost.
pub(crate) fn lost_by_dyno(db: &Connection, app: Uuid, dyno: &str) -> rusqlite::Result<Lost> {
    let sql = format!("{SUMS} AND app_id = ? AND dyno = ?");
    db.prepare_cached(&sql)?.query_row(params![app.to_string(), dyno], sums)
}

/// What the dynos of a release lost.
pub(crate) fn lost_by_release(db: &Connection, app: Uuid, release: u64) -> rusqlite::Result<Lost> {
    let sql = format!("{SUMS} AND app_id = ? AND release = ?");
    let release = i64::try_from(release).unwrap_or(i64::MAX);
    db.prepare_cached(&sql)?.query_row(params![app.to_string(), release], sums)
}
