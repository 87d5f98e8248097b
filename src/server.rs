//! Two listeners: webhooks for the outside, and health, metrics and the API for operators.

use std::net::SocketAddr;

/// Where the two listeners are.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    /// Where the token lies that the admin API asks for; written at start, readable by the owner only.
    pub admin_token_file: std::path::PathBuf,
}
