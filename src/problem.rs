//! What an HTTP caller is told when something fails: status, stable code, one sentence without internals.
//!
//! The one place where a failure becomes an HTTP answer, for both listeners. Codes never change their meaning
//! (`docs/errors.md` has a line for each); the cause is in the log and in the metrics, not here.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

/// How a request can fail, as its sender sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    // the public listener
    NotFound,
    MethodNotAllowed,
    NotAuthentic,
    Unreadable,
    TooSlow,
    Replayed,
    TooLarge,
    WrongContentType,
    Busy,
    NotStored,
    Internal,
    // the admin listener
    TokenRequired,
    WrongHost,
    InvalidRequest,
    CaseUnknown,
    CaseNotOpen,
    LetterUnknown,
    LetterUnreadable,
    StoreUnavailable,
    NotReady,
}

impl Problem {
    pub const ALL: [Problem; 20] = [
        Problem::NotFound,
        Problem::MethodNotAllowed,
        Problem::NotAuthentic,
        Problem::Unreadable,
        Problem::TooSlow,
        Problem::Replayed,
        Problem::TooLarge,
        Problem::WrongContentType,
        Problem::Busy,
        Problem::NotStored,
        Problem::Internal,
        Problem::TokenRequired,
        Problem::WrongHost,
        Problem::InvalidRequest,
        Problem::CaseUnknown,
        Problem::CaseNotOpen,
        Problem::LetterUnknown,
        Problem::LetterUnreadable,
        Problem::StoreUnavailable,
        Problem::NotReady,
    ];

    pub fn status(self) -> StatusCode {
        self.row().0
    }

    /// The stable word that programs compare.
    pub fn code(self) -> &'static str {
        self.row().1
    }

    /// One sentence for people.
    pub fn sentence(self) -> &'static str {
        self.row().2
    }

    /// When to come again, in seconds, for what passes by itself. Short: a lockout may be waiting.
    pub fn retry_after_seconds(self) -> Option<u16> {
        match self {
            Problem::Busy => Some(1),
            Problem::NotStored | Problem::StoreUnavailable | Problem::NotReady => Some(2),
            _ => None,
        }
    }

    fn row(self) -> (StatusCode, &'static str, &'static str) {
        type S = StatusCode;
        match self {
            Problem::NotFound => (S::NOT_FOUND, "not_found", "There is nothing here."),
            Problem::MethodNotAllowed => {
                (S::METHOD_NOT_ALLOWED, "method_not_allowed", "This address does not take that method.")
            }
            Problem::NotAuthentic => {
                (S::UNAUTHORIZED, "not_authentic", "The request could not be shown to come from its source.")
            }
            Problem::Unreadable => (S::BAD_REQUEST, "unreadable", "The request could not be read."),
            Problem::TooSlow => (S::REQUEST_TIMEOUT, "too_slow", "The request did not arrive in time."),
            Problem::Replayed => (S::CONFLICT, "replayed", "This delivery was accepted before."),
            Problem::TooLarge => {
                (S::PAYLOAD_TOO_LARGE, "too_large", "The request has too many bytes or too many items.")
            }
            Problem::WrongContentType => {
                (S::UNSUPPORTED_MEDIA_TYPE, "wrong_content_type", "The body must be application/json.")
            }
            Problem::Busy => (S::TOO_MANY_REQUESTS, "busy", "Too many requests are in hand; come again."),
            Problem::NotStored => {
                (S::SERVICE_UNAVAILABLE, "not_stored", "Nothing could be stored durably; come again.")
            }
            Problem::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side."),
            Problem::TokenRequired => {
                (S::UNAUTHORIZED, "token_required", "The admin token is missing or wrong.")
            }
            Problem::WrongHost => {
                (S::MISDIRECTED_REQUEST, "wrong_host", "The request was made to a name that is not ours.")
            }
            Problem::InvalidRequest => {
                (S::BAD_REQUEST, "invalid_request", "A field is missing, unknown or has a bad value.")
            }
            Problem::CaseUnknown => (S::NOT_FOUND, "case_unknown", "There is no such case."),
            Problem::CaseNotOpen => (S::CONFLICT, "case_not_open", "The case is not open."),
            Problem::LetterUnknown => (S::NOT_FOUND, "letter_unknown", "There is no such dead letter."),
            Problem::LetterUnreadable => {
                (S::CONFLICT, "letter_unreadable", "The dead letter holds no event that can be replayed.")
            }
            Problem::StoreUnavailable => {
                (S::SERVICE_UNAVAILABLE, "store_unavailable", "The store cannot be used; come again.")
            }
            Problem::NotReady => {
                (S::SERVICE_UNAVAILABLE, "not_ready", "The queue or the store is not ready.")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, sentence) = self.row();
        let body = format!(r#"{{"status":{},"code":"{code}","title":"{sentence}"}}"#, status.as_u16());
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Problem::TokenRequired {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_different_and_documented() {
        let page = include_str!("../docs/errors.md");
        let mut seen = std::collections::BTreeSet::new();
        for problem in Problem::ALL {
            assert!(seen.insert(problem.code()), "{} is used twice", problem.code());
            let row = format!("| `{}` | {} |", problem.code(), problem.status().as_u16());
            assert!(page.contains(&row), "docs/errors.md lacks {row}");
        }
    }

    #[test]
    fn what_passes_by_itself_says_when_to_come_again() {
        for problem in Problem::ALL {
            let status = problem.status().as_u16();
            assert_eq!(problem.retry_after_seconds().is_some(), matches!(status, 429 | 503), "{problem:?}");
        }
    }
}
