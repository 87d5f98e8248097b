//! One request to Graph: pause, budget, token, send. What the answer means is [`judge`]'s.

mod batch;
mod judge;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::clock;
use crate::entra::pacing::Pacing;
use crate::entra::{Error, Link, Settings, token};
use crate::event::Lane;
use crate::outbound::budget::Budget;
use crate::outbound::gate::{BY_THE_SECOND, Gate};
use crate::outbound::http::{Answer, BODY_BYTES_MAX, Cause};
use crate::outbound::token::{Token, Tokens};
use crate::outbound::{self, Deps, RequestId, Sending, Trouble};

pub(super) use self::batch::Part;
pub(super) use self::judge::trouble;

const VENDOR: &str = "graph";
/// What may be asked at once after a quiet time, in seconds of the pace: Graph counts by ten seconds (Microsoft Graph,
/// Throttling limits: identity and access).
const BURST_SECONDS: u32 = 2;

/// Our word for a call, the permission that it needs and what it costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) word: &'static str,
    pub(super) needs: &'static str,
    pub(super) service: Service,
    /// In ResourceUnits: the base cost of its path, one less for `$select`, one more for `$expand`, never less than one
    /// (same page).
    pub(super) cost: u32,
    pub(super) body_bytes_max: usize,
}

impl Operation {
    /// The cheapest read of the directory, to be completed.
    pub(super) const READ: Operation = Operation {
        word: "",
        needs: "",
        service: Service::Directory,
        cost: 1,
        body_bytes_max: BODY_BYTES_MAX,
    };
}

/// Services of Graph with limits of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Directory,
    IdentityProtection,
    /// 500 writes and 25 lists in 20 seconds (same page), of which we need a handful a day: no budget.
    Subscriptions,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    /// After `/v1.0`, encoded already.
    Path(&'a str),
    Link(&'a Link),
}

/// What all readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) graph_url: reqwest::Url,
    deps: Deps,
    pub(super) tokens: Arc<Tokens<Error>>,
    budget: Budget,
    pacing: Pacing,
    directory: Gate,
    identity_protection: Gate,
    subscriptions: Gate,
}

impl Shared {
    pub(super) fn new(settings: &Settings, deps: &Deps) -> Result<Shared, Error> {
        let gate = || Gate::new(VENDOR, Arc::clone(&deps.clock), BY_THE_SECOND);
        Ok(Shared {
            graph_url: settings.graph_url.clone(),
            deps: deps.clone(),
            tokens: token::tokens(settings, deps)?,
            budget: budget(settings, deps),
            pacing: Pacing::default(),
            directory: gate(),
            identity_protection: gate(),
            subscriptions: gate(),
        })
    }

    fn gate(&self, service: Service) -> &Gate {
        match service {
            Service::Directory => &self.directory,
            Service::IdentityProtection => &self.identity_protection,
            Service::Subscriptions => &self.subscriptions,
        }
    }
}

fn budget(settings: &Settings, deps: &Deps) -> Budget {
    let per_second = settings.resource_units_per_second;
    let burst = per_second.saturating_mul(BURST_SECONDS);
    Budget::new(VENDOR, f64::from(per_second), burst, Arc::clone(&deps.metrics))
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

/// One request, all of it.
struct Ask<'a> {
    operation: Operation,
    method: Method,
    url: reqwest::Url,
    body: Option<&'a Value>,
}

impl Caller {
    pub(super) async fn get(&self, operation: Operation, at: At<'_>) -> Result<Answer, Error> {
        self.ask(operation, Method::GET, at, None).await
    }

    /// The answer, if it is a good one.
    pub(super) async fn ask(
        &self,
        operation: Operation,
        method: Method,
        at: At<'_>,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let (answer, _) = self.exchange(operation, method, at, body).await?;
        self.judge(operation, answer)
    }

    /// Whatever answer came back, and the token that it was asked with.
    pub(super) async fn exchange(
        &self,
        operation: Operation,
        method: Method,
        at: At<'_>,
        body: Option<&Value>,
    ) -> Result<(Answer, Token), Error> {
        let graph = &self.shared.graph_url;
        let url = match at {
            At::Path(path) => outbound::address(graph, &format!("/v1.0{path}")),
            At::Link(link) => link.under(graph, operation.word)?,
        };
        self.admit(operation).await?;
        let asked = self.with_token(Ask { operation, method, url, body });
        // A read that took too long has changed nothing, wherever it hung; of a write nobody knows.
        let asked = tokio::time::timeout(self.total, asked).await;
        asked.unwrap_or(Err(trouble(operation, Trouble::NoReply(Cause::TimedOut))))
    }

    /// Waits for what we owe the vendor, within bounds, before anything is sent.
    async fn admit(&self, operation: Operation) -> Result<(), Error> {
        let shared = &self.shared;
        let held = |until| trouble(operation, Trouble::HeldBack { until });
        shared.gate(operation.service).check().map_err(held)?;
        match operation.service {
            Service::Directory => {
                let taken = shared.budget.take_several(self.lane, operation.cost).await;
                taken.map_err(|wait| trouble(operation, Trouble::OverBudget { until: self.after(wait) }))
            }
            Service::IdentityProtection => {
                let taken = shared.pacing.take(self.lane).await;
                taken.map_err(|wait| Error::Paced { until: self.after(wait) })
            }
            Service::Subscriptions => Ok(()),
        }
    }

    async fn with_token(&self, ask: Ask<'_>) -> Result<(Answer, Token), Error> {
        let token = self.shared.tokens.get().await?;
        let answer = self.send(&ask, &token).await?;
        if answer.status != reqwest::StatusCode::UNAUTHORIZED {
            return Ok((answer, token));
        }
        self.shared.tokens.drop_refused(&token);
        let token = self.shared.tokens.get().await?;
        Ok((self.send(&ask, &token).await?, token))
    }

    async fn send(&self, ask: &Ask<'_>, token: &Token) -> Result<Answer, Error> {
        let operation = ask.operation;
        let request = self
            .http
            .request(ask.method.clone(), ask.url.clone())
            .bearer_auth(token.secret.expose_secret())
            .header("x-ms-throttle-priority", priority(self.lane));
        let request = match ask.body {
            Some(body) => request.json(body),
            // Left out otherwise, and many a Microsoft front end answers 411 to that.
            None if ask.method == Method::POST => request.header(reqwest::header::CONTENT_LENGTH, 0),
            None => request,
        };
        let sending =
            Sending::to(VENDOR, operation.word).named(request_id()).reading(operation.body_bytes_max);
        let sent = outbound::exchange(&self.shared.deps, sending, request).await;
        let answer = sent.map_err(|it| trouble(operation, it))?;
        if answer.status == reqwest::StatusCode::FORBIDDEN {
            self.shared.tokens.doubt(token);
        }
        Ok(answer)
    }

    pub(super) fn now(&self) -> clock::Timestamp {
        self.shared.deps.clock.now()
    }

    fn after(&self, wait: Duration) -> clock::Timestamp {
        clock::after(self.now(), wait)
    }
}

/// Names a request to Microsoft's support (Graph, Error responses); the token endpoint takes it too, and gives it back as
/// `correlation_id` when it refuses (Microsoft identity platform, client credentials flow: error response).
pub(super) fn request_id() -> RequestId {
    RequestId::new("client-request-id")
}

/// Who goes first when Graph has to choose (Microsoft Graph, Throttling limits: `x-ms-throttle-priority`).
fn priority(lane: Lane) -> &'static str {
    match lane {
        Lane::Contain => "High",
        Lane::Sync => "Normal",
        Lane::Bulk => "Low",
    }
}
