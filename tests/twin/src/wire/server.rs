//! Listeners and connections: everything between a socket and a [`Call`].
//!
//! hyper is used directly because only there can a connection be closed before its request is read, or after its write
//! and before its reply. A vendor that is down closes its listening socket, so clients see *connection refused* as with
//! a dead host; a second socket, bound and never listening, keeps the port for the time when it comes back.

use super::call::{Bent, Call, Reply};
use super::route::Route;
use super::{State, failure, find_route, finish, guard, reach, route, unknown_route};
use crate::faults::{Fault, Request, Strike, Vendor};
use crate::journal::{Entry, Outcome};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response};
use hyper_util::rt::TokioIo;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// Largest body read; the Management API takes 1 MB (Auth0, Management API introduction).
const BODY_BYTES_MAX: usize = 1_048_576;
/// Connections waiting to be accepted.
const BACKLOG: u32 = 1_024;

/// A port on loopback that can be listened on, not listened on, and listened on again.
pub(crate) struct Port {
    address: SocketAddr,
    /// Bound and never listening: nobody else gets the port.
    _keeper: TcpSocket,
}

impl Port {
    /// Reserves `port`, or a free one for 0.
    pub fn reserve(port: u16) -> std::io::Result<Port> {
        let keeper = shared_socket()?;
        keeper.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        Ok(Port { address: keeper.local_addr()?, _keeper: keeper })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn listen(&self) -> std::io::Result<TcpListener> {
        let socket = shared_socket()?;
        socket.bind(self.address)?;
        socket.listen(BACKLOG)
    }
}

fn shared_socket() -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    Ok(socket)
}

/// Serves `vendors` on one port until the task is aborted. `listener` is open already, so that a client that was told
/// the port can connect at once.
pub(crate) async fn serve(state: Arc<State>, port: Port, vendors: &'static [Vendor], listener: TcpListener) {
    let mut open = Some(listener);
    loop {
        let listener = match open.take() {
            Some(listener) => listener,
            None => port.listen().expect("the keeper holds the port"),
        };
        accept_until_down(&state, vendors, listener).await;
        weather_changes(&state, || !all_down(&state, vendors)).await;
    }
}

fn all_down(state: &State, vendors: &[Vendor]) -> bool {
    vendors.iter().all(|vendor| state.faults.is_down(*vendor))
}

/// Resolves when `so` holds, now or after a vendor went down or came back.
async fn weather_changes(state: &State, so: impl Fn() -> bool) {
    loop {
        let changed = state.faults.weather.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if so() {
            return;
        }
        changed.await;
    }
}

/// Accepts until all vendors of this listener are down, then breaks its connections.
async fn accept_until_down(state: &Arc<State>, vendors: &'static [Vendor], listener: TcpListener) {
    let mut connections = JoinSet::new();
    let down = weather_changes(state, || all_down(state, vendors));
    tokio::pin!(down);
    loop {
        tokio::select! {
            () = &mut down => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if vendors == [Vendor::Mail] => {
                    connections.spawn(super::smtp::connection(state.clone(), stream));
                }
                Ok((stream, _)) => { connections.spawn(connection(state.clone(), vendors, stream)); }
                // Out of file descriptors: the accepted ones have to go first.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The connection is to be closed without a reply.
#[derive(Debug)]
struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the twin hangs up")
    }
}

impl std::error::Error for HangUp {}

async fn connection(state: Arc<State>, vendors: &'static [Vendor], stream: TcpStream) {
    // Without it every small reply on a kept connection waits for the delayed acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
        let state = state.clone();
        async move {
            let (parts, body) = request.into_parts();
            respond(&state, vendors, parts, body).await
        }
    });
    // An error is the client's hang-up or our own; the journal knows what was asked.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(
    state: &State,
    vendors: &[Vendor],
    parts: Parts,
    body: Incoming,
) -> Result<Response<Full<Bytes>>, HangUp> {
    let at = Instant::now();
    let vendor = vendor_of(vendors, parts.uri.path());
    let found = find_route(vendor, parts.method.as_str(), parts.uri.path());
    let label = found.as_ref().map_or(route::UNMATCHED, |(route, _)| route.label);
    let strike = state.faults.take(&Request {
        vendor,
        method: parts.method.as_str(),
        route: label,
        path: parts.uri.path_and_query().map_or("", |sent| sent.as_str()),
    });
    if strike.refuse || state.faults.is_down(vendor) {
        state.journal.write(entry(at, vendor, label, &parts, None));
        return Err(HangUp);
    }
    let body = read(body).await?;
    pause(latency(state, vendor)).await;
    let call = call(state, vendor, found, &parts, &body, strike.bent());
    let mut reply = match instead(&call, &strike) {
        Some(reply) => reply,
        None => answer_reaching_out(&call).await,
    };
    if !strike.is_foreign() {
        finish(&call, &mut reply);
    }
    let mut entry = entry(at, vendor, label, &parts, Some(&reply));
    if !label.ends_with("/token") {
        entry.body = body.clone();
    }
    if strike.lose_reply {
        entry.outcome = Outcome::ReplyLost;
    }
    run_effects(state, strike.after);
    state.journal.write(entry);
    pause(strike.stall.unwrap_or_default()).await;
    if strike.lose_reply { Err(HangUp) } else { Ok(response(reply)) }
}

pub(super) fn run_effects(state: &State, effects: Vec<crate::faults::Effect>) {
    for effect in effects {
        effect(&mut state.world());
    }
}

/// `Login` and `Graph` share a listener and are told apart by Graph's version segment.
fn vendor_of(vendors: &[Vendor], path: &str) -> Vendor {
    match vendors {
        [single] => *single,
        _ if path.starts_with("/v1.0") || path.starts_with("/beta") => Vendor::Graph,
        _ => Vendor::Login,
    }
}

async fn read(body: Incoming) -> Result<Bytes, HangUp> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(_) => Err(HangUp),
    }
}

fn latency(state: &State, vendor: Vendor) -> Duration {
    let latency = &state.setup.latency;
    match vendor {
        Vendor::Login | Vendor::Graph => latency.entra,
        Vendor::Auth0 => latency.auth0,
        Vendor::Slack | Vendor::Mail | Vendor::Ticket => latency.slack,
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

fn call<'a>(
    state: &'a State,
    vendor: Vendor,
    found: Option<(&'static route::Route, Vec<String>)>,
    parts: &'a Parts,
    body: &'a Bytes,
    bent: Bent,
) -> Call<'a> {
    let (route, parameters) = found.map_or((None, Vec::new()), |(route, p)| (Some(route), p));
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    Call {
        state,
        vendor,
        method: parts.method.as_str(),
        path: parts.uri.path(),
        route,
        parameters,
        query: form_urlencoded::parse(query).into_owned().collect(),
        headers: &parts.headers,
        body,
        now: Instant::now(),
        request_id: uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid(),
        bent,
    }
}

/// The token that expires meanwhile, and the answer of a vendor that fails.
fn instead(call: &Call<'_>, strike: &Strike) -> Option<Reply> {
    if strike.expire_token
        && let Some(token) = call.bearer()
    {
        call.world().expire_token(token);
    }
    match &strike.instead {
        Some(Fault::Throttle { retry_after }) => Some(throttled(call, retry_after.as_deref())),
        Some(Fault::Status(status)) => Some(failure(call, *status)),
        Some(Fault::Foreign(status)) => Some(Reply::html(*status)),
        _ => None,
    }
}

fn throttled(call: &Call<'_>, retry_after: Option<&str>) -> Reply {
    let reply = failure(call, 429);
    match retry_after {
        Some(value) => reply.with("retry-after", value),
        None => reply,
    }
}

/// The whole of a request that comes alone.
async fn answer_reaching_out(call: &Call<'_>) -> Reply {
    let route = match admit(call) {
        Ok(route) => route,
        Err(refused) => return refused,
    };
    match reach(call).await {
        Ok(_) => carry_out(call, route),
        Err(refused) => refused,
    }
}

/// The whole of a request that comes in a batch, where nothing may take time.
pub(super) fn perform(call: &Call<'_>, strike: &Strike) -> Reply {
    if call.label() == "POST /v1.0/subscriptions" {
        call.complain("the handshake of a new subscription is not played in a batch");
    }
    let mut reply = instead(call, strike).unwrap_or_else(|| match admit(call) {
        Ok(route) => carry_out(call, route),
        Err(refused) => refused,
    });
    if !strike.is_foreign() {
        finish(call, &mut reply);
    }
    reply
}

/// Whether there is such a route, and whether the vendor's guard lets the request in.
fn admit(call: &Call<'_>) -> Result<&'static Route, Reply> {
    let Some(route) = call.route else {
        call.complain(format!("unknown route {} {}", call.method, call.path));
        return Err(unknown_route(call));
    };
    if call.method == "GET" && !call.body.is_empty() {
        call.complain("a body that nobody reads");
    }
    guard(call)?;
    Ok(route)
}

fn carry_out(call: &Call<'_>, route: &Route) -> Reply {
    let answered = (route.answer)(call);
    if call.bent.take_page().is_some() || call.bent.take_delta_expiry().is_some() {
        call.complain("a fault of pages or links struck a request that has none");
    }
    answered.unwrap_or_else(|refused| refused)
}

fn entry(at: Instant, vendor: Vendor, label: &'static str, parts: &Parts, reply: Option<&Reply>) -> Entry {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    Entry {
        seq: 0,
        at,
        vendor,
        route: label,
        method: parts.method.as_str().into(),
        path: path.into(),
        status: reply.map_or(0, |reply| reply.status),
        outcome: if reply.is_some() { Outcome::Answered } else { Outcome::Refused },
        correlation: first_of(&parts.headers, &["x-correlation-id", "client-request-id"]),
        user_agent: first_of(&parts.headers, &["user-agent"]),
        in_batch: false,
        body: Bytes::new(),
    }
}

fn first_of(headers: &HeaderMap, names: &[&str]) -> Option<Box<str>> {
    let named = names.iter().find_map(|name| headers.get(*name));
    named.and_then(|value| value.to_str().ok()).map(Into::into)
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(reply.status).header("content-type", reply.content_type);
    for (name, value) in reply.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(reply.body)).expect("the twin writes valid header values")
}
