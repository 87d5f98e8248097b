//! The one way out: every HTTP client, its time limits and body limits, request ids, pacing, tokens and redaction.
//!
//! Promises: nothing is sent except to HTTPS or loopback addresses, and to the link-local one of this machine's own
//! metadata service; redirects are never followed; every request ends within its [`Timeouts`]; at most
//! [`http::BODY_BYTES_MAX`] bytes of an answer are kept, or what its caller named; a request that failed is
//! told apart by whether it can have reached the vendor; no error, log line or metric carries a URL, an id, a token
//! or a body. Everything here may be used from many tasks at once.
//!
//! What a status or an error code means is the edges' knowledge (`entra`, `auth0`, `notify`), not ours.

pub mod budget;
pub mod gate;
pub mod http;
pub mod token;
pub mod trouble;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

pub use self::trouble::Trouble;

/// What every client is given.
#[derive(Clone, Debug)]
pub struct Deps {
    pub clock: crate::clock::SharedClock,
    pub metrics: Arc<crate::telemetry::Metrics>,
}

/// How long one request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution, TCP and TLS.
    pub connect: Duration,
    /// Everything, the body included.
    pub total: Duration,
}

impl Default for Timeouts {
    /// A vendor that has not taken a connection in three seconds is away; ten are plenty for the calls we make.
    fn default() -> Self {
        Timeouts { connect: Duration::from_secs(3), total: Duration::from_secs(10) }
    }
}

/// What every request calls itself.
pub const USER_AGENT: &str = concat!("lockstep/", env!("CARGO_PKG_VERSION"));

/// Connections kept open per client and vendor: as many as one lane's workers, so that none waits for a handshake.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// Kept longer than the quiet between two alerts of an incident; vendors close after about a minute anyway.
const IDLE_SECONDS_MAX: u64 = 90;

/// Why no client could be made: a mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    #[error(
        "{name} must be an https:// address, or http:// on this machine, without credentials, query or fragment"
    )]
    UnsafeAddress { name: &'static str },
    #[error("{name} must be an http:// address of this machine (loopback or 169.254.0.0/16)")]
    NotLocal { name: &'static str },
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

/// Chooses the process-wide TLS implementation. Call it once at start; later calls change nothing.
pub fn install_crypto() {
    // The only failure is that one is installed already, which is what we want.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Makes a client with connections of its own, for requests to `base`.
///
/// # Errors
/// When `base` (the setting called `name`) is neither HTTPS nor loopback, or TLS cannot be set up.
pub fn client(name: &'static str, base: &Url, timeouts: Timeouts) -> Result<reqwest::Client, SetupError> {
    check_address(name, base)?;
    let builder = builder(timeouts);
    // A proxy of the environment is for the way out of this machine.
    let builder = if is_loopback(base) { builder.no_proxy() } else { builder };
    // Reading the system's certificates takes longer than all the rest, and plain HTTP needs none.
    let builder = if base.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    built(builder)
}

/// Makes a client for the metadata service of this machine, which speaks plain HTTP at a link-local or loopback address.
/// Never goes through a proxy: what another machine's proxy would hand out is another machine's identity.
///
/// # Errors
/// When `base` (the setting called `name`) is anything else.
pub fn local_client(
    name: &'static str,
    base: &Url,
    timeouts: Timeouts,
) -> Result<reqwest::Client, SetupError> {
    check_local(name, base)?;
    built(builder(timeouts).no_proxy().tls_certs_only([]))
}

/// Refuses an address that is not this machine's.
///
/// # Errors
/// When it is not.
pub fn check_local(name: &'static str, base: &Url) -> Result<(), SetupError> {
    let plain = base.username().is_empty() && base.password().is_none() && base.fragment().is_none();
    let local = base.scheme() == "http" && (is_loopback(base) || is_link_local(base));
    if plain && local { Ok(()) } else { Err(SetupError::NotLocal { name }) }
}

fn builder(timeouts: Timeouts) -> reqwest::ClientBuilder {
    install_crypto();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .gzip(true)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .pool_idle_timeout(Duration::from_secs(IDLE_SECONDS_MAX))
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, SetupError> {
    builder.build().map_err(|error| SetupError::Client(error.without_url().to_string()))
}

/// Refuses an address at which secrets could be read on the way.
pub fn check_address(name: &'static str, base: &Url) -> Result<(), SetupError> {
    let plain = base.username().is_empty()
        && base.password().is_none()
        && base.query().is_none()
        && base.fragment().is_none();
    let private = match base.scheme() {
        "https" => base.has_host(),
        "http" => is_loopback(base),
        _ => false,
    };
    if plain && private { Ok(()) } else { Err(SetupError::UnsafeAddress { name }) }
}

fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// 169.254.0.0/16 is never routed (RFC 3927).
fn is_link_local(base: &Url) -> bool {
    let ip = base.host_str().unwrap_or_default().parse::<std::net::Ipv4Addr>();
    ip.is_ok_and(|ip| ip.is_link_local())
}

/// `base` followed by `path`, whose parts are encoded already (see [`segment`]).
pub fn address(base: &Url, path: &str) -> Url {
    let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&text).expect("a checked base and an encoded path make a URL")
}

/// One path segment with everything but unreserved characters percent-encoded (Auth0 user ids hold `|`).
///
/// `None` for what would change the path instead of naming something in it: nothing, `.` and `..`, which URL parsers
/// resolve even when encoded.
pub fn segment(text: &str) -> Option<String> {
    use std::fmt::Write;
    if matches!(text, "" | "." | "..") {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => write!(out, "%{other:02X}").expect("writing to a String cannot fail"),
        }
    }
    Some(out)
}

/// Names one request to the vendor and in our log. Two requests never have the same, also when they ask the same.
#[derive(Debug, Clone)]
pub struct RequestId {
    header: &'static str,
    value: String,
}

impl RequestId {
    /// A GUID, in the header that the vendor reads it from.
    pub fn new(header: &'static str) -> RequestId {
        RequestId { header, value: uuid::Uuid::new_v4().to_string() }
    }

    /// An id that says what the request belongs to.
    pub fn beginning_with(header: &'static str, whole: &str) -> RequestId {
        RequestId { header, value: format!("{whole}.{:012x}", fastrand::u64(..) >> 16) }
    }
}

/// What is to be known of a request beside itself.
#[derive(Debug)]
pub struct Sending {
    vendor: &'static str,
    operation: &'static str,
    id: Option<RequestId>,
    body_bytes_max: usize,
}

impl Sending {
    pub fn to(vendor: &'static str, operation: &'static str) -> Sending {
        Sending { vendor, operation, id: None, body_bytes_max: http::BODY_BYTES_MAX }
    }

    /// For vendors that take an id from us.
    pub fn named(self, id: RequestId) -> Sending {
        Sending { id: Some(id), ..self }
    }

    /// For answers of at most this size.
    pub fn reading(self, body_bytes_max: usize) -> Sending {
        Sending { body_bytes_max, ..self }
    }
}

/// Sends one request and counts it. Never retries.
///
/// # Errors
/// When no status came back.
pub async fn exchange(
    deps: &Deps,
    sending: Sending,
    request: reqwest::RequestBuilder,
) -> Result<http::Answer, Trouble> {
    let Sending { vendor, operation, id, body_bytes_max } = sending;
    let request = match &id {
        Some(id) => request.header(id.header, &id.value),
        None => request,
    };
    let answer = http::send_within(request, body_bytes_max).await;
    let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
    deps.metrics.vendor_request(vendor, operation, status);
    // What Microsoft's support asks for first (Graph, Error responses).
    let request_id = answer.as_ref().ok().and_then(|answer| answer.header("request-id"));
    let client_request_id = id.as_ref().map(|id| id.value.as_str());
    tracing::debug!(vendor, operation, status, request_id, client_request_id, "vendor request");
    answer.map_err(Trouble::from)
}

/// A vendor's error code as far as it may be shown: short, and of the characters that codes are made of.
pub fn shown_code(code: &str) -> String {
    let kept = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    code.chars().filter(kept).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn only_https_and_this_machine_are_addresses() {
        for good in
            ["https://acme.eu.auth0.com", "http://127.0.0.1:1234", "http://[::1]:1", "http://localhost:9/x/"]
        {
            assert_eq!(check_address("AUTH0_URL", &url(good)), Ok(()), "{good}");
        }
        for bad in [
            "http://acme.eu.auth0.com",
            "http://localhost.evil.example",
            "http://128.0.0.1",
            "ftp://127.0.0.1",
            "https://user:secret@acme.eu.auth0.com",
            "https://acme.eu.auth0.com/?a=b",
            "https://acme.eu.auth0.com/#x",
            "data:text/plain,x",
        ] {
            let refused = check_address("AUTH0_URL", &url(bad));
            assert_eq!(refused, Err(SetupError::UnsafeAddress { name: "AUTH0_URL" }), "{bad}");
        }
    }

    #[test]
    fn the_metadata_service_is_on_this_machine() {
        let local = |text| local_client("IDENTITY_ENDPOINT", &url(text), Timeouts::default());
        for good in ["http://169.254.169.254", "http://127.0.0.1:41741/msi/token", "http://localhost:1/"] {
            assert!(local(good).is_ok(), "{good}");
        }
        for bad in [
            "http://10.0.0.1",
            "https://169.254.169.254",
            "http://169.254.evil.example",
            "http://a@127.0.0.1",
        ] {
            let refused = local(bad).unwrap_err();
            assert_eq!(refused, SetupError::NotLocal { name: "IDENTITY_ENDPOINT" }, "{bad}");
        }
    }

    #[test]
    fn a_segment_stays_one_segment() {
        assert_eq!(segment("waad|con tso|3b1f").unwrap(), "waad%7Ccon%20tso%7C3b1f");
        assert_eq!(segment("auth0|../../roles").unwrap(), "auth0%7C..%2F..%2Froles");
        assert_eq!(segment("a%2fb").unwrap(), "a%252fb");
        assert_eq!([segment(""), segment("."), segment("..")], [None, None, None]);
        let built =
            address(&url("http://127.0.0.1:1/"), &format!("/api/v2/users/{}", segment("a|é?#").unwrap()));
        assert_eq!(built.as_str(), "http://127.0.0.1:1/api/v2/users/a%7C%C3%A9%3F%23");
    }
}
