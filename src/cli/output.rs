//! Where words go: data to stdout, talk to stderr, colours only to terminals.

use std::fmt::Display;
use std::io::Write;

use comfy_table::{Table, presets};
use owo_colors::OwoColorize;
use serde::Serialize;

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    People,
    Json,
}

/// The two streams of one command.
#[derive(Debug)]
pub struct Output {
    format: Format,
}

impl Output {
    pub fn new(format: Format) -> Output {
        Output { format }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// `value` as JSON, or `text` for people.
    pub fn data<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        match self.format {
            Format::Json => self.line(serde_json::to_string_pretty(value)?),
            Format::People => self.line(text()),
        }
    }

    /// One line, or several, on stdout.
    pub fn line(&self, text: impl Display) -> anyhow::Result<()> {
        Ok(writeln!(anstream::stdout().lock(), "{text}")?)
    }

    /// One line of talk. Nobody is left to tell when stderr is gone.
    pub fn say(&self, text: impl Display) {
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    pub fn say_error(&self, text: &str) {
        self.say(format_args!("{} {text}", "error:".red().bold()));
    }
}

/// A table without lines, which also reads well through a pipe.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join("\n")
}

/// Names and reasons come from outside: a terminal must not be steered by them, and what is read must be what is there.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || turns_text(c) { ' ' } else { c }).collect()
}

/// Like [`plain`], line by line.
pub fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Turns the direction of the text after it, so that a line reads otherwise than it is stored (Unicode, UAX #9: explicit
/// embeddings, overrides and isolates). Right-to-left names need none of them.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_steers_a_terminal_or_turns_its_text() {
        assert_eq!(plain("a\u{1b}[31mb\u{9b}2Jc\n"), "a [31mb 2Jc ");
        assert_eq!(plain("Ann \u{202e}nnA\u{2066}"), "Ann  nnA ");
        assert_eq!(plain("\u{05d0}\u{05d1} Zo\u{eb}"), "\u{05d0}\u{05d1} Zo\u{eb}");
        assert_eq!(plain_lines("{\n  \"by\": \"\u{9b}2J\"\n}"), "{\n  \"by\": \" 2J\"\n}");
    }
}
