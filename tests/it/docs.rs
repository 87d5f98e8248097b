//! The pages say what is true: links lead somewhere, metrics, commands and permissions exist, what is shipped loads.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lockstep::clock::Timestamp;
use lockstep::config::{Environment, read_policy};
use lockstep::policy::Policy;
use lockstep::telemetry::{Hop, Metrics};

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut dead = Vec::new();
    for page in pages() {
        let text = read(&page);
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let there = target.exists() && (heading.is_empty() || headings(&target).contains(heading));
            if !there {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert_eq!(dead, Vec::<String>::new());
}

#[test]
fn the_operating_page_names_every_metric_and_no_other() {
    let page = read(&root().join("docs/operating.md"));
    let exposed = metrics();
    let named: BTreeSet<String> = words(&page).filter(|word| word.starts_with("lockstep_")).collect();
    assert_eq!(named, exposed, "left: named in docs/operating.md, right: in /metrics");
}

#[test]
fn every_command_and_option_in_the_pages_exists() {
    let mut seen = 0;
    for page in pages() {
        for line in commands(&read(&page)) {
            seen += 1;
            let (path, options) = parts(&line);
            let help = help(&path).unwrap_or_else(|| panic!("{}: no such command: {line}", page.display()));
            for option in options {
                assert!(help.contains(&option), "{}: {option} is no option: {line}", page.display());
            }
        }
    }
    assert!(seen > 20, "only {seen} commands were found: is the reading of the pages broken?");
}

#[test]
fn every_permission_that_a_call_needs_is_asked_for() {
    let page = read(&root().join("docs/configuration.md"));
    let mut needed = BTreeSet::new();
    for file in sources("src/auth0").into_iter().chain(sources("src/entra")) {
        let source = read(&file);
        let lists = source.split("needs: \"").skip(1).filter_map(|rest| rest.split('"').next());
        needed.extend(lists.flat_map(str::split_whitespace).map(str::to_owned));
    }
    assert!(needed.contains("update:users") && needed.contains("User.Read.All"), "{needed:?}");
    for permission in needed {
        assert!(page.contains(&format!("`{permission}`")), "docs/configuration.md lacks {permission}");
    }
}

#[test]
fn the_exit_codes_of_the_page_are_those_of_the_help() {
    let page = read(&root().join("docs/operating.md"));
    let help = help(&[]).unwrap();
    for code in ["0", "1", "4", "64", "75", "78"] {
        assert!(help.contains(&format!("{code}  ")) && page.contains(&format!("\n| {code} |")), "{code}");
    }
}

#[test]
fn the_shipped_policy_is_the_default_policy() {
    let shipped = read_policy(&root().join("deploy/lockstep.toml"), &Environment::default());
    assert_eq!(shipped.expect("deploy/lockstep.toml loads"), Policy::default());
}

#[test]
fn whoever_keeps_the_secrets_of_the_example_for_a_real_tenant_is_told() {
    let place = tempfile::tempdir().unwrap();
    fs::copy(root().join(".env.example"), place.path().join(".env")).unwrap();
    let check = |auth0_url: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        let ran = command.arg("check").env_clear().env("AUTH0_URL", auth0_url).current_dir(&place).output();
        String::from_utf8(ran.unwrap().stdout).unwrap()
    };
    let said = check("https://contoso.eu.auth0.com");
    for name in ["GRAPH_CLIENT_STATE", "RISK_WEBHOOK_SECRET", "AZURE_MONITOR_SECRET"] {
        assert!(said.contains(&format!("{name} is the one of .env.example")), "{said}");
    }
    assert!(!check("http://127.0.0.1:18082").contains("everybody knows"), "the twin is meant to be opened");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// Every file below a directory.
fn sources(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(directory) = open.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}

/// The targets of `[text](target)` that are not on another host.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn headings(page: &Path) -> BTreeSet<String> {
    let anchor = |line: &str| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    read(page).lines().filter(|line| line.starts_with('#')).map(anchor).collect()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned)
}

/// Every name that a scrape can show, counters with their ending. What has no value yet is not shown, so each gets one.
fn metrics() -> BTreeSet<String> {
    let metrics = Metrics::new();
    metrics.containment(Hop::Total, Duration::ZERO);
    metrics.event("risk", "risk_reported", "accepted");
    metrics.subscription_expires("users", Timestamp::UNIX_EPOCH);
    metrics.measure(Timestamp::UNIX_EPOCH);
    metrics.credential_expiry("entra_client_certificate", 0);
    metrics.queue("contain", 0, 0.0);
    metrics.dead_letters("contain", 0);
    metrics.vendor_request("auth0", "user.patch", Some(200));
    metrics.vendor_budget("auth0", "contain", 1.0);
    let scrape = metrics.render();
    let types = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let ending = |kind| if kind == "counter" { "_total" } else { "" };
    let names: BTreeSet<String> = types.map(|(name, kind)| format!("{name}{}", ending(kind))).collect();
    let registered = read(&root().join("src/telemetry.rs")).matches("registry.register(").count();
    assert_eq!(names.len(), registered, "a metric of src/telemetry.rs is given no value here");
    names
}

/// What follows `lockstep ` in code: in fenced blocks at the beginning of a command, and in `code` in the text.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, block) in page.split("```").enumerate() {
        match index % 2 {
            0 => found.extend(block.split('`').skip(1).step_by(2).filter_map(command)),
            _ => found
                .extend(block.lines().flat_map(|line| line.split(['|', ';', '(', '#'])).filter_map(command)),
        }
    }
    found
}

/// One command of ours, after a prompt, `do` and variables.
fn command(text: &str) -> Option<String> {
    let is_before = |word: &&str| matches!(*word, "$" | "do") || word.contains('=') && !word.starts_with('-');
    let mut words = text.split_whitespace().skip_while(is_before);
    (words.next()? == "lockstep").then(|| words.collect::<Vec<_>>().join(" "))
}

/// The names of command and subcommand, and the options.
fn parts(line: &str) -> (Vec<&str>, Vec<String>) {
    let is_name = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
    let mut names: Vec<&str> = line.split(' ').take_while(is_name).collect();
    names.truncate(if matches!(names.first(), Some(&"dead" | &"audit")) { 2 } else { 1 });
    let options = line.split(' ').filter(|word| word.starts_with("--"));
    (names, options.map(|option| option.trim_end_matches(['`', ',', '.']).to_owned()).collect())
}

fn help(path: &[&str]) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    let ran = command.args(path).arg("--help").env_clear().output().unwrap();
    ran.status.success().then(|| String::from_utf8(ran.stdout).unwrap())
}
