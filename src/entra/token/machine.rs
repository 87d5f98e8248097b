//! Managed identity: the machine we run on vouches for us (Managed identities for Azure resources, Use a token on a VM; App
//! Service, Managed identities: REST endpoint reference).
//!
//! Every value of an answer is documented as a string. 404, 410, 429 and 5xx pass by themselves (410 within 70 s); they
//! are told as the vendor being away, and whoever needs a token comes again, later each time.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{refusal, trouble};
use crate::clock::{self, Timestamp};
use crate::entra::{Error, Identity, IdentityHost};
use crate::outbound::http::{Answer, Unreadable};
use crate::outbound::token::Fresh;
use crate::outbound::{self, Deps, Sending, Timeouts, Trouble};

const OPERATION: &str = "token";

pub(super) struct Machine {
    http: reqwest::Client,
    url: reqwest::Url,
    /// Name and value of the header that the host wants to see.
    header: (&'static str, SecretString),
    deps: Deps,
}

impl Machine {
    pub(super) fn new(
        which: &Identity,
        host: &IdentityHost,
        graph: &reqwest::Url,
        deps: &Deps,
    ) -> Result<Machine, Error> {
        let (name, base) = match host {
            IdentityHost::Imds(base) => ("AZURE_POD_IDENTITY_AUTHORITY_HOST", base),
            IdentityHost::AppService { endpoint, .. } => ("IDENTITY_ENDPOINT", endpoint),
        };
        let http = outbound::local_client(name, base, Timeouts::default())?;
        let header = match host {
            IdentityHost::Imds(_) => ("metadata", SecretString::from("true")),
            IdentityHost::AppService { header, .. } => ("x-identity-header", header.clone()),
        };
        Ok(Machine { http, url: url(which, host, graph), header, deps: deps.clone() })
    }

    pub(super) async fn fetch(self: Arc<Self>) -> Result<Fresh, Error> {
        let (name, value) = &self.header;
        let request = self.http.get(self.url.clone()).header(*name, value.expose_secret());
        // Neither host documents an id of the caller's.
        let sending = Sending::to("entra", OPERATION);
        let answer = outbound::exchange(&self.deps, sending, request).await.map_err(trouble)?;
        match answer.status.is_success() {
            true => read(&answer, self.deps.clock.now()),
            false => Err(refusal::of_machine(&answer, self.deps.clock.now())),
        }
    }
}

fn url(which: &Identity, host: &IdentityHost, graph: &reqwest::Url) -> reqwest::Url {
    let (mut url, version) = match host {
        IdentityHost::Imds(base) => {
            (outbound::address(base, "/metadata/identity/oauth2/token"), "2018-02-01")
        }
        IdentityHost::AppService { endpoint, .. } => (endpoint.clone(), "2019-08-01"),
    };
    // A resource with the slash at its end, where the token endpoint takes a scope.
    let resource = format!("{}/", graph.as_str().trim_end_matches('/'));
    url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", &resource);
    if let Identity::UserAssigned { client_id } = which {
        url.query_pairs_mut().append_pair("client_id", client_id);
    }
    url
}

#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    /// App Service leaves it out.
    expires_in: Option<Seconds>,
    expires_on: Option<Seconds>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Text(String),
    Number(i64),
}

impl Seconds {
    fn number(&self) -> Option<i64> {
        match self {
            Seconds::Text(text) => text.parse().ok(),
            Seconds::Number(number) => Some(*number),
        }
    }
}

fn read(answer: &Answer, now: Timestamp) -> Result<Fresh, Error> {
    let unreadable = |why| trouble(Trouble::Unreadable { status: answer.status.as_u16(), why });
    let granted: Granted = answer.json().map_err(unreadable)?;
    let lifetime = granted.lifetime(now).ok_or_else(|| unreadable(Unreadable::Shape))?;
    Ok(Fresh { secret: granted.access_token, lifetime })
}

impl Granted {
    fn lifetime(&self, now: Timestamp) -> Option<Duration> {
        if let Some(seconds) = self.expires_in.as_ref().and_then(Seconds::number) {
            return u64::try_from(seconds).ok().map(Duration::from_secs);
        }
        let at = Timestamp::from_second(self.expires_on.as_ref()?.number()?).ok()?;
        Some(clock::elapsed(now, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> reqwest::Url {
        text.parse().unwrap()
    }

    #[test]
    fn each_host_is_asked_in_its_own_way() {
        let graph = address("https://graph.microsoft.com/");
        let imds = IdentityHost::Imds(address(crate::entra::IMDS_URL));
        assert_eq!(
            url(&Identity::SystemAssigned, &imds, &graph).as_str(),
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
             &resource=https%3A%2F%2Fgraph.microsoft.com%2F"
        );
        let which = Identity::UserAssigned { client_id: "c2f61d0b-8a34-4be9-a7f5-1d0c93e6b472".into() };
        let endpoint = address("http://127.0.0.1:41741/msi/token");
        let app_service = IdentityHost::AppService { endpoint, header: "h".into() };
        assert_eq!(
            url(&which, &app_service, &graph).as_str(),
            "http://127.0.0.1:41741/msi/token?api-version=2019-08-01\
             &resource=https%3A%2F%2Fgraph.microsoft.com%2F&client_id=c2f61d0b-8a34-4be9-a7f5-1d0c93e6b472"
        );
    }

    #[test]
    fn seconds_are_strings_or_numbers_relative_or_absolute() {
        let now = Timestamp::from_second(1_506_480_573).unwrap();
        let lifetime = |json: &str| serde_json::from_str::<Granted>(json).unwrap().lifetime(now);
        let both = r#"{"access_token":"x","expires_in":"3599","expires_on":"1506484173","refresh_token":""}"#;
        assert_eq!(lifetime(both), Some(Duration::from_secs(3599)));
        let number = r#"{"access_token":"x","expires_in":3599}"#;
        assert_eq!(lifetime(number), Some(Duration::from_secs(3599)));
        let absolute = r#"{"access_token":"x","expires_on":"1506484173"}"#;
        assert_eq!(lifetime(absolute), Some(Duration::from_secs(3600)));
        assert_eq!(lifetime(r#"{"access_token":"x","expires_on":"soon"}"#), None);
        assert_eq!(lifetime(r#"{"access_token":"x"}"#), None);
    }
}
