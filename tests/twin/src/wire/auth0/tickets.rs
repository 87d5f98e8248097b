//! Tickets and the mails that go with them (recorded: TestTicketManager_*, TestGuardian/Enrollment/CreateTicket). The world
//! remembers both. The texts of the refusals are the API description's.

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_body, no_such_user};
use super::patch;
use crate::world::{Account, AccountId, MailKind, Ticket, TicketKind, World, Write, stamp, word};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

type Body = Map<String, Value>;

/// Seconds that a ticket is good for when the call does not say (schema: 432000).
const SECONDS: u64 = 432_000;

/// 201 with the link, which nobody mails.
pub(super) fn password_change(call: &Call<'_>) -> Answer {
    const FIELDS: [&str; 10] = [
        "result_url",
        "user_id",
        "client_id",
        "organization_id",
        "connection_id",
        "email",
        "ttl_sec",
        "mark_email_as_verified",
        "includeEmailInRedirect",
        "identity",
    ];
    let body = body(call, &FIELDS)?;
    let mut world = call.world();
    let id = concerned(&world, &body)?;
    let ticket = make(call, &mut world, &id, TicketKind::PasswordChange, &body)?;
    Ok(Reply::json(201, &json!({ "ticket": ticket })))
}

/// 201 with the link, which nobody mails.
pub(super) fn email_verification(call: &Call<'_>) -> Answer {
    const FIELDS: [&str; 7] = [
        "result_url",
        "user_id",
        "client_id",
        "organization_id",
        "ttl_sec",
        "includeEmailInRedirect",
        "identity",
    ];
    let body = body(call, &FIELDS)?;
    let mut world = call.world();
    let id = user(&world, &body)?;
    let ticket = make(call, &mut world, &id, TicketKind::EmailVerification, &body)?;
    Ok(Reply::json(201, &json!({ "ticket": ticket })))
}

/// 200 with the ticket (recorded); a mail leaves if the body asks for one.
pub(super) fn enrollment(call: &Call<'_>) -> Answer {
    const FIELDS: [&str; 6] =
        ["user_id", "email", "send_mail", "email_locale", "factor", "allow_multiple_enrollments"];
    let body = body(call, &FIELDS)?;
    let mut world = call.world();
    let id = user(&world, &body)?;
    let ticket_id = word(32);
    let url = format!("https://{}/mfa/enrollment?ticket={ticket_id}", call.state.setup.auth0_domain);
    if body.get("send_mail") == Some(&Value::Bool(true)) {
        let own = world.account(&id).email.clone();
        let to = text(&body, "email").map(str::to_owned).or(own).ok_or_else(no_address)?;
        world.send_mail(MailKind::Enrolment, &id, &to);
    }
    note(&mut world, &id, TicketKind::Enrolment, &url, None, &body);
    Ok(Reply::json(200, &json!({ "ticket_id": ticket_id, "ticket_url": url })))
}

/// `POST /jobs/verification-email`: 201 with a job (recorded), and the mail leaves.
pub(super) fn verification_mail(call: &Call<'_>) -> Answer {
    let body = body(call, &["user_id", "client_id", "identity", "organization_id"])?;
    let mut world = call.world();
    let id = user(&world, &body)?;
    let account = world.account(&id);
    if account.is_enterprise() {
        return Err(error(400, "Connection must be a database connection.", None));
    }
    let email =
        account.email.clone().ok_or_else(|| error(400, "User does not have an email address.", None))?;
    world.send_mail(MailKind::Verification, &id, &email);
    let job = json!({
        "id": format!("job_{}", word(16)),
        "type": "verification_email",
        "status": "pending",
        "created_at": stamp(Timestamp::now()),
    });
    Ok(Reply::json(201, &job))
}

/// `POST /dbconnections/change_password` of the Authentication API: no token, and the same answer whether anybody has the
/// address (Auth0 Authentication API, Change Password).
pub(super) fn mail_password_link(call: &Call<'_>) -> Answer {
    let fields = call.fields().ok_or_else(|| invalid_body("'Expected type object'"))?;
    let known = ["client_id", "connection", "email", "username", "organization"];
    for unknown in fields.keys().filter(|name| !known.contains(&name.as_str())) {
        call.complain(format!("unknown field {unknown}"));
    }
    let (Some(connection), Some(email)) = (text(&fields, "connection"), text(&fields, "email")) else {
        return Err(Reply::json(400, &json!({ "error": "connection and email are required" })));
    };
    if text(&fields, "client_id").is_some_and(|client| client != call.state.setup.auth0_client_id) {
        return Err(Reply::json(400, &json!({ "error": "Unknown client" })));
    }
    let mut world = call.world();
    if world.connection_named(connection).is_none_or(|connection| !connection.is_database()) {
        return Err(Reply::json(400, &json!({ "error": "connection must be a database connection" })));
    }
    for id in world.accounts_signing_in_as(connection, email) {
        world.send_mail(MailKind::PasswordChange, &id, &email.to_lowercase());
    }
    Ok(Reply::text(200, "We've just sent you an email to reset your password."))
}

fn body(call: &Call<'_>, known: &[&str]) -> Result<Body, Reply> {
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    patch::refuse_unknown(call, &body, known)?;
    let booleans =
        ["send_mail", "mark_email_as_verified", "includeEmailInRedirect", "allow_multiple_enrollments"];
    for (name, value) in &body {
        let fits = match name.as_str() {
            name if booleans.contains(&name) => value.is_boolean(),
            "ttl_sec" => value.is_u64(),
            "identity" => value.is_object(),
            _ => value.is_string(),
        };
        if !fits {
            return Err(invalid_body(&format!("'Wrong type' on property {name}")));
        }
    }
    Ok(body)
}

/// By id, or by connection and address.
fn concerned(world: &World, body: &Body) -> Result<AccountId, Reply> {
    match (text(body, "user_id"), text(body, "connection_id"), text(body, "email")) {
        (Some(_), None, _) => user(world, body),
        (None, Some(connection), Some(email)) => {
            let named = world.find_connection(connection).ok_or_else(|| {
                error(400, &format!("The connection with id {connection} does not exist."), None)
            })?;
            let found = world.accounts_signing_in_as(&named.name, email);
            found.into_iter().next().ok_or_else(no_such_user)
        }
        _ => Err(invalid_body("'Either user_id, or connection_id and email' on property user_id")),
    }
}

fn user(world: &World, body: &Body) -> Result<AccountId, Reply> {
    let id = text(body, "user_id")
        .ok_or_else(|| invalid_body("'Missing required property: user_id' on property user_id"))?;
    world.find_account(id).map(|account| account.id.clone()).ok_or_else(no_such_user)
}

fn make(
    call: &Call<'_>,
    world: &mut World,
    id: &AccountId,
    kind: TicketKind,
    body: &Body,
) -> Result<String, Reply> {
    check(world, world.account(id), body)?;
    let page = if kind == TicketKind::PasswordChange { "reset-password" } else { "email-verification" };
    let url = format!("https://{}/u/{page}?ticket={}#", call.state.setup.auth0_domain, word(32));
    let seconds =
        body.get("ttl_sec").and_then(Value::as_u64).filter(|seconds| *seconds > 0).unwrap_or(SECONDS);
    note(world, id, kind, &url, Some(seconds), body);
    Ok(url)
}

fn check(world: &World, account: &Account, body: &Body) -> Answer {
    if account.is_enterprise() && !body.contains_key("connection_id") {
        return Err(error(400, "The user's main connection does not support this operation.", None));
    }
    if account.email.is_none() {
        return Err(no_address());
    }
    let Some(organization) = text(body, "organization_id") else {
        return Ok(Reply::empty(200));
    };
    if world.find_organization(organization).is_none() {
        return Err(error(400, "The organization does not exist", None));
    }
    if !world.is_member(organization, &account.id) {
        let text = format!(
            "The user with id {} is not a member of organization with id {organization}.",
            account.id
        );
        return Err(error(400, &text, None));
    }
    Ok(Reply::empty(200))
}

fn note(world: &mut World, id: &AccountId, kind: TicketKind, url: &str, seconds: Option<u64>, body: &Body) {
    world.hand_out(Ticket {
        kind,
        account: id.clone(),
        url: url.to_owned(),
        seconds,
        mark_email_as_verified: body.get("mark_email_as_verified") == Some(&Value::Bool(true)),
        made: Timestamp::now(),
    });
    world.wrote(id, Write::Ticket);
}

fn no_address() -> Reply {
    error(400, "The user does not have an email address.", None)
}

fn text<'a>(body: &'a Body, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}
