//! The control plane of the program: the world's verbs over HTTP, so that people can poke at a running twin with curl,
//! and tests in other languages can arrange and look.
//!
//! `GET /twin/state|journal|complaints|env|verbs|routes`, `POST /twin/{verb}` with a JSON object. On loopback, without
//! authentication: whoever reaches it owns the world.

mod directory;
mod show;
mod tenant;
mod verbs;

use crate::Twin;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use tokio::net::TcpListener;

/// Largest body of a verb.
const BODY_BYTES_MAX: usize = 65_536;

/// What a verb answers: a status and JSON.
pub(crate) type Outcome = Result<Value, Wrong>;

/// Why a verb did nothing.
#[derive(Debug)]
pub(crate) struct Wrong {
    status: u16,
    text: String,
}

impl Wrong {
    fn bad(text: impl Into<String>) -> Wrong {
        Wrong { status: 400, text: text.into() }
    }

    fn missing(text: impl Into<String>) -> Wrong {
        Wrong { status: 404, text: text.into() }
    }
}

/// Serves the control plane of `twin` on an open listener until the task is aborted.
pub async fn serve(twin: Twin, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let twin = twin.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| respond(twin.clone(), request));
            // A client that hangs up is no error of ours.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn respond(twin: Twin, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let outcome = handle(&twin, request).await;
    let (status, body) = match outcome {
        Ok(value) => (200, value),
        Err(wrong) => (wrong.status, json!({ "error": wrong.text })),
    };
    let text = serde_json::to_vec_pretty(&body).expect("JSON values can be written");
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::new(Bytes::from(text))).expect("a constant header is valid"))
}

async fn handle(twin: &Twin, request: Request<Incoming>) -> Outcome {
    let (parts, body) = request.into_parts();
    let Some(name) = parts.uri.path().strip_prefix("/twin/") else {
        return Err(Wrong::missing("everything is under /twin/"));
    };
    match parts.method.as_str() {
        "GET" => show::page(twin, name, parts.uri.query().unwrap_or_default()),
        "POST" => verbs::run(twin, name, &arguments(body).await?).await,
        _ => Err(Wrong { status: 405, text: "GET or POST".into() }),
    }
}

async fn arguments(body: Incoming) -> Result<Map<String, Value>, Wrong> {
    let read = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let bytes = read.map_err(|_| Wrong::bad("the body cannot be read"))?.to_bytes();
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&bytes).map_err(|_| Wrong::bad("the body is no JSON object"))
}
