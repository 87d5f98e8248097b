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

/// Names and reasons come from outside: a terminal must not be steered by them.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
