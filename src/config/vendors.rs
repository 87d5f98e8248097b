//! Settings of the role `worker`: how to reach Entra and Auth0.

use super::Work;
use super::address;
use super::entra;
use super::local::{number, word};
use super::reader::{Reader, Wrong, secret};
use super::variables;
use crate::event::TenantId;
use crate::policy::Mode;

/// What Auth0's free and self-service tenants sustain; higher plans may raise it (Auth0, Rate Limit Policy).
const REQUESTS_PER_SECOND: f64 = 10.0;
const BURST: u32 = 40;
/// People handled at a time in each lane: enough to fill the request budget at usual latencies.
const CONCURRENCY: usize = 32;
const ATTEMPTS_MAX: u32 = 8;

pub fn tenant(reader: &mut Reader<'_>) -> Option<TenantId> {
    let variable = entra::or_the_platforms(reader, variables::ENTRA_TENANT_ID, variables::AZURE_TENANT_ID);
    reader.needed(variable, "to know whose people these are", |text| {
        uuid::Uuid::try_parse(text).map(TenantId).map_err(|_| {
            Wrong::new("this is no tenant id")
                .help("it is the GUID on the overview page of Entra, not a domain")
        })
    })
}

pub fn work(reader: &mut Reader<'_>, tenant: Option<TenantId>, places: entra::Places) -> Option<Work> {
    let worker = worker(reader);
    let entra = entra::settings(reader, tenant, places);
    let auth0 = auth0(reader);
    let notify = super::people::notify(reader);
    Some(Work { worker, entra: entra?, auth0: auth0?, notify: notify? })
}

fn worker(reader: &mut Reader<'_>) -> crate::worker::Settings {
    let words = [("observe", Mode::Observe), ("enforce", Mode::Enforce)];
    crate::worker::Settings {
        mode: reader.parsed(variables::MODE, |text| word(text, &words)).unwrap_or(Mode::Observe),
        concurrency: number(reader, variables::CONCURRENCY, 1..=1024).unwrap_or(CONCURRENCY),
        attempts_max: number(reader, variables::ATTEMPTS_MAX, 1..=100).unwrap_or(ATTEMPTS_MAX),
    }
}

fn auth0(reader: &mut Reader<'_>) -> Option<crate::auth0::Settings> {
    let domain = reader.needed(variables::AUTH0_DOMAIN, "to reach the Management API", address::domain);
    let what_for = "to sign in to the Management API";
    let client_id = reader.needed(variables::AUTH0_CLIENT_ID, what_for, |text| Ok(text.to_owned()));
    let client_secret = reader.needed(variables::AUTH0_CLIENT_SECRET, what_for, secret);
    let connection = reader.parsed(variables::AUTH0_CONNECTION, |text| Ok(text.to_owned()));
    let scim_token = reader.parsed(variables::AUTH0_SCIM_TOKEN, secret);
    if reader.is_set(variables::AUTH0_SCIM_TOKEN) && !reader.is_set(variables::AUTH0_CONNECTION) {
        reader.missing(variables::AUTH0_CONNECTION, "beside the token of its SCIM endpoint");
    }
    let rate = number(reader, variables::AUTH0_REQUESTS_PER_SECOND, 0.1..=1000.0);
    let burst = number(reader, variables::AUTH0_BURST, 1..=10_000);
    let url = match reader.is_set(variables::AUTH0_URL) {
        true => reader.parsed(variables::AUTH0_URL, address::base),
        false => domain.as_ref().and_then(|domain| address::base(&format!("https://{domain}")).ok()),
    };
    Some(crate::auth0::Settings {
        domain: domain?,
        client_id: client_id?,
        client_secret: client_secret?,
        url: url?,
        connection,
        scim_token,
        requests_per_second: rate.unwrap_or(REQUESTS_PER_SECOND),
        burst: burst.unwrap_or(BURST),
    })
}
