//! One request to Graph: pause, budget, token, send, and what the answer means.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::clock;
use crate::entra::pacing::Pacing;
use crate::entra::{Error, Settings, token, wire};
use crate::event::Lane;
use crate::outbound::budget::Budget;
use crate::outbound::gate::{BY_THE_SECOND, Gate, Told};
use crate::outbound::http::{Answer, Cause};
use crate::outbound::token::{Token, Tokens};
use crate::outbound::{self, Deps, Trouble};

const VENDOR: &str = "graph";
/// A third of what the smallest class of tenants gets: 3,500 ResourceUnits in ten seconds, and each of our calls costs
/// one (Microsoft Graph, Throttling limits: identity and access). The rest is for the tenant's other applications.
const PER_SECOND: f64 = 120.0;
const BURST: u32 = 240;
/// `x-ms-throttle-limit-percentage` appears from 0.8; throttling starts at 1.
const CLOSE_TO_LIMIT: f64 = 0.8;

/// Our word for a call, and the permission that it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) word: &'static str,
    pub(super) needs: &'static str,
    pub(super) service: Service,
}

/// Services of Graph with limits of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Directory,
    IdentityProtection,
}

/// What all readers share.
#[derive(Debug)]
pub(super) struct Shared {
    graph_url: reqwest::Url,
    deps: Deps,
    tokens: Arc<Tokens<Error>>,
    budget: Budget,
    pacing: Pacing,
    directory: Gate,
    identity_protection: Gate,
}

impl Shared {
    pub(super) fn new(settings: &Settings, deps: &Deps) -> Result<Shared, Error> {
        let gate = || Gate::new(VENDOR, Arc::clone(&deps.clock), BY_THE_SECOND);
        Ok(Shared {
            graph_url: settings.graph_url.clone(),
            deps: deps.clone(),
            tokens: token::tokens(settings, deps)?,
            budget: Budget::new(VENDOR, PER_SECOND, BURST, Arc::clone(&deps.metrics)),
            pacing: Pacing::default(),
            directory: gate(),
            identity_protection: gate(),
        })
    }

    fn gate(&self, service: Service) -> &Gate {
        match service {
            Service::Directory => &self.directory,
            Service::IdentityProtection => &self.identity_protection,
        }
    }
}

/// Makes the requests of one lane.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) shared: Arc<Shared>,
    pub(super) http: reqwest::Client,
    pub(super) lane: Lane,
    /// The longest a call may take, waiting for a token included.
    pub(super) total: Duration,
}

impl Caller {
    /// Asks for `path` (after `/v1.0`), encoded already.
    pub(super) async fn get(&self, operation: Operation, path: &str) -> Result<Answer, Error> {
        self.admit(operation).await?;
        let asked = tokio::time::timeout(self.total, self.with_token(operation, path)).await;
        // A read that took too long has changed nothing, wherever it hung.
        let answer = asked.unwrap_or(Err(trouble(operation, Trouble::NoReply(Cause::TimedOut))))?;
        self.judge(operation, answer)
    }

    /// Waits for what we owe the vendor, within bounds, before anything is sent.
    async fn admit(&self, operation: Operation) -> Result<(), Error> {
        let shared = &self.shared;
        let held = |until| trouble(operation, Trouble::HeldBack { until });
        shared.gate(operation.service).check().map_err(held)?;
        match operation.service {
            Service::Directory => {
                let taken = shared.budget.take(self.lane).await;
                taken.map_err(|wait| trouble(operation, Trouble::OverBudget { until: self.after(wait) }))
            }
            Service::IdentityProtection => {
                let taken = shared.pacing.take(self.lane).await;
                taken.map_err(|wait| Error::Paced { until: self.after(wait) })
            }
        }
    }

    async fn with_token(&self, operation: Operation, path: &str) -> Result<Answer, Error> {
        let token = self.shared.tokens.get().await?;
        let answer = self.send(operation, path, &token).await?;
        if answer.status != reqwest::StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.shared.tokens.drop_refused(&token);
        let token = self.shared.tokens.get().await?;
        self.send(operation, path, &token).await
    }

    async fn send(&self, operation: Operation, path: &str, token: &Token) -> Result<Answer, Error> {
        let url = outbound::address(&self.shared.graph_url, &format!("/v1.0{path}"));
        let request = self
            .http
            .get(url)
            .bearer_auth(token.secret.expose_secret())
            // Names the request to Microsoft's support (Graph, Error responses).
            .header("client-request-id", Uuid::new_v4().to_string());
        let sent = outbound::exchange(&self.shared.deps, VENDOR, operation.word, request).await;
        let answer = sent.map_err(|it| trouble(operation, it))?;
        if answer.status == reqwest::StatusCode::FORBIDDEN {
            self.shared.tokens.doubt(token);
        }
        Ok(answer)
    }

    fn judge(&self, operation: Operation, answer: Answer) -> Result<Answer, Error> {
        let gate = self.shared.gate(operation.service);
        if is_close_to_limit(&answer) {
            self.shared.budget.lower_to_reserve();
        }
        if answer.status.is_success() {
            gate.passed();
            return Ok(answer);
        }
        let status = answer.status.as_u16();
        let until = wire::retry_after(&answer, self.shared.deps.clock.now());
        match (status, until) {
            (429 | 503 | 504, Some(until)) => {
                gate.close(Told::Until(until));
                Err(trouble(operation, Trouble::Throttled { status, until: Some(until) }))
            }
            (429, None) => {
                gate.close(Told::Nothing);
                Err(trouble(operation, Trouble::Throttled { status, until: None }))
            }
            (500.., _) => Err(trouble(operation, Trouble::Failed { status })),
            _ => Err(refused(operation, &answer)),
        }
    }

    fn after(&self, wait: Duration) -> clock::Timestamp {
        clock::after(self.shared.deps.clock.now(), wait)
    }
}

fn trouble(operation: Operation, trouble: Trouble) -> Error {
    Error::Trouble { operation: operation.word, trouble }
}

fn is_close_to_limit(answer: &Answer) -> bool {
    let used = answer.header("x-ms-throttle-limit-percentage").and_then(|text| text.parse::<f64>().ok());
    used.is_some_and(|used| used >= CLOSE_TO_LIMIT)
}

fn refused(operation: Operation, answer: &Answer) -> Error {
    let status = answer.status.as_u16();
    let code = wire::error_code(answer);
    if status == 404 && code.as_deref().is_some_and(wire::says_absent) {
        return Error::Gone { operation: operation.word };
    }
    let code = outbound::shown_code(&code.unwrap_or_else(|| "unrecognised".into()));
    match status {
        401..=403 => Error::Forbidden { operation: operation.word, needs: operation.needs, status, code },
        408 => trouble(operation, Trouble::NoReply(Cause::TimedOut)),
        _ => Error::Refused { operation: operation.word, status, code },
    }
}
