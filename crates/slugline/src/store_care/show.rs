//! The store as people read of it.

use serde_json::Value;
use slugline_model::care::Removed;
use slugline_model::parts::{self, Growth};
use slugline_model::size;

/// What takes the room.
pub(super) fn usage(usage: &Value) -> Vec<String> {
    let apps = usage["apps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines = vec!["=== Slug store".to_owned()];
    lines.push(format!("{:<30} {:>6} {:>10} {:>10}", "app", "slugs", "its own", "shared"));
    for app in apps {
        let name = app["app"].as_str().unwrap_or_default();
        let (own, shared) = (bytes(&app["unique"]), bytes(&app["shared"]));
        let slugs = app["slugs"].as_u64().unwrap_or(0);
        lines.push(format!("{name:<30} {slugs:>6} {own:>10} {shared:>10}"));
        let grown: Vec<Growth> = serde_json::from_value(app["grown"].clone()).unwrap_or_default();
        lines.extend(parts::describe_growth(&grown).iter().map(|line| format!("  {line}")));
    }
    let count = |value: &Value| size::count(value.as_u64().unwrap_or(0));
    let quota = match usage["quota"].as_u64() {
        Some(quota) => format!("; the quota is {}", size::human(quota)),
        None => String::new(),
    };
    lines.push(format!(
        "{} slugs, {} files stored once, {}{quota}",
        count(&usage["slugs"]),
        count(&usage["objects"]),
        bytes(&usage["bytes"])
    ));
    lines.extend(over_quota(usage));
    lines
}

/// What was removed, or would be.
pub(super) fn collected(collected: &Value, dry_run: bool) -> Vec<String> {
    let expired = collected["expired"].as_array().map(Vec::as_slice).unwrap_or_default();
    let expired: Vec<&str> = expired.iter().filter_map(Value::as_str).collect();
    let removed: Removed = serde_json::from_value(collected["removed"].clone()).unwrap_or_default();
    let (would, verb) =
        if dry_run { ("Would expire", "Would remove") } else { ("Expired", "Removed") };
    let mut lines = Vec::new();
    if !expired.is_empty() {
        lines.push(format!("{would}: {}", expired.join(", ")));
    }
    lines.push(format!(
        "{verb} {} slugs, {} checkouts, {} ({})",
        size::count(removed.slugs),
        size::count(removed.checkouts),
        size::files(removed.objects),
        size::human(removed.bytes)
    ));
    lines.extend(over_quota(collected));
    lines
}

fn over_quota(value: &Value) -> Option<String> {
    let over = value["over_quota"].as_u64().filter(|over| *over > 0)?;
    Some(format!(
        "The store is {} larger than its quota. Only what runs, and what it can be rolled back to, \
         is left: raise `quota` in [store] of slugline.toml, or destroy an app.",
        size::human(over)
    ))
}

fn bytes(value: &Value) -> String {
    size::human(value.as_u64().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_store_above_its_quota_says_so_loudly() {
        let app = json!({ "app": "library", "slugs": 2, "unique": 1_500_000, "shared": 10,
            "grown": [{ "name": "media", "before": 0, "after": 900_000 }] });
        let told = json!({ "apps": [app], "slugs": 2, "objects": 1234, "bytes": 1_500_010,
            "quota": 1_000_000, "over_quota": 500_010 });
        let lines = usage(&told);
        assert_eq!(lines[2], format!("{:<30} {:>6} {:>10} {:>10}", "library", 2, "1.5MB", "10B"));
        assert!(lines[3].contains("+900kB  media"), "{lines:?}");
        assert_eq!(lines[4], "2 slugs, 1,234 files stored once, 1.5MB; the quota is 1.0MB");
        assert!(lines[5].starts_with("The store is 500kB larger than its quota."));
    }

    #[test]
    fn a_dry_run_says_what_it_would_do() {
        let told = json!({ "expired": ["library v1"], "removed": Removed::default() });
        assert_eq!(
            collected(&told, true),
            ["Would expire: library v1", "Would remove 0 slugs, 0 checkouts, 0 files (0B)"]
        );
    }
}
