//! Asking before acting: what would be done for one person, and why they have what they have, by the built program.

use lockstep_twin::{Hire, Setup};
use serde_json::json;

use super::directory::{attribute, role, unprovisioned};

crate::stories! {
    the_way_through_nested_groups_is_told(stage, Setup::unlimited()) {
        let (top, _middle, bottom) = {
            let mut world = stage.twin.world();
            world.create_role("Engineer");
            world.create_role("Seller");
            let (top, middle, bottom) =
                (world.create_group("Everybody"), world.create_group("Branch"), world.create_group("Team"));
            world.add_member(top, middle);
            world.add_member(middle, bottom);
            world.add_member(bottom, top);
            (top, middle, bottom)
        };
        let sales = stage.twin.world().create_group("Sales");
        stage.policy(&format!(
            "{}{}{}",
            role("Engineer", &[top]),
            role("Seller", &[sales]),
            attribute("app_metadata.department", "department | lower"),
        ));
        let (ada, account) = {
            let mut world = stage.twin.world();
            let ada = world.hire(Hire { department: Some("Research".into()), ..Hire::named("Ada Lovelace") });
            world.add_member(bottom, ada);
            (ada, world.accounts_of(ada).remove(0))
        };
        stage.start_subscribed().await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_idle().await;
        let writes = stage.writes();
        let ran = stage.run(&["explain", &ada.to_string(), "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let told = ran.json();
        let engineer = told["given"].as_array().unwrap().iter().find(|given| given["what"] == "role Engineer").unwrap();
        let names: Vec<_> = engineer["paths"][0].as_array().unwrap().iter().map(|step| step["name"].clone()).collect();
        assert_eq!(names, ["Team", "Branch", "Everybody"]);
        assert_eq!(told["attributes"][0]["wanted"], "research");
        assert_eq!(told["would"], json!([]));
        let text = stage.run(&["explain", &ada.to_string()]);
        assert!(text.out.contains("Team > Branch > Everybody"), "{}", text.out);
        assert!(text.out.contains(&format!("in none of {sales}")), "{}", text.out);
        assert_eq!(stage.writes(), writes);
        stage.end().await;
    }

    a_link_is_shown_first_and_then_exactly_that_is_done(stage, Setup::unlimited()) {
        let ada = stage.twin.world().hire(unprovisioned("Ada Lovelace"));
        let seed = |user_id: &str, connection: &str| lockstep_twin::AccountSeed {
            user_id: user_id.into(),
            connection: connection.into(),
            email: Some("ada.lovelace@contoso.example".into()),
            email_verified: true,
            ..Default::default()
        };
        let primary = {
            let mut world = stage.twin.world();
            world.add_account_raw(seed("auth0|twin", "Username-Password-Authentication"));
            let mut enterprise = seed(&format!("waad|{ada}"), &stage.twin.setup().auth0_connection);
            enterprise.root.insert("oid".into(), json!(ada.to_string()));
            world.add_account_raw(enterprise)
        };
        let user = ada.to_string();
        stage.policy("[provision]\nmethod = \"scim\"\n");
        let unasked = stage.run(&["plan", "--user", &user]);
        assert_eq!(unasked.code, 0, "{unasked:?}");
        assert!(unasked.out.contains("held    auth0|twin has the same e-mail address and is not linked"), "{unasked:?}");

        stage.policy("[provision]\nmethod = \"scim\"\nlink = \"verified-email\"\n");
        let before = stage.twin.world().account_states();
        let sentence = format!("Link auth0|twin into {primary}");
        let shown = stage.run(&["plan", "--user", &user]);
        assert_eq!((shown.code, shown.out.trim()), (2, format!("would   {sentence}").as_str()), "{shown:?}");
        let shown = stage.run(&["plan", "--user", &user, "--json"]);
        assert_eq!(shown.code, 2, "{shown:?}");
        assert_eq!(
            shown.json(),
            json!({"person": user, "actions": [{"action": "action.link", "sentence": sentence}], "held": []})
        );
        assert_eq!((stage.writes(), stage.twin.world().account_states()), (0, before), "asking writes nothing");

        stage.start_subscribed().await;
        stage.until_world("the twin is linked", |world| {
            world.find_account("auth0|twin").is_none() && world.account(&primary).identities.len() == 2
        }).await;
        stage.until_told_and_done().await;
        let decided: Vec<String> = stage.audited("plan.decided").await.into_iter().map(|it| it.sentence).collect();
        assert_eq!(decided, [sentence], "exactly what was shown");
        assert_eq!(stage.writes(), 1);
        let after = stage.run(&["plan", "--user", &user]);
        assert_eq!((after.code, after.out.trim()), (0, "nothing to do"), "{after:?}");
        stage.end().await;
    }

    a_plan_is_shown_before_anything_is_done_and_its_exit_code_tells(stage, Setup::unlimited()) {
        stage.policy(&format!(
            "[provision]\nmethod = \"scim\"\n{}",
            attribute("app_metadata.department", "department")
        ));
        let ada = stage.twin.world().hire(Hire { department: Some("Sales".into()), ..unprovisioned("Ada Lovelace") });
        let user = ada.to_string();
        let before = stage.run(&["plan", "--user", &user, "--json"]);
        assert_eq!(before.code, 2, "{before:?}");
        let actions = before.json()["actions"].clone();
        assert_eq!(actions[0]["action"], "action.provision", "{actions:#}");
        assert_eq!(stage.writes(), 0);
        stage.start_subscribed().await;
        let account = stage.until_account(ada).await;
        stage.until_app_metadata(&account, "department", json!("Sales")).await;
        stage.until_idle().await;
        let after = stage.run(&["plan", "--user", &user]);
        assert_eq!((after.code, after.out.trim()), (0, "nothing to do"), "{after:?}");
        // Nobody tells Lockstep of it before it was asked.
        stage.stop().await;
        stage.twin.world().disable(ada);
        let block = format!("would   Block {account} (account disabled in Entra)");
        let shown = stage.run(&["plan", "--user", &user]);
        assert!(shown.code == 2 && shown.out.starts_with(&block), "{shown:?}");
        let shown = stage.run(&["explain", &user, "--json"]).json();
        assert!(shown["would"][1].as_str().unwrap().starts_with("End access of"), "{shown:#}");
        stage.start().await;
        stage.until_case(ada, lockstep::case::CaseState::Verified).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    somebody_whom_entra_does_not_know_is_explained_too(stage, Setup::unlimited()) {
        stage.policy(&attribute("app_metadata.department", "department"));
        let nobody = lockstep_twin::PersonId::nobody().to_string();
        let ran = stage.run(&["explain", &nobody]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("no account") && ran.out.contains("knows nobody"), "{}", ran.out);
        stage.start().await;
        stage.until_swept().await;
        stage.end().await;
    }
}
