//! What is wrong with the configuration: gathered one by one, shown all at once.
//!
//! A mistake names its place (a variable, or a file with line and column), shows the line where that is safe, and
//! offers help. Values of secrets never get into a mistake: whoever makes one decides what may be shown.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

/// The longest line that is shown; the rest is cut, so that a mistake in a huge file stays readable.
const SHOWN_CHARS_MAX: usize = 200;
/// Mistakes that are shown; beyond this the file is probably not ours at all.
const SHOWN_MISTAKES_MAX: usize = 50;

/// One mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// What is wrong, as a sentence without a full stop.
    pub what: String,
    #[serde(flatten)]
    pub place: Place,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Where a mistake stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// A variable of the process's environment, or one that is missing.
    Variable { variable: String },
    /// A whole file, such as one that cannot be read.
    File { file: String },
    /// A place inside a file.
    Line(Line),
}

/// A place inside a file. `line` and `column` count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// The line as it may be shown.
    #[serde(skip)]
    text: String,
    /// The bytes of `text` that are pointed at.
    #[serde(skip)]
    marked: Range<usize>,
}

impl Line {
    /// The place of bytes `span` in `source`.
    pub fn of(file: &str, source: &str, span: Range<usize>) -> Line {
        let start = floor(source, span.start);
        let begin = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = source[begin..].lines().next().unwrap_or_default();
        let number = source[..begin].matches('\n').count() + 1;
        let column = source[begin..start].chars().count() + 1;
        let (text, marked) = clip(line_text, start - begin..span.end.saturating_sub(begin));
        Line { file: file.to_owned(), line: number, column, text, marked }
    }

    /// Bytes `marked` of the line `number`, which reads `text`.
    pub fn numbered(file: &str, number: usize, text: &str, marked: Range<usize>) -> Line {
        Line { line: number, ..Line::of(file, text, marked) }
    }

    /// The same place with only the first `keep` bytes of its line shown, for lines that may hold a secret.
    pub fn hiding_after(mut self, keep: usize) -> Line {
        let keep = floor(&self.text, keep);
        self.text.truncate(keep);
        self.text.push_str(" …");
        self.marked = self.marked.start.min(keep)..self.marked.end.min(keep);
        self
    }

    /// The text that is shown.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn clip(line: &str, marked: Range<usize>) -> (String, Range<usize>) {
    let text: String = line.chars().map(plain).take(SHOWN_CHARS_MAX).collect();
    let start = floor(&text, marked.start);
    let end = floor(&text, marked.end).max(start);
    (text, start..end)
}

/// A terminal must not be steered by a configuration file; a same-sized stand-in keeps the columns true.
fn plain(c: char) -> char {
    if c.is_control() && c.len_utf8() == 1 { ' ' } else { c }
}

/// The largest character boundary of `text` that is not after `at`.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// Everything that is wrong, in the order in which it was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub fn push(&mut self, mistake: Mistake) {
        self.0.push(mistake);
    }

    pub fn extend(&mut self, others: Mistakes) {
        self.0.extend(others.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// `value` when nothing is wrong.
    pub fn or<T>(self, value: T) -> Result<T, Mistakes> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The report with colours, for a terminal.
    pub fn coloured(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut parts: Vec<String> = self
            .0
            .iter()
            .take(SHOWN_MISTAKES_MAX)
            .map(|mistake| renderer.render(&[group(mistake)]))
            .collect();
        parts.push(self.summary());
        parts.join("\n\n")
    }

    fn summary(&self) -> String {
        match self.0.len() {
            1 => "1 mistake in the configuration".to_owned(),
            n if n > SHOWN_MISTAKES_MAX => {
                format!("{n} mistakes in the configuration, the first {SHOWN_MISTAKES_MAX} are shown")
            }
            n => format!("{n} mistakes in the configuration"),
        }
    }
}

fn group(mistake: &Mistake) -> Group<'_> {
    let title = match &mistake.place {
        Place::Line(_) => mistake.what.clone(),
        Place::Variable { variable } => format!("{variable}: {}", mistake.what),
        Place::File { file } => format!("{file}: {}", mistake.what),
    };
    let mut group = Group::with_title(Level::ERROR.primary_title(title));
    if let Place::Line(line) = &mistake.place {
        let mark = AnnotationKind::Primary.span(line.marked.clone());
        let snippet = Snippet::source(&line.text).line_start(line.line).path(&line.file).annotation(mark);
        group = group.element(snippet);
    }
    match &mistake.help {
        Some(help) => group.element(Level::HELP.message(help)),
        None => group,
    }
}

/// The report without colours.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for Mistakes {}

/// The known word that was probably meant, if one is near enough: a third of its letters may be wrong.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong_max = given.len().max(3) / 3;
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(given, word), word))
        .filter(|(wrong, _)| *wrong <= wrong_max)
        .min_by_key(|(wrong, _)| *wrong)
        .map(|(_, word)| word)
}

/// `a, b or c`
pub fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_from_one_and_columns_count_characters() {
        let line = Line::of("f", "eins\nzwö = 3\n", 12..13);
        assert_eq!((line.line, line.column, line.text()), (2, 7, "zwö = 3"));
        let end = Line::of("f", "eins\n", 5..5);
        assert_eq!((end.line, end.column, end.text()), (2, 1, ""));
        let beyond = Line::of("f", "é", 1..900);
        assert_eq!((beyond.line, beyond.column), (1, 1));
    }

    #[test]
    fn a_long_or_hostile_line_is_tamed() {
        let long = format!("a = \"\u{1b}[31m{}\"", "x".repeat(500));
        let line = Line::of("f", &long, 400..500);
        assert_eq!(line.text().chars().count(), SHOWN_CHARS_MAX);
        assert!(!line.text().contains('\u{1b}'));
        let shown = Mistakes(vec![Mistake { what: "x".into(), place: Place::Line(line), help: None }]);
        assert!(shown.to_string().contains("1 mistake in the configuration"));
    }

    #[test]
    fn what_is_hidden_is_not_shown() {
        let line = Line::of("f", "client_secret = \"hunter2\"", 0..13).hiding_after(13);
        assert_eq!(line.text(), "client_secret …");
    }

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["risk_level", "on_disabled", "on_deleted"];
        assert_eq!(nearest("risk_levl", known), Some("risk_level"));
        assert_eq!(nearest("on_delted", known), Some("on_deleted"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
