//! Somebody changes: what the policy maps follows, what it does not own stays.

use lockstep_twin::{Fault, Hire, Match, Setup, Times, Vendor};
use serde_json::{Value, json};

use super::directory::attribute;

crate::stories! {
    a_move_arrives_with_one_graph_read_and_one_auth0_write(stage, Setup::unlimited()) {
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().set_property(ada, "department", "Research".into());
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.until_told_and_done().await;
        // The sweep that follows new subscriptions must not be counted.
        stage.until_swept_anew().await;
        stage.twin.journal().clear();
        stage.twin.world().move_to(ada, "Sales", "Manager");
        stage.until_app_metadata(&account, "department", json!("Sales")).await;
        stage.until_told_and_done().await;
        let calls = stage.calls();
        let reads = calls.iter().filter(|call| call.vendor == Vendor::Graph).count();
        let writes = calls.iter().filter(|call| call.is_write()).count();
        let routes: Vec<_> = calls.iter().map(|call| call.route).collect();
        assert!(reads <= 1 && writes == 1 && calls.len() <= 3, "{routes:?}");
        stage.end().await;
    }

    a_change_that_auth0_fails_for_a_while_costs_no_attempt_and_two_writes_a_look(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        stage.until_swept_anew().await;
        stage.twin.journal().clear();
        let writing = Match::vendor(Vendor::Auth0).method("PATCH").route("/users/");
        let failing = stage.twin.faults().inject(writing, Fault::Status(502), Times::Forever);
        stage.twin.world().set_property(ada, "department", "Research".into());
        // More than all the rounds of one look.
        stage.until_failed(Vendor::Auth0, 12).await;
        stage.twin.faults().lift(failing);
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.until_told_and_done().await;
        let calls = stage.calls();
        let looks = calls.iter().filter(|call| call.vendor == Vendor::Graph).count();
        let failed = calls.iter().filter(|call| call.status == 502).count();
        assert!(failed <= 2 * looks, "{failed} writes in {looks} looks");
        stage.end().await;
    }

    a_change_that_no_line_maps_writes_nothing(stage, Setup::unlimited()) {
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().set_property(ada, "department", "Research".into());
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.until_told_and_done().await;
        let (writes, head) = (stage.writes(), stage.store().audit_head().await.unwrap());
        stage.twin.world().set_property(ada, "officeLocation", "12/1".into());
        stage.until_told_and_done().await;
        assert_eq!(stage.writes(), writes);
        assert_eq!(stage.store().audit_head().await.unwrap(), head);
        stage.end().await;
    }

    what_is_cleared_in_entra_is_cleared_and_what_is_not_ours_stays(stage, Setup::unlimited()) {
        stage.policy(&format!(
            "{}{}",
            attribute("app_metadata.department", "department"),
            attribute("user_metadata.title", "jobTitle"),
        ));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().set_app_metadata(&account, "theirs", json!({ "deep": ["kept", 1] }));
        stage.twin.world().move_to(ada, "Research", "Countess");
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.twin.world().clear_property(ada, "department");
        stage.until_app_metadata(&account, "department", Value::Null).await;
        stage.until_told_and_done().await;
        {
            let world = stage.twin.world();
            let state = world.account_state(&account);
            assert_eq!(state.app_metadata["theirs"], json!({ "deep": ["kept", 1] }));
            assert_eq!(state.user_metadata.unwrap()["title"], "Countess");
        }
        stage.end().await;
    }

    expressions_tables_extensions_and_the_manager_are_mapped(stage, Setup::unlimited()) {
        const APP: &str = "24d3b144-21ae-4080-943f-7067b395b913";
        let extension = stage.twin.world().register_extension(APP, "costCentre");
        stage.policy(&format!(
            "{}{}{}{}{}{}[tables.country]\nCH = \"Switzerland\"\n",
            attribute("app_metadata.full", "givenName ~ ' ' ~ surname"),
            attribute("app_metadata.mail", "mail | lower"),
            attribute("app_metadata.country", "tables.country[usageLocation]"),
            attribute("app_metadata.level", "onPremisesExtensionAttributes.extensionAttribute3 or 'none'"),
            attribute("app_metadata.cost", &extension),
            attribute("app_metadata.boss", "manager.displayName"),
        ));
        stage.start_subscribed().await;
        let boss = stage.twin.world().hire(Hire::named("Charles Babbage"));
        let (ada, account) = stage.hire("Ada Lovelace");
        {
            let mut world = stage.twin.world();
            world.set_property(ada, "usageLocation", "CH".into());
            world.set_directory_extension(ada, APP, "costCentre", json!("4711"));
            world.set_manager(ada, Some(boss));
        }
        for (key, value) in [
            ("full", "Ada Lovelace"),
            ("mail", "ada.lovelace@contoso.example"),
            ("country", "Switzerland"),
            ("level", "none"),
            ("cost", "4711"),
            ("boss", "Charles Babbage"),
        ] {
            stage.until_app_metadata(&account, key, json!(value)).await;
        }
        stage.twin.world().set_extension_attribute(ada, 3, Some("L5"));
        stage.until_app_metadata(&account, "level", json!("L5")).await;
        stage.twin.world().set_manager(ada, None);
        stage.until_app_metadata(&account, "boss", Value::Null).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    an_extension_that_is_cleared_is_cleared(stage, Setup::unlimited()) {
        const APP: &str = "24d3b144-21ae-4080-943f-7067b395b913";
        let extension = stage.twin.world().register_extension(APP, "costCentre");
        stage.policy(&attribute("app_metadata.cost", &extension));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().set_directory_extension(ada, APP, "costCentre", json!("4711"));
        stage.until_app_metadata(&account, "cost", json!("4711")).await;
        stage.twin.world().set_directory_extension(ada, APP, "costCentre", Value::Null);
        stage.until_app_metadata(&account, "cost", Value::Null).await;
        stage.until_nothing_is_found(ada).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    names_in_every_script_with_quotes_and_emoji_arrive_as_they_are(stage, Setup::unlimited()) {
        stage.policy(&attribute("app_metadata.shown", "displayName"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        for name in [
            "王小明", "Ωρίων Ἀχιλλεύς", "محمد بن عبد الله", "José \"Pepe\" O'Neil \\ <b>&amp;</b>",
            "👩🏽‍🚀 Ada", "a\u{301}\u{200d}\u{202e}x", "{{ 7 * 7 }} ${x} %s", "Ädä\tLövelace",
        ] {
            stage.twin.world().rename(ada, name);
            stage.until_app_metadata(&account, "shown", json!(name)).await;
        }
        stage.until_told_and_done().await;
        stage.end().await;
    }

    a_text_of_ten_kilobytes_is_a_finding_and_the_rest_goes_on(stage, Setup::unlimited()) {
        stage.policy(&format!(
            "{}{}",
            attribute("app_metadata.about", "department"),
            attribute("app_metadata.title", "jobTitle"),
        ));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().move_to(ada, &"x".repeat(10_000), "Countess");
        stage.until_app_metadata(&account, "title", json!("Countess")).await;
        stage.until_finding(ada, "app_metadata.about is kept").await;
        stage.until_told_and_done().await;
        assert!(stage.twin.world().oversized().is_empty());
        assert!(!stage.twin.world().account(&account).app_metadata.contains_key("about"));
        stage.end().await;
    }

    root_attributes_of_an_enterprise_account_are_not_written_and_it_is_said(stage, Setup::unlimited()) {
        stage.policy(&format!(
            "{}{}{}",
            attribute("name", "displayName"),
            attribute("email", "mail"),
            attribute("app_metadata.title", "jobTitle"),
        ));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        {
            let mut world = stage.twin.world();
            world.rename(ada, "Ada King");
            world.set_property(ada, "jobTitle", "Countess".into());
        }
        stage.until_app_metadata(&account, "title", json!("Countess")).await;
        stage.until_finding(ada, "set_user_root_attributes").await;
        stage.until_told_and_done().await;
        assert_eq!(stage.twin.world().account(&account).root["name"], "Ada Lovelace");
        stage.end().await;
    }

    root_attributes_are_written_where_the_connection_lets_them_be(stage, Setup::unlimited()) {
        {
            let mut world = stage.twin.world();
            let id = world.enterprise_connection().id.clone();
            world.set_connection_option(&id, "set_user_root_attributes", json!("on_first_login"));
        }
        stage.policy(&attribute("name", "displayName"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().rename(ada, "Ada King");
        stage.until_world("the name follows", |world| world.account(&account).root["name"] == "Ada King").await;
        stage.until_nothing_is_found(ada).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    a_value_that_auth0_keeps_otherwise_is_written_once_and_said(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.policy(&format!(
            "{}{}",
            attribute("app_metadata.department", "department"),
            attribute("app_metadata.title", "jobTitle"),
        ));
        stage.twin.world().keep_app_metadata_as("department", |value| {
            value.as_str().map_or(Value::Null, |text| text.to_uppercase().into())
        });
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        let written = || stage.requests(Vendor::Auth0, "PATCH /api/v2/users/{id}").len();
        stage.twin.world().move_to(ada, "Research", "Countess");
        stage.until_finding(ada, "app_metadata.department").await;
        stage.until_told_and_done().await;
        stage.until_app_metadata(&account, "department", json!("RESEARCH")).await;
        stage.until_app_metadata(&account, "title", json!("Countess")).await;
        let first = written();
        assert!(first <= 2, "one for each of two changes, {first}");
        stage.twin.world().set_property(ada, "officeLocation", "12/1".into());
        stage.until_told_and_done().await;
        assert_eq!(written(), first, "not again by itself");
        stage.until_finding(ada, "Auth0 keeps another value").await;
        // Another value is wanted, or is there: that is written.
        stage.twin.world().set_property(ada, "department", "Sales".into());
        stage.until_app_metadata(&account, "department", json!("SALES")).await;
        stage.until_told_and_done().await;
        assert_eq!(written(), first + 1);
        stage.twin.world().set_app_metadata(&account, "department", json!("Forged"));
        stage.twin.world().set_property(ada, "officeLocation", "12/2".into());
        stage.until_app_metadata(&account, "department", json!("SALES")).await;
        stage.until_told_and_done().await;
        assert_eq!(written(), first + 2);
        stage.twin.world().set_property(ada, "department", "SALES".into());
        stage.until_nothing_is_found(ada).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    an_account_that_is_edited_by_hand_is_set_right_by_the_next_look(stage, Setup::unlimited()) {
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().set_property(ada, "department", "Research".into());
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.twin.world().set_app_metadata(&account, "department", json!("Forged"));
        stage.twin.world().set_property(ada, "officeLocation", "12/1".into());
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    somebody_whose_upn_changes_keeps_the_account(stage, Setup::unlimited()) {
        stage.policy(&format!(
            "[provision]\nmethod = \"scim\"\n{}",
            attribute("app_metadata.upn", "userPrincipalName")
        ));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        stage.twin.world().set_upn(ada, "ada.king@contoso.example");
        stage.until_app_metadata(&account, "upn", json!("ada.king@contoso.example")).await;
        stage.until_told_and_done().await;
        assert_eq!(stage.twin.world().accounts_of(ada), [account]);
        stage.end().await;
    }
}
