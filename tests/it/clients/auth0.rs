//! Every call to the Management API, when all goes well and when the tenant is not as one would like it.

use std::time::Duration;

use lockstep::auth0::Error;
use lockstep::case::Means;
use lockstep::retry::WhatNow;
use lockstep::snapshot::{Access, Blocked, Count, Stamp};
use lockstep_twin::{AccountSeed, Fault, Hire, Match, Plan, PlanRefusal, Setup, Times, Vendor};
use serde_json::json;

use super::{id, object, stamp, vendors, with_setup};

const MEANS: [Means; 3] = [Means::RevokeAccess, Means::SessionsAndTokens, Means::GrantsAndDevices];

#[tokio::test]
async fn accounts_are_found_by_object_id_in_every_form_and_never_by_email() {
    let v = vendors().await;
    let (ada, plain) = v.hire("Ada Lovelace");
    let (other, _) = v.hire("Grace Hopper");
    let connection = v.twin.setup().auth0_connection.clone();
    let seed =
        |user_id: String| AccountSeed { user_id, connection: connection.clone(), ..AccountSeed::default() };
    let metadata = |value: serde_json::Value| value.as_object().unwrap().clone();
    let with_connection = format!("waad|{connection}|{ada}");
    {
        let mut world = v.twin.world();
        world.add_account_raw(seed(with_connection.clone()));
        let scim = json!({"external_id": ada.to_string()});
        world.add_account_raw(AccountSeed { app_metadata: metadata(scim), ..seed("auth0|scim".into()) });
        let ours = json!({"lockstep": {"entra_object_id": ada.to_string()}});
        world.add_account_raw(AccountSeed { app_metadata: metadata(ours), ..seed("auth0|stamped".into()) });
        let email = Some("ada.lovelace@contoso.example".to_owned());
        world.add_account_raw(AccountSeed { email, ..seed("auth0|lookalike".into()) });
        world.add_account_raw(seed("auth0|primary".into()));
        world.add_account_raw(seed(format!("waad|other|{ada}")));
        world.link_accounts("auth0|primary", &format!("waad|other|{ada}"));
    }
    let found = v.auth0.reader(lockstep::event::Lane::Sync).accounts_of(ada).await.unwrap();
    let mut expected = vec![plain, id(&with_connection), id("auth0|scim"), id("auth0|stamped")];
    expected.sort();
    assert_eq!(found, expected, "an identity under another connection's name is not searched for");
    assert_eq!(v.reader().accounts_of(other).await.unwrap().len(), 1);
    v.done();
}

#[tokio::test]
async fn a_person_with_more_accounts_than_a_page_is_seen_whole_and_one_with_too_many_is_not_believed() {
    let v = vendors().await;
    let (ada, _) = v.hire("Ada Lovelace");
    let add = |from: usize, to: usize| {
        for n in from..to {
            let app_metadata = json!({"external_id": ada.to_string()}).as_object().unwrap().clone();
            let user_id = format!("auth0|{n:03}");
            v.twin.world().add_account_raw(AccountSeed { user_id, app_metadata, ..AccountSeed::default() });
        }
    };
    add(0, 99);
    assert_eq!(v.reader().accounts_of(ada).await.unwrap().len(), 100);
    add(99, 100);
    let refused = v.reader().accounts_of(ada).await.unwrap_err();
    assert_eq!(refused, Error::TooMany { operation: "users.search", found: 101, most: 100 });
    assert_eq!(refused.what_now(), WhatNow::AskHuman);
    v.done();
}

#[tokio::test]
async fn old_profiles_of_a_megabyte_are_found_and_read() {
    let v = vendors().await;
    let (ada, first) = v.hire("Ada Lovelace");
    let mut expected = vec![first];
    for n in 0..4 {
        let old = json!({"external_id": ada.to_string(), "history": "x".repeat(1_000_000)});
        let user_id = format!("auth0|{n}");
        let app_metadata = old.as_object().unwrap().clone();
        v.twin.world().add_account_raw(AccountSeed {
            user_id: user_id.clone(),
            app_metadata,
            ..AccountSeed::default()
        });
        expected.push(id(&user_id));
    }
    expected.sort();
    assert_eq!(v.reader().accounts_of(ada).await.unwrap(), expected);
    let pages = v.twin.journal().count(Vendor::Auth0, "GET /api/v2/users");
    assert_eq!(pages, 1 + 5, "a page of fifty is too large, and they are asked for one by one");
    for account in expected {
        assert!(v.reader().account(&account).await.unwrap().is_some());
    }
    v.done();
}

#[tokio::test]
async fn what_a_stale_search_finds_is_read_by_id() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.twin.world().freeze_search();
    v.twin.world().delete_account(account.as_str());
    assert!(v.reader().accounts_of(ada).await.unwrap().contains(&account), "the search lags");
    assert_eq!(v.reader().account(&account).await.unwrap(), None);
    v.twin.world().thaw_search();
    assert!(v.reader().accounts_of(ada).await.unwrap().is_empty());
    v.done();
}

#[tokio::test]
async fn a_block_and_its_mark_are_one_write_and_leave_the_rest_alone() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.twin.world().set_app_metadata(account.as_str(), "department", json!("Sales"));
    assert_eq!(v.reader().account(&account).await.unwrap().unwrap().blocked, Blocked::No);

    let stamp = stamp(ada);
    v.writer().block(&account, &stamp).await.unwrap();
    let read = v.reader().account(&account).await.unwrap().unwrap();
    assert_eq!((read.blocked, read.stamp), (Blocked::Yes, Some(Stamp { case: stamp.case })));
    assert_eq!(read.access, Access::default(), "not asked for, so not read");
    assert_eq!(v.twin.journal().writes(Vendor::Auth0), 1);
    let written = v.twin.journal().requests().into_iter().find(|e| e.is_write()).unwrap();
    assert!(written.correlation.as_deref().is_some_and(|id| id.starts_with(&format!("{}.", stamp.case))));
    let metadata = v.twin.world().account(account.as_str()).app_metadata.clone();
    assert_eq!(metadata["department"], "Sales");
    assert_eq!(metadata["lockstep"]["reason"], stamp.reason);
    assert_eq!(metadata["lockstep"]["at"], "2026-03-02T08:00:00Z");

    v.writer().unblock(&account, ada).await.unwrap();
    let read = v.reader().account(&account).await.unwrap().unwrap();
    assert_eq!((read.blocked, read.stamp), (Blocked::No, None));
    let metadata = v.twin.world().account(account.as_str()).app_metadata.clone();
    assert_eq!(
        metadata["lockstep"],
        json!({"entra_object_id": ada.to_string()}),
        "it is found again by this"
    );
    assert_eq!(v.twin.journal().writes(Vendor::Auth0), 2);
    v.done();
}

#[tokio::test]
async fn somebody_elses_block_carries_no_stamp() {
    let v = vendors().await;
    let (_, account) = v.hire("Ada Lovelace");
    v.twin.world().block_account_by_admin(account.as_str());
    let read = v.reader().account(&account).await.unwrap().unwrap();
    assert_eq!((read.blocked, read.stamp), (Blocked::Yes, None));
    v.done();
}

#[tokio::test]
async fn every_means_ends_what_it_is_for_and_reads_back_nothing() {
    // Device credentials hang on grants here, so that none is left to be deleted by itself.
    for (means, writes) in MEANS.into_iter().zip([1, 2, 1]) {
        let v = vendors().await;
        let (_, account) = v.hire("Ada Lovelace");
        let before = v.reader().access(&account, means).await.unwrap();
        assert_eq!(before, counted(means, 1), "{means:?}");
        v.writer().end_access(&account, means).await.unwrap();
        assert_eq!(v.reader().access(&account, means).await.unwrap(), counted(means, 0), "{means:?}");
        assert!(v.twin.world().refresh_tokens(account.as_str()).is_empty(), "{means:?}");
        assert_eq!(v.twin.journal().writes(Vendor::Auth0), writes, "{means:?}");
        v.writer().end_access(&account, means).await.unwrap();
        v.done();
    }
}

#[tokio::test]
async fn accepted_is_not_gone_until_the_read_back_says_so() {
    let setup = Setup { deletion_delay: Duration::from_secs(3600), ..Setup::unlimited() };
    let v = with_setup(setup).await;
    let (_, account) = v.hire("Ada Lovelace");
    v.writer().end_access(&account, Means::RevokeAccess).await.unwrap();
    let access = v.reader().access(&account, Means::RevokeAccess).await.unwrap();
    assert_eq!(access, counted(Means::RevokeAccess, 1));
    v.done();
}

#[tokio::test]
async fn many_device_credentials_all_go() {
    let v = vendors().await;
    let (_, account) = v.hire("Ada Lovelace");
    for _ in 0..120 {
        v.twin.world().sign_in(account.as_str()).unwrap();
    }
    let credentials = v.twin.world().device_credentials(account.as_str()).len();
    assert!(credentials > 100, "more than a page: {credentials}");
    // With the grants gone the credentials would be gone too.
    let grants = Match::vendor(Vendor::Auth0).method("DELETE").route("/grants");
    v.twin.faults().inject(grants, Fault::Status(503), Times::N(1));
    assert!(v.writer().end_access(&account, Means::GrantsAndDevices).await.is_err());
    assert!(v.twin.world().device_credentials(account.as_str()).is_empty());
    v.writer().end_access(&account, Means::GrantsAndDevices).await.unwrap();
    let access = v.reader().access(&account, Means::GrantsAndDevices).await.unwrap();
    assert_eq!(access, counted(Means::GrantsAndDevices, 0));
    v.done();
}

#[tokio::test]
async fn a_plan_without_session_endpoints_says_so_in_both_forms_and_the_third_means_works() {
    for plan_refusal in [PlanRefusal::Entitlement, PlanRefusal::Scope] {
        let v = with_setup(Setup { plan: Plan::Essentials, plan_refusal, ..Setup::unlimited() }).await;
        let (_, account) = v.hire("Ada Lovelace");
        for means in [Means::RevokeAccess, Means::SessionsAndTokens] {
            let refused = v.writer().end_access(&account, means).await.unwrap_err();
            assert!(refused.is_not_in_plan() && !refused.is_gone(), "{means:?}: {refused}");
            let access = v.reader().access(&account, means).await.unwrap();
            let unseen = Count::NotInPlan;
            let expected = Access { sessions: unseen, refresh_tokens: unseen, ..Access::default() };
            assert_eq!(access, expected, "{means:?}");
        }
        v.writer().end_access(&account, Means::GrantsAndDevices).await.unwrap();
        assert!(v.twin.world().refresh_tokens(account.as_str()).is_empty());
        v.done();
    }
}

#[tokio::test]
async fn an_account_deleted_half_way_is_gone_and_not_an_error_of_the_case() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    let victim = account.clone();
    v.twin.faults().after(Match::vendor(Vendor::Auth0).method("PATCH"), 1, move |world| {
        world.delete_account(victim.as_str());
    });
    v.writer().block(&account, &stamp(ada)).await.unwrap();
    let ended = v.writer().end_access(&account, Means::SessionsAndTokens).await.unwrap_err();
    assert!(ended.is_gone() && !ended.is_not_in_plan(), "{ended}");
    let again = v.writer().block(&account, &stamp(ada)).await.unwrap_err();
    assert!(again.is_gone(), "{again}");
    for means in MEANS {
        assert_eq!(v.reader().access(&account, means).await.unwrap(), counted(means, 0), "{means:?}");
    }
    assert_eq!(v.reader().account(&account).await.unwrap(), None);
    v.done();
}

#[tokio::test]
async fn a_linked_account_is_found_in_the_one_that_absorbed_it() {
    let v = vendors().await;
    let (_, account) = v.hire("Ada Lovelace");
    let primary = {
        let mut world = v.twin.world();
        let person = world.hire(Hire::named("Ada Home"));
        let primary = world.add_database_account(person);
        world.link_accounts(&primary, account.as_str());
        id(&primary)
    };
    assert_eq!(v.reader().account(&account).await.unwrap(), None);
    assert_eq!(v.reader().holder_of(&account).await.unwrap(), Some(primary.clone()));
    assert_eq!(v.reader().holder_of(&primary).await.unwrap(), None);
    assert_eq!(v.reader().holder_of(&id("auth0|never-was")).await.unwrap(), None);
    v.done();
}

#[tokio::test]
async fn an_id_that_would_be_a_path_stays_an_id() {
    let v = vendors().await;
    assert_eq!(v.reader().account(&id("auth0|../../grants?x=y#z")).await.unwrap(), None);
    let refused = v.reader().account(&id("..")).await.unwrap_err();
    assert_eq!(refused, Error::NotAnId { operation: "user.get" });
    v.done();
}

#[tokio::test]
async fn the_longest_token_lifetime_is_asked_for_once_in_ten_minutes() {
    let v = vendors().await;
    let asked = |v: &super::Vendors| v.twin.journal().count(Vendor::Auth0, "GET /api/v2/resource-servers");
    {
        let mut world = v.twin.world();
        let one = world.resource_servers.pop().unwrap();
        let like = |n: u32| {
            let (id, identifier) = (format!("rs{n}"), format!("https://api{n}.contoso.example/"));
            lockstep_twin::world::ResourceServer { id, identifier, token_lifetime: n, ..one.clone() }
        };
        world.resource_servers = (1..=45).map(like).collect();
    }
    assert_eq!(v.reader().longest_token_lifetime_seconds().await.unwrap(), 45);
    assert_eq!(asked(&v), 3, "three pages");
    v.twin.world().resource_servers[0].token_lifetime = 7200;
    assert_eq!(v.reader().longest_token_lifetime_seconds().await.unwrap(), 45);
    assert_eq!(asked(&v), 3);
    v.clock.advance(Duration::from_secs(601));
    assert_eq!(v.reader().longest_token_lifetime_seconds().await.unwrap(), 7200);
    v.done();
}

#[tokio::test]
async fn requests_are_counted_by_our_own_words() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.writer().block(&account, &stamp(ada)).await.unwrap();
    let _ = v.reader().account(&id("auth0|nobody")).await.unwrap();
    let text = v.metrics.render();
    for line in [
        "lockstep_vendor_requests_total{vendor=\"auth0\",operation=\"token\",status=\"200\"} 1",
        "lockstep_vendor_requests_total{vendor=\"auth0\",operation=\"user.patch\",status=\"200\"} 1",
        "lockstep_vendor_requests_total{vendor=\"auth0\",operation=\"user.get\",status=\"404\"} 1",
        "lockstep_vendor_budget_remaining_ratio{vendor=\"auth0\",class=\"contain\"}",
        "lockstep_vendor_budget_remaining_ratio{vendor=\"auth0\",class=\"sync\"}",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    v.done();
}

fn counted(means: Means, n: u32) -> Access {
    let n = Count::Is(n);
    match means {
        Means::GrantsAndDevices => Access { grants: n, device_credentials: n, ..Access::default() },
        _ => Access { sessions: n, refresh_tokens: n, ..Access::default() },
    }
}

#[tokio::test]
async fn the_accounts_of_nobody_are_none() {
    let v = vendors().await;
    let nobody = object(lockstep_twin::PersonId::nobody());
    assert!(v.reader().accounts_of(nobody).await.unwrap().is_empty());
    v.done();
}
