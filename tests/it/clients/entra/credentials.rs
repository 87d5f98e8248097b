//! Every way to sign in, and what is said when one fails. The token endpoint looks at the real time, so these clients do.

use std::path::Path;
use std::sync::Arc;

use lockstep::clock::SystemClock;
use lockstep::entra::{Client, Credential, Error, Identity, IdentityHost, Settings};
use lockstep::event::Lane;
use lockstep::outbound::Deps;
use lockstep::retry::WhatNow;
use lockstep::snapshot::Directory;
use lockstep::telemetry::Metrics;
use lockstep_twin::{Fault, FederatedCredential, Match, PersonId, Setup, Times, Twin, Vendor};

use crate::clients::{entra_settings, object};

fn client(twin: &Twin, credential: Credential) -> Client {
    let settings = Settings { credential, ..entra_settings(twin) };
    let deps = Deps { clock: Arc::new(SystemClock), metrics: Metrics::new() };
    Client::new(&settings, &deps).unwrap()
}

async fn reads(twin: &Twin, client: &Client) -> Result<(), Error> {
    let nobody = object(PersonId::nobody());
    let seen = client.reader(Lane::Sync).person(nobody).await?;
    assert_eq!((seen, twin.journal().complaints()), (Directory::Missing, vec![]));
    Ok(())
}

/// Signs in, and again after its token has been lost.
async fn signs_in(twin: &Twin, credential: Credential) {
    let client = client(twin, credential);
    reads(twin, &client).await.unwrap();
    twin.world().expire_tokens(Vendor::Graph);
    reads(twin, &client).await.unwrap();
    assert_eq!(twin.journal().total(Vendor::Login), 2);
}

fn client_id(twin: &Twin) -> String {
    twin.setup().entra_client_id.clone()
}

fn certificate(twin: &Twin, file: &Path) -> Credential {
    Credential::Certificate { client_id: client_id(twin), file: file.to_owned() }
}

fn federated(twin: &Twin, file: &Path) -> Credential {
    Credential::Federated { client_id: client_id(twin), file: file.to_owned() }
}

fn imds(twin: &Twin, which: Identity) -> Credential {
    let host = IdentityHost::Imds(twin.urls().imds_url.parse().unwrap());
    Credential::ManagedIdentity { which, host }
}

#[tokio::test]
async fn a_certificate_signs_a_new_statement_for_every_token() {
    let twin = Twin::start(Setup::unlimited()).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("client.pem");
    std::fs::write(&file, twin.entra_certificate_pem()).unwrap();
    signs_in(&twin, certificate(&twin, &file)).await;
}

#[tokio::test]
async fn a_certificate_that_comes_later_needs_no_restart() {
    let twin = Twin::start(Setup::unlimited()).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("client.pem");
    let client = client(&twin, certificate(&twin, &file));
    let missing = reads(&twin, &client).await.unwrap_err();
    assert_eq!(missing.what_now(), WhatNow::AskHuman);
    let told =
        "entra token: ENTRA_CLIENT_CERTIFICATE_FILE: the file does not exist, cannot be read, or is no text";
    assert_eq!(missing.to_string(), told);
    let key_only = twin.entra_certificate_pem().split("-----BEGIN CERTIFICATE").next().unwrap();
    std::fs::write(&file, key_only).unwrap();
    let half = reads(&twin, &client).await.unwrap_err().to_string();
    assert!(half.contains("holds no certificate"), "{half}");
    assert_eq!(twin.journal().total(Vendor::Login), 0);
    std::fs::write(&file, twin.entra_certificate_pem()).unwrap();
    reads(&twin, &client).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_entra_does_not_know_is_for_a_person() {
    let twin = Twin::start(Setup { entra_certificates: vec![], ..Setup::unlimited() }).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("client.pem");
    std::fs::write(&file, twin.entra_certificate_pem()).unwrap();
    let error = reads(&twin, &client(&twin, certificate(&twin, &file))).await.unwrap_err();
    assert_eq!(error.what_now(), WhatNow::AskHuman);
    assert!(error.to_string().starts_with("entra token: AADSTS700027: "), "{error}");
}

#[tokio::test]
async fn a_federated_token_is_read_anew_each_time() {
    let twin = Twin::start(Setup::unlimited()).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("token");
    let credential = federated(&twin, &file);
    let missing = reads(&twin, &client(&twin, credential.clone())).await.unwrap_err();
    assert!(missing.to_string().starts_with("entra token: AZURE_FEDERATED_TOKEN_FILE: "), "{missing}");
    std::fs::write(&file, format!("{}\n", twin.federated_token())).unwrap();
    signs_in(&twin, credential).await;
}

#[tokio::test]
async fn a_platform_that_entra_does_not_trust_is_for_a_person() {
    let trusted = FederatedCredential::service_account("lockstep", "lockstep");
    let twin = Twin::start(Setup { federated_credentials: vec![trusted], ..Setup::unlimited() }).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("token");
    let claims = serde_json::json!({ "iss": "https://elsewhere.example/", "sub": "x", "aud": "api://AzureADTokenExchange" });
    std::fs::write(&file, twin.entra_token(&claims)).unwrap();
    let error = reads(&twin, &client(&twin, federated(&twin, &file))).await.unwrap_err();
    assert_eq!(error.what_now(), WhatNow::AskHuman);
    assert!(error.to_string().contains("no federated credential of the app registration matches"), "{error}");
}

#[tokio::test]
async fn the_metadata_service_gives_both_kinds_of_identity() {
    let twin = Twin::start(Setup::unlimited()).await;
    signs_in(&twin, imds(&twin, Identity::SystemAssigned)).await;
    twin.journal().clear();
    let which = Identity::UserAssigned { client_id: client_id(&twin) };
    signs_in(&twin, imds(&twin, which)).await;
    let unknown = Identity::UserAssigned { client_id: "00000000-0000-0000-0000-000000000001".into() };
    let error = reads(&twin, &client(&twin, imds(&twin, unknown))).await.unwrap_err();
    assert_eq!(error.what_now(), WhatNow::AskHuman);
    assert!(error.to_string().contains("check ENTRA_MANAGED_IDENTITY"), "{error}");
}

#[tokio::test]
async fn a_metadata_service_that_is_updated_is_waited_for() {
    let twin = Twin::start(Setup::unlimited()).await;
    let client = client(&twin, imds(&twin, Identity::SystemAssigned));
    for status in [404, 410, 500] {
        let wanted = Match::vendor(Vendor::Login).route("/metadata/identity");
        twin.faults().inject(wanted, Fault::Status(status), Times::N(1));
        let away = reads(&twin, &client).await.unwrap_err();
        assert_eq!((away.what_now(), away.is_vendor_away()), (WhatNow::BackOff, true), "{away}");
    }
    reads(&twin, &client).await.unwrap();
}

#[tokio::test]
async fn app_service_is_asked_at_its_own_endpoint() {
    let twin = Twin::start(Setup::unlimited()).await;
    let identity = |header: &str| Credential::ManagedIdentity {
        which: Identity::SystemAssigned,
        host: IdentityHost::AppService {
            endpoint: twin.urls().identity_endpoint.parse().unwrap(),
            header: header.into(),
        },
    };
    signs_in(&twin, identity(&twin.setup().identity_header)).await;
    let error = reads(&twin, &client(&twin, identity("wrong"))).await.unwrap_err();
    assert_eq!(error.what_now(), WhatNow::AskHuman);
    assert!(!format!("{error} {error:?}").contains("wrong"), "{error:?}");
}

#[tokio::test]
async fn an_identity_elsewhere_than_on_this_machine_is_refused() {
    let twin = Twin::start(Setup::unlimited()).await;
    let host = IdentityHost::Imds("http://10.0.0.1".parse().unwrap());
    let credential = Credential::ManagedIdentity { which: Identity::SystemAssigned, host };
    let settings = Settings { credential, ..entra_settings(&twin) };
    let deps = Deps { clock: Arc::new(SystemClock), metrics: Metrics::new() };
    let refused = Client::new(&settings, &deps).unwrap_err().to_string();
    assert!(refused.starts_with("AZURE_POD_IDENTITY_AUTHORITY_HOST must be"), "{refused}");
}
