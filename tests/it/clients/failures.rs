//! Each way to fail, and what it is turned into: whether a write may have been done, when to come back, who can mend it.

use std::time::Duration;

use lockstep::auth0::Error;
use lockstep::case::Means;
use lockstep::case::also::Extra;
use lockstep::event::Lane;
use lockstep::outbound::Trouble;
use lockstep::retry::WhatNow;
use lockstep::snapshot::Blocked;
use lockstep_twin::{Fault, Match, Times, Vendor};

use super::{Vendors, stamp, vendors};

fn patch() -> Match {
    Match::vendor(Vendor::Auth0).method("PATCH")
}

#[tokio::test]
async fn a_lost_reply_leaves_the_outcome_unknown_and_the_read_back_tells_it() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.twin.faults().inject(patch(), Fault::LoseReply, Times::N(1));
    let lost = v.writer().block(&account, &stamp(ada)).await.unwrap_err();
    assert!(lost.is_outcome_unknown() && lost.is_vendor_away(), "{lost}");
    assert_eq!(lost.what_now(), WhatNow::BackOff);
    assert_eq!(v.twin.journal().count(Vendor::Auth0, "PATCH /api/v2/users/{id}"), 1, "not sent twice");
    assert_eq!(v.reader().account(&account).await.unwrap().unwrap().blocked, Blocked::Yes);
    v.done();
}

#[tokio::test]
async fn a_lost_reply_to_a_read_is_no_mystery() {
    let v = vendors().await;
    let (_, account) = v.hire("Ada Lovelace");
    let wanted = Match::vendor(Vendor::Auth0).route("/users/{id}");
    v.twin.faults().inject(wanted, Fault::LoseReply, Times::N(1));
    let lost = v.reader().account(&account).await.unwrap_err();
    assert!(!lost.is_outcome_unknown() && lost.is_vendor_away(), "{lost}");
    v.done();
}

#[tokio::test]
async fn a_vendor_that_is_down_was_not_asked() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.reader().account(&account).await.unwrap();
    v.twin.faults().down(Vendor::Auth0);
    let error = refused_connection(&v, || async { v.writer().block(&account, &stamp(ada)).await }).await;
    assert_eq!(error.what_now(), WhatNow::BackOff);
    assert!(error.is_vendor_away() && !error.is_outcome_unknown(), "{error}");
    v.twin.faults().up(Vendor::Auth0);
    // The listener opens again on its own time.
    let back = async {
        while v.writer().block(&account, &stamp(ada)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("Auth0 is back");
    v.done();
}

/// Kept connections break when a vendor goes down, which is a lost reply; the next try finds nobody listening.
async fn refused_connection<F: Future<Output = Result<(), Error>>>(
    v: &Vendors,
    write: impl Fn() -> F,
) -> Error {
    for _ in 0..1000 {
        let error = write().await.expect_err("Auth0 is down");
        if matches!(error, Error::Trouble { trouble: Trouble::NotSent(_), .. }) {
            return error;
        }
        tokio::task::yield_now().await;
    }
    panic!("never refused; the journal has {} requests", v.management_requests());
}

#[tokio::test]
async fn a_failing_vendor_is_backed_off_from_and_only_503_says_that_nothing_was_done() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    for (status, unknown) in [(500, true), (502, true), (503, false), (504, true)] {
        v.twin.faults().inject(patch(), Fault::Status(status), Times::N(1));
        let failed = v.writer().block(&account, &stamp(ada)).await.unwrap_err();
        assert_eq!(failed.what_now(), WhatNow::BackOff, "{status}");
        assert!(failed.is_vendor_away(), "{status}");
        assert_eq!(failed.is_outcome_unknown(), unknown, "{status}");
    }
    v.writer().block(&account, &stamp(ada)).await.unwrap();
    v.done();
}

#[tokio::test]
async fn a_throttled_answer_is_obeyed_to_the_fraction_and_holds_back_everybody() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    // Reads and writes show the same number from now on, which makes it the tenant's.
    v.reader().account(&account).await.unwrap();
    for (told, wait) in [("2", 2_000), ("2.128", 2_128), ("Mon, 02 Mar 2026 09:00:00 GMT", 0)] {
        let until = match wait {
            0 => "2026-03-02T09:00:00Z".parse().unwrap(),
            millis => v.clock.after(Duration::from_millis(millis)),
        };
        let fault = Fault::Throttle { retry_after: Some(told.into()) };
        v.twin.faults().inject(patch(), fault.clone(), Times::N(1));
        v.twin.faults().inject(Match::vendor(Vendor::Graph), fault, Times::N(1));
        let auth0 = v.writer().block(&account, &stamp(ada)).await.unwrap_err();
        let graph = v.graph().person(ada).await.unwrap_err();
        assert_eq!(auth0.what_now(), WhatNow::RetryAt(until), "{told}");
        assert_eq!(graph.what_now(), WhatNow::RetryAt(until), "{told}");
        assert!(!auth0.is_outcome_unknown() && auth0.is_vendor_away() && graph.is_vendor_away());

        let sent = (v.management_requests(), v.twin.journal().total(Vendor::Graph));
        for lane in Lane::ALL {
            let held = v.auth0.reader(lane).account(&account).await.unwrap_err();
            assert_eq!(held.what_now(), WhatNow::RetryAt(until), "{told}: {held}");
            let held = v.entra.reader(lane).person(ada).await.unwrap_err();
            assert_eq!(held.what_now(), WhatNow::RetryAt(until), "{told}: {held}");
        }
        assert_eq!(
            (v.management_requests(), v.twin.journal().total(Vendor::Graph)),
            sent,
            "nothing was sent"
        );
        v.clock.advance(lockstep::clock::elapsed(lockstep::clock::Clock::now(&*v.clock), until));
        assert!(v.reader().account(&account).await.is_ok() && v.graph().person(ada).await.is_ok(), "{told}");
    }
    v.done();
}

#[tokio::test]
async fn without_retry_after_auth0s_reset_counts_and_graph_is_guessed_at() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    let silent = Fault::Throttle { retry_after: None };
    v.twin.faults().inject(patch(), silent.clone(), Times::N(1));
    v.twin.faults().inject(Match::vendor(Vendor::Graph), silent, Times::N(1));
    let auth0 = v.writer().block(&account, &stamp(ada)).await.unwrap_err();
    let WhatNow::RetryAt(until) = auth0.what_now() else { panic!("{auth0}") };
    assert!(
        until <= v.clock.after(Duration::from_millis(2_500)),
        "a second after the answer's date, and a spread"
    );
    let graph = v.graph().person(ada).await.unwrap_err();
    assert_eq!(graph.what_now(), WhatNow::BackOff);
    assert!(v.graph().person(ada).await.is_err(), "and nobody hammers meanwhile");
    assert_eq!(v.twin.journal().total(Vendor::Graph), 1);
    v.done();
}

#[tokio::test]
async fn a_missing_scope_is_for_a_person_and_is_no_plan_limit() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    for scope in ["read:sessions", "delete:sessions", "update:users", "update:users_app_metadata"] {
        v.twin.world().revoke_auth0_scope(scope);
    }
    let refused = v.reader().access(&account, Means::RevokeAccess).await.unwrap_err();
    let told = "auth0 sessions.list: 403 insufficient_scope (needs read:sessions)";
    assert_eq!((refused.what_now(), refused.to_string().as_str()), (WhatNow::AskHuman, told));
    let refused = v.writer().end_access(&account, Means::RevokeAccess).await.unwrap_err();
    assert!(!refused.is_not_in_plan(), "{refused}");
    let refused = v.writer().block(&account, &stamp(ada)).await.unwrap_err();
    assert_eq!(refused.what_now(), WhatNow::AskHuman);
    v.done();
}

#[tokio::test]
async fn a_404_without_auth0s_word_for_it_does_not_make_an_account_gone() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.twin.faults().inject(Match::vendor(Vendor::Auth0).route("/users/"), Fault::Status(404), Times::Forever);
    let read = v.reader().account(&account).await.unwrap_err();
    assert_eq!(read.what_now(), WhatNow::GiveUp, "{read}");
    let written = v.writer().block(&account, &stamp(ada)).await.unwrap_err();
    assert!(!written.is_gone(), "{written}");
    let ended = v.writer().end_access(&account, Means::RevokeAccess).await.unwrap_err();
    assert!(ended.is_not_in_plan() && !ended.is_gone(), "an endpoint that is not there: {ended}");
    v.done();
}

/// What a proxy or a maintenance page may send instead of an answer.
const FOREIGN: [u16; 6] = [200, 302, 400, 401, 403, 404];

#[tokio::test]
async fn what_somebody_on_the_way_answers_is_tried_again_and_is_nobodys_word() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    for status in FOREIGN {
        let foreign = |wanted: Match| v.twin.faults().inject(wanted, Fault::Foreign(status), Times::Forever);
        let auth0 = foreign(Match::vendor(Vendor::Auth0).route("/api/v2/"));
        let graph = foreign(Match::vendor(Vendor::Graph));
        let reader = v.reader();
        let left = async |extra| reader.left_of(&account, extra).await.map(drop);
        for failed in [
            reader.accounts_of(ada).await.map(drop),
            reader.account(&account).await.map(drop),
            reader.access(&account, Means::RevokeAccess).await.map(drop),
            reader.access(&account, Means::GrantsAndDevices).await.map(drop),
            left(Extra::Grants).await,
            left(Extra::DeviceCredentials).await,
            left(Extra::TokenVault).await,
        ] {
            let error = failed.unwrap_err();
            assert_eq!(error.what_now(), WhatNow::TryAgain, "{status}: {error}");
            assert!(!error.is_gone() && !error.is_refusal() && !error.is_vendor_away(), "{error}");
        }
        let error = v.graph().person(ada).await.unwrap_err();
        assert_eq!(error.what_now(), WhatNow::TryAgain, "{status}: {error}");
        assert!(!error.is_gone() && !error.is_refusal() && !error.refuses_link(), "{error}");
        [auth0, graph].into_iter().for_each(|fault| v.twin.faults().lift(fault));
    }
    assert!(v.reader().account(&account).await.unwrap().is_some() && v.graph().person(ada).await.is_ok());
    v.done();
}

#[tokio::test]
async fn a_write_that_somebody_on_the_way_refuses_has_neither_ended_anything_nor_shown_what_the_plan_has() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    for status in FOREIGN.into_iter().filter(|status| *status != 200) {
        let wanted = Match::vendor(Vendor::Auth0).route("/api/v2/");
        let fault = v.twin.faults().inject(wanted, Fault::Foreign(status), Times::Forever);
        let writer = v.writer();
        for failed in [
            writer.block(&account, &stamp(ada)).await,
            writer.end_access(&account, Means::RevokeAccess).await,
            writer.end_access(&account, Means::SessionsAndTokens).await,
            writer.end_access(&account, Means::GrantsAndDevices).await,
            writer.end_extra(&account, Extra::Grants).await,
        ] {
            let error = failed.expect_err("nothing was done");
            assert_eq!(error.what_now(), WhatNow::TryAgain, "{status}: {error}");
            assert!(!error.is_not_in_plan() && !error.is_gone() && !error.is_refusal(), "{error}");
        }
        v.twin.faults().lift(fault);
    }
    v.writer().end_access(&account, Means::RevokeAccess).await.unwrap();
    v.done();
}

#[tokio::test]
async fn a_token_endpoint_behind_a_page_of_html_says_nothing_about_the_credentials() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    for status in FOREIGN {
        let logins = [Match::vendor(Vendor::Auth0).route("/oauth/token"), Match::vendor(Vendor::Login)];
        let faults = logins.map(|it| v.twin.faults().inject(it, Fault::Foreign(status), Times::Forever));
        let auth0 = v.reader().account(&account).await.unwrap_err();
        let graph = v.graph().person(ada).await.unwrap_err();
        assert_eq!((auth0.what_now(), graph.what_now()), (WhatNow::TryAgain, WhatNow::TryAgain), "{status}");
        faults.into_iter().for_each(|fault| v.twin.faults().lift(fault));
    }
    v.done();
}

#[tokio::test]
async fn one_half_that_fails_does_not_keep_the_other_from_being_tried() {
    let v = vendors().await;
    let (_, account) = v.hire("Ada Lovelace");
    let sessions = Match::vendor(Vendor::Auth0).method("DELETE").route("/sessions");
    v.twin.faults().inject(sessions, Fault::Status(503), Times::N(1));
    let grants = Match::vendor(Vendor::Auth0).method("DELETE").route("/grants");
    v.twin.faults().inject(grants, Fault::Status(503), Times::N(1));
    assert!(v.writer().end_access(&account, Means::SessionsAndTokens).await.is_err());
    assert_eq!(v.twin.world().sessions(account.as_str()).len(), 1);
    assert!(v.twin.world().refresh_tokens(account.as_str()).is_empty());
    let (_, other) = v.hire("Grace Hopper");
    assert!(v.writer().end_access(&other, Means::GrantsAndDevices).await.is_err());
    assert_eq!(v.twin.world().grants(other.as_str()).len(), 1);
    assert!(v.twin.world().device_credentials(other.as_str()).is_empty());
    v.done();
}

#[tokio::test]
async fn no_failure_shows_whom_it_was_about() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    let mut shown = String::new();
    for fault in [Fault::Status(400), Fault::Status(404), Fault::Status(500), Fault::LoseReply, Fault::Refuse]
    {
        v.twin.faults().inject(patch(), fault.clone(), Times::N(1));
        v.twin.faults().inject(Match::vendor(Vendor::Graph), fault, Times::N(1));
        let auth0 = v.writer().block(&account, &stamp(ada)).await.unwrap_err();
        let graph = v.graph().person(ada).await.unwrap_err();
        shown += &format!("{auth0} {auth0:?} {graph} {graph:?}\n");
    }
    let urls = v.twin.urls();
    for secret in
        [ada.to_string().as_str(), account.as_str(), "lovelace", "eyJ", &urls.auth0_url, &urls.graph_url]
    {
        assert!(!shown.to_lowercase().contains(&secret.to_lowercase()), "{secret} in {shown}");
    }
    v.done();
}

#[tokio::test]
async fn addresses_that_could_be_listened_to_make_no_client() {
    let v = vendors().await;
    let deps = lockstep::outbound::Deps { clock: v.clock.clone(), metrics: v.metrics.clone() };
    let mut auth0 = super::auth0_settings(&v.twin);
    auth0.url = "http://contoso.eu.auth0.com".parse().unwrap();
    let refused = lockstep::auth0::Client::new(&auth0, &deps).unwrap_err();
    assert_eq!(refused.what_now(), WhatNow::AskHuman);
    assert!(refused.to_string().contains("AUTH0_URL"), "{refused}");
    let mut entra = super::entra_settings(&v.twin);
    entra.login_url = "http://login.microsoftonline.com".parse().unwrap();
    let refused = lockstep::entra::Client::new(&entra, &deps).unwrap_err();
    assert!(refused.to_string().contains("ENTRA_LOGIN_URL"), "{refused}");
}
