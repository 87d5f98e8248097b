//! The mail that Auth0 sends to whoever shall choose a password: its Authentication API, which needs no token and has a
//! rate limit of its own.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::auth0::Error;
use crate::auth0::call::{Caller, NotFound, Operation, Request};
use crate::auth0::limit::Limit;
use crate::outbound::http::Unreadable;
use crate::outbound::{self, Deps};

const PASSWORD_LINK: Operation = Operation { word: "password.mail", needs: "", not_found: NotFound::Odd };

/// A fifth of what the smallest plans allow: logins share it (Auth0, Authentication API endpoint rate limits: Free 300 a
/// minute).
const PER_SECOND: f64 = 1.0;
const BURST: u32 = 10;

pub(super) fn limit(deps: &Deps) -> Limit {
    Limit::new("auth0_mail", PER_SECOND, BURST, deps)
}

/// Has a change-password link mailed (Auth0 Authentication API, Change Password). Says yes also when nobody has the
/// address, so that it tells nobody who has.
pub(super) async fn password_link(caller: &Caller, connection: &str, email: &str) -> Result<(), Error> {
    let body = json!({ "client_id": caller.shared.client_id, "connection": connection, "email": email });
    let request = Request::new(PASSWORD_LINK, Method::POST, "/dbconnections/change_password").body(body);
    let limit = &caller.shared.mail;
    limit.take(caller.lane).await.map_err(|it| request.trouble(it))?;
    let answer = caller.exchange(&request, caller.build(&request, "", "application/json")).await?;
    limit.heard(&answer).map_err(|it| request.trouble(it))?;
    if answer.status.is_success() {
        return Ok(());
    }
    let told: Refusal = answer.json().map_err(|_| request.misfit(&answer, Unreadable::Shape))?;
    let code = outbound::shown_code(told.code.as_deref().or(told.error.as_deref()).unwrap_or("without_code"));
    Err(Error::Refused { operation: PASSWORD_LINK.word, status: answer.status.as_u16(), code })
}

/// Either word occurs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: Option<String>,
    error: Option<String>,
}
