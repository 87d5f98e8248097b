//! Telling people.

use secrecy::SecretString;

/// Where to tell people; none is allowed, and said at start.
#[derive(Debug, Clone)]
pub enum Settings {
    None,
    SlackBot { token: SecretString, channel: String, api_url: reqwest::Url },
    SlackWebhook { url: SecretString },
}
