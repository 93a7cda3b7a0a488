//! What the kernel counts for a dyno's control groups.

use slugline_model::usage::{Bytes, Memory, Pressure, Stall};

use super::group::{Group, number};

impl Group {
    /// The processes' time on processors (microseconds): used, and kept from them by a limit.
    pub(crate) fn cpu(&self) -> Option<(u64, u64)> {
        let text = std::fs::read_to_string(self.watched.as_ref()?.join("cpu.stat")).ok()?;
        Some((number(&text, "usage_usec")?, number(&text, "throttled_usec").unwrap_or(0)))
    }

    /// The processes' memory, without its quota.
    pub(crate) fn memory(&self) -> Option<Memory> {
        let group = self.memory.as_ref()?;
        let text = std::fs::read_to_string(group.join("memory.stat")).ok()?;
        if !self.unified {
            return Some(older_memory(&text));
        }
        let swap = std::fs::read_to_string(group.join("memory.swap.current"));
        unified_memory(&text, swap.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0))
    }

    /// How long the processes waited.
    pub(crate) fn pressure(&self) -> Option<Pressure> {
        let group = self.watched.as_ref()?;
        let stall =
            |name: &str| std::fs::read_to_string(group.join(name)).ok().map(|text| stall(&text));
        let [cpu, memory, disk] = ["cpu.pressure", "memory.pressure", "io.pressure"].map(stall);
        Some(Pressure { cpu: cpu?, memory: memory?, disk: disk? })
    }

    /// Bytes from and to disks, where the kernel counts them for the group.
    pub(crate) fn disk(&self) -> Option<Bytes> {
        let group = self.disk.as_ref().filter(|_| self.unified)?;
        let text = std::fs::read_to_string(group.join("io.stat")).ok()?;
        let sum = |name: &str| {
            let words = text.split_whitespace().filter_map(|word| word.strip_prefix(name));
            words.filter_map(|number| number.parse::<u64>().ok()).sum()
        };
        Some(Bytes { read: sum("rbytes="), written: sum("wbytes=") })
    }
}

/// Memory as an older group counts it, with the groups below.
fn older_memory(text: &str) -> Memory {
    let get = |name| number(text, name).unwrap_or(0);
    let shared = get("total_shmem");
    Memory {
        rss: get("total_rss") + shared,
        cache: get("total_cache").saturating_sub(shared),
        swap: get("total_swap"),
        quota: 0,
        pages_in: get("total_pgpgin"),
        pages_out: get("total_pgpgout"),
    }
}

/// Memory as a unified group counts it, which has no count of pages but of their faults.
fn unified_memory(text: &str, swap: u64) -> Option<Memory> {
    let get = |name| number(text, name).unwrap_or(0);
    let shared = get("shmem");
    Some(Memory {
        rss: number(text, "anon")? + shared,
        cache: get("file").saturating_sub(shared),
        swap,
        quota: 0,
        pages_in: get("pgfault"),
        pages_out: get("pgsteal"),
    })
}

/// `some avg10=0.00 … total=7` and `full …`.
fn stall(text: &str) -> Stall {
    let total = |kind: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        line.rsplit_once("total=")?.1.trim().parse().ok()
    };
    Stall { some: total("some").unwrap_or(0), full: total("full").unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_understood_as_both_kinds_of_groups_count_it() {
        let older = "cache 9\nrss 9\ntotal_cache 700\ntotal_rss 5000\ntotal_shmem 300\n\
                     total_swap 20\ntotal_pgpgin 8\ntotal_pgpgout 7\n";
        let found = older_memory(older);
        assert_eq!((found.rss, found.cache, found.swap), (5_300, 400, 20));
        assert_eq!((found.used(), found.total()), (5_320, 5_720));
        let unified = "anon 5000\nfile 700\nkernel 3\nshmem 300\npgfault 8\n";
        let found = unified_memory(unified, 20).unwrap();
        assert_eq!((found.used(), found.total(), found.pages_in), (5_320, 5_720, 8));
        assert_eq!(unified_memory("odd", 0), None);
    }

    #[test]
    fn pressure_is_the_total() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=71\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=3\n";
        assert_eq!(stall(text), Stall { some: 71, full: 3 });
    }
}
