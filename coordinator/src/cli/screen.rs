//! What is written for people and programs: text, tables and JSON on standard output; colours on a terminal alone.

use super::error::CliError;
use comfy_table::{Cell, Color, Table, presets};
use hearth_types::{JobRunState, Timestamp};
use std::io::{IsTerminal, Write};
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::format_description;

/// Writes bytes to standard output, at once.
pub(super) fn write(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// Writes one line to standard output.
pub(super) fn line(text: &str) -> Result<(), CliError> {
    write(format!("{text}\n").as_bytes())
}

/// Writes indented JSON to standard output.
pub(super) fn json(value: &impl serde::Serialize) -> Result<(), CliError> {
    line(&serde_json::to_string_pretty(value).expect("what we print is JSON"))
}

/// Writes a note to standard error. A closed standard error is nothing to stop for.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether standard output is a terminal that may be coloured (`NO_COLOR` is honoured).
fn is_colourful() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// An empty table without lines, with these column heads.
pub(super) fn table<const N: usize>(heads: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heads);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if !is_colourful() {
        table.force_no_tty();
    }
    table
}

/// Writes a table's rows, without blanks at their ends.
pub(super) fn print_table(table: &Table) -> Result<(), CliError> {
    table.lines().try_for_each(|row| line(row.trim_end()))
}

/// A cell for a job run's state.
pub(super) fn state_cell(state: JobRunState) -> Cell {
    let cell = Cell::new(state);
    match state {
        JobRunState::Success => cell.fg(Color::Green),
        JobRunState::Failed => cell.fg(Color::Red),
        JobRunState::Cancelled | JobRunState::Cancelling => cell.fg(Color::Yellow),
        JobRunState::Running => cell.fg(Color::Cyan),
        JobRunState::Submitted | JobRunState::Queued | JobRunState::Pending | JobRunState::Scheduled => cell,
    }
}

/// A point in time for people, in UTC: `2026-01-31 12:05:09Z`.
pub(super) fn moment(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_millis()) * 1_000_000)
        .ok()
        .and_then(|at| at.format(format).ok())
        .unwrap_or_else(|| at.as_millis().to_string())
}

/// A length of time for people: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 5 min`.
pub(super) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", length.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_for_people() {
        assert_eq!(moment(Timestamp::from_millis(1_769_861_109_400)), "2026-01-31 12:05:09Z");
        for (millis, text) in
            [(400, "0.4 s"), (12_900, "12 s"), (185_000, "3 min 5 s"), (7_500_000, "2 h 5 min")]
        {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
