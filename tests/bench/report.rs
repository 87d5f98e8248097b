//! What a benchmark prints: one line per figure, with the raw limit of the same run beside it.

use serde_json::json;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// What a figure should reach.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// At least this share of the raw limit.
    ShareOfRaw(f64),
    AtLeast(f64),
    AtMost(f64),
    /// Printed to be known; nothing is promised.
    None,
}

/// One measured number.
#[derive(Debug, Clone, Copy)]
pub struct Figure<'a> {
    pub name: &'a str,
    pub value: f64,
    pub unit: &'a str,
    /// What the machine does without us, in the same unit, measured in the same run.
    pub raw: Option<f64>,
    pub target: Target,
}

impl Figure<'_> {
    fn ratio(&self) -> Option<f64> {
        self.raw.filter(|raw| *raw > 0.0).map(|raw| self.value / raw)
    }

    fn reached(&self) -> Option<bool> {
        match self.target {
            Target::ShareOfRaw(share) => self.ratio().map(|ratio| ratio >= share),
            Target::AtLeast(least) => Some(self.value >= least),
            Target::AtMost(most) => Some(self.value <= most),
            Target::None => None,
        }
    }

    fn target_words(&self) -> String {
        match self.target {
            Target::ShareOfRaw(share) => format!(">= {share} x raw"),
            Target::AtLeast(least) => format!(">= {} {}", number(least), self.unit),
            Target::AtMost(most) => format!("<= {} {}", number(most), self.unit),
            Target::None => "-".into(),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.reached() {
            Some(true) => "pass",
            Some(false) => "SHORT",
            None => "",
        }
    }
}

/// Prints as it goes, so that a run that is cut off has told what it found.
#[derive(Debug)]
pub struct Report {
    format: Format,
}

impl Report {
    pub fn new(format: Format) -> Report {
        Report { format }
    }

    pub fn figure(&mut self, figure: Figure<'_>) {
        let raw = figure.raw.map_or_else(|| "-".to_owned(), number);
        let ratio = figure.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        match self.format {
            Format::Text => println!(
                "{:<38} {:>9} {:<8} raw {:>9}  ratio {:>6}  target {:<16} {}",
                figure.name,
                number(figure.value),
                figure.unit,
                raw,
                ratio,
                figure.target_words(),
                figure.verdict(),
            ),
            Format::Json => println!(
                "{}",
                json!({
                    "name": figure.name,
                    "value": figure.value,
                    "unit": figure.unit,
                    "raw": figure.raw,
                    "ratio": figure.ratio(),
                    "target": figure.target_words(),
                    "reached": figure.reached(),
                })
            ),
        }
    }

    /// A sentence beside the figures.
    pub fn note(&mut self, text: &str) {
        match self.format {
            Format::Text => println!("# {text}"),
            Format::Json => println!("{}", json!({ "note": text })),
        }
    }
}

/// As many digits as are worth reading.
fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The middle of several measurements of the same thing.
pub fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
