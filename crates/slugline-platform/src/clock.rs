//! The one place that reads the clock.

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    let nanos = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
    i64::try_from(nanos / 1_000).unwrap_or(i64::MAX)
}

/// Microseconds since 1970 as the API prints times: `2026-11-23T13:00:00Z`.
pub(crate) fn api_time(micros: i64) -> String {
    let text = slugline_model::logline::timestamp(micros);
    format!("{}Z", &text[..19])
}
