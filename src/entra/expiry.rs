//! Watches when the certificate that we sign in with ends: a metric, and a line in the log while there is time to renew it.
//!
//! The file is read anew each time, because it may be renewed in place. Reads only, and asks nobody.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::token::file;
use super::token::key::{NoKey, certificate_expires};
use crate::clock::Timestamp;
use crate::outbound::Deps;

/// With fewer days left somebody should renew it: ordering one, and consent to it, may take weeks.
pub const DAYS_SHORT: i64 = 30;
/// Certificates end to the second, and people look at the metric over days.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// Looks from one line in the log to the next: a day.
const LOOKS_PER_WARNING: u32 = 24;
const SECONDS_PER_DAY: i64 = 86_400;
/// The label in `lockstep_credential_expiry_seconds`.
const NAME: &str = "entra_client_certificate";

/// Why it is not known when the certificate ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(&'static str);

impl From<NoKey> for Unknown {
    fn from(no: NoKey) -> Unknown {
        Unknown(no.meaning())
    }
}

/// When the certificate in `file` ends.
///
/// # Errors
/// When the file cannot be read or holds no certificate.
pub async fn certificate_ends(path: &std::path::Path) -> Result<Timestamp, Unknown> {
    let text = file::read(path).await.map_err(|unread| Unknown(unread.meaning()))?;
    Ok(certificate_expires(text.expose_secret())?)
}

/// Whole days from `now` to `end`; negative when it is over.
pub fn days_left(now: Timestamp, end: Timestamp) -> i64 {
    end.as_second().saturating_sub(now.as_second()).div_euclid(SECONDS_PER_DAY)
}

/// Watches the certificate in `file` until `shutdown`.
pub async fn watch(file: PathBuf, deps: Deps, shutdown: CancellationToken) {
    for look in 0_u32.. {
        let (ends, now) = (certificate_ends(&file).await, deps.clock.now());
        if let Ok(end) = ends {
            deps.metrics.credential_expiry(NAME, end.as_second().saturating_sub(now.as_second()));
        }
        if look % LOOKS_PER_WARNING == 0 {
            warn(ends, now);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn warn(ends: Result<Timestamp, Unknown>, now: Timestamp) {
    const FILE: &str = "ENTRA_CLIENT_CERTIFICATE_FILE";
    match ends.map(|end| days_left(now, end)) {
        Ok(left) if left < 0 => tracing::error!("the certificate of {FILE} has expired"),
        Ok(left) if left < DAYS_SHORT => tracing::warn!("the certificate of {FILE} expires in {left} days"),
        Ok(_) => {}
        Err(why) => tracing::warn!("when the certificate of {FILE} expires is not known: {why}"),
    }
}
