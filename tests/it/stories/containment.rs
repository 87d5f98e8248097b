//! From a risk alert to a verified lockout.

use lockstep::case::CaseState;
use lockstep_twin::{Hire, Setup, Vendor};

crate::stories! {
    a_high_risk_alert_locks_every_account_and_is_proven(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, enterprise, database) = {
            let mut world = stage.twin.world();
            let anna = world.hire(Hire::named("Anna Berg"));
            let database = world.add_database_account(anna);
            let enterprise = world.accounts_of(anna).into_iter().find(|id| *id != database).unwrap();
            world.sign_in(&enterprise);
            world.sign_in(&database);
            world.raise_risk(anna, "high", "leakedCredentials");
            (anna, enterprise, database)
        };
        let answer = stage.sender().signed_risk_alert(anna, "high").await.unwrap();
        assert_eq!(answer.status, 202);
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(case.accounts.len(), 2);
        for account in [&enterprise, &database] {
            let world = stage.twin.world();
            assert!(world.account(account).blocked);
            assert!(world.sessions(account).is_empty() && world.refresh_tokens(account).is_empty());
        }
        assert_eq!(stage.twin.journal().writes(Vendor::Auth0), 4, "two writes per account, and no more");
        let told = stage.until("one message says verified", async || {
            let messages = stage.twin.world().slack_messages(&stage.twin.setup().slack_channel);
            messages.iter().any(|m| m.text().contains("verified")).then_some(messages.len())
        }).await;
        assert_eq!(told, 1);
        stage.end().await;
    }

    a_dismissed_risk_releases_the_person(stage, Setup::unlimited()) {
        stage.start().await;
        let anna = stage.twin.world().hire(Hire::named("Anna Berg"));
        stage.twin.world().raise_risk(anna, "high", "leakedCredentials");
        stage.sender().signed_risk_alert(anna, "high").await.unwrap();
        stage.until_case(anna, CaseState::Verified).await;
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_case(anna, CaseState::Released).await;
        let account = stage.twin.world().accounts_of(anna)[0].clone();
        assert!(!stage.twin.world().account(&account).blocked);
        stage.until_idle().await;
        stage.end().await;
    }
}
