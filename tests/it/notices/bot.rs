//! By bot token, on good days: one message, changed in place.

use super::desk::{Desk, accepted, released, requested, until, verified};
use lockstep::clock::Clock;
use lockstep::store::{Owed, Topic};

#[tokio::test]
async fn a_case_is_one_message_from_requested_to_released() {
    let desk = Desk::bot().await;
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    for next in
        [case.clone(), accepted(&case), verified(&accepted(&case)), released(&verified(&accepted(&case)))]
    {
        desk.save(&next).await;
        desk.advance(1);
        desk.until_all_told().await;
    }
    assert_eq!(
        desk.history_of_the_one(),
        [
            "Lockout requested: 1 account of Person 1",
            "Lockout accepted: 1 account of Person 1, being read back",
            "Contained: 1 account of Person 1, verified in 4.2 s",
            "Released: 1 account of Person 1",
        ]
    );
    assert_eq!(desk.requests("conversations.history"), 0, "nobody looks when nothing is in doubt");
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn states_that_follow_at_once_become_one_update() {
    let desk = Desk::bot().await;
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    desk.until_all_told().await;
    desk.save(&accepted(&case)).await;
    desk.save(&verified(&accepted(&case))).await;
    desk.advance(1);
    desk.until_all_told().await;
    assert_eq!(
        desk.history_of_the_one(),
        ["Lockout requested: 1 account of Person 1", "Contained: 1 account of Person 1, verified in 4.2 s"]
    );
    running.stop().await;
}

#[tokio::test]
async fn thirty_cases_at_once_are_thirty_messages() {
    let desk = Desk::bot().await;
    let cases: Vec<_> = (0..30).map(|n| requested(n, desk.clock.now())).collect();
    for case in &cases {
        desk.save(case).await;
    }
    let running = desk.start();
    desk.until_all_told().await;
    for case in &cases {
        desk.save(&verified(case)).await;
    }
    desk.advance(1);
    desk.until_all_told().await;
    let mut said = desk.headlines();
    said.sort();
    let mut expected: Vec<_> =
        (0..30).map(|n| format!("Contained: 1 account of Person {n}, verified in 4.2 s")).collect();
    expected.sort();
    assert_eq!(said, expected);
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn a_notice_without_a_case_is_told_once_and_updated() {
    let desk = Desk::bot().await;
    let running = desk.start();
    for (version, text) in [(1, "The contain brake is on"), (2, "The contain brake is off")] {
        let topic = Topic::Notice("brake/2026-03-02T08:00:00Z".into());
        let due_at = desk.clock.now();
        let owed = Owed { topic, channel: "slack".into(), version, text: Some(text.into()), due_at };
        desk.store.owe(vec![owed]).await.unwrap();
        desk.advance(1);
        desk.until_all_told().await;
    }
    assert_eq!(desk.history_of_the_one(), ["The contain brake is on", "The contain brake is off"]);
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn the_message_carries_the_ids_that_find_it_again_and_nothing_else() {
    let desk = Desk::bot().await;
    let running = desk.start();
    let case = requested(7, desk.clock.now());
    desk.save(&case).await;
    desk.until_all_told().await;
    let expected = serde_json::json!({
        "event_type": "lockstep_case",
        "event_payload": { "topic": case.id.to_string(), "version": 1 },
    });
    assert_eq!(desk.messages()[0].current().metadata, Some(expected));
    running.stop().await;
}

#[tokio::test]
async fn a_channel_may_be_given_by_name() {
    let mut desk = Desk::bot().await;
    desk.set_up(lockstep::notify::slack::Settings::Bot {
        token: desk.twin.setup().slack_bot_token.clone().into(),
        channel: "#security-incidents".into(),
        api_url: desk.twin.urls().slack_api_url.parse().unwrap(),
    });
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    desk.until_all_told().await;
    desk.save(&verified(&case)).await;
    desk.advance(1);
    desk.until_all_told().await;
    assert_eq!(desk.history_of_the_one().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn what_was_owed_before_the_start_is_told_after_it() {
    let desk = Desk::bot().await;
    desk.save(&requested(1, desk.clock.now())).await;
    let running = desk.start();
    until("told", || async { desk.messages().len() == 1 }).await;
    running.stop().await;
}

#[tokio::test]
async fn a_name_from_outside_wakes_nobody_and_breaks_nothing() {
    let desk = Desk::bot().await;
    let running = desk.start();
    let names = [
        "<!channel> <https://evil.example|Reset your password>".to_owned(),
        "עדל ואנס \u{202E}evil".to_owned(),
        "🦀👩‍👩‍👧‍👦".repeat(400),
        "&<>`*_~".repeat(1_500),
        "x".repeat(10_240),
        "\u{0}\n\r\t".to_owned(),
    ];
    for (n, name) in (1..).zip(&names) {
        let mut case = requested(n, desk.clock.now());
        case.display_name = Some(name.clone());
        desk.save(&case).await;
    }
    desk.until_all_told().await;
    assert_eq!(desk.messages().len(), names.len());
    for message in desk.messages() {
        assert_eq!(message.current().blocks[0]["text"]["type"], "plain_text");
        let marked_up = serde_json::to_string(&message.current().blocks[1..]).unwrap();
        assert!(!marked_up.contains("<!") && !marked_up.contains("<http"), "{marked_up}");
        assert!(!message.text().contains('<'), "{}", message.text());
        assert!(!message.everything().contains('\u{202E}'));
    }
    assert_eq!(desk.requests("chat.postMessage"), names.len() as u64, "none was refused");
    running.stop().await;
    desk.assert_no_complaints();
}
