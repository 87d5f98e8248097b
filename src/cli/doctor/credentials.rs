//! How long what we sign in to Entra with is still good.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::Line;
use crate::cli::vendors::{Vendors, work};
use crate::clock::Timestamp;
use crate::entra::expiry::{DAYS_SHORT, certificate_ends, days_left};
use crate::entra::{ClientSecret, Credential};

const PERMISSION: &str = "Application.Read.All";

pub(super) async fn lines(vendors: &Vendors) -> Vec<Line> {
    match &work(&vendors.config).entra.credential {
        Credential::Certificate { file, .. } => vec![certificate(file, vendors.clock.now()).await],
        Credential::Secret { client_id, secret } => vec![client_secret(vendors, client_id, secret).await],
        // The platform renews both by itself.
        Credential::Federated { .. } | Credential::ManagedIdentity { .. } => Vec::new(),
    }
}

async fn certificate(file: &Path, now: Timestamp) -> Line {
    let what = "the certificate of ENTRA_CLIENT_CERTIFICATE_FILE";
    let fix = "make a new one, add its public half to the app registration, then replace the file: no restart is needed";
    match certificate_ends(file).await {
        Ok(end) => judged(what, days_left(now, end), fix),
        Err(why) => Line::bad(format!("Entra: when {what} expires is not known"), why.to_string()),
    }
}

fn judged(what: &str, left: i64, fix: &str) -> Line {
    match left {
        ..0 => Line::bad(format!("Entra: {what} has expired"), fix),
        0..DAYS_SHORT => Line::bad(format!("Entra: {what} expires in {left} days"), fix),
        _ => Line::good(format!("Entra: {what} is good for {left} more days")),
    }
}

/// Only Entra knows when a secret ends, and tells only whoever may read applications, which nothing else needs.
async fn client_secret(vendors: &Vendors, client_id: &str, secret: &SecretString) -> Line {
    let what = "when ENTRA_CLIENT_SECRET expires cannot be told";
    let granted = vendors.entra.granted().await.ok().flatten().unwrap_or_default();
    if !granted.contains(PERMISSION) {
        return Line::good(format!("Entra: {what} without {PERMISSION}; the app registration shows it"));
    }
    let listed = match vendors.entra.client_secrets(client_id).await {
        Ok(listed) => listed,
        Err(error) => return Line::bad(format!("Entra: {what}"), error.to_string()),
    };
    match ends(&listed, secret) {
        Some(end) => {
            let fix = "make a second one at the app registration, set it, restart, remove the first";
            judged("ENTRA_CLIENT_SECRET", days_left(vendors.clock.now(), end), fix)
        }
        None => Line::advice(
            format!("Entra: {what}: none of the application's client secrets begins like it"),
            "look it up at the app registration",
        ),
    }
}

/// The first to end of those that begin like ours; which of them it is nobody tells.
fn ends(listed: &[ClientSecret], secret: &SecretString) -> Option<Timestamp> {
    let ours =
        listed.iter().filter(|one| !one.hint.is_empty() && secret.expose_secret().starts_with(&one.hint));
    ours.map(|one| one.ends).min()
}
