//! By bot token, on bad days: nothing is lost, nothing is told twice.

use std::time::Duration;

use lockstep::clock::Clock;
use lockstep::notify::slack::Settings;
use lockstep::store::Topic;
use lockstep_twin::{Fault, Match, Setup, Times, Vendor};

use super::desk::{Desk, accepted, requested, until, verified};

const CONTAINED: &str = "Contained: 1 account of Person 1, verified in 4.2 s";
const REQUESTED: &str = "Lockout requested: 1 account of Person 1";

fn slack(route: &str) -> Match {
    Match::vendor(Vendor::Slack).route(route)
}

#[tokio::test]
async fn a_message_whose_reply_was_lost_is_found_and_not_repeated() {
    let desk = Desk::bot().await;
    desk.twin.faults().inject(slack("chat.postMessage"), Fault::LoseReply, Times::N(1));
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    desk.until_failed().await;
    desk.advance(11);
    desk.until_all_told().await;
    desk.save(&verified(&case)).await;
    desk.advance(11);
    desk.until_all_told().await;
    assert_eq!(desk.history_of_the_one(), [REQUESTED, CONTAINED]);
    assert_eq!(desk.requests("chat.postMessage"), 1);
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn news_that_came_while_the_reply_was_lost_goes_into_the_message_that_was_found() {
    let desk = Desk::bot().await;
    desk.twin.faults().inject(slack("chat.postMessage"), Fault::LoseReply, Times::N(1));
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    desk.until_failed().await;
    desk.save(&verified(&case)).await;
    desk.advance(11);
    desk.until_all_told().await;
    assert_eq!(desk.history_of_the_one(), [REQUESTED, CONTAINED]);
    running.stop().await;
}

#[tokio::test]
async fn killed_between_the_post_and_writing_it_down_it_still_posts_once() {
    let desk = Desk::bot().await;
    desk.twin.faults().inject(slack("chat.postMessage"), Fault::Stall(Duration::from_secs(600)), Times::N(1));
    let first = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    until("Slack has the message", || async { desk.messages().len() == 1 }).await;
    first.kill().await;
    assert_eq!(desk.owed().await.len(), 1, "nobody knows yet that it was told");
    desk.save(&verified(&case)).await;
    desk.advance(11);
    let second = desk.start();
    desk.until_all_told().await;
    assert_eq!(desk.history_of_the_one(), [REQUESTED, CONTAINED]);
    second.stop().await;
}

#[tokio::test]
async fn killed_again_and_again_with_many_posts_under_way_each_case_is_told_once() {
    let desk = Desk::bot().await;
    desk.twin.faults().inject(
        slack("chat.postMessage"),
        Fault::Stall(Duration::from_secs(600)),
        Times::Forever,
    );
    for n in 0..20 {
        desk.save(&requested(n, desk.clock.now())).await;
    }
    let mut kills = 0;
    while !desk.owed().await.is_empty() {
        let before = desk.messages().len();
        let running = desk.start();
        until("every post under way has arrived, or all is told", || async {
            let owed = desk.owed().await;
            let in_doubt = owed.iter().filter(|notice| notice.sending_since.is_some()).count();
            let arrived = desk.messages().len();
            owed.is_empty()
                || arrived > before && in_doubt == owed.len().min(8) && arrived == 20 - owed.len() + in_doubt
        })
        .await;
        running.kill().await;
        desk.advance(11);
        kills += 1;
    }
    assert!(kills >= 3, "eight at a time: {kills}");
    let mut said = desk.headlines();
    said.sort();
    said.dedup();
    assert_eq!((said.len(), desk.messages().len()), (20, 20));
}

#[tokio::test]
async fn whatever_slack_does_each_case_is_one_message_in_its_last_state() {
    let desk = Desk::bot().await;
    let mut random = fastrand::Rng::with_seed(20_260_302);
    desk.twin.faults().inject(slack("chat.postMessage"), Fault::LoseReply, Times::N(3));
    let running = desk.start();
    let mut cases: Vec<_> = (0..12).map(|n| requested(n, desk.clock.now())).collect();
    for round in 0..4 {
        for _ in 0..8 {
            let route = ["chat.postMessage", "chat.update", "conversations.history"][random.usize(..3)];
            let fault = match random.u8(..5) {
                0 => Fault::Throttle { retry_after: Some("3".into()) },
                1 => Fault::Throttle { retry_after: None },
                2 => Fault::Status(503),
                3 => Fault::Refuse,
                _ => Fault::LoseReply,
            };
            desk.twin.faults().inject(slack(route), fault, Times::N(random.u32(1..4)));
        }
        for case in &mut cases {
            if round > 0 {
                *case = if round == 3 { verified(case) } else { accepted(case) };
            }
            desk.save(case).await;
            if random.bool() {
                desk.advance(1);
            }
        }
        desk.advance(random.u64(..5));
    }
    until("all is told", || async {
        desk.advance(1);
        desk.owed().await.is_empty()
    })
    .await;
    let mut said = desk.headlines();
    said.sort();
    let mut expected: Vec<_> =
        (0..12).map(|n| format!("Contained: 1 account of Person {n}, verified in 4.2 s")).collect();
    expected.sort();
    assert_eq!(said, expected);
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_outboxes_of_one_store_tell_each_case_once() {
    let desk = Desk::bot().await;
    for n in 0..30 {
        desk.save(&requested(n, desk.clock.now())).await;
    }
    let running = [desk.start(), desk.start()];
    desk.until_all_told().await;
    assert_eq!(desk.messages().len(), 30);
    for outbox in running {
        outbox.stop().await;
    }
    desk.assert_no_complaints();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_outboxes_of_one_store_make_each_change_once() {
    let desk = Desk::bot().await;
    let mut cases: Vec<_> = (0..30).map(|n| requested(n, desk.clock.now())).collect();
    for case in &cases {
        desk.save(case).await;
    }
    let running = [desk.start(), desk.start()];
    desk.until_all_told().await;
    for _ in 0..3 {
        desk.advance(1);
        for case in &mut cases {
            *case = accepted(case);
            desk.save(case).await;
        }
        desk.until_all_told().await;
    }
    let versions: usize = desk.messages().iter().map(|message| message.versions.len()).sum();
    assert_eq!((desk.messages().len(), versions as u64), (30, 30 + desk.requests("chat.update")));
    assert!(desk.requests("chat.update") <= 90, "more changes than news: {}", desk.requests("chat.update"));
    for outbox in running {
        outbox.stop().await;
    }
    desk.assert_no_complaints();
}

#[tokio::test]
async fn a_change_that_a_killed_one_left_behind_is_over_before_the_next_is_made() {
    let desk = Desk::bot().await;
    let case = requested(1, desk.clock.now());
    let first = desk.start();
    desk.save(&case).await;
    desk.until_all_told().await;
    desk.twin.faults().inject(slack("chat.update"), Fault::Stall(Duration::from_secs(600)), Times::N(1));
    desk.advance(1);
    desk.save(&accepted(&case)).await;
    until("the change has left", || async { desk.messages()[0].versions.len() == 2 }).await;
    first.kill().await;

    let second = desk.start();
    desk.save(&verified(&accepted(&case))).await;
    // Owed later and told: the change was looked at with it, and before it.
    for other in 2..5 {
        desk.save(&requested(other, desk.clock.now())).await;
        until("the other is told", || async { desk.owed().await.len() == 1 }).await;
    }
    assert_eq!(desk.requests("chat.update"), 1, "what was left behind may still be under way");
    desk.advance(11);
    desk.until_all_told().await;
    let mine = desk.messages().into_iter().find(|message| message.text().contains("Person 1")).unwrap();
    assert_eq!((mine.text(), mine.versions.len()), (CONTAINED, 3));
    assert_eq!((desk.requests("chat.update"), desk.requests("conversations.history")), (2, 0));
    second.stop().await;
}

#[tokio::test]
async fn killed_before_the_post_it_posts() {
    let desk = Desk::bot().await;
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    let notice = desk.owed().await.remove(0);
    desk.store.notice_sending(&notice, desk.clock.now(), None).await.unwrap();
    desk.advance(11);
    let running = desk.start();
    desk.until_all_told().await;
    assert_eq!(desk.history_of_the_one(), [REQUESTED]);
    assert_eq!(desk.requests("conversations.history"), 1);
    running.stop().await;
}

#[tokio::test]
async fn an_outage_loses_nothing_and_the_newest_state_is_told_afterwards() {
    let desk = Desk::bot().await;
    desk.twin.faults().down(Vendor::Slack);
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    desk.until_failed().await;
    desk.save(&accepted(&case)).await;
    desk.save(&verified(&accepted(&case))).await;
    desk.until_failed().await;
    desk.twin.faults().up(Vendor::Slack);
    desk.advance(120);
    desk.until_all_told().await;
    assert_eq!(desk.history_of_the_one(), [CONTAINED]);
    running.stop().await;
}

#[tokio::test]
async fn an_outage_in_the_middle_of_a_case_delays_only_the_update() {
    let desk = Desk::bot().await;
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    desk.until_all_told().await;
    desk.twin.faults().inject(slack("chat.update"), Fault::Status(503), Times::N(2));
    desk.save(&verified(&case)).await;
    for failures in 1..=2 {
        desk.advance(11);
        until("failed again", || async { desk.owed().await[0].attempts == failures }).await;
    }
    desk.advance(120);
    desk.until_all_told().await;
    assert_eq!(desk.history_of_the_one(), [REQUESTED, CONTAINED]);
    running.stop().await;
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let desk = Desk::bot().await;
    let throttle = Fault::Throttle { retry_after: Some("30".into()) };
    desk.twin.faults().inject(slack("chat.postMessage"), throttle, Times::N(1));
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    desk.until_failed().await;
    assert!(!desk.is_due_in(29).await);
    assert!(desk.is_due_in(30).await);
    assert_eq!(desk.owed().await[0].sending_since, None, "a throttled post was surely not made");
    desk.advance(30);
    desk.until_all_told().await;
    assert_eq!(desk.history_of_the_one(), [REQUESTED]);
    assert_eq!(desk.requests("chat.postMessage"), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_channel_with_a_speed_limit_gets_every_message_once() {
    let setup = Setup { slack_messages_per_second: Some(20), ..Setup::default() };
    let desk = Desk::bot_at(setup).await;
    for n in 0..30 {
        desk.save(&requested(n, desk.clock.now())).await;
    }
    let running = desk.start();
    until("all is told", || async {
        desk.advance(1);
        desk.owed().await.is_empty()
    })
    .await;
    let mut said = desk.headlines();
    said.sort();
    said.dedup();
    assert_eq!((said.len(), desk.messages().len()), (30, 30));
    running.stop().await;
}

#[tokio::test]
async fn a_message_somebody_deleted_is_told_anew() {
    let desk = Desk::bot().await;
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    let notice = desk.owed().await.remove(0);
    let deleted = format!("{}/1.000001", desk.twin.setup().slack_channel);
    desk.store.notice_sent(&notice, 1, Some(deleted)).await.unwrap();
    desk.save(&accepted(&case)).await;
    let running = desk.start();
    desk.until_all_told().await;
    desk.save(&verified(&accepted(&case))).await;
    desk.advance(1);
    desk.until_all_told().await;
    assert_eq!(
        desk.history_of_the_one(),
        ["Lockout accepted: 1 account of Person 1, being read back", CONTAINED]
    );
    running.stop().await;
}

#[tokio::test]
async fn without_the_channel_it_stays_owed_until_somebody_makes_it() {
    let mut desk = Desk::bot().await;
    desk.set_up(Settings::Bot {
        token: desk.twin.setup().slack_bot_token.clone().into(),
        channel: "C0NOTYET001".into(),
        api_url: desk.twin.urls().slack_api_url.parse().unwrap(),
    });
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    desk.until_failed().await;
    assert!(!desk.is_due_in(10).await, "only a person can mend it: no hurry");
    assert!(desk.is_due_in(300).await, "and no giving up");
    desk.twin.world().add_slack_channel("C0NOTYET001", "new");
    desk.advance(300);
    desk.until_all_told().await;
    assert_eq!(desk.twin.world().slack_messages("C0NOTYET001").len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_token_stays_owed_and_is_not_in_the_reason() {
    let mut desk = Desk::bot().await;
    desk.set_up(Settings::Bot {
        token: "xoxb-revoked".to_owned().into(),
        channel: desk.twin.setup().slack_channel.clone(),
        api_url: desk.twin.urls().slack_api_url.parse().unwrap(),
    });
    let case = requested(1, desk.clock.now());
    let message = lockstep::notify::text::case(&case, desk.clock.now());
    let error = desk.notifier().post(&message).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("invalid_auth"), "{shown}");
    assert!(!shown.contains("xoxb") && !shown.contains("Person 1"), "{shown}");
    let running = desk.start();
    desk.save(&case).await;
    desk.until_failed().await;
    assert_eq!(desk.owed().await[0].topic, Topic::Case(case.id));
    running.stop().await;
}
