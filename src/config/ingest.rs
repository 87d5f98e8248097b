//! Settings of the role `ingest`: what makes a webhook authentic.

use base64::Engine;
use reqwest::Url;
use secrecy::SecretString;

use super::local::number;
use super::reader::{Reader, Wrong};
use super::variables;
use crate::event::TenantId;

/// Two values while rotating, separated by a comma.
const VALUES_MAX: usize = 2;
/// A shorter one could be guessed.
const SHARED_SECRET_CHARS_LEAST: usize = 16;
/// Graph keeps at most 128 characters (Microsoft Graph, subscription resource: clientState).
const SHARED_SECRET_CHARS_MOST: usize = 128;
/// Enough for a storm of notifications on two cores; beyond this, senders are told to come again.
const REQUESTS_MAX: usize = 512;

pub fn ingest(
    reader: &mut Reader<'_>,
    tenant: Option<TenantId>,
    login: Option<Url>,
    graph: Vec<SecretString>,
) -> Option<crate::ingest::Settings> {
    let risk = reader.parsed(variables::RISK_WEBHOOK_SECRET, |text| values(text, webhook_secret));
    let monitor = reader.parsed(variables::AZURE_MONITOR_SECRET, |text| values(text, shared_secret));
    let grid = reader.parsed(variables::EVENT_GRID_SECRET, |text| values(text, shared_secret));
    let audience = reader.parsed(variables::AZURE_MONITOR_AUDIENCE, |text| Ok(text.to_owned()));
    let requests = number(reader, variables::REQUESTS_MAX, 1..=100_000);
    let login_url = login?;
    Some(crate::ingest::Settings {
        tenant: tenant?,
        graph_client_states: graph,
        risk_secrets: risk.unwrap_or_default(),
        azure_monitor_secrets: monitor.unwrap_or_default(),
        event_grid_secrets: grid.unwrap_or_default(),
        azure_monitor_jwt: audience.map(|audience| crate::ingest::AzureMonitorJwt { audience, login_url }),
        requests_max: requests.unwrap_or(REQUESTS_MAX),
    })
}

/// What Graph echoes; the first is what new subscriptions are made with.
pub fn client_states(reader: &mut Reader<'_>) -> Vec<SecretString> {
    reader.parsed(variables::GRAPH_CLIENT_STATE, |text| values(text, shared_secret)).unwrap_or_default()
}

fn values(text: &str, check: fn(&str) -> Result<(), Wrong>) -> Result<Vec<SecretString>, Wrong> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.len() > VALUES_MAX {
        return Err(Wrong::new("more than two values").help("two are for rotating: the new and the old one"));
    }
    parts.into_iter().map(|one| check(one).map(|()| SecretString::from(one))).collect()
}

fn shared_secret(text: &str) -> Result<(), Wrong> {
    let fits = (SHARED_SECRET_CHARS_LEAST..=SHARED_SECRET_CHARS_MOST).contains(&text.chars().count());
    if fits && text.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Wrong::new(format!(
        "expected {SHARED_SECRET_CHARS_LEAST} to {SHARED_SECRET_CHARS_MOST} visible ASCII characters without a comma"
    ))
    .help("make one with: openssl rand -hex 32"))
}

/// `whsec_` and base64 of 24 to 64 bytes (Standard Webhooks, specification: symmetric secrets).
fn webhook_secret(text: &str) -> Result<(), Wrong> {
    let key = text
        .strip_prefix("whsec_")
        .and_then(|rest| base64::engine::general_purpose::STANDARD.decode(rest).ok());
    match key {
        Some(key) if (24..=64).contains(&key.len()) => Ok(()),
        _ => Err(Wrong::new("expected whsec_ followed by base64 of 24 to 64 bytes")
            .help("make one with: echo whsec_$(openssl rand -base64 32)")),
    }
}
