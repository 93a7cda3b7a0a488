//! What the server told, in the order that was asked for.

use std::cmp::Ordering;

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;
use slugline_model::neighbours::Slowed;
use slugline_model::usage::{Load, Rates, Usage};

/// One look at all dynos.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Usages {
    /// Processors of the machine.
    pub(super) processors: usize,
    pub(super) dynos: Vec<Row>,
    pub(super) slowed: Vec<Slowed>,
}

/// One dyno.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Row {
    pub(super) title: String,
    pub(super) state: String,
    pub(super) usage: Usage,
    pub(super) rates: Rates,
    pub(super) load: Load,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    /// Who uses most of the processors
    Cpu,
    /// Who waits longest for them
    Wait,
    /// Who has most memory
    Memory,
    /// Who reads and writes most
    Disk,
    /// Who sends and receives most
    Network,
    /// By name
    Name,
}

impl Order {
    /// All of them, with the key that asks for each.
    pub(super) const KEYS: [(u8, &'static str, Order); 6] = [
        (b'c', "cpu", Order::Cpu),
        (b'w', "wait", Order::Wait),
        (b'm', "memory", Order::Memory),
        (b'd', "disk", Order::Disk),
        (b'n', "network", Order::Network),
        (b'a', "a to z", Order::Name),
    ];

    pub(super) fn of_key(key: u8) -> Option<Self> {
        Self::KEYS.iter().find(|(known, ..)| *known == key).map(|(.., order)| *order)
    }

    fn compare(self, a: &Row, b: &Row) -> Ordering {
        let by = |of: fn(&Row) -> f64| of(b).total_cmp(&of(a));
        let first = match self {
            Order::Cpu => by(|row| row.rates.cores),
            Order::Wait => by(|row| row.rates.cpu_wait),
            Order::Memory => b.usage.memory.used().cmp(&a.usage.memory.used()),
            Order::Disk => by(|row| row.rates.disk.sum()),
            Order::Network => by(|row| row.rates.network.sum()),
            Order::Name => Ordering::Equal,
        };
        first.then_with(|| a.title.cmp(&b.title))
    }
}

impl Usages {
    /// Understands what the server told; empty where that is not understood.
    pub(super) fn read(found: &Value, order: Order) -> Self {
        let mut usages: Self = serde_json::from_value(found.clone()).unwrap_or_default();
        usages.dynos.sort_by(|a, b| order.compare(a, b));
        usages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(title: &str, cores: f64, rss: u64) -> Row {
        let mut row = Row { title: title.to_owned(), ..Row::default() };
        row.rates.cores = cores;
        row.usage.memory.rss = rss;
        row
    }

    #[test]
    fn rows_come_as_asked_and_by_name_where_they_are_equal() {
        let mut rows = [row("b", 0.0, 9), row("c", 2.0, 1), row("a", 0.0, 5)];
        let mut titles = |order: Order| {
            rows.sort_by(|a, b| order.compare(a, b));
            rows.iter().map(|row| row.title.clone()).collect::<String>()
        };
        assert_eq!(titles(Order::Cpu), "cab");
        assert_eq!(titles(Order::Memory), "bac");
        assert_eq!(titles(Order::Name), "abc");
        assert_eq!(titles(Order::Disk), "abc");
    }

    #[test]
    fn every_order_has_a_key_of_its_own() {
        for (key, name, order) in Order::KEYS {
            assert_eq!(Order::of_key(key), Some(order), "{name}");
        }
        assert_eq!(Order::of_key(b'q'), None, "that one ends it");
    }
}
