//! What a dyno uses of its machine: counted by the engine, understood here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One look at a dyno. What grows for as long as it runs is a total since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// When (microseconds since 1970).
    pub at: i64,
    /// The processors.
    pub cpu: CpuTime,
    /// Memory.
    pub memory: Memory,
    /// How long it waited, where the kernel counts that for groups of processes.
    pub pressure: Option<Pressure>,
    /// Bytes that came from and went to disks.
    pub disk: Bytes,
    /// Bytes that came and went through its own network, where it has one.
    pub network: Option<Bytes>,
    /// Processes, init among them.
    pub processes: u64,
    /// Threads of all processes.
    pub threads: u64,
    /// Threads that ran, or could have, at this moment.
    pub runnable: u64,
    /// Open files of all processes.
    pub open_files: u64,
    /// What its layer held (bytes) when that was last measured.
    pub layer: Option<u64>,
}

/// Time on processors (microseconds, all of them together).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuTime {
    /// It ran.
    pub used: u64,
    /// It was held back by a limit.
    pub throttled: u64,
    /// Its threads could have run, and others did. Threads that have ended are not in it.
    pub queued: u64,
}

/// Memory (bytes, but for the pages).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// What it made itself and what is shared, files of its `/dev/shm` among it: what the kernel
    /// cannot drop.
    pub rss: u64,
    /// Pages of files, which the kernel drops when it needs the room.
    pub cache: u64,
    /// What lies in swap.
    pub swap: u64,
    /// How much it may have before R14.
    pub quota: u64,
    /// Pages that it was given.
    pub pages_in: u64,
    /// Pages that were taken back.
    pub pages_out: u64,
}

impl Memory {
    /// What counts against the quota: resident and swapped. Heroku: "cache is not included".
    pub fn used(&self) -> u64 {
        self.rss + self.swap
    }

    /// All that it has.
    pub fn total(&self) -> u64 {
        self.used() + self.cache
    }
}

/// How long threads waited (microseconds): `some` while at least one did, `full` while all did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pressure {
    /// For a processor.
    pub cpu: Stall,
    /// For memory.
    pub memory: Stall,
    /// For a disk.
    pub disk: Stall,
}

/// See [`Pressure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stall {
    /// At least one waited.
    pub some: u64,
    /// All waited.
    pub full: u64,
}

/// Bytes that came in and went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bytes {
    /// Read, or received.
    pub read: u64,
    /// Written, or sent.
    pub written: u64,
}

/// What happened between two looks at a dyno, each second.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Seconds between the looks.
    pub seconds: f64,
    /// Processors that it kept busy.
    pub cores: f64,
    /// Processors that a limit kept from it.
    pub throttled: f64,
    /// The part of the time in which some of it waited for a processor: 0 to 1.
    pub cpu_wait: f64,
    /// The part of the time in which some of it waited for memory.
    pub memory_wait: f64,
    /// The part of the time in which some of it waited for a disk.
    pub disk_wait: f64,
    /// Bytes from and to disks.
    pub disk: Flow,
    /// Bytes from and to its network.
    pub network: Flow,
}

/// Bytes a second.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Flow {
    /// Read, or received.
    pub read: f64,
    /// Written, or sent.
    pub written: f64,
}

impl Flow {
    /// Both ways.
    pub fn sum(&self) -> f64 {
        self.read + self.written
    }
}

/// Two looks that are nearer to each other than this (microseconds) tell nothing of a rate.
const TOO_NEAR: i64 = 50_000;

/// What happened between two looks; none where they tell nothing.
pub fn rates(before: &Usage, now: &Usage) -> Option<Rates> {
    let micros = now.at.checked_sub(before.at).filter(|micros| *micros >= TOO_NEAR)?;
    let seconds = real(u64::try_from(micros).ok()?) / 1e6;
    // A total may fall a little, where it is a sum over threads that come and go.
    let each = |before: u64, now: u64| real(now.saturating_sub(before)) / seconds;
    let flow = |before: Bytes, now: Bytes| Flow {
        read: each(before.read, now.read),
        written: each(before.written, now.written),
    };
    let queued = each(before.cpu.queued, now.cpu.queued) / 1e6;
    let pressure = before.pressure.zip(now.pressure);
    let waited = |of: fn(&Pressure) -> Stall| {
        pressure.map(|(before, now)| (each(of(&before).some, of(&now).some) / 1e6).min(1.0))
    };
    let network = before.network.zip(now.network);
    Some(Rates {
        seconds,
        cores: each(before.cpu.used, now.cpu.used) / 1e6,
        throttled: each(before.cpu.throttled, now.cpu.throttled) / 1e6,
        cpu_wait: waited(|all| all.cpu).unwrap_or(queued.min(1.0)),
        memory_wait: waited(|all| all.memory).unwrap_or(0.0),
        disk_wait: waited(|all| all.disk).unwrap_or(0.0),
        disk: flow(before.disk, now.disk),
        network: network.map_or_else(Flow::default, |(before, now)| flow(before, now)),
    })
}

/// How many tasks are runnable, as averages that forget: Heroku's load, of one dyno.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Load {
    /// Over a minute.
    pub one: f64,
    /// Over five minutes.
    pub five: f64,
    /// Over fifteen minutes.
    pub fifteen: f64,
}

impl Load {
    /// The load after another count of runnable tasks, so many seconds later.
    #[must_use]
    pub fn after(self, runnable: u64, seconds: f64) -> Self {
        let toward = |average: f64, minutes: f64| {
            let keep = (-seconds / (60.0 * minutes)).exp();
            average * keep + real(runnable) * (1.0 - keep)
        };
        Self {
            one: toward(self.one, 1.0),
            five: toward(self.five, 5.0),
            fifteen: toward(self.fifteen, 15.0),
        }
    }
}

impl fmt::Display for Load {
    /// As a line of Heroku's `log-runtime-metrics` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { one, five, fifteen } = self;
        write!(f, "sample#load_avg_1m={one:.2} sample#load_avg_5m={five:.2} ")?;
        write!(f, "sample#load_avg_15m={fifteen:.2}")
    }
}

impl fmt::Display for Memory {
    /// As a line of Heroku's `log-runtime-metrics` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = mebibytes;
        write!(f, "sample#memory_total={:.2}MB ", mb(self.total()))?;
        write!(f, "sample#memory_rss={:.2}MB ", mb(self.rss))?;
        write!(f, "sample#memory_cache={:.2}MB ", mb(self.cache))?;
        write!(f, "sample#memory_swap={:.2}MB ", mb(self.swap))?;
        write!(f, "sample#memory_pgpgin={}pages ", self.pages_in)?;
        write!(f, "sample#memory_pgpgout={}pages ", self.pages_out)?;
        write!(f, "sample#memory_quota={:.2}MB", mb(self.quota))
    }
}

/// What Heroku says before R14 and R15: `Process running mem=528M(103.3%)`.
pub fn memory_line(used: u64, quota: u64) -> String {
    let percent = real(used) * 100.0 / real(quota.max(1));
    format!("Process running mem={:.0}M({percent:.1}%)", mebibytes(used).floor())
}

fn mebibytes(bytes: u64) -> f64 {
    real(bytes) / f64::from(1 << 20)
}

/// A count as a number to divide: exact up to 2^53, which no count here comes near.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage(at: i64, used: u64, some: Option<u64>) -> Usage {
        let stall = |some| Stall { some, full: 0 };
        Usage {
            at,
            cpu: CpuTime { used, throttled: 0, queued: used / 2 },
            pressure: some.map(|some| Pressure { cpu: stall(some), ..Pressure::default() }),
            ..Usage::default()
        }
    }

    #[test]
    fn rates_are_what_happened_in_between() {
        let found = rates(&usage(0, 0, Some(0)), &usage(20_000_000, 30_000_000, Some(8_000_000)));
        let found = found.unwrap();
        assert!((found.cores - 1.5).abs() < 1e-9 && (found.cpu_wait - 0.4).abs() < 1e-9);
        assert_eq!(rates(&usage(5, 0, None), &usage(6, 9, None)), None, "too near");
        assert_eq!(rates(&usage(9_000_000, 0, None), &usage(0, 9, None)), None, "a clock set back");
    }

    #[test]
    fn without_pressure_the_queue_tells_of_waiting() {
        let found = rates(&usage(0, 0, None), &usage(10_000_000, 4_000_000, None)).unwrap();
        assert!((found.cpu_wait - 0.2).abs() < 1e-9, "{found:?}");
        let full = rates(&usage(0, 0, None), &usage(1_000_000, 8_000_000, None)).unwrap();
        assert!((full.cpu_wait - 1.0).abs() < 1e-9, "{full:?}");
    }

    #[test]
    fn load_goes_to_what_runs_and_the_longer_ones_slower() {
        let load = (0..3).fold(Load::default(), |load, _| load.after(2, 20.0));
        assert!((load.one - 2.0 * (1.0 - (-1.0_f64).exp())).abs() < 1e-9, "{load:?}");
        assert!(load.one > load.five && load.five > load.fifteen && load.fifteen > 0.0);
    }

    #[test]
    fn lines_read_as_herokus() {
        let load = Load { one: 2.456, five: 1.06, fifteen: 0.99 };
        let said = "sample#load_avg_1m=2.46 sample#load_avg_5m=1.06 sample#load_avg_15m=0.99";
        assert_eq!(load.to_string(), said);
        let memory =
            Memory { rss: 21 << 20, cache: 1 << 20, quota: 512 << 20, ..Memory::default() };
        assert_eq!(
            memory.to_string(),
            "sample#memory_total=22.00MB sample#memory_rss=21.00MB sample#memory_cache=1.00MB \
             sample#memory_swap=0.00MB sample#memory_pgpgin=0pages sample#memory_pgpgout=0pages \
             sample#memory_quota=512.00MB"
        );
        assert_eq!(memory_line((529 << 20) - 1, 512 << 20), "Process running mem=528M(103.3%)");
    }

    proptest! {
        #[test]
        fn load_stays_between_what_it_was_and_what_runs(
            was in 0.0..64.0_f64, runnable in 0_u64..64, seconds in 0.0..600.0_f64,
        ) {
            let now = Load { one: was, five: was, fifteen: was }.after(runnable, seconds).one;
            let (low, high) = (was.min(real(runnable)), was.max(real(runnable)));
            prop_assert!(now >= low - 1e-9 && now <= high + 1e-9);
        }
    }
}
