//! The one place that reads clocks.

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    let nanos = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
    i64::try_from(nanos / 1_000).unwrap_or(i64::MAX)
}

/// Since the machine's start, its sleep included: nobody can set it.
pub(crate) fn since_boot() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    std::time::Duration::try_from(time).unwrap_or_default()
}

/// Microseconds since 1970 as the API prints times: `2026-11-23T13:00:00Z`.
pub(crate) fn api_time(micros: i64) -> String {
    let text = slugline_model::logline::timestamp(micros);
    format!("{}Z", &text[..19])
}
