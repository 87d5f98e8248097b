//! Who is meant by an alert, in whatever shape and however often it comes.

use futures_util::future::join_all;
use lockstep::case::{CaseState, Reason};
use lockstep_twin::send::eventgrid::{self, Sequence, Verdict};
use lockstep_twin::send::{Change, Lifecycle, notifications};
use lockstep_twin::{AccountSeed, Hire, PersonId, Setup, Vendor};

use super::verbs::{BLOCK, REVOKE};

crate::stories! {
    an_alert_about_somebody_nobody_knows_is_left_alone_on_record(stage, Setup::unlimited()) {
        stage.start().await;
        let stranger = PersonId::nobody();
        stage.alert(stranger, "high").await;
        let why = stage.until_left_alone(stranger).await;
        assert!(why.contains("no Auth0 account"), "{why}");
        assert!(stage.cases_of(stranger).await.is_empty());
        assert_eq!(stage.writes(), 0);
        stage.until_idle().await;
        stage.end().await;
    }

    somebody_at_risk_without_an_auth0_account_is_left_alone_on_record(stage, Setup::unlimited()) {
        stage.start().await;
        let hire = Hire { auth0_enterprise: false, ..Hire::named("Anna Berg") };
        let anna = stage.twin.world().hire(hire);
        stage.twin.world().raise_risk(anna, "high", "leakedCredentials");
        stage.alert(anna, "high").await;
        let why = stage.until_left_alone(anna).await;
        assert!(why.contains("no Auth0 account"), "{why}");
        assert_eq!((stage.writes(), stage.messages().len()), (0, 0));
        stage.until_idle().await;
        stage.end().await;
    }

    an_alert_of_another_tenant_touches_nobody(stage, Setup::unlimited()) {
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.start().await;
        // The first sweep looks at everybody, and must not be counted.
        stage.until_swept().await;
        stage.twin.journal().clear();
        let mut body = stage.sender().alert_body(anna, "high");
        body["tenantId"] = uuid::Uuid::from_u128(7).to_string().into();
        stage.alert_with(&body).await;
        let counter = r#"lockstep_events_total{source="risk",kind="none",outcome="wrong_tenant"}"#;
        assert_eq!(stage.metric(counter).await, Some(1.0));
        stage.until_idle().await;
        assert!(!stage.is_blocked(&account) && stage.cases_of(anna).await.is_empty());
        assert_eq!(stage.twin.journal().total(Vendor::Auth0), 0, "Auth0 is not even asked");
        stage.end().await;
    }

    whatever_shape_the_alert_has_the_person_is_locked_out(stage, Setup::unlimited()) {
        stage.start().await;
        let names = ["Ada One", "Ben Two", "Cleo Three", "Dan Four", "Eva Five", "Finn Six"];
        let people = names.map(|name| stage.at_risk(name, "high"));
        let sender = stage.sender();
        let answers = [
            sender.risky_user(people[0].0).await,
            sender.risk_detection(people[1].0).await,
            sender.security_alert(people[2].0).await,
            sender.diagnostic_risky_user(people[3].0).await,
            sender.diagnostic_detection(people[4].0).await,
            sender.azure_alert(people[5].0, "high").await,
        ];
        assert!(answers.into_iter().all(|answer| answer.unwrap().status == 202));
        for (person, account) in &people {
            stage.until_case(*person, CaseState::Verified).await;
            assert!(stage.is_locked_out(account));
        }
        stage.end().await;
    }

    one_request_about_many_people_locks_each_of_them_and_skips_what_it_cannot_read(stage, Setup::unlimited()) {
        stage.start().await;
        let names = ["Ada One", "Ben Two", "Cleo Three", "Dan Four"];
        let people = names.map(|name| stage.at_risk(name, "high"));
        let mut items = people.clone().map(|(person, _)| stage.sender().alert_body(person, "high")).to_vec();
        items.insert(2, serde_json::json!({ "userId": "not an id", "riskLevel": "high" }));
        stage.alert_with(&items.into()).await;
        for (person, account) in &people {
            stage.until_case(*person, CaseState::Verified).await;
            assert!(stage.is_locked_out(account));
        }
        stage.end().await;
    }

    an_account_that_appears_while_the_case_is_open_is_locked_at_the_next_look(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, enterprise, case) = stage.contained("Anna Berg").await;
        let database = stage.twin.world().add_database_account(anna);
        stage.twin.world().sign_in(&database);
        stage.changed(anna, Change::Updated).await;
        stage.until("the new account is locked too", async || stage.is_locked_out(&database).then_some(())).await;
        let again = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!((again.id, again.accounts.len()), (case.id, 2));
        assert_eq!(stage.writes(), 4);
        stage.ask_to_release(&again).await;
        stage.until_case(anna, CaseState::Released).await;
        assert!(!stage.is_blocked(&enterprise) && !stage.is_blocked(&database));
        stage.end().await;
    }

    graph_tells_by_event_grid_and_whoever_was_disabled_is_locked_out(stage, Setup::unlimited()) {
        let setup = stage.twin.setup().clone();
        stage.set_env("EVENT_GRID_SECRET", &setup.event_grid_secret);
        stage.start().await;
        let consent = stage.sender().eventgrid_handshake().await.unwrap();
        assert!(consent.status == 200 && eventgrid::is_allowed(&consent), "{consent:?}");

        let (anna, account) = stage.hire("Anna Berg");
        let (ben, other) = stage.hire("Ben Alt");
        stage.twin.world().disable(anna);
        let event = eventgrid::user(&setup, anna, Change::Updated, Sequence::Number);
        assert_eq!(stage.sender().cloud_event(&event).await.verdict, Verdict::Delivered);
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(case.reason, Reason::Disabled);
        assert!(stage.is_locked_out(&account));

        // A batch in which one event is of somebody else's subscription.
        stage.twin.world().soft_delete(ben);
        let mut forged = eventgrid::user(&setup, anna, Change::Deleted, Sequence::Absent);
        forged["data"]["clientState"] = "guessed".into();
        let batch = [forged, eventgrid::user(&setup, ben, Change::Deleted, Sequence::Text)];
        assert_eq!(stage.sender().cloud_events(&batch).await.verdict, Verdict::Delivered);
        stage.until_case(ben, CaseState::Verified).await;
        assert!(stage.is_locked_out(&other));
        let counter = r#"lockstep_events_total{source="graph",kind="none",outcome="wrong_client_state"}"#;
        assert_eq!(stage.metric(counter).await, Some(1.0));
        stage.end().await;
    }

    news_of_groups_and_subscriptions_is_taken_in_and_does_nothing(stage, Setup::unlimited()) {
        let (anna, account) = stage.hire("Anna Berg");
        stage.start().await;
        // The first sweep looks at everybody, and must not be counted.
        stage.until_swept().await;
        stage.twin.journal().clear();
        let setup = stage.twin.setup().clone();
        let group = uuid::Uuid::from_u128(11).to_string();
        let items = vec![
            notifications::group(&setup, &group, Change::Updated),
            notifications::group_members(&setup, &group, &[], &[anna]),
            notifications::group(&setup, &group, Change::Deleted),
            notifications::lifecycle(&setup, Lifecycle::Missed),
        ];
        assert_eq!(stage.sender().notifications(items).await.unwrap().status, 202);
        stage.until_idle().await;
        // Also what was missed is looked for by now, and there is nothing.
        stage.until_swept_anew().await;
        assert!(!stage.is_blocked(&account));
        assert_eq!(stage.twin.journal().total(Vendor::Auth0), 0);
        stage.end().await;
    }

    twenty_alerts_at_once_about_one_person_are_one_case_two_writes_per_account_and_one_message(
        stage, Setup::unlimited()
    ) {
        stage.start().await;
        let (anna, enterprise) = stage.at_risk("Anna Berg", "high");
        let database = stage.twin.world().add_database_account(anna);
        stage.twin.world().sign_in(&database);
        let sender = stage.sender();
        let answers = join_all((0..20).map(|_| sender.signed_risk_alert(anna, "high"))).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap().status == 202));
        stage.until_case(anna, CaseState::Verified).await;
        stage.until_idle().await;
        assert!(stage.is_locked_out(&enterprise) && stage.is_locked_out(&database));
        assert_eq!(stage.cases_of(anna).await.len(), 1);
        assert_eq!(stage.requests(Vendor::Auth0, BLOCK).len(), 2);
        assert_eq!(stage.requests(Vendor::Auth0, REVOKE).len(), 2);
        stage.until_told("verified").await;
        assert_eq!(stage.messages().len(), 1);
        stage.end().await;
    }

    a_risk_dismissed_before_its_alert_is_worked_on_locks_nobody(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let late = stage.sender().alert_body(anna, "high");
        stage.twin.world().dismiss_risk(anna);
        stage.alert_with(&late).await;
        let why = stage.until_left_alone(anna).await;
        assert!(why.contains("Entra says dismissed"), "{why}");
        assert!(!stage.is_blocked(&account) && stage.writes() == 0);
        stage.until_idle().await;
        stage.end().await;
    }

    somebody_who_only_shares_the_email_address_is_not_locked(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let email = stage.twin.world().account(&account).email.clone();
        let look_alike = stage.twin.world().add_account_raw(AccountSeed {
            user_id: "auth0|look-alike".into(),
            connection: "Username-Password-Authentication".into(),
            email,
            email_verified: true,
            ..AccountSeed::default()
        });
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(case.accounts.len(), 1);
        assert!(stage.is_locked_out(&account) && !stage.is_blocked(&look_alike));
        stage.end().await;
    }

    an_account_that_was_linked_away_is_locked_in_the_one_that_absorbed_it(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, enterprise, case) = stage.contained("Anna Berg").await;
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        let private = stage.twin.world().add_account_raw(AccountSeed {
            user_id: "auth0|private".into(),
            connection: "Username-Password-Authentication".into(),
            ..AccountSeed::default()
        });
        stage.twin.world().link_accounts(&private, &enterprise);
        stage.twin.world().sign_in(&private);
        stage.twin.world().raise_risk(anna, "high", "anonymizedIPAddress");
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&private));
        stage.end().await;
    }
}
