//! By a ticket system's webhook: signed, once for each news, the same id for every try.

use lockstep::clock::Clock;
use lockstep::notify::Certainty;
use lockstep::retry::WhatNow;
use lockstep::store::{Owed, Topic};
use lockstep_twin::{Fault, Match, Times, Vendor};

use super::desk::{Desk, accepted, released, requested, ticket_of, verified};

fn all() -> Match {
    Match::vendor(Vendor::Ticket)
}

#[tokio::test]
async fn each_stage_is_one_signed_webhook_with_ids_and_a_sentence() {
    let desk = Desk::ticket().await;
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    let (second, third) = (accepted(&case), verified(&accepted(&case)));
    for next in [&case, &second, &third, &released(&third)] {
        desk.save(next).await;
        desk.advance(1);
        desk.until_all_told().await;
    }
    let hooks = desk.hooks();
    let kinds: Vec<&str> = hooks.iter().map(|hook| hook.kind()).collect();
    assert_eq!(kinds, ["case.requested", "case.verified", "case.released"]);
    assert!(hooks.iter().all(|hook| hook.arrivals == 1), "{hooks:#?}");
    let data = &hooks[1].body["data"];
    assert_eq!(data["case"], case.id.to_string());
    assert_eq!(data["topic"], data["case"]);
    assert_eq!(data["person"], case.subject.object.to_string());
    assert_eq!((data["version"].as_u64(), data["severity"].as_str()), (Some(3), Some("warning")));
    assert_eq!(data["sentence"], "Contained: 1 account of Person 1, verified in 4.2 s");
    assert_eq!(hooks[1].body["timestamp"], third.verified_at.unwrap().to_string(), "when it came about");
    assert!(!hooks[1].body.to_string().contains("auth0|"), "no account: {}", hooks[1].body);
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn a_notice_outside_a_case_is_a_page() {
    let desk = Desk::ticket().await;
    let running = desk.start();
    let owed = Owed {
        topic: Topic::Notice("brake/29539".into()),
        channel: "ticket".into(),
        version: 1,
        text: Some("The contain brake is on: more than 25 in 10 minutes. Next: look.".into()),
        due_at: desk.clock.now(),
    };
    desk.store.owe(vec![owed.clone()]).await.unwrap();
    desk.advance(0);
    desk.until_all_told().await;
    let hook = desk.hooks().remove(0);
    assert_eq!((hook.kind(), hook.id.as_str()), ("page", "brake-29539-1"));
    let data = &hook.body["data"];
    assert_eq!((&data["severity"], &data["topic"]), (&"critical".into(), &"brake/29539".into()));
    assert_eq!((&data["next"][0], &data["case"]), (&"Next: look.".into(), &serde_json::Value::Null));
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn a_repetition_has_the_same_id_and_says_the_same() {
    let desk = Desk::ticket().await;
    desk.twin.faults().inject(all(), Fault::LoseReply, Times::N(1));
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    desk.until_failed().await;
    desk.advance(11);
    desk.until_all_told().await;
    let hooks = desk.hooks();
    assert_eq!((hooks.len(), hooks[0].arrivals), (1, 2), "{hooks:#?}");
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let desk = Desk::ticket().await;
    let wait = Some("40".to_owned());
    desk.twin.faults().inject(all(), Fault::Throttle { retry_after: wait }, Times::N(1));
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    desk.until_failed().await;
    assert!(!desk.is_due_in(38).await && desk.is_due_in(41).await);
    desk.advance(41);
    desk.until_all_told().await;
    assert_eq!(desk.hooks().len(), 1);
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn each_answer_has_its_meaning_and_only_2xx_is_a_yes() {
    let desk = Desk::ticket().await;
    for (status, meaning) in [
        (301, WhatNow::AskHuman),
        (400, WhatNow::AskHuman),
        (404, WhatNow::AskHuman),
        (410, WhatNow::AskHuman),
        (408, WhatNow::BackOff),
        (500, WhatNow::BackOff),
        (502, WhatNow::BackOff),
        (504, WhatNow::BackOff),
    ] {
        desk.twin.faults().inject(all(), Fault::Status(status), Times::N(1));
        assert_eq!(desk.refusal().await.what_now(), meaning, "{status}");
    }
    desk.twin.faults().inject(all(), Fault::Throttle { retry_after: None }, Times::N(1));
    assert!(matches!(desk.refusal().await.what_now(), WhatNow::RetryAt(_)));
    assert!(desk.hooks().is_empty());
    desk.assert_no_complaints();
}

#[tokio::test]
async fn a_wrong_secret_is_told_as_one_and_neither_it_nor_the_address_is_shown() {
    let mut desk = Desk::ticket().await;
    let mut settings = ticket_of(&desk.twin);
    settings.secret = "whsec_dHdpbi1hbm90aGVyLXNlY3JldC10aGFuLXRoYXQ=".into();
    desk.set_up_ticket(settings.clone());
    let error = desk.refusal().await;
    assert!(error.to_string().contains("compare TICKET_WEBHOOK_SECRET"), "{error}");
    settings.url = "http://127.0.0.1:9/hooks/topsecret?key=topsecret".into();
    desk.set_up_ticket(settings.clone());
    let nobody = desk.refusal().await;
    assert_eq!(nobody.certainty(), Certainty::NotPosted);
    let shown = format!("{error} {error:?} {nobody} {nobody:?} {settings:?}");
    assert!(
        !shown.contains("topsecret") && !shown.contains("dHdpbi") && !shown.contains("Person"),
        "{shown}"
    );
}
