//! Auth0 Management API.

use secrecy::SecretString;

/// How to reach the Management API.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The canonical tenant domain; the token's audience is made of it.
    pub domain: String,
    pub client_id: String,
    pub client_secret: SecretString,
    /// `https://{domain}` unless a test or a proxy stands in between.
    pub url: reqwest::Url,
    /// The `waad` enterprise connection.
    pub connection: Option<String>,
    /// Requests per second that Lockstep allows itself, and the burst; the answer headers may lower it at run time.
    pub requests_per_second: f64,
    pub burst: u32,
}
