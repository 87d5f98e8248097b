//! Microsoft Graph.

use secrecy::SecretString;

use crate::event::TenantId;

/// How to reach Graph.
#[derive(Debug, Clone)]
pub struct Settings {
    pub tenant: TenantId,
    pub client_id: String,
    pub client_secret: SecretString,
    /// `https://login.microsoftonline.com`
    pub login_url: reqwest::Url,
    /// `https://graph.microsoft.com`
    pub graph_url: reqwest::Url,
}
