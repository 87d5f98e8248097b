//! Somebody is new: an account that fits, once, by the way that the policy names.

use std::time::Duration;

use lockstep::clock::{Clock, SystemClock};
use lockstep::snapshot::sync::Mail;
use lockstep_twin::{Fault, Hire, MailKind, Match, PersonId, Setup, Times, Vendor, Write};
use serde_json::json;

use super::directory::{SWEEPING, attribute, role, unprovisioned, without};
use crate::harness::Stage;

const SCIM: &str = "[provision]\nmethod = \"scim\"\n";
const DATABASE: &str = "[provision]\nmethod = \"database\"\nconnection = \"Username-Password-Authentication\"\npassword_mail = true\n";

/// What a request that had left before an answer came may take to arrive.
const HEAD_START: Duration = Duration::from_millis(500);

impl Stage {
    /// Waits until it is not known whether Auth0 has mailed; then lets the time pass after which it is asked again.
    async fn until_doubted_and_due(&self, person: PersonId) {
        let doubted = |mail: Mail| matches!(mail, Mail::Doubted { .. });
        self.until("a mail is doubted", async || {
            let known = self.remembered(person).await?;
            (doubted(known.password_mail) || doubted(known.enrolment_mail)).then_some(())
        })
        .await;
        self.until_told_and_done().await;
        assert_eq!(self.twin.world().mails().len(), 1, "not before the time has come");
        let mut known = self.remembered(person).await.unwrap();
        let earlier = SystemClock.now() - Duration::from_secs(3600);
        for mail in [&mut known.password_mail, &mut known.enrolment_mail] {
            if doubted(*mail) {
                *mail = Mail::Doubted { since: earlier };
            }
        }
        self.save_remembered(known).await;
        assert!(self.until_due_in_minutes(person, 9..=10).await);
    }
}

crate::stories! {
    a_joiner_is_made_by_scim_with_attributes_roles_and_organizations(stage, Setup::unlimited()) {
        let (staff, acme) = {
            let mut world = stage.twin.world();
            let staff = world.create_group("Staff");
            world.create_role("Engineer");
            world.create_role("Reader");
            let acme = world.create_organization("acme");
            let connection = world.enterprise_connection().id.clone();
            world.enable_connection(&acme, &connection, false);
            (staff, acme)
        };
        stage.policy(&format!(
            "{SCIM}{}{}[[organizations]]\norganization = \"acme\"\nany_of = [\"{staff}\"]\nroles = [{{ role = \"Reader\" }}]\n",
            attribute("app_metadata.department", "department"),
            role("Engineer", &[staff]),
        ));
        stage.start_subscribed().await;
        let ada = {
            let mut world = stage.twin.world();
            let ada = world.hire(Hire { department: Some("Research".into()), ..unprovisioned("Ada Lovelace") });
            world.add_member(staff, ada);
            ada
        };
        let account = stage.until_account(ada).await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.until_world("Ada reads in acme", |world| {
            world.is_member(&acme, &account) && world.member_roles(&acme, &account).len() == 1
        }).await;
        stage.until_told_and_done().await;
        {
            let world = stage.twin.world();
            assert_eq!(world.accounts_of(ada).len(), 1);
            assert!(world.is_provisioned_by_scim(&account));
        }
        // Nor that she cannot sign in to acme.
        stage.until_nothing_is_found(ada).await;
        assert!(!stage.audited("action.provision").await.is_empty());
        stage.end().await;
    }

    a_joiner_whose_organization_has_another_connection_enabled_is_told_of_once_and_for_all(
        stage, Setup::unlimited()
    ) {
        let (staff, acme, globex, connection) = {
            let mut world = stage.twin.world();
            let staff = world.create_group("Staff");
            let (acme, globex) = (world.create_organization("acme"), world.create_organization("globex"));
            let right = world.enterprise_connection().id.clone();
            let wrong = world.connection_named("Username-Password-Authentication").unwrap().id.clone();
            world.enable_connection(&acme, &wrong, false);
            world.enable_connection(&globex, &right, false);
            (staff, acme, globex, right)
        };
        let organization =
            |name: &str| format!("[[organizations]]\norganization = \"{name}\"\nany_of = [\"{staff}\"]\n");
        stage.policy(&format!("{SCIM}{}{}", organization("acme"), organization("globex")));
        stage.start_subscribed().await;
        let people = ["Ada Lovelace", "Boris Karl"].map(|name| {
            let mut world = stage.twin.world();
            let person = world.hire(unprovisioned(name));
            world.add_member(staff, person);
            person
        });
        for person in people {
            let finding = stage.until_finding(person, "members of the organization acme cannot sign in there").await;
            assert!(finding.contains("the enterprise connection"), "{finding}");
            assert_eq!(stage.remembered(person).await.unwrap().findings.len(), 1, "globex lets them in");
            let account = stage.until_account(person).await;
            stage.until_world("they are members all the same", |world| {
                world.is_member(&acme, &account) && world.is_member(&globex, &account)
            }).await;
        }
        stage.until_told_and_done().await;
        let asked = stage.requests(Vendor::Auth0, "GET /api/v2/organizations/{id}/enabled_connections");
        assert_eq!(asked.len(), 2, "once for each organization, not for each person");
        let shown = stage.run(&["findings"]);
        assert!(shown.out.contains("members of the organization acme cannot sign in there"), "{shown:?}");
        // Enabled, it is noticed at the next look after at most five minutes, or a restart.
        stage.stop().await;
        stage.twin.world().enable_connection(&acme, &connection, false);
        stage.start().await;
        stage.sweep(&["--whole"]);
        for person in people {
            stage.until_nothing_is_found(person).await;
        }
        stage.end().await;
    }

    who_may_not_read_how_members_sign_in_is_told_so_once_and_keeps_everybody_in_step(
        stage, without(&["read:organization_connections"])
    ) {
        let staff = stage.twin.world().create_group("Staff");
        let acme = stage.twin.world().create_organization("acme");
        stage.policy(&format!("{SCIM}[[organizations]]\norganization = \"acme\"\nany_of = [\"{staff}\"]\n"));
        stage.start_subscribed().await;
        for name in ["Ada Lovelace", "Boris Karl"] {
            let person = {
                let mut world = stage.twin.world();
                let person = world.hire(unprovisioned(name));
                world.add_member(staff, person);
                person
            };
            let account = stage.until_account(person).await;
            stage.until_world("they are a member", |world| world.is_member(&acme, &account)).await;
            stage.until_nothing_is_found(person).await;
        }
        stage.until_told_and_done().await;
        let asked = stage.requests(Vendor::Auth0, "GET /api/v2/organizations/{id}/enabled_connections");
        assert_eq!(asked.iter().map(|entry| entry.status).collect::<Vec<_>>(), [403]);
        stage.end().await;
    }

    a_joiner_is_made_in_a_database_and_auth0_mails_the_password_link_once(stage, Setup::unlimited()) {
        stage.policy(&format!("{DATABASE}{}", attribute("name", "displayName")));
        stage.start_subscribed().await;
        let ada = stage.twin.world().hire(unprovisioned("Ada Lovelace"));
        let account = stage.until_account(ada).await;
        stage.until_world("the link was mailed", |world| {
            world.mails().iter().any(|mail| mail.kind == MailKind::PasswordChange && mail.account == account)
        }).await;
        stage.until_told_and_done().await;
        stage.twin.world().set_property(ada, "jobTitle", "Countess".into());
        stage.until_told_and_done().await;
        {
            let world = stage.twin.world();
            assert_eq!(world.mails().len(), 1, "{:?}", world.mails());
            let made = world.account(&account);
            assert_eq!(made.root["name"], "Ada Lovelace");
            assert_eq!(made.app_metadata["external_id"], json!(ada.to_string()));
        }
        stage.end().await;
    }

    somebody_whom_auth0_makes_at_the_first_login_gets_roles_then(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&format!("{}{}", SWEEPING, role("Engineer", &[staff])));
        stage.start_subscribed().await;
        let ada = {
            let mut world = stage.twin.world();
            let ada = world.hire(unprovisioned("Ada Lovelace"));
            world.add_member(staff, ada);
            ada
        };
        stage.until_told_and_done().await;
        assert!(stage.twin.world().accounts_of(ada).is_empty());
        stage.twin.world().sign_in_through_entra(ada).unwrap();
        let account = stage.until_account(ada).await;
        stage.twin.world().set_property(ada, "officeLocation", "12/1".into());
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_idle().await;
        stage.end().await;
    }

    somebody_who_is_there_already_is_not_made_twice(stage, Setup::unlimited()) {
        stage.policy(SCIM);
        stage.start_subscribed().await;
        let ada = stage.twin.world().hire(Hire::named("Ada Lovelace"));
        stage.until_told_and_done().await;
        let boris = stage.twin.world().hire(unprovisioned("Boris Karl"));
        let account = stage.until_account(boris).await;
        for title in ["Clerk", "Manager", "Director"] {
            stage.twin.world().set_property(boris, "jobTitle", title.into());
        }
        stage.until_told_and_done().await;
        let world = stage.twin.world();
        assert_eq!((world.accounts_of(ada).len(), world.accounts_of(boris).len()), (1, 1));
        assert_eq!(world.writes_to(&account).get(&Write::Scim), Some(&1));
        drop(world);
        stage.end().await;
    }

    the_same_mail_address_is_shown_and_never_merged_by_itself(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&format!("{SCIM}{}", role("Engineer", &[staff])));
        let stranger = stage.twin.world().add_account_raw(lockstep_twin::AccountSeed {
            user_id: "auth0|stranger".into(),
            connection: "Username-Password-Authentication".into(),
            email: Some("ada.lovelace@contoso.example".into()),
            email_verified: true,
            ..Default::default()
        });
        let before = stage.twin.world().account_state(&stranger);
        stage.start_subscribed().await;
        let ada = stage.twin.world().hire(unprovisioned("Ada Lovelace"));
        stage.twin.world().add_member(staff, ada);
        let account = stage.until_account(ada).await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_finding(ada, "auth0|stranger").await;
        stage.until_told_and_done().await;
        assert_eq!(stage.twin.world().account_state(&stranger), before);
        stage.end().await;
    }

    a_verified_twin_in_the_database_is_linked_where_the_policy_says_so(stage, Setup::unlimited()) {
        stage.policy("[provision]\nmethod = \"scim\"\nlink = \"verified-email\"\n");
        let seed = |user_id: &str, connection: &str| lockstep_twin::AccountSeed {
            user_id: user_id.into(),
            connection: connection.into(),
            email: Some("ada.lovelace@contoso.example".into()),
            email_verified: true,
            ..Default::default()
        };
        stage.start_subscribed().await;
        stage.twin.deliveries().pause();
        let ada = stage.twin.world().hire(unprovisioned("Ada Lovelace"));
        let primary = {
            let mut world = stage.twin.world();
            world.add_account_raw(seed("auth0|twin", "Username-Password-Authentication"));
            let mut enterprise = seed(&format!("waad|{ada}"), &stage.twin.setup().auth0_connection);
            enterprise.root.insert("oid".into(), json!(ada.to_string()));
            world.add_account_raw(enterprise)
        };
        stage.twin.deliveries().resume();
        stage.until_world("the twin is linked", |world| {
            world.find_account("auth0|twin").is_none() && world.account(&primary).identities.len() == 2
        }).await;
        stage.until_told_and_done().await;
        let shown = stage.audited("plan.decided").await;
        assert!(shown.iter().any(|entry| entry.sentence.contains("auth0|twin")), "{shown:?}");
        stage.end().await;
    }

    a_guest_is_left_alone_unless_the_policy_includes_guests(stage, Setup::unlimited()) {
        stage.policy(SCIM);
        stage.start_subscribed().await;
        let domain = stage.twin.setup().tenant_domain.clone();
        let guest = stage.twin.world().hire(Hire::guest("Gil Guest", "gil@fabrikam.example", &domain));
        stage.until_told_and_done().await;
        assert!(stage.twin.world().accounts_of(guest).is_empty());
        stage.policy("[people]\nguests = \"include\"\n[provision]\nmethod = \"scim\"\n");
        stage.until_account(guest).await;
        stage.until_idle().await;
        stage.end().await;
    }

    an_mfa_requirement_is_flagged_and_the_enrolment_mailed_once(stage, Setup::unlimited()) {
        let admins = stage.twin.world().create_group("Admins");
        stage.policy(&format!(
            "{SCIM}[mfa]\nmetadata_key = \"mfa_required\"\nany_of = [\"{admins}\"]\nenrolment_mail = true\n"
        ));
        stage.start_subscribed().await;
        let ada = stage.twin.world().hire(unprovisioned("Ada Lovelace"));
        let account = stage.until_account(ada).await;
        stage.until_told_and_done().await;
        assert!(stage.twin.world().mails().is_empty());
        stage.twin.world().add_member(admins, ada);
        stage.until_app_metadata(&account, "mfa_required", json!(true)).await;
        stage.until_world("the enrolment was mailed", |world| {
            world.mails().iter().any(|mail| mail.kind == MailKind::Enrolment)
        }).await;
        stage.twin.world().remove_member(admins, ada);
        stage.until_app_metadata(&account, "mfa_required", json!(null)).await;
        stage.twin.world().add_member(admins, ada);
        stage.until_app_metadata(&account, "mfa_required", json!(true)).await;
        stage.until_told_and_done().await;
        assert_eq!(stage.twin.world().mails().len(), 1);
        stage.end().await;
    }

    a_password_link_of_which_auth0_does_not_say_whether_it_left_is_mailed_once_more(stage, Setup::unlimited()) {
        stage.policy(DATABASE);
        stage.start_subscribed().await;
        let mailing = Match::vendor(Vendor::Auth0).route("/dbconnections/change_password");
        let lost = stage.twin.faults().inject(mailing, Fault::LoseReply, Times::N(2));
        let ada = stage.twin.world().hire(unprovisioned("Ada Lovelace"));
        stage.until_account(ada).await;
        stage.until_doubted_and_due(ada).await;
        stage.until_struck(lost).await;
        let finding = stage.until_finding(ada, "Auth0 gave no answer twice").await;
        assert!(finding.contains("change-password link"), "{finding}");
        stage.twin.world().set_property(ada, "jobTitle", "Countess".into());
        stage.until_told_and_done().await;
        assert_eq!(stage.twin.world().mails().len(), 2, "not for ever");
        assert_eq!(stage.remembered(ada).await.unwrap().password_mail, Mail::Sent);
        stage.end().await;
    }

    an_enrolment_of_which_auth0_does_not_say_whether_it_left_is_mailed_once_more(stage, Setup::unlimited()) {
        let admins = stage.twin.world().create_group("Admins");
        stage.policy(&format!(
            "{SCIM}[mfa]\nmetadata_key = \"mfa_required\"\nany_of = [\"{admins}\"]\nenrolment_mail = true\n"
        ));
        stage.start_subscribed().await;
        let mailing = Match::vendor(Vendor::Auth0).route("/guardian/enrollments/ticket");
        let lost = stage.twin.faults().inject(mailing, Fault::LoseReply, Times::N(1));
        let ada = stage.twin.world().hire(unprovisioned("Ada Lovelace"));
        let account = stage.until_account(ada).await;
        stage.twin.world().add_member(admins, ada);
        stage.until_struck(lost).await;
        stage.until_doubted_and_due(ada).await;
        stage.until("it was mailed", async || {
            (stage.remembered(ada).await?.enrolment_mail == Mail::Sent).then_some(())
        }).await;
        stage.until_app_metadata(&account, "mfa_required", json!(true)).await;
        stage.until_told_and_done().await;
        assert_eq!(stage.twin.world().mails().len(), 2);
        stage.until_nothing_is_found(ada).await;
        stage.end().await;
    }

    a_joiner_whom_auth0_answers_about_and_the_reply_is_lost_is_made_once(stage, Setup::unlimited()) {
        stage.policy(SCIM);
        stage.start_subscribed().await;
        let creating = Match::vendor(Vendor::Auth0).method("POST").route("/scim/");
        let lost = stage.twin.faults().inject(creating, Fault::LoseReply, Times::N(1));
        let ada = stage.twin.world().hire(unprovisioned("Ada Lovelace"));
        stage.until_account(ada).await;
        stage.until_struck(lost).await;
        // The account is there before Lockstep knows: it comes again, and finds it.
        stage.until_nothing_is_found(ada).await;
        stage.until_told_and_done().await;
        assert_eq!(stage.twin.world().accounts_of(ada).len(), 1);
        stage.end().await;
    }

    scims_own_rate_limit_is_obeyed_and_everybody_is_made_once(stage, Setup::unlimited()) {
        stage.policy(SCIM);
        stage.start_subscribed().await;
        let scim = Match::vendor(Vendor::Auth0).route("/scim/");
        let throttle = Fault::Throttle { retry_after: Some("2".into()) };
        let throttled = stage.twin.faults().inject(scim, throttle, Times::N(1));
        let people: Vec<_> =
            (0..4).map(|n| stage.twin.world().hire(unprovisioned(&format!("Person N{n}")))).collect();
        stage.until_struck(throttled).await;
        for person in &people {
            stage.until_account(*person).await;
            stage.until_nothing_is_found(*person).await;
        }
        stage.until_told_and_done().await;
        let all = stage.twin.journal().requests().into_iter();
        let asked: Vec<_> = all.filter(|entry| entry.route.contains("/scim/")).collect();
        let refused = asked.iter().position(|entry| entry.status == 429).unwrap();
        // What was on its way already is not ours to stop.
        let again = asked[refused + 1..].iter().find(|entry| entry.at > asked[refused].at + HEAD_START);
        let waited = again.unwrap().at.duration_since(asked[refused].at);
        assert!(waited >= Duration::from_secs(2), "asked again after {waited:?}");
        for person in &people {
            assert_eq!(stage.twin.world().accounts_of(*person).len(), 1);
        }
        stage.end().await;
    }
}
