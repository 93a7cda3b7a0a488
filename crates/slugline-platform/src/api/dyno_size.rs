//! Resource `dyno-size`: Heroku's names, and what they mean here.

use axum::extract::{Path, State};
use serde_json::{Value, json};
use slugline_model::resources::DynoSize;

use super::error::ApiError;
use super::{Answer, ok};
use crate::platform::Platform;

pub(crate) async fn list() -> Answer {
    Ok(ok(DynoSize::ALL.into_iter().map(render).collect()))
}

/// Those that an app may have, which are all.
pub(crate) async fn available(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    platform.app(&app)?;
    list().await
}

pub(crate) async fn info(Path(size): Path<String>) -> Answer {
    let named = |known: &DynoSize| known.name.eq_ignore_ascii_case(&size) || id(*known) == size;
    let size = DynoSize::ALL.into_iter().find(named);
    let missing = || ApiError::not_found("dyno_size", "Couldn't find that dyno size.");
    Ok(ok(render(size.ok_or_else(missing)?)))
}

/// A size as a client names it: `standard-2x`, the old `2X`, `{"name": …}` or `{"id": …}`.
pub(crate) fn wanted(asked: &Value) -> Result<DynoSize, ApiError> {
    let named = asked.get("name").or_else(|| asked.get("id")).unwrap_or(asked);
    let text = named.as_str().map_or_else(|| named.to_string(), str::to_owned);
    let name = match text.to_ascii_lowercase().as_str() {
        "1x" => "Standard-1X".to_owned(),
        "2x" => "Standard-2X".to_owned(),
        other => other.to_owned(),
    };
    let known = DynoSize::ALL.into_iter().find(|size| id(*size) == text);
    DynoSize::named(&name).or(known).ok_or_else(|| {
        let known = DynoSize::ALL.map(|size| size.name).join(", ");
        ApiError::invalid(format!("`{text}` is no dyno size: it is one of {known}"))
    })
}

/// A size as other resources refer to it.
pub(crate) fn reference(size: DynoSize) -> Value {
    json!({ "id": id(size), "name": size.name })
}

fn id(size: DynoSize) -> String {
    let place = DynoSize::ALL.into_iter().position(|known| known == size).unwrap_or(0);
    format!("00000000-0000-4000-8000-0000000001{place:02}")
}

fn render(size: DynoSize) -> Value {
    let mebibytes = u32::try_from(size.memory >> 20).unwrap_or(u32::MAX);
    let gib = f64::from(mebibytes) / 1_024.0;
    json!({
        "architecture": std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64"),
        "compute": size.cpu_percent / 100,
        "cost": null,
        // The machine is shared by all dynos.
        "dedicated": false,
        "generation": { "id": "00000000-0000-4000-8000-00000000000c", "name": "cedar" },
        "id": id(size),
        "memory": gib,
        "name": size.name,
        "precise_dyno_units": 0,
        "private_space_only": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_understood_as_clients_send_them() {
        let name = |asked: Value| wanted(&asked).map(|size| size.name).ok();
        for asked in [
            json!("standard-2x"),
            json!("STANDARD-2X"),
            json!("2x"),
            json!({ "name": "Standard-2X" }),
            reference(DynoSize::ALL[3]),
            json!({ "id": id(DynoSize::ALL[3]) }),
        ] {
            assert_eq!(name(asked.clone()), Some("Standard-2X"), "{asked}");
        }
        assert_eq!(name(json!("huge")), None);
        assert_eq!(name(json!(3)), None);
    }
}
