//! Settings of the role `ingest`: what makes a webhook authentic.

use base64::Engine;
use secrecy::SecretString;

use super::entra::Places;
use super::local::number;
use super::reader::{Reader, Wrong};
use super::variables;
use crate::event::TenantId;
use crate::ingest::AzureMonitorJwt;

/// Two values while rotating, separated by a comma.
const VALUES_MAX: usize = 2;
/// A shorter one could be guessed.
const SHARED_SECRET_CHARS_LEAST: usize = 16;
/// Graph keeps at most 128 characters (Microsoft Graph, subscription resource: clientState).
const SHARED_SECRET_CHARS_MOST: usize = 128;
/// Enough for a storm of notifications on two cores; beyond this, senders are told to come again.
const REQUESTS_MAX: usize = 512;
/// What the script of Microsoft's procedure calls it (Azure Monitor, Action groups: secure webhook).
const AZURE_MONITOR_ROLE: &str = "ActionGroupsSecureWebhook";
/// Entra takes no longer value of an app role (Microsoft Graph, appRole resource: value).
const ROLE_CHARS_MAX: usize = 120;

pub fn ingest(
    reader: &mut Reader<'_>,
    tenant: Option<TenantId>,
    places: &Places,
    graph: Vec<SecretString>,
) -> Option<crate::ingest::Settings> {
    let risk = reader.parsed(variables::RISK_WEBHOOK_SECRET, |text| values(text, webhook_secret));
    let monitor = reader.parsed(variables::AZURE_MONITOR_SECRET, |text| values(text, shared_secret));
    let grid = reader.parsed(variables::EVENT_GRID_SECRET, |text| values(text, shared_secret));
    let requests = number(reader, variables::REQUESTS_MAX, 1..=100_000);
    let secure = secure_webhook(reader, tenant, places);
    places.login.as_ref()?;
    Some(crate::ingest::Settings {
        tenant: tenant?,
        graph_client_states: graph,
        risk_secrets: risk.unwrap_or_default(),
        azure_monitor_secrets: monitor.unwrap_or_default(),
        event_grid_secrets: grid.unwrap_or_default(),
        azure_monitor_jwt: secure,
        requests_max: requests.unwrap_or(REQUESTS_MAX),
    })
}

fn secure_webhook(
    reader: &mut Reader<'_>,
    tenant: Option<TenantId>,
    places: &Places,
) -> Option<AzureMonitorJwt> {
    let audience = reader.parsed(variables::AZURE_MONITOR_AUDIENCE, |text| Ok(text.to_owned()));
    let role = reader.parsed(variables::AZURE_MONITOR_ROLE, role);
    if role.is_some() && !reader.is_set(variables::AZURE_MONITOR_AUDIENCE) {
        let wrong = Wrong::new("nothing to have a role in: AZURE_MONITOR_AUDIENCE is not set");
        reader.wrong(variables::AZURE_MONITOR_ROLE.name, variables::AZURE_MONITOR_ROLE.kind, wrong);
    }
    let login_url = places.login.clone()?;
    Some(AzureMonitorJwt {
        audience: audience?,
        role: role.unwrap_or_else(|| AZURE_MONITOR_ROLE.to_owned()),
        issuers: places.cloud.issuers(&login_url, &tenant?),
        login_url,
    })
}

fn role(text: &str) -> Result<String, Wrong> {
    if text.len() <= ROLE_CHARS_MAX && text.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("expected at most {ROLE_CHARS_MAX} visible ASCII characters"))
        .help("it is the value of the app role, not its display name or id"))
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
pub fn webhook_secret(text: &str) -> Result<(), Wrong> {
    let key = text
        .strip_prefix("whsec_")
        .and_then(|rest| base64::engine::general_purpose::STANDARD.decode(rest).ok());
    match key {
        Some(key) if (24..=64).contains(&key.len()) => Ok(()),
        _ => Err(Wrong::new("expected whsec_ followed by base64 of 24 to 64 bytes")
            .help("make one with: echo whsec_$(openssl rand -base64 32)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Mistakes, Role, Roles, load};

    const TENANT: &str = "6b0a4c1e-52d7-4f38-9c61-7e2f90d3a815";

    fn secure(more: &[(&str, &str)]) -> Result<Option<AzureMonitorJwt>, Mistakes> {
        let all = [("ENTRA_TENANT_ID", TENANT)].into_iter().chain(more.iter().copied());
        let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = load(&all.collect(), &Roles::only([Role::Ingest]))?;
        Ok(config.ingest.unwrap().azure_monitor_jwt)
    }

    #[test]
    fn a_secure_webhook_has_microsofts_role_and_the_issuers_of_its_cloud_unless_told_otherwise() {
        assert!(secure(&[]).unwrap().is_none());
        let audience = ("AZURE_MONITOR_AUDIENCE", "api://lockstep");
        let public = secure(&[audience]).unwrap().unwrap();
        assert_eq!(public.role, "ActionGroupsSecureWebhook");
        assert_eq!(public.issuers[0], format!("https://sts.windows.net/{TENANT}/"));
        for china in
            [("ENTRA_CLOUD", "china"), ("ENTRA_GRAPH_URL", "https://microsoftgraph.chinacloudapi.cn")]
        {
            let login = ("ENTRA_LOGIN_URL", "https://login.partner.microsoftonline.cn");
            let china = secure(&[audience, china, login]).unwrap().unwrap();
            assert_eq!(china.issuers[0], format!("https://sts.chinacloudapi.cn/{TENANT}/"));
        }
        assert_eq!(
            secure(&[audience, ("AZURE_MONITOR_ROLE", "Alerts.Send")]).unwrap().unwrap().role,
            "Alerts.Send"
        );
    }

    #[test]
    fn a_role_that_cannot_be_one_or_means_nothing_is_a_mistake() {
        let told = |more: &[(&str, &str)]| secure(more).unwrap_err().to_string();
        let spaced = told(&[("AZURE_MONITOR_AUDIENCE", "x"), ("AZURE_MONITOR_ROLE", "Action groups")]);
        assert!(
            spaced.contains("AZURE_MONITOR_ROLE") && spaced.contains("value of the app role"),
            "{spaced}"
        );
        let alone = told(&[("AZURE_MONITOR_ROLE", "Alerts.Send")]);
        assert!(alone.contains("AZURE_MONITOR_AUDIENCE is not set"), "{alone}");
    }
}
