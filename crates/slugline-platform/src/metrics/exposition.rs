//! What dynos use, as Prometheus reads it: its text format 0.0.4.

use std::fmt::Write as _;

use slugline_model::usage::{Pressure, Usage};

use super::Measured;

/// One kind of number of each dyno.
struct Family {
    /// Without `slugline_dyno_`.
    name: &'static str,
    help: &'static str,
    value: fn(&Usage) -> Option<f64>,
}

const fn family(
    name: &'static str,
    help: &'static str,
    value: fn(&Usage) -> Option<f64>,
) -> Family {
    Family { name, help, value }
}

/// All but pressure, which has more labels. Names that end in `_total` only grow.
const FAMILIES: [Family; 21] = [
    family("cpu_seconds_total", "Time on processors.", |u| seconds(u.cpu.used)),
    family("cpu_throttled_seconds_total", "Time that a limit kept from it.", |u| {
        seconds(u.cpu.throttled)
    }),
    family("cpu_queued_seconds_total", "Time that its threads waited for a processor.", |u| {
        seconds(u.cpu.queued)
    }),
    family("memory_rss_bytes", "Memory that cannot be dropped.", |u| number(u.memory.rss)),
    family("memory_cache_bytes", "Pages of files.", |u| number(u.memory.cache)),
    family("memory_swap_bytes", "Memory in swap.", |u| number(u.memory.swap)),
    family("memory_used_bytes", "Memory that counts against the quota.", |u| {
        number(u.memory.used())
    }),
    family("memory_quota_bytes", "Memory above which R14 is logged.", |u| number(u.memory.quota)),
    family("memory_pages_in_total", "Pages that it was given.", |u| number(u.memory.pages_in)),
    family("memory_pages_out_total", "Pages that were taken back.", |u| number(u.memory.pages_out)),
    family("disk_read_bytes_total", "Bytes read from disks.", |u| number(u.disk.read)),
    family("disk_written_bytes_total", "Bytes written to disks.", |u| number(u.disk.written)),
    family("network_received_bytes_total", "Bytes received.", |u| number(u.network?.read)),
    family("network_sent_bytes_total", "Bytes sent.", |u| number(u.network?.written)),
    family("processes", "Processes.", |u| number(u.processes)),
    family("threads", "Threads of all processes.", |u| number(u.threads)),
    family("runnable_threads", "Threads that run or could.", |u| number(u.runnable)),
    family("open_files", "Open files of all processes.", |u| number(u.open_files)),
    family("layer_bytes", "What it had written to its disk when that was measured.", |u| {
        number(u.layer?)
    }),
    family("memory_total_bytes", "All memory, cache among it.", |u| number(u.memory.total())),
    family("last_look_timestamp_seconds", "When it was measured.", |u| {
        seconds(u64::try_from(u.at).ok()?)
    }),
];

/// The whole text.
pub(crate) fn text(dynos: &[Measured]) -> String {
    let mut text = String::new();
    for family in &FAMILIES {
        head(&mut text, family.name, family.help);
        for dyno in dynos {
            if let Some(value) = (family.value)(&dyno.usage) {
                sample(&mut text, family.name, dyno, "", value);
            }
        }
    }
    pressure(&mut text, dynos);
    load(&mut text, dynos);
    text
}

fn pressure(text: &mut String, dynos: &[Measured]) {
    let name = "pressure_seconds_total";
    head(text, name, "Time in which some or all of its threads waited for a resource.");
    for dyno in dynos {
        let Some(Pressure { cpu, memory, disk }) = dyno.usage.pressure else { continue };
        for (resource, stall) in [("cpu", cpu), ("memory", memory), ("disk", disk)] {
            for (kind, micros) in [("some", stall.some), ("full", stall.full)] {
                let labels = format!(",resource=\"{resource}\",waiting=\"{kind}\"");
                sample(text, name, dyno, &labels, seconds(micros).unwrap_or_default());
            }
        }
    }
}

fn load(text: &mut String, dynos: &[Measured]) {
    let name = "load";
    head(text, name, "Runnable threads, averaged over so many minutes.");
    for dyno in dynos {
        let load = &dyno.load;
        for (minutes, value) in [("1", load.one), ("5", load.five), ("15", load.fifteen)] {
            sample(text, name, dyno, &format!(",minutes=\"{minutes}\""), value);
        }
    }
}

fn head(text: &mut String, name: &str, help: &str) {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    let _ = writeln!(text, "# HELP slugline_dyno_{name} {help}");
    let _ = writeln!(text, "# TYPE slugline_dyno_{name} {kind}");
}

/// Names of apps and dynos hold nothing that a label's value has to escape.
fn sample(text: &mut String, name: &str, dyno: &Measured, more: &str, value: f64) {
    let Measured { app, dyno, process_type, .. } = dyno;
    let _ = writeln!(
        text,
        "slugline_dyno_{name}{{app=\"{app}\",dyno=\"{dyno}\",type=\"{process_type}\"{more}}} {value}"
    );
}

fn seconds(micros: u64) -> Option<f64> {
    number(micros).map(|micros| micros / 1e6)
}

#[expect(clippy::cast_precision_loss, clippy::unnecessary_wraps, reason = "for the table above")]
fn number(count: u64) -> Option<f64> {
    Some(count as f64)
}
