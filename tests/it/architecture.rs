//! The arrows of the house: who may use whom, a core without I/O, and a first line of purpose in every file.
//!
//! Reads `crate::module` paths as text; that is why the house writes them in full.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A module may use the modules of earlier rows, and those before it in its own row unless the row is `Apart`.
const ROWS: &[(&[&str], Row)] = &[
    (&["clock", "retry"], Row::InOrder),
    (&["event", "case"], Row::Together),
    (&["snapshot", "policy", "action", "plan", "audit"], Row::InOrder),
    (&["outbound", "telemetry", "sqlite", "webhook"], Row::Together),
    (&["entra", "auth0", "store", "queue", "notify"], Row::Apart),
    (&["problem"], Row::InOrder),
    (&["ingest", "apply"], Row::InOrder),
    (&["worker"], Row::InOrder),
    (&["server"], Row::InOrder),
    (&["config"], Row::InOrder),
    (&["app"], Row::InOrder),
    (&["cli"], Row::InOrder),
];

#[derive(Clone, Copy, PartialEq)]
enum Row {
    /// Each may use those to its left.
    InOrder,
    /// One idea in two files: they may use each other.
    Together,
    /// They do not know each other.
    Apart,
}

const CORE: &[&str] = &["clock", "retry", "event", "case", "snapshot", "policy", "action", "plan", "audit"];
/// What a pure core has no use for.
const NOT_IN_CORE: &[&str] = &[
    "async fn",
    ".await",
    "tokio::",
    "reqwest::",
    "std::fs",
    "std::net",
    "std::env",
    "tracing::",
    "println!",
];

#[test]
fn modules_use_only_what_stands_before_them() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let Some(here) = module_of(&file) else { continue };
        let Some(from) = place(&here) else {
            wrong.push(format!("{here}: not in the plan of the house; add it to ROWS with its arrows"));
            continue;
        };
        for (number, used) in used_modules(&text) {
            let Some(to) = place(&used) else { continue };
            if used != here && !allowed(from, to) {
                wrong.push(format!("{}:{number}: {here} must not use {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "forbidden arrows:\n{}", wrong.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if !module_of(&file).is_some_and(|m| CORE.contains(&m.as_str())) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            for word in NOT_IN_CORE {
                if line.contains(word) {
                    wrong.push(format!("{}:{number}: `{word}` in the core", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let silent: Vec<_> = [root.join("src"), root.join("tests")]
        .iter()
        .flat_map(|dir| rust_files(dir))
        .filter(|file| !fs::read_to_string(file).unwrap().starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "files without a //! on the first line: {silent:#?}");
}

#[test]
fn every_module_of_the_crate_is_in_the_plan() {
    let known: Vec<&str> = ROWS.iter().flat_map(|(row, _)| row.iter().copied()).collect();
    let listed: Vec<String> = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"))
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned))
        .collect();
    for module in &known {
        assert!(listed.iter().any(|m| m == module), "{module} is in ROWS but not in src/lib.rs");
    }
    assert_eq!(listed.len(), known.len(), "src/lib.rs and ROWS differ: {listed:?}");
}

#[test]
fn console_and_command_line_never_apply() {
    for (file, text) in sources() {
        if module_of(&file).as_deref() == Some("cli") {
            assert!(!text.contains("crate::apply"), "{} must enqueue, not apply", file.display());
        }
    }
}

fn allowed(from: (usize, usize), to: (usize, usize)) -> bool {
    match to.0.cmp(&from.0) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
        std::cmp::Ordering::Equal => match ROWS[from.0].1 {
            Row::InOrder => to.1 < from.1,
            Row::Together => true,
            Row::Apart => false,
        },
    }
}

fn place(module: &str) -> Option<(usize, usize)> {
    ROWS.iter().enumerate().find_map(|(r, (row, _))| row.iter().position(|m| *m == module).map(|i| (r, i)))
}

/// `crate::x` in code, with the line it stands on. Tests inside a module obey the same arrows.
fn used_modules(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in code_lines(text) {
        for part in line.split("crate::").skip(1) {
            let name: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            found.push((number, name));
        }
    }
    found
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The top module that a file belongs to; `lib.rs` and `main.rs` belong to none.
fn module_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(name, "lib" | "main")).then(|| name.to_owned())
}

fn sources() -> BTreeMap<PathBuf, String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    rust_files(&dir).into_iter().map(|file| (file.clone(), fs::read_to_string(&file).unwrap())).collect()
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(rust_files(&path)),
            false if path.extension().is_some_and(|e| e == "rs") => files.push(path),
            false => {}
        }
    }
    files.sort();
    files
}
