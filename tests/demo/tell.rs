//! How the story is told on a terminal: short lines, times in front, colours only where they are shown.

use std::net::SocketAddr;
use std::time::Duration;

use anstream::println;
use lockstep::audit::Entry;
use lockstep::case::Case;
use lockstep_twin::{AccountId, Urls, Vendor};
use owo_colors::OwoColorize;

pub fn opening(lockstep: SocketAddr, urls: &Urls) {
    println!("{}", "Lockstep: from a risk alert to a verified lockout".bold());
    println!("  Lockstep listens on http://{lockstep}, embedded queue and store, mode enforce");
    println!("  Entra, Auth0 and Slack are played by the twin ({}, …)", urls.auth0_url);
}

pub fn scene(title: &str, about: &str) {
    println!("\n{}\n  {}", title.bold().cyan(), about.dimmed());
}

pub fn holds(account: &AccountId, sessions: usize, tokens: usize) {
    println!("  {account}  {sessions} session, {tokens} refresh token");
}

pub fn hop(at: Duration, words: &str) {
    let millis = at.as_secs_f64() * 1000.0;
    println!("  {}  {words}", format!("{millis:7.1} ms").yellow());
}

pub fn times(case: &Case) {
    let between = |from, to| lockstep::clock::elapsed(from, to).as_millis();
    if let (Some(accepted), Some(verified)) = (case.accepted_at, case.verified_at) {
        let received = between(case.received_at, accepted);
        let proven = between(accepted, verified);
        println!(
            "  {}",
            format!("received → accepted {received} ms, accepted → verified {proven} ms").green()
        );
    }
}

pub fn locked(account: &AccountId) {
    println!("  {} {account}: sign-in refused, session ended, refresh token refused", "✔".green());
}

pub fn fact(words: &str) {
    println!("  {words}");
}

pub fn record(number: u64, entry: &Entry) {
    let outcome = entry.outcome.as_deref().map(|outcome| format!(" → {outcome}")).unwrap_or_default();
    println!("  {} {:<18} {}{outcome}", format!("{number:>3}").dimmed(), entry.what, entry.sentence);
}

pub fn end(stayed: bool) {
    println!("\n{}", "Everything held.".bold().green());
    if !stayed {
        println!(
            "  Run it again with `-- --stay` to poke at it; README.md says how to point it at a real tenant."
        );
    }
}

/// One request to a vendor, in words; what only prepares (tokens, Slack) is left out.
pub fn in_words(entry: &lockstep_twin::Entry) -> Option<String> {
    let what = match (entry.vendor, entry.route) {
        (Vendor::Graph, route) => format!("ask Entra: {}", route.trim_start_matches("GET ")),
        (Vendor::Auth0, "GET /api/v2/users") => {
            "look for her accounts in Auth0, by Entra object id".to_owned()
        }
        (Vendor::Auth0, "GET /api/v2/users/{id}") => "read the account".to_owned(),
        (Vendor::Auth0, "PATCH /api/v2/users/{id}") => "BLOCK, stamped with the case".to_owned(),
        (Vendor::Auth0, "POST /api/v2/users/{id}/revoke-access") => {
            "END sessions and refresh tokens".to_owned()
        }
        (Vendor::Auth0, route) if route.ends_with("/sessions") => "read back: sessions".to_owned(),
        (Vendor::Auth0, route) if route.ends_with("/refresh-tokens") => {
            "read back: refresh tokens".to_owned()
        }
        _ => return None,
    };
    Some(format!("{what}  {}", format!("[{}]", entry.status).dimmed()))
}
