//! One request to the Management API: pause, budget, token, send, and what the answer means.

use std::sync::Arc;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::auth0::error::Effect;
use crate::auth0::lifetimes::Lifetimes;
use crate::auth0::wire::ErrorBody;
use crate::auth0::{Error, Settings, token, wire};
use crate::case::AccountId;
use crate::clock;
use crate::event::Lane;
use crate::outbound::budget::Budget;
use crate::outbound::gate::{BY_THE_SECOND, Gate, Told};
use crate::outbound::http::{Answer, Cause, Unreadable};
use crate::outbound::token::{Token, Tokens};
use crate::outbound::{self, Deps, Trouble};

const VENDOR: &str = "auth0";

/// Our word for a call, the scopes that it needs, and what a 404 means there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) word: &'static str,
    pub(super) needs: &'static str,
    pub(super) not_found: NotFound,
}

/// How a 404 without `inexistent_user` is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotFound {
    /// Not Auth0's way of saying that an account is missing: a proxy, a wrong address.
    Odd,
    /// The endpoint is not there for this tenant, which is how a plan may lack it.
    NotInPlan,
    /// The thing itself is gone, whose absence is all we want.
    Fine,
}

/// One request, its path encoded already.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) method: Method,
    /// After `/api/v2`.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    /// Comes back as `references.correlation_id` in the tenant's log (Auth0 Management API v2, introduction).
    pub(super) correlation: Option<String>,
}

impl Request {
    pub(super) fn get(operation: Operation, path: impl Into<String>) -> Request {
        Request {
            operation,
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
            correlation: None,
        }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl ToString) -> Request {
        self.query.push((name, value.to_string()));
        self
    }

    fn effect(&self) -> Effect {
        if self.method == Method::GET { Effect::Read } else { Effect::Write }
    }

    fn trouble(&self, trouble: Trouble) -> Error {
        Error::Trouble { operation: self.operation.word, effect: self.effect(), trouble }
    }

    /// An answer that came and cannot be used.
    pub(super) fn misfit(&self, answer: &Answer, why: Unreadable) -> Error {
        self.trouble(Trouble::Unreadable { status: answer.status.as_u16(), why })
    }
}

/// The path of something of one account.
///
/// # Errors
/// For ids that would change the path instead of naming something in it.
pub(super) fn user_path(operation: Operation, id: &AccountId, rest: &str) -> Result<String, Error> {
    let segment = outbound::segment(id.as_str()).ok_or(Error::NotAnId { operation: operation.word })?;
    Ok(format!("/users/{segment}{rest}"))
}

/// What all readers and writers share.
#[derive(Debug)]
pub(super) struct Shared {
    url: reqwest::Url,
    pub(super) connection: Option<String>,
    pub(super) deps: Deps,
    tokens: Arc<Tokens<Error>>,
    budget: Budget,
    gate: Gate,
    pub(super) lifetimes: Lifetimes,
}

impl Shared {
    pub(super) fn new(settings: &Settings, deps: &Deps) -> Result<Shared, Error> {
        let (rate, burst) = (settings.requests_per_second, settings.burst);
        Ok(Shared {
            url: settings.url.clone(),
            connection: settings.connection.clone(),
            deps: deps.clone(),
            tokens: token::tokens(settings, deps)?,
            budget: Budget::new(VENDOR, rate, burst, Arc::clone(&deps.metrics)),
            gate: Gate::new(VENDOR, Arc::clone(&deps.clock), BY_THE_SECOND),
            lifetimes: Lifetimes::default(),
        })
    }
}

/// Makes the requests of one lane. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) shared: Arc<Shared>,
    pub(super) http: reqwest::Client,
    pub(super) lane: Lane,
}

impl Caller {
    /// Sends the request; with a new token once more after a 401, which means that nothing was done.
    pub(super) async fn call(&self, request: &Request) -> Result<Answer, Error> {
        let token = self.admit(request).await?;
        let answer = self.send(request, &token).await?;
        if answer.status != reqwest::StatusCode::UNAUTHORIZED {
            return self.judge(request, answer);
        }
        self.shared.tokens.drop_refused(&token);
        let token = self.admit(request).await?;
        let answer = self.send(request, &token).await?;
        self.judge(request, answer)
    }

    /// Waits for what we owe the vendor, within bounds, before anything is sent.
    async fn admit(&self, request: &Request) -> Result<Token, Error> {
        let shared = &self.shared;
        let held = |until| request.trouble(Trouble::HeldBack { until });
        shared.gate.check().map_err(held)?;
        // The token first: a token of the budget that then waits for a login is lost to others.
        let token = shared.tokens.get().await?;
        let taken = shared.budget.take(self.lane).await;
        let until = |wait| clock::after(shared.deps.clock.now(), wait);
        taken.map_err(|wait| request.trouble(Trouble::OverBudget { until: until(wait) }))?;
        // Somebody may have been throttled while we waited.
        shared.gate.check().map_err(held)?;
        Ok(token)
    }

    async fn send(&self, request: &Request, token: &Token) -> Result<Answer, Error> {
        let url = outbound::address(&self.shared.url, &format!("/api/v2{}", request.path));
        let mut building = self.http.request(request.method.clone(), url);
        building = building.bearer_auth(token.secret.expose_secret());
        if !request.query.is_empty() {
            building = building.query(&request.query);
        }
        if let Some(body) = &request.body {
            building = building.json(body);
        }
        if let Some(correlation) = &request.correlation {
            building = building.header("x-correlation-id", correlation);
        }
        let sent = outbound::exchange(&self.shared.deps, VENDOR, request.operation.word, building).await;
        let answer = sent.map_err(|it| request.trouble(it))?;
        if answer.status == reqwest::StatusCode::FORBIDDEN {
            self.shared.tokens.doubt(token);
        }
        Ok(answer)
    }

    fn judge(&self, request: &Request, answer: Answer) -> Result<Answer, Error> {
        let shared = &self.shared;
        if let Some(remaining) = wire::remaining(&answer) {
            shared.budget.heard(remaining, wire::limit(&answer));
        }
        if answer.status.is_success() {
            shared.gate.passed();
            return Ok(answer);
        }
        let status = answer.status.as_u16();
        match status {
            429 => Err(self.throttled(request, &answer)),
            503 if answer.header("retry-after").is_some() => Err(self.throttled(request, &answer)),
            500.. => Err(request.trouble(Trouble::Failed { status })),
            408 => Err(request.trouble(Trouble::NoReply(Cause::TimedOut))),
            _ => Err(refused(request.operation, &answer)),
        }
    }

    /// The limit is the tenant's, so the pause is everybody's, containment included.
    fn throttled(&self, request: &Request, answer: &Answer) -> Error {
        let until = wire::come_back_at(answer, self.shared.deps.clock.now());
        self.shared.gate.close(until.map_or(Told::Nothing, Told::Until));
        request.trouble(Trouble::Throttled { status: answer.status.as_u16(), until })
    }
}

/// The status decides, `errorCode` refines; the text is only asked about plans.
fn refused(operation: Operation, answer: &Answer) -> Error {
    let status = answer.status.as_u16();
    let told = ErrorBody::of(answer);
    let code = outbound::shown_code(told.error_code.as_deref().unwrap_or("without_code"));
    let word = operation.word;
    match status {
        403 if told.is_plan_refusal() => Error::NotInPlan { operation: word, status, code },
        404 if told.says_no_such_user() || operation.not_found == NotFound::Fine => {
            Error::Gone { operation: word }
        }
        404 if operation.not_found == NotFound::NotInPlan => {
            Error::NotInPlan { operation: word, status, code }
        }
        401..=403 => Error::Forbidden { operation: word, needs: operation.needs, status, code },
        _ => Error::Refused { operation: word, status, code },
    }
}
