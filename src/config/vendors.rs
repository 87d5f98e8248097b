//! Settings of the role `worker`: how to reach Entra, Auth0 and the people who must be told.

use reqwest::Url;
use secrecy::SecretString;

use super::Work;
use super::address;
use super::entra;
use super::local::{number, word};
use super::reader::{Reader, Wrong, secret};
use super::variables::{self, Kind};
use crate::event::TenantId;
use crate::notify::slack;
use crate::policy::Mode;

const SLACK_API_URL: &str = "https://slack.com/api/";
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
    let notify = notify(reader);
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

fn notify(reader: &mut Reader<'_>) -> Option<crate::notify::Settings> {
    let slack = slack(reader);
    Some(crate::notify::Settings { slack: slack? })
}

/// `Some(None)` when Slack is not set up.
fn slack(reader: &mut Reader<'_>) -> Option<Option<slack::Settings>> {
    let api_url = url_or(reader, variables::SLACK_API_URL, SLACK_API_URL);
    let token = reader.parsed(variables::SLACK_BOT_TOKEN, bot_token);
    let channel = reader.parsed(variables::SLACK_CHANNEL, channel);
    let webhook = reader.parsed(variables::SLACK_WEBHOOK_URL, |text| {
        address::https_or_loopback(text).map(|url| SecretString::from(String::from(url)))
    });
    let has_token = reader.is_set(variables::SLACK_BOT_TOKEN);
    let has_webhook = reader.is_set(variables::SLACK_WEBHOOK_URL);
    match (has_token, has_webhook) {
        (true, true) => {
            let wrong = Wrong::new(format!("{} is set too", variables::SLACK_BOT_TOKEN.name));
            let help = "keep the bot token: only a bot can update its message";
            reader.wrong(variables::SLACK_WEBHOOK_URL.name, Kind::Secret, wrong.help(help));
            None
        }
        (true, false) => {
            if !reader.is_set(variables::SLACK_CHANNEL) {
                reader.missing(variables::SLACK_CHANNEL, "beside a bot token");
            }
            Some(Some(slack::Settings::Bot { token: token?, channel: channel?, api_url: api_url? }))
        }
        (false, true) => Some(Some(slack::Settings::Webhook { url: webhook? })),
        (false, false) => Some(None),
    }
}

/// Slack's bot tokens begin with `xoxb-` (Slack, Token types).
fn bot_token(text: &str) -> Result<SecretString, Wrong> {
    if text.starts_with("xoxb-") {
        return Ok(SecretString::from(text));
    }
    Err(Wrong::new("this is no bot token").help("it begins with xoxb-: Slack app, OAuth & Permissions"))
}

/// Updating a message takes the channel's id, not its name (Slack, chat.update).
fn channel(text: &str) -> Result<String, Wrong> {
    let is_id = text.starts_with(['C', 'G', 'D'])
        && text.len() >= 3
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    if is_id {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("expected the id of a channel, not its name")
        .help("it looks like C024BE91L: Slack, the channel's details, at the foot"))
}

fn url_or(reader: &mut Reader<'_>, variable: variables::Variable, default: &str) -> Option<Url> {
    match reader.is_set(variable) {
        true => reader.parsed(variable, address::base),
        false => address::base(default).ok(),
    }
}
