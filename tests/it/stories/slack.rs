//! People are told once, in one message, and nothing waits for it.

use lockstep::case::CaseState;
use lockstep_twin::{Fault, Match, Setup, Times, Vendor};

crate::stories! {
    a_slack_outage_delays_no_lockout_and_people_are_told_later_and_once(stage, Setup::unlimited()) {
        stage.twin.faults().down(Vendor::Slack);
        stage.start().await;
        let (anna, account, _) = stage.contained("Anna Berg").await;
        assert!(stage.is_locked_out(&account));
        assert!(stage.messages().is_empty());
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_case(anna, CaseState::Released).await;
        stage.twin.faults().up(Vendor::Slack);
        let message = stage.until_told("Released").await;
        assert_eq!((stage.messages().len(), message.versions.len()), (1, 1), "only the newest state");
        stage.end().await;
    }

    one_message_is_changed_from_requested_to_verified_to_released(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, _) = stage.at_risk("Anna Berg", "high");
        stage.twin.faults().down(Vendor::Auth0);
        stage.alert(anna, "high").await;
        stage.until_told("requested").await;
        stage.twin.faults().up(Vendor::Auth0);
        stage.until_told("verified in").await;
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        let message = stage.until_told("Released").await;
        assert_eq!(stage.messages().len(), 1);
        let said: Vec<&str> = message.versions.iter().map(|version| version.text.as_str()).collect();
        assert!(said[0].contains("requested") && said.last().unwrap().contains("Released"), "{said:?}");
        stage.end().await;
    }

    a_message_whose_reply_was_lost_is_not_posted_again(stage, Setup::unlimited()) {
        let posting = Match::vendor(Vendor::Slack).route("chat.postMessage");
        stage.twin.faults().inject(posting, Fault::LoseReply, Times::N(1));
        stage.start().await;
        stage.contained("Anna Berg").await;
        stage.until_told("verified in").await;
        assert_eq!(stage.messages().len(), 1);
        stage.end().await;
    }

    with_an_incoming_webhook_each_news_is_a_message_of_its_own(stage, Setup::unlimited()) {
        let url = stage.twin.urls().slack_webhook_url;
        for name in ["SLACK_BOT_TOKEN", "SLACK_CHANNEL", "SLACK_API_URL"] {
            stage.env.remove(name);
        }
        stage.set_env("SLACK_WEBHOOK_URL", &url);
        stage.start().await;
        let (anna, _, _) = stage.contained("Anna Berg").await;
        stage.until_told("verified in").await;
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_told("Released").await;
        let messages = stage.messages();
        assert!((2..=3).contains(&messages.len()), "perhaps requested, then verified, then released: {messages:#?}");
        assert!(messages.iter().all(|message| message.versions.len() == 1));
        stage.end().await;
    }

    without_slack_people_are_contained_all_the_same(stage, Setup::unlimited()) {
        for name in ["SLACK_BOT_TOKEN", "SLACK_CHANNEL", "SLACK_API_URL"] {
            stage.env.remove(name);
        }
        stage.start().await;
        let (_, account, _) = stage.contained("Anna Berg").await;
        assert!(stage.is_locked_out(&account));
        assert_eq!(stage.twin.journal().total(Vendor::Slack), 0);
        stage.end().await;
    }
}
