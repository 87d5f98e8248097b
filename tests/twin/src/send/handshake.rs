//! The endpoint validation handshake as Graph performs it when a subscription is made (Graph, Change notifications by
//! webhooks: notificationUrl validation).

use crate::wire::State;

/// Why an endpoint is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// No connection, or no answer in time.
    Silent,
    /// Another status than 200.
    Status(u16),
    ContentType,
    /// The body is not the decoded token.
    Echo,
}

/// Whether notifications go to this address by themselves: HTTPS, or HTTP on loopback, where the twin and its callers live.
pub(crate) fn is_web(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

/// Calls the URL with a fresh token and wants exactly that back, as text, within the time that Graph gives.
pub(crate) async fn perform(state: &State, url: &str) -> Result<(), Failed> {
    let request_id = crate::world::fresh_id();
    // Blanks and a colon, as in recorded exchanges: an answer that is still encoded fails.
    let token = format!(
        "Validation: Testing client application reachability for subscription Request-Id: {request_id}"
    );
    let request = state.outgoing().post(with_token(url, &token));
    let request = request.header("content-type", "text/plain; charset=utf-8").header("content-length", "0");
    let answer = request.timeout(state.setup.patience.handshake).send().await.map_err(|_| Failed::Silent)?;
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let is_text = kind.is_some_and(|kind| kind.to_lowercase().starts_with("text/plain"));
    let body = answer.text().await.map_err(|_| Failed::Silent)?;
    match () {
        () if status != 200 => Err(Failed::Status(status)),
        () if !is_text => Err(Failed::ContentType),
        () if body != token => Err(Failed::Echo),
        () => Ok(()),
    }
}

/// Appended to whatever query the URL has.
fn with_token(url: &str, token: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    let token = percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC);
    format!("{url}{joint}validationToken={token}")
}
