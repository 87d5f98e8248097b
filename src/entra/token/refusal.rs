//! Why no token was given. Decides by the numbers in `error_codes` (Microsoft identity platform, Error codes reference),
//! never by the text.

use serde::Deserialize;

use super::trouble;
use crate::clock::Timestamp;
use crate::entra::{Error, wire};
use crate::outbound::http::Answer;
use crate::outbound::{self, Trouble};

/// AADSTS numbers that pass by themselves: a loop detected, and a transient failure.
const TRANSIENT: [u32; 2] = [50_196, 90_033];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: String,
    error_codes: Vec<u32>,
}

/// Of the token endpoint. A page of somebody's on the way says nothing about the credentials.
pub(super) fn of_entra(answer: &Answer, now: Timestamp) -> Error {
    let status = answer.status.as_u16();
    let told: Refusal = match (status, answer.json()) {
        (429, _) => return trouble(Trouble::Throttled { status, until: wire::retry_after(answer, now) }),
        (500.., _) => return trouble(Trouble::Failed { status }),
        (_, Err(why)) => return trouble(Trouble::Unreadable { status, why }),
        (_, Ok(told)) => told,
    };
    if told.error_codes.iter().any(|code| TRANSIENT.contains(code)) {
        return trouble(Trouble::Failed { status });
    }
    let number = told.error_codes.first().copied();
    let code = match number {
        Some(number) => format!("AADSTS{number}"),
        None => format!("{status} {}", outbound::shown_code(&told.error)),
    };
    Error::Credentials { code, meaning: meaning(number) }
}

/// Of the machine's own identity service.
pub(super) fn of_machine(answer: &Answer, now: Timestamp) -> Error {
    let status = answer.status.as_u16();
    match status {
        429 => trouble(Trouble::Throttled { status, until: wire::retry_after(answer, now) }),
        404 | 410 | 500.. => trouble(Trouble::Failed { status }),
        _ => {
            let told: Refusal = answer.json().unwrap_or_default();
            let code = format!("{status} {}", outbound::shown_code(&told.error));
            let meaning = "this machine has no such managed identity: check ENTRA_MANAGED_IDENTITY, and with \"user\" \
                           ENTRA_CLIENT_ID, and that the identity is assigned to this machine";
            Error::Credentials { code, meaning }
        }
    }
}

/// What the person who can mend it should do.
fn meaning(number: Option<u32>) -> &'static str {
    match number {
        Some(7_000_222) => {
            "the client secret has expired: add a new one to the app registration and set ENTRA_CLIENT_SECRET"
        }
        Some(7_000_215) => {
            "the client secret is wrong (often its id was pasted instead of its value): check ENTRA_CLIENT_SECRET"
        }
        Some(7_000_218) => {
            "no credential was sent: set one of ENTRA_CLIENT_SECRET, ENTRA_CLIENT_CERTIFICATE_FILE"
        }
        Some(700_016) => {
            "the application is not known in this tenant: wrong ENTRA_TENANT_ID or ENTRA_CLIENT_ID, or no consent"
        }
        Some(700_027) => {
            "the assertion's signature is not accepted: is this certificate among those of the app registration?"
        }
        Some(700_024) => "the assertion is out of its time: set this machine's clock by NTP",
        // Which of the two numbers comes when is not documented.
        Some(70_021 | 700_213) => {
            "no federated credential of the app registration matches the token's issuer, subject and audience"
        }
        Some(90_002) => "the tenant does not exist: check ENTRA_TENANT_ID and ENTRA_CLOUD",
        Some(70_011) => "the scope is not valid: check ENTRA_CLOUD or ENTRA_GRAPH_URL",
        Some(53_003) => {
            "Conditional Access blocks this application: exclude it or allow this machine's address"
        }
        Some(500_011) => "Graph is missing in this tenant: check ENTRA_CLOUD or ENTRA_GRAPH_URL",
        _ => "the credentials are not accepted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::http::Body;
    use crate::retry::WhatNow;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: reqwest::StatusCode::from_u16(status).unwrap(),
            headers: Default::default(),
            body: Body::Whole(body.to_owned().into()),
        }
    }

    fn entra(status: u16, body: &str) -> Error {
        of_entra(&answer(status, body), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn an_expired_secret_is_for_a_person_and_says_so() {
        let body =
            r#"{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys
            for app '24d3b144' are expired.","error_codes":[7000222],"trace_id":"x"}"#
                .replace('\n', " ");
        let error = entra(401, &body);
        assert_eq!(error.what_now(), WhatNow::AskHuman);
        assert_eq!(
            error.to_string(),
            "entra token: AADSTS7000222: the client secret has expired: add a new one to the app registration and set \
             ENTRA_CLIENT_SECRET"
        );
    }

    #[test]
    fn what_passes_by_itself_is_waited_for() {
        for (status, body) in [
            (400, r#"{"error":"temporarily_unavailable","error_codes":[90033]}"#),
            (400, r#"{"error":"x","error_codes":[50196]}"#),
            (503, "<html>"),
            (429, "{}"),
        ] {
            let error = entra(status, body);
            assert_eq!(error.what_now(), WhatNow::BackOff, "{status} {body}");
            assert!(error.is_vendor_away(), "{status} {body}");
        }
    }

    #[test]
    fn a_page_of_somebodys_on_the_way_is_no_word_about_the_credentials() {
        for status in [302, 403, 404] {
            assert_eq!(entra(status, "<html>").what_now(), WhatNow::TryAgain, "{status}");
        }
    }

    #[test]
    fn a_metadata_service_that_starts_or_updates_is_waited_for_and_an_unknown_identity_is_not() {
        for status in [404, 410, 429, 500, 503] {
            let error = of_machine(&answer(status, "{}"), Timestamp::UNIX_EPOCH);
            assert_eq!((error.what_now(), error.is_vendor_away()), (WhatNow::BackOff, true), "{status}");
        }
        let body = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
        let unknown = of_machine(&answer(400, body), Timestamp::UNIX_EPOCH);
        assert_eq!(unknown.what_now(), WhatNow::AskHuman);
        assert!(
            unknown.to_string().starts_with("entra token: 400 invalid_request: this machine has no such")
        );
    }

    #[test]
    fn a_refusal_without_numbers_is_still_a_refusal() {
        let error = entra(400, r#"{"error":"invalid_request<script>"}"#);
        assert_eq!(
            error.to_string(),
            "entra token: 400 invalid_requestscript: the credentials are not accepted"
        );
    }
}
