//! By incoming webhook: post only, so what matters is a message of its own.

use lockstep::case::{CaseState, Restraint};
use lockstep::clock::Clock;
use lockstep::notify::slack::Settings;
use lockstep::notify::{Certainty, text};
use lockstep_twin::{Fault, Match, Times, Vendor};

use super::desk::{Desk, accepted, released, requested, verified};

const REQUESTED: &str = "Lockout requested: 1 account of Person 1";
const CONTAINED: &str = "Contained: 1 account of Person 1, verified in 4.2 s";

#[tokio::test]
async fn only_how_it_ended_is_a_message_of_its_own() {
    let desk = Desk::webhook().await;
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    let (second, third) = (accepted(&case), verified(&accepted(&case)));
    for next in [&case, &second, &third, &released(&third)] {
        desk.save(next).await;
        desk.advance(1);
        desk.until_all_told().await;
    }
    assert_eq!(desk.headlines(), [REQUESTED, CONTAINED, "Released: 1 account of Person 1"]);
    assert!(desk.messages().iter().all(|message| message.versions.len() == 1));
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn a_deadline_that_passed_is_told_once() {
    let desk = Desk::webhook().await;
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    desk.until_all_told().await;
    desk.advance(121);
    let late = accepted(&case);
    let later = accepted(&late);
    for next in [&late, &later, &verified(&later)] {
        desk.save(next).await;
        desk.advance(1);
        desk.until_all_told().await;
    }
    assert_eq!(desk.headlines(), [REQUESTED, "NOT verified in time: 1 account of Person 1", CONTAINED]);
    running.stop().await;
}

#[tokio::test]
async fn a_case_that_was_not_acted_on_is_one_message() {
    let desk = Desk::webhook().await;
    let running = desk.start();
    let mut case = requested(1, desk.clock.now());
    (case.state, case.restraint) = (CaseState::NotActed, Some(Restraint::ObserveMode));
    desk.save(&case).await;
    desk.until_all_told().await;
    let said = "Would contain: 1 account of Person 1 (observe mode: nothing was written)";
    assert_eq!(desk.headlines(), [said]);
    running.stop().await;
}

#[tokio::test]
async fn what_may_have_been_posted_is_posted_again() {
    let desk = Desk::webhook().await;
    let services = Match::vendor(Vendor::Slack).route("/services/");
    desk.twin.faults().inject(services, Fault::LoseReply, Times::N(1));
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    desk.until_failed().await;
    desk.advance(11);
    desk.until_all_told().await;
    assert_eq!(desk.headlines(), [REQUESTED, REQUESTED], "twice is better than never");
    running.stop().await;
}

#[tokio::test]
async fn an_outage_loses_nothing() {
    let desk = Desk::webhook().await;
    desk.twin.faults().down(Vendor::Slack);
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    desk.until_failed().await;
    desk.save(&verified(&case)).await;
    desk.until_failed().await;
    desk.twin.faults().up(Vendor::Slack);
    desk.advance(120);
    desk.until_all_told().await;
    assert_eq!(desk.headlines().last().map(String::as_str), Some(CONTAINED));
    running.stop().await;
}

#[tokio::test]
async fn changing_from_webhook_to_bot_and_back_goes_on_telling() {
    let mut desk = Desk::webhook().await;
    let case = requested(1, desk.clock.now());
    let first = desk.start();
    desk.save(&case).await;
    desk.until_all_told().await;
    first.stop().await;
    let by_webhook = Settings::Webhook { url: desk.twin.urls().slack_webhook_url.into() };
    desk.set_up(Settings::Bot {
        token: desk.twin.setup().slack_bot_token.clone().into(),
        channel: desk.twin.setup().slack_channel.clone(),
        api_url: desk.twin.urls().slack_api_url.parse().unwrap(),
    });
    let second = desk.start();
    desk.save(&verified(&case)).await;
    desk.until_all_told().await;
    second.stop().await;
    desk.set_up(by_webhook);
    let third = desk.start();
    desk.save(&released(&verified(&case))).await;
    desk.until_all_told().await;
    assert_eq!(desk.headlines(), [REQUESTED, CONTAINED, "Released: 1 account of Person 1"]);
    third.stop().await;
}

#[tokio::test]
async fn the_url_is_a_secret_also_when_nobody_answers() {
    let mut desk = Desk::webhook().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    desk.set_up(Settings::Webhook { url: format!("http://{free}/services/T/B/topsecret").into() });
    let case = requested(1, desk.clock.now());
    let error = desk.notifier().post(&text::case(&case, desk.clock.now())).await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::NotPosted);
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("topsecret") && !shown.contains("Person 1"), "{shown}");
}
