//! What an account holds beside sessions and refresh tokens: each is ended by itself, counted, and bounded.

use lockstep::case::also::Extra;
use lockstep::snapshot::Count;
use lockstep_twin::{Fault, Match, Setup, Times, Vendor};
use std::time::Duration;

use super::script::{Said, refusal, script, told};
use super::{id, vendors, with_setup};

const ALL: [Extra; 3] = [Extra::Grants, Extra::DeviceCredentials, Extra::TokenVault];

#[tokio::test]
async fn each_ends_what_it_is_for_and_nothing_else() {
    for extra in ALL {
        // So that what hangs on each other is still there to be seen.
        let v = with_setup(Setup { deletion_delay: Duration::from_secs(3600), ..Setup::unlimited() }).await;
        let (_, account) = v.hire("Ada Lovelace");
        v.twin.world().add_token_set(account.as_str(), "google-oauth2");
        v.twin.world().add_token_set(account.as_str(), "box");
        let before = if extra == Extra::TokenVault { 2 } else { 1 };
        assert_eq!(v.reader().left_of(&account, extra).await.unwrap(), Count::Is(before), "{extra:?}");
        v.writer().end_extra(&account, extra).await.unwrap();
        assert_eq!(v.reader().left_of(&account, extra).await.unwrap(), Count::Is(0), "{extra:?}");
        v.writer().end_extra(&account, extra).await.unwrap();
        let world = v.twin.world();
        let (grants, sets) = (world.grants(account.as_str()).len(), world.token_sets(account.as_str()).len());
        let expected = match extra {
            Extra::Grants => (0, 2),
            Extra::DeviceCredentials => (1, 2),
            Extra::TokenVault => (1, 0),
        };
        assert_eq!((grants, sets), expected, "{extra:?}");
        drop(world);
        v.done();
    }
}

#[tokio::test]
async fn of_very_many_token_sets_a_hundred_go_at_a_time() {
    let v = vendors().await;
    let (_, account) = v.hire("Ada Lovelace");
    (0..130).for_each(|_| drop(v.twin.world().add_token_set(account.as_str(), "box")));
    v.writer().end_extra(&account, Extra::TokenVault).await.unwrap();
    assert_eq!(v.reader().left_of(&account, Extra::TokenVault).await.unwrap(), Count::Is(30));
    v.writer().end_extra(&account, Extra::TokenVault).await.unwrap();
    assert_eq!(v.reader().left_of(&account, Extra::TokenVault).await.unwrap(), Count::Is(0));
    v.done();
}

#[tokio::test]
async fn one_that_cannot_be_deleted_keeps_no_other_from_it() {
    let v = vendors().await;
    let (_, account) = v.hire("Ada Lovelace");
    (0..3).for_each(|_| drop(v.twin.world().add_token_set(account.as_str(), "box")));
    let deleting = Match::vendor(Vendor::Auth0).method("DELETE").route("federated-connections-tokensets");
    v.twin.faults().inject(deleting, Fault::Status(500), Times::N(1));
    let failed = v.writer().end_extra(&account, Extra::TokenVault).await.unwrap_err();
    assert!(!failed.is_refusal(), "{failed}");
    assert_eq!(v.twin.world().token_sets(account.as_str()).len(), 1);
    v.done();
}

#[tokio::test]
async fn refusals_by_plan_and_by_permission_are_told_from_what_passes() {
    let refusals = [
        (403, "Insufficient scope, expected any of: x", Some("insufficient_scope")),
        (403, "Your plan does not include this.", Some("insufficient_entitlement")),
        (403, "Please upgrade your subscription.", Some("insufficient_scope")),
        (404, "Not Found", None),
    ];
    for (status, message, code) in refusals {
        let s = script(move |_: &Said| refusal(status, message, code)).await;
        for extra in [Extra::DeviceCredentials, Extra::TokenVault] {
            let refused = s.writer().end_extra(&id("auth0|1"), extra).await.unwrap_err();
            assert!(refused.is_refusal() && !refused.is_gone(), "{extra:?}: {refused}");
            let left = s.reader().left_of(&id("auth0|1"), extra).await.unwrap();
            assert_eq!(left, Count::NotInPlan, "{extra:?}: {message}");
        }
    }
    let s = script(|_: &Said| told(503, serde_json::json!({}))).await;
    assert!(!s.writer().end_extra(&id("auth0|1"), Extra::Grants).await.unwrap_err().is_refusal());
    assert!(s.reader().left_of(&id("auth0|1"), Extra::Grants).await.is_err());
    let gone = script(|_: &Said| refusal(404, "The user does not exist.", Some("inexistent_user"))).await;
    assert_eq!(gone.reader().left_of(&id("auth0|1"), Extra::TokenVault).await.unwrap(), Count::Is(0));
}
