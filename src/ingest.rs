//! Webhooks in: authenticate, parse, enqueue durably, answer.

use secrecy::SecretString;

use crate::event::TenantId;

/// What the public routes are told. Two values of a secret are for rotation; a route without a secret answers 404.
#[derive(Debug, Clone)]
pub struct Settings {
    pub tenant: TenantId,
    /// `GRAPH_CLIENT_STATE`, at most two.
    pub graph_client_states: Vec<SecretString>,
    /// `RISK_WEBHOOK_SECRET`, `whsec_…`, at most two.
    pub risk_secrets: Vec<SecretString>,
    /// `AZURE_MONITOR_SECRET`, compared with `?secret=`, at most two.
    pub azure_monitor_secrets: Vec<SecretString>,
    /// Secure webhook: the audience and keys that Entra's bearer token is checked against.
    pub azure_monitor_jwt: Option<AzureMonitorJwt>,
    /// Requests in flight before 429 is answered.
    pub requests_max: usize,
}

/// How a secure webhook's token is checked.
#[derive(Debug, Clone)]
pub struct AzureMonitorJwt {
    /// The app id URI or client id that the action group was given.
    pub audience: String,
    /// Issuers `https://sts.windows.net/{tenant}/` and `{login_url}/{tenant}/v2.0` are accepted.
    pub login_url: reqwest::Url,
}
