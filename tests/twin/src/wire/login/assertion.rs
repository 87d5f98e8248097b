//! `client_assertion` instead of a secret: signed with a registered certificate (Microsoft identity platform, Certificate
//! credentials) or by a platform that the application trusts (Workload identity federation).

use super::super::call::{Answer, Call, Reply};
use super::{error, field};
use crate::certificate::Certificate;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest validity that the page recommends, and clock skew that practice shows to be forgiven.
const VALID_SECONDS_MAX: i64 = 600;
const SKEW_SECONDS: i64 = 300;

/// A JSON Web Token taken apart, nothing about it checked yet.
struct Jwt<'a> {
    header: Value,
    claims: Value,
    signed: &'a [u8],
    signature: Vec<u8>,
}

impl Jwt<'_> {
    fn read(text: &str) -> Option<Jwt<'_>> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let json = |part: &str| serde_json::from_slice(&decoded(part)?).ok();
        Some(Jwt {
            header: json(header)?,
            claims: json(claims)?,
            signed: signed.as_bytes(),
            signature: decoded(signature)?,
        })
    }

    fn claim(&self, name: &str) -> &str {
        self.claims[name].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.header[name].as_str().unwrap_or_default()
    }

    /// Some platforms put one audience, some a list.
    fn is_for(&self, audience: &str) -> bool {
        match &self.claims["aud"] {
            Value::Array(several) => several.iter().any(|one| one == audience),
            one => one == audience,
        }
    }
}

pub(super) fn check(call: &Call<'_>, form: &Map<String, Value>, client: &str) -> Answer {
    if field(form, "client_assertion_type") != JWT_BEARER {
        let text =
            format!("The request body must contain 'client_assertion_type' with the value '{JWT_BEARER}'.");
        return Err(error(call, 400, "invalid_request", 900_144, &text));
    }
    let jwt = Jwt::read(field(form, "client_assertion")).ok_or_else(|| malformed(call, "it is no JWT"))?;
    // Platforms speak for themselves and know no thumbprint of this form.
    if jwt.claim("iss") == client || jwt.header.get("x5t#S256").is_some() {
        return by_certificate(call, &jwt, client);
    }
    by_platform(call, &jwt)
}

fn by_certificate(call: &Call<'_>, jwt: &Jwt<'_>, client: &str) -> Answer {
    if (jwt.claim("iss"), jwt.claim("sub")) != (client, client) {
        let text = "Client assertion application identifier doesn't match 'client_id' parameter.";
        return Err(error(call, 401, "invalid_client", 700_021, text));
    }
    let registered = call.state.setup.entra_certificates.iter().flat_map(|pem| Certificate::all_of(pem));
    let named =
        registered.into_iter().find(|one| is_named(jwt, one)).ok_or_else(|| unsigned(call, NO_KEY))?;
    if !named.verifies(jwt.header("alg"), jwt.signed, &jwt.signature) {
        return Err(unsigned(call, WRONG_SIGNATURE));
    }
    let tenant = &call.state.setup.tenant_id;
    let here = format!("http://{}{}", call.header("host").unwrap_or_default(), call.path);
    let public = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token");
    if !jwt.is_for(&here) && !jwt.is_for(&public) {
        let text = "Client assertion audience claim does not match Realm issuer.";
        return Err(error(call, 401, "invalid_client", 700_023, text));
    }
    check_times(call, jwt)?;
    let lasts = number(jwt, "exp") - number(jwt, "nbf").max(number(jwt, "iat"));
    if lasts > VALID_SECONDS_MAX {
        call.complain(format!("a client assertion that is valid for {lasts} s"));
        return Err(out_of_time(call));
    }
    check_once(call, jwt)
}

/// The SHA-1 form goes with RS256 only; PS256 needs the SHA-256 form.
fn is_named(jwt: &Jwt<'_>, certificate: &Certificate) -> bool {
    match jwt.header.get("x5t#S256") {
        Some(thumbprint) => *thumbprint == certificate.sha256.as_str(),
        None => jwt.header("alg") == "RS256" && jwt.header("x5t") == certificate.sha1,
    }
}

/// The platform's own token; the twin plays the platform too, so its key verifies it.
fn by_platform(call: &Call<'_>, jwt: &Jwt<'_>) -> Answer {
    let (issuer, subject) = (jwt.claim("iss"), jwt.claim("sub"));
    let trusted = call.state.setup.federated_credentials.iter().any(|credential| {
        credential.issuer == issuer && credential.subject == subject && jwt.is_for(&credential.audience)
    });
    if !trusted {
        let text = format!(
            "No matching federated identity record found for presented assertion. Assertion Issuer: '{issuer}'. \
             Assertion Subject: '{subject}'. Assertion Audience: '{}'.",
            jwt.claim("aud")
        );
        return Err(error(call, 400, "invalid_request", 70_021, &text));
    }
    if jwt.header("alg") != "RS256" || !call.state.signing().verifies(jwt.signed, &jwt.signature) {
        return Err(unsigned(call, WRONG_SIGNATURE));
    }
    check_times(call, jwt)?;
    Ok(Reply::empty(200))
}

fn check_times(call: &Call<'_>, jwt: &Jwt<'_>) -> Answer {
    let now = jiff::Timestamp::now().as_second();
    let (from, until) = (number(jwt, "nbf"), number(jwt, "exp"));
    if from > now + SKEW_SECONDS || until < now - SKEW_SECONDS {
        return Err(out_of_time(call));
    }
    Ok(Reply::empty(200))
}

/// `jti` makes an assertion good for one request.
fn check_once(call: &Call<'_>, jwt: &Jwt<'_>) -> Answer {
    let id = jwt.claim("jti");
    if id.is_empty() {
        return Err(malformed(call, "the claim 'jti' is missing"));
    }
    if !call.world().use_assertion(id) {
        call.complain("a client assertion used twice");
        return Err(malformed(call, "the claim 'jti' has been used"));
    }
    Ok(Reply::empty(200))
}

fn number(jwt: &Jwt<'_>, claim: &str) -> i64 {
    jwt.claims[claim].as_i64().unwrap_or(0)
}

const NO_KEY: &str = "The key was not found.";
const WRONG_SIGNATURE: &str = "The signature is not valid.";

/// The error codes reference says "client assertion contains an invalid signature" for both.
fn unsigned(call: &Call<'_>, why: &str) -> Reply {
    let text = format!("Client assertion contains an invalid signature. [Reason - {why}]");
    error(call, 401, "invalid_client", 700_027, &text)
}

fn out_of_time(call: &Call<'_>) -> Reply {
    error(call, 401, "invalid_client", 700_024, "Client assertion is not within its valid time range.")
}

fn malformed(call: &Call<'_>, why: &str) -> Reply {
    error(call, 401, "invalid_client", 50_027, &format!("JWT token is invalid or malformed: {why}."))
}
