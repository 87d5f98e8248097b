//! One request on its way through the twin, and the reply to it.

use super::State;
use super::route::{Route, UNMATCHED};
use crate::faults::{DeltaExpiry, PageFault, Vendor};
use crate::journal::Complaint;
use crate::world::WorldGuard;
use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::{Map, Value};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A reply, or the reply that ends the request early.
pub(crate) type Answer = Result<Reply, Reply>;

/// A request that has been read.
pub(crate) struct Call<'a> {
    pub state: &'a State,
    pub vendor: Vendor,
    pub method: &'a str,
    /// Path as sent, without the query.
    pub path: &'a str,
    pub route: Option<&'static Route>,
    /// Decoded path parameters in the order of the template.
    pub parameters: Vec<String>,
    /// Decoded query parameters in the order sent.
    pub query: Vec<(String, String)>,
    pub headers: &'a HeaderMap,
    pub body: &'a Bytes,
    pub now: Instant,
    /// The id by which the vendor names this request.
    pub request_id: uuid::Uuid,
    /// Faults that bend an answer instead of replacing it.
    pub bent: Bent,
}

/// Faults that only the handler can play. What is still there afterwards struck a request that cannot be bent so.
#[derive(Debug, Default)]
pub(crate) struct Bent {
    // Locks, because a call is looked at from both sides of a wait.
    page: Mutex<Option<PageFault>>,
    delta_expiry: Mutex<Option<DeltaExpiry>>,
}

impl Bent {
    pub fn new(page: Option<PageFault>, delta_expiry: Option<DeltaExpiry>) -> Bent {
        Bent { page: Mutex::new(page), delta_expiry: Mutex::new(delta_expiry) }
    }

    pub fn take_page(&self) -> Option<PageFault> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub fn take_delta_expiry(&self) -> Option<DeltaExpiry> {
        self.delta_expiry.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Call<'_> {
    pub fn world(&self) -> WorldGuard<'_> {
        self.state.world()
    }

    pub fn label(&self) -> &'static str {
        self.route.map_or(UNMATCHED, |route| route.label)
    }

    /// The first path parameter; every handler that asks has one in its template.
    pub fn id(&self) -> &str {
        self.parameters.first().map_or("", String::as_str)
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The bearer token, if the request has one.
    pub fn bearer(&self) -> Option<&str> {
        let value = self.header("authorization")?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }

    /// Keeps something that the client should not have done.
    pub fn complain(&self, text: impl Into<String>) {
        self.state.journal.complain(Complaint {
            vendor: self.vendor,
            route: self.label(),
            text: text.into(),
        });
    }

    /// The body as a JSON object; an empty body is an empty object.
    pub fn json_object(&self) -> Option<Map<String, Value>> {
        if self.body.is_empty() {
            return Some(Map::new());
        }
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(object)) => Some(object),
            _ => None,
        }
    }

    /// The body as form fields.
    pub fn form(&self) -> Map<String, Value> {
        let fields = form_urlencoded::parse(self.body);
        fields.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect()
    }

    /// Form or JSON, by the content type: both are accepted by token endpoints and by Slack.
    pub fn fields(&self) -> Option<Map<String, Value>> {
        let json = self.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        if json { self.json_object() } else { Some(self.form()) }
    }
}

/// What goes back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

/// The content type of every recorded Auth0 and Slack answer.
pub(crate) const JSON: &str = "application/json; charset=utf-8";

impl Reply {
    pub fn json(status: u16, body: &Value) -> Reply {
        Reply { status, content_type: JSON, headers: Vec::new(), body: Bytes::from(body.to_string()) }
    }

    pub fn empty(status: u16) -> Reply {
        Reply { status, content_type: JSON, headers: Vec::new(), body: Bytes::new() }
    }

    pub fn text(status: u16, text: &str) -> Reply {
        Reply {
            status,
            content_type: "text/plain; charset=utf-8",
            headers: Vec::new(),
            body: Bytes::from(text.to_owned()),
        }
    }

    /// What stands on the way to a vendor when it is not the vendor.
    pub fn html(status: u16) -> Reply {
        let body =
            "<!doctype html><title>Please come back later</title><p>This site is being maintained.</p>";
        Reply { content_type: "text/html; charset=utf-8", ..Reply::text(status, body) }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }
}
