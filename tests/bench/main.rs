//! The benchmarks: `cargo bench` runs all, `cargo bench -- ingest` one, `-- --json` prints a JSON line per figure.
//!
//! Each measures the real program in a process of its own, on loopback, beside the raw limit of this machine in the
//! same run, and prints figure, ratio, target and verdict. They end by themselves; being short of a target is a
//! finding and no failure, so the exit code is 0 unless something broke. docs/performance.md says what each means.

mod connection;
mod directory;
mod drain;
mod footprint;
mod group;
mod ingest;
mod lanes;
mod load;
mod machine;
mod program;
mod raw_broker;
mod raw_directory;
mod raw_file;
mod raw_listener;
mod raw_reaction;
mod reaction;
mod report;
mod requests;
mod sweep;

use anyhow::Context;
use report::{Format, Report};

/// One benchmark: its name and what it does.
type Bench = (&'static str, fn(&mut Report) -> anyhow::Result<()>);

const BENCHES: [Bench; 8] = [
    ("footprint", footprint::run),
    ("reaction", reaction::run),
    ("lanes", lanes::run),
    ("directory", directory::run),
    ("drain", drain::run),
    ("sweep", sweep::run),
    ("group", group::run),
    ("ingest", ingest::run),
];

fn main() -> anyhow::Result<()> {
    // cargo adds `--bench` of its own accord.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let format =
        if arguments.iter().any(|argument| argument == "--json") { Format::Json } else { Format::Text };
    let wanted: Vec<&String> = arguments.iter().filter(|argument| *argument != "--json").collect();
    let known = |name: &str| BENCHES.iter().any(|(known, _)| *known == name);
    if let Some(unknown) = wanted.iter().find(|name| !known(name)) {
        let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        anyhow::bail!("no benchmark {unknown}; there are {}", names.join(", "));
    }
    let mut report = Report::new(format);
    report.note(&machine::describe());
    for (name, run) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|argument| *argument == name) {
            run(&mut report).with_context(|| name)?;
        }
    }
    Ok(())
}
