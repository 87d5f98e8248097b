//! The other ways to a Graph token: certificates, federated tokens, managed identities.

use crate::client::{Client, Got, start};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lockstep_twin::{Fault, FederatedCredential, Login, Match, PersonId, Setup, Times, Vendor};
use serde_json::{Value, json};
use sha2::Digest as _;

/// One block of a PEM text, decoded.
fn block(pem: &str, label: &str) -> Vec<u8> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let inner =
        pem.split(&begin).nth(1).and_then(|rest| rest.split(&end).next()).expect("the block is there");
    STANDARD.decode(inner.split_whitespace().collect::<String>()).expect("base64")
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Signed with the twin's client key.
fn signed(c: &Client, header: &Value, claims: &Value) -> String {
    let pair = RsaKeyPair::from_pkcs8(&block(c.twin.entra_certificate_pem(), "PRIVATE KEY")).expect("a key");
    let encoding: &dyn RsaEncoding =
        if header["alg"] == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), text.as_bytes(), &mut signature).expect("signed");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header(c: &Client, alg: &str) -> Value {
    let der = block(c.twin.entra_certificate_pem(), "CERTIFICATE");
    json!({ "alg": alg, "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(der)) })
}

fn claims(c: &Client) -> Value {
    let (setup, now) = (c.twin.setup(), jiff::Timestamp::now().as_second());
    json!({
        "aud": format!("{}/{}/oauth2/v2.0/token", c.twin.urls().login_url, setup.tenant_id),
        "iss": setup.entra_client_id,
        "sub": setup.entra_client_id,
        "jti": PersonId::nobody().to_string(),
        "nbf": now,
        "iat": now,
        "exp": now + 300,
    })
}

async fn asserted(c: &Client, assertion: &str) -> Got {
    let changes = [
        ("client_secret", ""),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ];
    c.entra_token(&changes).await
}

fn code(got: &Got) -> (u16, Value) {
    (got.status, got.json()["error_codes"][0].clone())
}

#[tokio::test]
async fn a_certificate_opens_the_door_in_both_algorithms() {
    let c = start(Setup::default()).await;
    for alg in ["PS256", "RS256"] {
        let got = asserted(&c, &signed(&c, &header(&c, alg), &claims(&c))).await;
        assert_eq!(got.status, 200, "{alg}: {}", got.text);
    }
    let mut public = claims(&c);
    let tenant = &c.twin.setup().tenant_id;
    public["aud"] = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token").into();
    assert_eq!(asserted(&c, &signed(&c, &header(&c, "PS256"), &public)).await.status, 200);
    c.assert_no_complaints();
}

#[tokio::test]
async fn assertions_are_refused_by_number() {
    let c = start(Setup::default()).await;
    let now = jiff::Timestamp::now().as_second();
    let with = |name: &str, value: Value| {
        let mut claims = claims(&c);
        claims[name] = value;
        signed(&c, &header(&c, "PS256"), &claims)
    };
    let mut forged = signed(&c, &header(&c, "PS256"), &claims(&c));
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    let mut stranger = header(&c, "PS256");
    stranger["x5t#S256"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into();
    let cases = [
        (forged, 700_027),
        (signed(&c, &stranger, &claims(&c)), 700_027),
        (with("exp", (now - 3_600).into()), 700_024),
        (with("nbf", (now + 3_600).into()), 700_024),
        (with("exp", (now + 7_200).into()), 700_024),
        (with("aud", "https://login.example/".into()), 700_023),
        (with("iss", "somebody".into()), 700_021),
        (with("jti", Value::Null), 50_027),
        ("rubbish".to_owned(), 50_027),
    ];
    for (assertion, number) in cases {
        assert_eq!(code(&asserted(&c, &assertion).await), (401, json!(number)));
    }
    let complaints: Vec<_> = c.twin.journal().complaints().into_iter().map(|one| one.text).collect();
    assert_eq!(complaints, ["a client assertion that is valid for 7200 s"]);
}

#[tokio::test]
async fn an_assertion_is_good_for_one_request_and_a_certificate_until_it_is_taken_away() {
    let c = start(Setup::default()).await;
    let assertion = signed(&c, &header(&c, "PS256"), &claims(&c));
    assert_eq!(asserted(&c, &assertion).await.status, 200);
    assert_eq!(code(&asserted(&c, &assertion).await), (401, json!(50_027)));
    assert_eq!(c.twin.journal().complaints().len(), 1);
    let c = start(Setup { entra_certificates: vec![], ..Setup::default() }).await;
    let unknown = asserted(&c, &signed(&c, &header(&c, "PS256"), &claims(&c))).await;
    assert_eq!(code(&unknown), (401, json!(700_027)));
}

#[tokio::test]
async fn a_federated_token_is_matched_by_issuer_subject_and_audience() {
    let c = start(Setup::default()).await;
    let token = c.twin.federated_token();
    let got = asserted(&c, &token).await;
    assert_eq!(got.status, 200, "{}", got.text);
    assert_eq!(asserted(&c, &token).await.status, 200, "the file is good for an hour");
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": "https://kubernetes.contoso.example/twin/",
        "sub": "system:serviceaccount:lockstep:lockstep",
        "aud": "api://AzureADTokenExchange",
        "nbf": now,
        "exp": now + 3_600,
    });
    assert_eq!(asserted(&c, &c.twin.entra_token(&claims)).await.status, 200);
    for (name, value) in [("iss", "https://other/"), ("sub", "system:other"), ("aud", "api://other")] {
        let mut other = claims.clone();
        other[name] = value.into();
        assert_eq!(code(&asserted(&c, &c.twin.entra_token(&other)).await), (400, json!(70_021)), "{name}");
    }
    let mut old = claims.clone();
    old["exp"] = (now - 3_600).into();
    assert_eq!(code(&asserted(&c, &c.twin.entra_token(&old)).await), (401, json!(700_024)));
    let forged = signed(&c, &json!({ "alg": "RS256" }), &claims);
    assert_eq!(code(&asserted(&c, &forged).await), (401, json!(700_027)));
    let federated_credentials = vec![FederatedCredential::service_account("other", "other")];
    let c = start(Setup { federated_credentials, ..Setup::default() }).await;
    assert_eq!(code(&asserted(&c, &token).await), (400, json!(70_021)));
}

async fn imds(c: &Client, query: &str, headers: &[(&str, &str)]) -> Got {
    let url = format!("{}/metadata/identity/oauth2/token?{query}", c.twin.urls().imds_url);
    let request = headers.iter().fold(c.http.get(url), |request, (n, v)| request.header(*n, *v));
    c.send(request).await
}

#[tokio::test]
async fn the_metadata_service_answers_strings_to_whom_it_knows() {
    let mut c = start(Setup::default()).await;
    let query = "api-version=2018-02-01&resource=https://graph.microsoft.com/";
    let got = imds(&c, query, &[("Metadata", "true")]).await;
    assert_eq!(got.status, 200);
    let body = got.json();
    assert!(body.as_object().unwrap().values().all(Value::is_string), "{body}");
    assert_eq!((&body["expires_in"], &body["refresh_token"]), (&json!("3599"), &json!("")));
    c.graph_token = body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(c.graph("GET", "/organization").await.status, 200);
    let own = format!("{query}&client_id={}", c.twin.setup().entra_client_id);
    assert_eq!(imds(&c, &own, &[("Metadata", "true")]).await.status, 200);
    c.assert_no_complaints();
    let refused: [(&str, &[(&str, &str)]); 6] = [
        (query, &[]),
        (query, &[("Metadata", "True")]),
        (query, &[("Metadata", "true"), ("X-Forwarded-For", "10.0.0.1")]),
        (&query.replace("2018", "2017"), &[("Metadata", "true")]),
        (&query.replace("graph", "vault"), &[("Metadata", "true")]),
        (&format!("{query}&client_id=other"), &[("Metadata", "true")]),
    ];
    for (query, headers) in refused {
        assert_eq!(imds(&c, query, headers).await.status, 400, "{query} {headers:?}");
    }
    for status in [404, 410, 429, 500] {
        let there = Match::vendor(Vendor::Login).route("/metadata/");
        c.twin.faults().inject(there, Fault::Status(status), Times::N(1));
        assert_eq!(imds(&c, query, &[("Metadata", "true")]).await.status, status);
    }
}

#[tokio::test]
async fn app_service_knows_its_callers_by_a_header() {
    let c = start(Setup::default()).await;
    let env = c.twin.env_with(Login::AppService);
    assert!(!env.contains_key("ENTRA_CLIENT_SECRET"));
    let url =
        format!("{}?api-version=2019-08-01&resource=https://graph.microsoft.com/", env["IDENTITY_ENDPOINT"]);
    let known = c.send(c.http.get(&url).header("X-IDENTITY-HEADER", &env["IDENTITY_HEADER"])).await;
    assert_eq!(known.status, 200);
    assert!(known.json()["expires_on"].is_string() && known.json().get("expires_in").is_none());
    assert_eq!(c.send(c.http.get(&url)).await.status, 401);
    c.assert_no_complaints();
}
