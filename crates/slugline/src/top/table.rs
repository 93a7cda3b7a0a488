//! The table: as many columns and rows as fit.

use slugline_model::size::human;

use super::rows::{Order, Row, Usages};

/// How a table can be drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Characters.
    pub(super) width: usize,
    /// Lines.
    pub(super) height: usize,
    pub(super) colour: bool,
}

/// A dyno that waits this part of the time is marked.
const SLOW: f64 = 0.2;

/// A dyno that has this part (percent) of its quota is marked.
const NEARLY_FULL: u64 = 90;

const BOLD: &str = "1";
const RED: &str = "31";
const YELLOW: &str = "33";

/// One column after the name.
struct Column {
    head: &'static str,
    width: usize,
    text: fn(&Row) -> String,
    /// How it is marked.
    colour: fn(&Row) -> Option<&'static str>,
}

/// The most important first: what does not fit is left out from the end.
static COLUMNS: [Column; 12] = [
    column("CPU", 6, |row| percent(row.rates.cores), unmarked),
    column(
        "WAIT",
        5,
        |row| percent(row.rates.cpu_wait),
        |row| (row.rates.cpu_wait >= SLOW).then_some(YELLOW),
    ),
    column("MEMORY", 8, |row| human(row.usage.memory.used()), memory_colour),
    column("OF", 5, |row| format!("{}%", part(row)), memory_colour),
    column("STATE", 9, |row| row.state.clone(), unmarked),
    column(
        "DISK/s",
        8,
        |row| flow(row.rates.disk.sum()),
        |row| (row.rates.disk_wait >= SLOW).then_some(YELLOW),
    ),
    column("NET/s", 8, |row| flow(row.rates.network.sum()), unmarked),
    column("THREADS", 8, |row| row.usage.threads.to_string(), unmarked),
    column("LOAD", 6, |row| format!("{:.2}", row.load.one), unmarked),
    column("FILES", 6, |row| row.usage.open_files.to_string(), unmarked),
    column("LAYER", 8, |row| human(row.usage.layer.unwrap_or(0)), unmarked),
    column("CACHE", 8, |row| human(row.usage.memory.cache), unmarked),
];

const fn column(
    head: &'static str,
    width: usize,
    text: fn(&Row) -> String,
    colour: fn(&Row) -> Option<&'static str>,
) -> Column {
    Column { head, width, text, colour }
}

/// The lines of the table, none of them longer than the terminal is wide.
pub(super) fn render(usages: &Usages, order: Order, look: Look) -> Vec<String> {
    let longest = usages.dynos.iter().map(|row| row.title.chars().count()).max().unwrap_or(0);
    let name = longest.clamp(8, 30).min(look.width);
    let columns = columns_within(look.width - name);
    let mut lines = vec![cut(&summary(usages, order), look.width)];
    let heads = columns.iter().map(|column| format!(" {:>1$}", column.head, column.width));
    lines.push(painted(&format!("{:<name$}{}", "DYNO", heads.collect::<String>()), BOLD, look));
    let slowed: Vec<String> = usages
        .slowed
        .iter()
        .map(|slow| painted(&cut(&format!("{}: {slow}", slow.dyno), look.width), YELLOW, look))
        .collect();
    let rows = look.height.saturating_sub(lines.len() + slowed.len());
    lines.extend(usages.dynos.iter().take(rows).map(|row| line(row, &columns, name, look)));
    if usages.dynos.is_empty() {
        lines.push("No dyno runs.".to_owned());
    }
    lines.extend(slowed);
    lines.truncate(look.height);
    lines
}

fn columns_within(mut room: usize) -> Vec<&'static Column> {
    let fits = |column: &&Column| {
        let fits = column.width < room;
        room = room.saturating_sub(column.width + 1);
        fits
    };
    COLUMNS.iter().take_while(fits).collect()
}

fn summary(usages: &Usages, order: Order) -> String {
    let cores: f64 = usages.dynos.iter().map(|row| row.rates.cores).sum();
    let memory: u64 = usages.dynos.iter().map(|row| row.usage.memory.used()).sum();
    let by = Order::KEYS.iter().find(|(.., known)| *known == order).map_or("", |(_, name, _)| name);
    let keys: Vec<String> =
        Order::KEYS.iter().map(|(key, name, _)| format!("{} {name}", char::from(*key))).collect();
    format!(
        "{} dynos use {cores:.1} of {} processors and {} of memory; by {by} (keys: {}, q quit)",
        usages.dynos.len(),
        usages.processors,
        human(memory),
        keys.join(", ")
    )
}

fn line(row: &Row, columns: &[&'static Column], name: usize, look: Look) -> String {
    let mut line = format!("{:<name$}", cut(&row.title, name));
    for column in columns {
        let text = format!(" {:>1$}", cut(&(column.text)(row), column.width), column.width);
        match (column.colour)(row) {
            Some(colour) => line.push_str(&painted(&text, colour, look)),
            None => line.push_str(&text),
        }
    }
    line
}

fn painted(text: &str, colour: &str, look: Look) -> String {
    if look.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn unmarked(_: &Row) -> Option<&'static str> {
    None
}

/// Percent of its quota.
fn part(row: &Row) -> u64 {
    let memory = &row.usage.memory;
    memory.used().saturating_mul(100) / memory.quota.max(1)
}

fn memory_colour(row: &Row) -> Option<&'static str> {
    match part(row) {
        101.. => Some(RED),
        NEARLY_FULL.. => Some(YELLOW),
        _ => None,
    }
}

/// A part of one, of which there may be more than one: two busy processors are 200%.
fn percent(part: f64) -> String {
    format!("{:.0}%", part * 100.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no flow is less")]
fn flow(bytes: f64) -> String {
    human(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usages() -> Usages {
        let row = |title: &str, cores: f64, rss: u64| {
            let mut row = Row { title: title.into(), state: "up".into(), ..Row::default() };
            row.rates.cores = cores;
            row.usage.memory.rss = rss;
            row.usage.memory.quota = 512 << 20;
            row
        };
        let dynos = vec![row("owl/worker.1", 1.62, 600 << 20), row("owl/web.1", 0.1, 50_000_000)];
        Usages { processors: 2, dynos, slowed: vec![] }
    }

    fn table(width: usize, height: usize, colour: bool) -> Vec<String> {
        render(&usages(), Order::Cpu, Look { width, height, colour })
    }

    #[test]
    fn a_table_fits_whatever_the_terminal() {
        for width in [1, 10, 40, 80, 200] {
            for line in table(width, 50, false) {
                assert!(line.chars().count() <= width.max(8), "{width}: {line:?}");
            }
        }
        assert_eq!(table(80, 3, false).len(), 3);
    }

    #[test]
    fn a_wide_one_has_every_column_and_a_narrow_one_the_important_ones() {
        let wide = table(200, 50, false);
        assert!(wide[1].contains("CACHE") && wide[1].starts_with("DYNO"), "{wide:#?}");
        assert_eq!(
            wide[2].split_whitespace().take(5).collect::<Vec<_>>(),
            ["owl/worker.1", "162%", "0%", "629.1MB", "117%"]
        );
        let narrow = table(40, 50, false);
        assert!(narrow[1].contains("MEMORY") && !narrow[1].contains("LAYER"), "{narrow:#?}");
    }

    #[test]
    fn what_is_wrong_is_marked_only_where_colours_are_seen() {
        assert!(table(80, 50, true)[2].contains("\x1b[31m"));
        assert!(!table(80, 50, false).concat().contains('\x1b'));
    }
}
