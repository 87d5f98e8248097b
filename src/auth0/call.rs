//! One request to the Management API: pause, budget, token, send, and what the answer means.

use std::sync::Arc;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::auth0::catalogue::Catalogue;
use crate::auth0::error::Effect;
use crate::auth0::lifetimes::Lifetimes;
use crate::auth0::limit::Limit;
use crate::auth0::limits::{Class, Limits, UnderWay};
use crate::auth0::wire::ErrorBody;
use crate::auth0::{Error, Settings, mail, scim, token};
use crate::case::{AccountId, CaseId};
use crate::event::Lane;
use crate::outbound::http::{Answer, BODY_BYTES_MAX, Unreadable};
use crate::outbound::token::{Token, Tokens};
use crate::outbound::{self, Deps, RequestId, Sending, Trouble};

const VENDOR: &str = "auth0";
/// Profiles from before Auth0's limit of 10 KB may have a megabyte (Auth0, Metadata Field Names and Data Types); escaped
/// in JSON that is more.
const USER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Our word for a call, the scopes that it needs, and what a 404 means there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) word: &'static str,
    pub(super) needs: &'static str,
    pub(super) not_found: NotFound,
}

/// How a 404 of Auth0's without `inexistent_user` is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotFound {
    /// Not Auth0's way of saying that an account is missing.
    Odd,
    /// The endpoint is not there for this tenant, which is how a plan may lack it.
    NotInPlan,
    /// The thing itself is gone, whose absence is all we want.
    Fine,
    /// A role or an organization that was known is gone: the catalogue is out of date.
    Stale,
    /// Whether it exists is what is asked.
    Asked,
}

/// One request, its path encoded already. Not printable: query and body hold addresses, names and passwords.
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) method: Method,
    /// After `/api/v2`, or what else the line begins with.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    /// What its id begins with, for whoever reads the tenant's log.
    pub(super) case: Option<CaseId>,
    /// How much of the answer is read.
    body_bytes_max: usize,
}

impl Request {
    pub(super) fn new(operation: Operation, method: Method, path: impl Into<String>) -> Request {
        Request {
            operation,
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            case: None,
            body_bytes_max: BODY_BYTES_MAX,
        }
    }

    pub(super) fn get(operation: Operation, path: impl Into<String>) -> Request {
        Request::new(operation, Method::GET, path)
    }

    pub(super) fn body(self, body: Value) -> Request {
        Request { body: Some(body), ..self }
    }

    /// The answer has a user with all metadata in it, and may have more of them that are small.
    pub(super) fn of_a_user(self) -> Request {
        Request { body_bytes_max: USER_BYTES_MAX, ..self }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl ToString) -> Request {
        self.query.push((name, value.to_string()));
        self
    }

    fn effect(&self) -> Effect {
        if self.method == Method::GET { Effect::Read } else { Effect::Write }
    }

    pub(super) fn trouble(&self, trouble: Trouble) -> Error {
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
    pub(super) client_id: String,
    pub(super) deps: Deps,
    pub(super) tokens: Arc<Tokens<Error>>,
    limits: Limits,
    pub(super) scim: scim::Line,
    /// The Authentication API's limit.
    pub(super) mail: Limit,
    pub(super) lifetimes: Lifetimes,
    pub(super) catalogue: Catalogue,
}

impl Shared {
    pub(super) fn new(settings: &Settings, deps: &Deps) -> Result<Shared, Error> {
        Ok(Shared {
            url: settings.url.clone(),
            connection: settings.connection.clone(),
            client_id: settings.client_id.clone(),
            deps: deps.clone(),
            tokens: token::tokens(settings, deps)?,
            limits: Limits::new(VENDOR, settings.requests_per_second, settings.burst, deps),
            scim: scim::Line::new(settings.scim_token.clone(), deps),
            mail: mail::limit(deps),
            lifetimes: Lifetimes::default(),
            catalogue: Catalogue::default(),
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
        let class = Class::of(&request.method, &request.path);
        let (token, under_way) = self.admit(request, class).await?;
        let answer = self.send(request, &token).await?;
        if answer.status != reqwest::StatusCode::UNAUTHORIZED {
            return self.judge(request, class, answer, under_way);
        }
        drop(under_way);
        self.shared.tokens.drop_refused(&token);
        let (token, under_way) = self.admit(request, class).await?;
        let answer = self.send(request, &token).await?;
        self.judge(request, class, answer, under_way)
    }

    /// Waits for what we owe the vendor, within bounds, before anything is sent.
    async fn admit(&self, request: &Request, class: Class) -> Result<(Token, UnderWay), Error> {
        let shared = &self.shared;
        shared.limits.check(class, self.lane).map_err(|it| request.trouble(it))?;
        // The token first: a token of the budget that then waits for a login is lost to others.
        let token = shared.tokens.get().await?;
        let under_way = shared.limits.take(class, self.lane).await.map_err(|it| request.trouble(it))?;
        Ok((token, under_way))
    }

    async fn send(&self, request: &Request, token: &Token) -> Result<Answer, Error> {
        let building = self.build(request, "/api/v2", "application/json");
        let answer = self.exchange(request, building.bearer_auth(token.secret.expose_secret())).await?;
        if answer.status == reqwest::StatusCode::FORBIDDEN {
            self.shared.tokens.doubt(token);
        }
        Ok(answer)
    }

    /// The request without anything that authenticates it; its body is of the type `media`.
    pub(super) fn build(&self, request: &Request, prefix: &str, media: &str) -> reqwest::RequestBuilder {
        let url = outbound::address(&self.shared.url, &format!("{prefix}{}", request.path));
        let mut building = self.http.request(request.method.clone(), url);
        if !request.query.is_empty() {
            building = building.query(&request.query);
        }
        if let Some(body) = &request.body {
            building = building.header(reqwest::header::CONTENT_TYPE, media).json(body);
        }
        building
    }

    /// Sends what was built, whatever it asks of whom.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        building: reqwest::RequestBuilder,
    ) -> Result<Answer, Error> {
        let sending = Sending::to(VENDOR, request.operation.word)
            .named(request_id(request.case))
            .reading(request.body_bytes_max);
        let sent = outbound::exchange(&self.shared.deps, sending, building).await;
        sent.map_err(|it| request.trouble(it))
    }

    fn judge(
        &self,
        request: &Request,
        class: Class,
        answer: Answer,
        under_way: UnderWay,
    ) -> Result<Answer, Error> {
        self.shared.limits.heard(class, &answer, under_way).map_err(|it| request.trouble(it))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let refused = refused(request, &answer);
        if refused.is_stale() {
            self.shared.catalogue.forget();
        }
        Err(refused)
    }
}

/// Documented for writes, whose id comes back as `references.correlation_id` in the tenant's log, 64 characters at most
/// (Auth0 Management API v2, introduction). Reads are not logged; what is not read is ignored (RFC 9110, section 5.1).
pub(super) fn request_id(case: Option<CaseId>) -> RequestId {
    const HEADER: &str = "x-correlation-id";
    match case {
        Some(case) => RequestId::beginning_with(HEADER, &case.to_string()),
        None => RequestId::new(HEADER),
    }
}

/// The status decides, `errorCode` refines; the text is only asked about plans and about names of attributes. Only what
/// Auth0 says itself is believed: a proxy's 404 or 403 proves nothing, and may be another answer a minute later.
fn refused(request: &Request, answer: &Answer) -> Error {
    let operation = request.operation;
    let status = answer.status.as_u16();
    let told = ErrorBody::of(answer);
    if !told.is_auth0s() {
        return request.misfit(answer, Unreadable::Shape);
    }
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
        404 if operation.not_found == NotFound::Asked => Error::Gone { operation: word },
        404 if operation.not_found == NotFound::Stale => Error::Stale { operation: word },
        400 => match request.body.as_ref().and_then(|body| told.unwritable(body)) {
            Some(what) => Error::Unwritable { operation: word, what },
            None => Error::Refused { operation: word, status, code },
        },
        401..=403 => Error::Forbidden { operation: word, needs: operation.needs, status, code },
        _ => Error::Refused { operation: word, status, code },
    }
}
