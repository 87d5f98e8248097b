//! Reads a request body within its limits, and looks at it before anything parses it.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use tokio::time::Instant;

use super::BODY_BYTES_MAX;
use super::refusal::Refusal;
use super::unfinished::{Growing, Unfinished};

/// Deeper JSON than this is refused. The deepest shape we read has eleven levels.
const DEPTH_MAX: usize = 64;
/// Of a body that is too large this much is read and thrown away, so that an honest sender sees the answer and not
/// a reset connection.
const DISCARD_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

/// How long a body may take from its head to its end. Alerts have a few kilobytes, and the largest batch comes through a
/// slow line within this; how many may be waited for at a time is [`Unfinished`]'s.
const TIME_MAX: Duration = Duration::from_secs(5);

/// The whole body. One that came with its head, as small ones do, is not copied, and waits for nothing and nobody.
pub(super) async fn read(body: Body, unfinished: &Unfinished, deadline: Instant) -> Result<Bytes, Refusal> {
    let mut pieces = body.into_data_stream();
    let (first, second) = match pieces.next().now_or_never() {
        Some(Some(first)) => (first.map_err(|_| Refusal::Truncated)?, pieces.next().now_or_never()),
        nothing => (Bytes::new(), nothing),
    };
    if matches!(second, Some(None)) && first.len() <= BODY_BYTES_MAX {
        return Ok(first);
    }
    let (growing, cut_off) = unfinished.begin();
    let rest = collect(growing, first, second, pieces);
    tokio::select! {
        biased;
        _ = cut_off => Err(Refusal::CutOff),
        whole = tokio::time::timeout_at(deadline.min(Instant::now() + TIME_MAX), rest) => {
            whole.unwrap_or(Err(Refusal::TooSlow))
        }
    }
}

async fn collect(
    mut growing: Growing<'_>,
    first: Bytes,
    second: Option<Option<Result<Bytes, axum::Error>>>,
    mut pieces: BodyDataStream,
) -> Result<Bytes, Refusal> {
    let (mut piece, mut next, mut seen) = (first, second, 0);
    loop {
        seen += piece.len();
        if seen <= BODY_BYTES_MAX {
            growing.append(&piece)?;
        } else if seen <= DISCARD_BYTES_MAX {
            growing.discard();
        } else {
            break;
        }
        // A piece is a part of the connection's buffer: kept while waiting, it would keep all of that.
        drop(piece);
        let following = match next.take() {
            Some(following) => following,
            None => pieces.next().await,
        };
        let Some(following) = following else { break };
        piece = following.map_err(|_| Refusal::Truncated)?;
    }
    if seen > BODY_BYTES_MAX { Err(Refusal::TooLarge) } else { growing.finish() }
}

/// `application/json` and its relatives (`application/cloudevents+json`).
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let declared =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).ok_or(Refusal::WrongContentType)?;
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json") && essence.len() < 100);
    if is_json { Ok(()) } else { Err(Refusal::WrongContentType) }
}

/// Refuses deep nesting before a parser meets it. Counts brackets outside strings; what is not JSON fails later.
pub(super) fn expect_shallow(body: &[u8]) -> Result<(), Refusal> {
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (true, _) => {}
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            (false, _) => {}
        }
        if depth > DEPTH_MAX {
            return Err(Refusal::TooDeep);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_inside_strings_are_not_nesting() {
        let text = format!(r#"{{"a":"{}\"{}"}}"#, "[".repeat(500), "{".repeat(500));
        assert_eq!(expect_shallow(text.as_bytes()), Ok(()));
        assert_eq!(expect_shallow("[".repeat(DEPTH_MAX).as_bytes()), Ok(()));
        assert_eq!(expect_shallow("[".repeat(DEPTH_MAX + 1).as_bytes()), Err(Refusal::TooDeep));
        assert_eq!(expect_shallow(r#"{"a":"\\"}"#.as_bytes()), Ok(()));
    }

    #[test]
    fn only_json_is_taken_for_json() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(value));
            expect_json(&headers).is_ok()
        };
        assert!(with("application/json"));
        assert!(with("Application/JSON; charset=utf-8"));
        assert!(with("application/cloudevents+json"));
        assert!(!with("text/plain"));
        assert!(!with("text/json"));
        assert!(!with("application/jsonp"));
        assert!(expect_json(&HeaderMap::new()).is_err());
    }
}
