//! Groups of Entra decide roles and organizations of Auth0: given, taken, nested, and never taken on what was not read.

use std::collections::BTreeSet;
use std::time::Duration;

use lockstep::case::CaseState;
use lockstep::clock::{Clock, SystemClock};
use lockstep::event::Lane;
use lockstep::snapshot::sync::Remembered;
use lockstep_twin::{Fault, Hire, Match, Mishap, PageFault, Setup, Times, Vendor};
use serde_json::json;

use super::directory::{SWEEPING, role, unprovisioned};
use crate::harness::{PATIENCE, Stage};

/// By which SCIM makes an account.
const MAKE: &str = "POST /scim/v2/connections/{connection_id}/Users";

impl Stage {
    async fn waiting_in_bulk(&self) -> u64 {
        let (_, depths) = self.admin(reqwest::Method::GET, "/queue", json!(null)).await;
        depths[Lane::Bulk.word()]["events"].as_u64().unwrap_or_default()
    }
}

crate::stories! {
    a_role_comes_with_the_group_and_goes_with_it(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        let (_, other) = {
            let mut world = stage.twin.world();
            (world.create_role("Engineer"), world.create_role("Unmanaged"))
        };
        stage.policy(&role("Engineer", &[staff]));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().grant_role(&account, &other);
        stage.until_told_and_done().await;
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer", "Unmanaged"]).await;
        stage.twin.world().remove_member(staff, ada);
        stage.until_roles(&account, &["Unmanaged"]).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    nested_groups_give_and_a_cut_in_the_middle_takes(stage, Setup::unlimited()) {
        let (top, middle, bottom) = {
            let mut world = stage.twin.world();
            world.create_role("Engineer");
            let (top, middle, bottom) =
                (world.create_group("Top"), world.create_group("Middle"), world.create_group("Bottom"));
            world.add_member(top, middle);
            world.add_member(middle, bottom);
            (top, middle, bottom)
        };
        stage.policy(&role("Engineer", &[top]));
        stage.start_subscribed().await;
        let people: Vec<_> = ["Ada Lovelace", "Boris Karl"].map(|name| stage.hire(name)).into();
        for (person, _) in &people {
            stage.twin.world().add_member(bottom, *person);
        }
        for (_, account) in &people {
            stage.until_roles(account, &["Engineer"]).await;
        }
        stage.until_told_and_done().await;
        stage.twin.world().remove_member(middle, bottom);
        for (_, account) in &people {
            stage.until_roles(account, &[]).await;
        }
        stage.until_told_and_done().await;
        stage.end().await;
    }

    a_group_lost_while_its_role_was_given_takes_it_though_nobody_tells_this_process(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[staff]));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        stage.until_swept_anew().await;
        // Another process is told, looks before the role is there, and finds nothing to take.
        stage.twin.faults().mishap("", Mishap::Lose, Times::Forever);
        let giving = Match::vendor(Vendor::Auth0).method("POST").route("/roles");
        let lost = stage.twin.faults().after(giving, 1, move |world| world.remove_member(staff, ada));
        stage.twin.world().add_member(staff, ada);
        stage.until_swept_anew().await;
        stage.until_struck(lost).await;
        stage.until_roles(&account, &[]).await;
        stage.end().await;
    }

    a_deleted_group_has_nobody_looked_at_but_those_who_were_in_a_named_one_through_it(stage, Setup::unlimited()) {
        let (top, nested, unrelated) = {
            let mut world = stage.twin.world();
            world.create_role("Engineer");
            let (top, nested) = (world.create_group("Top"), world.create_group("Nested"));
            world.add_member(top, nested);
            (top, nested, world.create_group("Some team"))
        };
        stage.policy(&role("Engineer", &[top]));
        stage.start_subscribed().await;
        let (ada, through) = stage.hire("Ada Lovelace");
        let (boris, direct) = stage.hire("Boris Karl");
        let (cleo, both) = stage.hire("Cleo Three");
        {
            let mut world = stage.twin.world();
            for (group, person) in
                [(nested, ada), (nested, cleo), (top, boris), (top, cleo), (unrelated, ada), (unrelated, boris)]
            {
                world.add_member(group, person);
            }
        }
        for account in [&through, &direct, &both] {
            stage.until_roles(account, &["Engineer"]).await;
        }
        stage.until_told_and_done().await;
        stage.until_swept_anew().await;
        let looked_at = || -> BTreeSet<String> {
            let read = stage.requests(Vendor::Graph, "GET /v1.0/users/{id}").into_iter();
            read.map(|entry| entry.path.split(['/', '?']).nth(3).unwrap().to_owned()).collect()
        };
        stage.twin.journal().clear();
        stage.twin.world().soft_delete_group(unrelated);
        stage.until_told_and_done().await;
        assert!(!stage.requests(Vendor::Graph, "GET /v1.0/groups/{id}").is_empty(), "it was not told");
        assert_eq!(looked_at(), BTreeSet::new());
        stage.twin.world().soft_delete_group(nested);
        stage.until_roles(&through, &[]).await;
        stage.until_told_and_done().await;
        assert_eq!(looked_at(), BTreeSet::from([ada.to_string()]));
        for account in [&direct, &both] {
            stage.until_roles(account, &["Engineer"]).await;
        }
        stage.end().await;
    }

    any_of_all_of_and_none_of_decide_together(stage, Setup::unlimited()) {
        let (staff, cleared, contractors) = {
            let mut world = stage.twin.world();
            world.create_role("Engineer");
            (world.create_group("Staff"), world.create_group("Cleared"), world.create_group("Contractors"))
        };
        stage.policy(&format!(
            "[[roles]]\nrole = \"Engineer\"\nany_of = [\"{staff}\"]\nall_of = [\"{cleared}\"]\nnone_of = [\"{contractors}\"]\n"
        ));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(staff, ada);
        stage.until_told_and_done().await;
        stage.until_roles(&account, &[]).await;
        stage.twin.world().add_member(cleared, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.twin.world().add_member(contractors, ada);
        stage.until_roles(&account, &[]).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    losing_a_privileged_role_ends_the_tokens_that_carry_it(stage, Setup::unlimited()) {
        let admins = stage.twin.world().create_group("Admins");
        stage.twin.world().create_role("Admin");
        stage.policy(&format!("{}privileged = true\n", role("Admin", &[admins])));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(admins, ada);
        stage.until_roles(&account, &["Admin"]).await;
        stage.until_told_and_done().await;
        assert!(!stage.twin.world().refresh_tokens(&account).is_empty());
        stage.twin.world().remove_member(admins, ada);
        stage.until_world("the tokens have ended", |world| {
            world.role_names_of(&account).is_empty()
                && world.refresh_tokens(&account).is_empty()
                && world.sessions(&account).is_empty()
        }).await;
        stage.until_told_and_done().await;
        assert!(!stage.twin.world().account(&account).blocked);
        stage.end().await;
    }

    a_role_lost_while_locked_goes_with_the_release_and_waits_for_no_sweep(stage, Setup::unlimited()) {
        const OTHERS: u64 = 12;
        stage.set_env("LOCKSTEP_CONCURRENCY", "1");
        let admins = stage.twin.world().create_group("Admins");
        stage.twin.world().create_role("Admin");
        stage.policy(&format!("{}privileged = true\n", role("Admin", &[admins])));
        stage.start_subscribed().await;
        let others: Vec<_> = (0..OTHERS).map(|number| stage.hire(&format!("Other N{number}"))).collect();
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(admins, ada);
        stage.until_roles(&account, &["Admin"]).await;
        stage.until_told_and_done().await;
        stage.twin.world().raise_risk(ada, "high", "leakedCredentials");
        stage.alert(ada, "high").await;
        let case = stage.until_case(ada, CaseState::Verified).await;
        stage.twin.world().remove_member(admins, ada);
        stage.until_told_and_done().await;
        stage.until_roles(&account, &["Admin"]).await;
        // A sweep that came later would tell the sync lane of all these people.
        stage.until_swept_anew().await;
        // The bulk lane has more to do than a story's patience lasts.
        for (person, account) in &others {
            let read = Match::vendor(Vendor::Auth0).method("GET").route(&account.replace('|', "%7C"));
            stage.twin.faults().inject(read, Fault::Stall(Duration::from_secs(8)), Times::Forever);
            let known = stage.remembered(*person).await.unwrap();
            stage.save_remembered(Remembered { look_at: Some(SystemClock.now()), ..known }).await;
        }
        stage.until("all are to be looked at", async || {
            (stage.waiting_in_bulk().await == OTHERS).then_some(())
        }).await;
        stage.ask_to_release(&case).await;
        stage.until_case(ada, CaseState::Released).await;
        stage.until_roles(&account, &[]).await;
        assert!(stage.waiting_in_bulk().await > OTHERS / 2, "it has waited for the others");
        stage.twin.faults().clear();
        stage.until_told_and_done().await;
        stage.end().await;
    }

    losing_a_privileged_role_inside_an_organization_ends_the_tokens_too(stage, Setup::unlimited()) {
        let (staff, owners, acme) = {
            let mut world = stage.twin.world();
            world.create_role("Owner");
            (world.create_group("Staff"), world.create_group("Owners"), world.create_organization("acme"))
        };
        stage.policy(&format!(
            "[[organizations]]\norganization = \"acme\"\nany_of = [\"{staff}\"]\n\
             roles = [{{ role = \"Owner\", any_of = [\"{owners}\"], privileged = true }}]\n"
        ));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        {
            let mut world = stage.twin.world();
            world.add_member(staff, ada);
            world.add_member(owners, ada);
        }
        stage.until_world("an owner", |world| world.member_roles(&acme, &account).len() == 1).await;
        stage.until_told_and_done().await;
        assert!(!stage.twin.world().refresh_tokens(&account).is_empty(), "given, it ends nothing");
        stage.twin.world().remove_member(owners, ada);
        stage.until_world("the tokens have ended", |world| {
            world.member_roles(&acme, &account).is_empty()
                && world.refresh_tokens(&account).is_empty()
                && world.sessions(&account).is_empty()
        }).await;
        stage.until_told_and_done().await;
        assert!(stage.twin.world().is_member(&acme, &account) && !stage.is_blocked(&account));
        // Also with the membership, in which it goes without a word of its own.
        stage.twin.world().add_member(owners, ada);
        stage.until_world("an owner again", |world| world.member_roles(&acme, &account).len() == 1).await;
        stage.until_told_and_done().await;
        stage.twin.world().sign_in(&account).expect("nobody is blocked");
        stage.twin.world().remove_member(staff, ada);
        stage.until_world("no member, and no tokens", |world| {
            !world.is_member(&acme, &account)
                && world.refresh_tokens(&account).is_empty()
                && world.sessions(&account).is_empty()
        }).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    somebody_with_more_roles_than_a_page_holds_loses_the_one_and_keeps_the_others(stage, Setup::unlimited()) {
        const OTHERS: usize = 60;
        let staff = stage.twin.world().create_group("Staff");
        stage.policy(&role("Engineer", &[staff]));
        let (ada, account) = stage.hire("Ada Lovelace");
        let others: BTreeSet<String> = {
            let mut world = stage.twin.world();
            let others: Vec<String> = (0..OTHERS).map(|n| world.create_role(&format!("Other {n}"))).collect();
            let engineer = world.create_role("Engineer");
            // Last of all, and so on the second page.
            for role in others.iter().chain([&engineer]) {
                world.grant_role(&account, role);
            }
            others.into_iter().collect()
        };
        stage.start_subscribed().await;
        stage.until_world("the one is taken", |world| world.roles_of(&account) == others).await;
        let listed = stage.requests(Vendor::Auth0, "GET /api/v2/users/{id}/roles");
        assert!(listed.iter().any(|entry| entry.path.contains("page=1")), "all were on one page: {listed:#?}");
        // What Auth0 would refuse, with so many roles, is held and said.
        stage.twin.world().add_member(staff, ada);
        stage.until_finding(ada, "roles").await;
        stage.until_told_and_done().await;
        assert_eq!(stage.twin.world().roles_of(&account), others);
        stage.end().await;
    }

    organizations_are_joined_and_left_with_their_roles(stage, Setup::unlimited()) {
        let (staff, leads, acme, other) = {
            let mut world = stage.twin.world();
            world.create_role("Lead");
            let (acme, other) = (world.create_organization("acme"), world.create_organization("other"));
            (world.create_group("Staff"), world.create_group("Leads"), acme, other)
        };
        stage.policy(&format!(
            "[[organizations]]\norganization = \"acme\"\nany_of = [\"{staff}\"]\n\
             roles = [{{ role = \"Lead\", any_of = [\"{leads}\"] }}]\n"
        ));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().join_organization(&other, &account);
        stage.twin.world().add_member(staff, ada);
        stage.until_world("a member", |world| world.is_member(&acme, &account)).await;
        stage.twin.world().add_member(leads, ada);
        stage.until_world("a lead", |world| world.member_roles(&acme, &account).len() == 1).await;
        stage.twin.world().remove_member(leads, ada);
        stage.until_world("no lead", |world| world.member_roles(&acme, &account).is_empty()).await;
        stage.twin.world().remove_member(staff, ada);
        stage.until_world("no member", |world| !world.is_member(&acme, &account)).await;
        stage.until_told_and_done().await;
        assert!(stage.twin.world().is_member(&other, &account));
        stage.end().await;
    }

    a_group_permission_that_is_lost_takes_nothing_and_pages_once(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[staff]));
        stage.start_subscribed().await;
        let people: Vec<_> = ["Ada Lovelace", "Boris Karl"].map(|name| stage.hire(name)).into();
        for (person, account) in &people {
            stage.twin.world().add_member(staff, *person);
            stage.until_roles(account, &["Engineer"]).await;
        }
        stage.until_told_and_done().await;
        stage.twin.world().revoke_graph_permission("Group.Read.All");
        stage.twin.world().expire_tokens(Vendor::Graph);
        for (person, _) in &people {
            stage.twin.world().set_property(*person, "officeLocation", "12/1".into());
        }
        for (person, account) in &people {
            stage.until_finding(*person, "groups were not read").await;
            stage.until_roles(account, &["Engineer"]).await;
        }
        stage.until_told("Group memberships cannot be read").await;
        stage.until_told_and_done().await;
        assert_eq!(stage.messages().len(), 1);
        stage.twin.world().grant_graph_permission("Group.Read.All");
        stage.twin.world().expire_tokens(Vendor::Graph);
        for (person, account) in &people {
            stage.twin.world().remove_member(staff, *person);
            stage.until_roles(account, &[]).await;
        }
        stage.until_nothing_is_found(people[0].0).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    whoever_was_held_is_asked_for_again_once_groups_can_be_read(stage, Setup::unlimited()) {
        let (staff, readers) = {
            let mut world = stage.twin.world();
            world.create_role("Engineer");
            (world.create_group("Staff"), world.create_group("Readers"))
        };
        stage.policy(&role("Engineer", &[staff]));
        stage.start_subscribed().await;
        let [(ada, account), (boris, _)] = ["Ada Lovelace", "Boris Karl"].map(|name| stage.hire(name));
        for group in [staff, readers] {
            stage.twin.world().add_member(group, ada);
        }
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_told_and_done().await;
        // What follows is told by no sweep: the one that new subscriptions ask for is over, the next is minutes away.
        assert_eq!(stage.sweep(&[]).code, 0);
        stage.twin.world().revoke_graph_permission("Group.Read.All");
        stage.twin.faults().mishap("Groups/", Mishap::Lose, Times::Forever);
        stage.twin.world().remove_member(staff, ada);
        stage.twin.world().set_property(ada, "officeLocation", "12/1".into());
        stage.until_finding(ada, "groups were not read").await;
        stage.until_told_and_done().await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.twin.world().grant_graph_permission("Group.Read.All");
        stage.twin.world().expire_tokens(Vendor::Graph);
        stage.twin.journal().clear();
        // Nothing changes from here on: only time passes.
        assert!(stage.until_due_in_minutes(ada, 9..=10).await);
        stage.until_roles(&account, &[]).await;
        stage.until_idle().await;
        let known = stage.remembered(ada).await.unwrap();
        assert_eq!((known.look_at, known.unread_since, known.findings.len()), (None, None, 0));
        let boris = boris.to_string();
        let calls = stage.calls();
        let about_him: Vec<_> = calls.iter().filter(|call| call.path.contains(&boris)).collect();
        assert!(about_him.is_empty(), "he was not held: {about_him:#?}");
        stage.end().await;
    }

    whoever_was_held_is_asked_for_once_when_the_policy_keeps_nobody_any_more(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[staff]));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.twin.world().revoke_graph_permission("Group.Read.All");
        stage.twin.world().set_property(ada, "officeLocation", "12/1".into());
        stage.until_finding(ada, "groups were not read").await;
        stage.until_told_and_done().await;
        stage.change_policy("").await;
        stage.until_idle().await;
        stage.until_due_in_minutes(ada, 0..=i64::MAX).await;
        stage.until_nobody_waits_for(ada).await;
        stage.until_idle().await;
        assert_eq!(stage.remembered(ada).await.unwrap().groups.len(), 1, "the rest is still known");
        stage.until_roles(&account, &["Engineer"]).await;
        stage.end().await;
    }

    a_list_of_groups_that_comes_short_takes_nothing_and_is_found(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[staff]));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_told_and_done().await;
        let list = Match::vendor(Vendor::Graph).route("transitiveMemberOf");
        let short = stage.twin.faults().inject(list, Fault::Page(PageFault::Missing), Times::Forever);
        stage.twin.journal().clear();
        stage.twin.world().set_property(ada, "officeLocation", "12/1".into());
        stage.until_finding(ada, "the list lacks a group").await;
        assert!(stage.twin.world().role_names_of(&account).contains("Engineer"));
        let asked = stage.requests(Vendor::Graph, "POST /v1.0/users/{id}/getMemberGroups").len();
        let looked = stage.requests(Vendor::Graph, "POST /v1.0/$batch").len();
        assert!(asked <= looked, "one question more for a look: {asked}, {looked}");
        // It may be only late, so nobody is woken, and it is asked again by itself.
        stage.twin.faults().lift(short);
        stage.until_nothing_is_found(ada).await;
        stage.until_told_and_done().await;
        assert!(stage.messages().is_empty());
        stage.until_roles(&account, &["Engineer"]).await;
        // What both say is done, at the same cost.
        stage.twin.journal().clear();
        stage.twin.world().remove_member(staff, ada);
        stage.until_roles(&account, &[]).await;
        stage.until_told_and_done().await;
        assert_eq!(stage.requests(Vendor::Graph, "POST /v1.0/users/{id}/getMemberGroups").len(), 1);
        stage.end().await;
    }

    a_list_without_any_group_while_the_permission_is_lost_takes_nothing_and_pages(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[staff]));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_told_and_done().await;
        stage.twin.world().revoke_graph_permission("Group.Read.All");
        // Groups may be missing as well as their names.
        let list = Match::vendor(Vendor::Graph).route("transitiveMemberOf");
        stage.twin.faults().inject(list, Fault::Page(PageFault::Missing), Times::Forever);
        stage.twin.world().set_property(ada, "officeLocation", "12/1".into());
        stage.until_finding(ada, "groups were not read: graph member_groups.get: 403").await;
        stage.until_told("Group memberships cannot be read").await;
        stage.until_told_and_done().await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.end().await;
    }

    groups_of_somebody_deleted_are_missed_by_nobody(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[staff]));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.twin.world().soft_delete(ada);
        stage.until_case(ada, lockstep::case::CaseState::Verified).await;
        stage.until_swept_anew().await;
        assert_eq!(stage.sweep(&["--whole"]).code, 0);
        stage.until_told_and_done().await;
        let pages = stage.messages().into_iter().filter(|said| said.text().contains("Group memberships"));
        assert_eq!(pages.count(), 0);
        stage.end().await;
    }

    a_role_that_the_tenant_does_not_know_is_a_finding_and_the_others_go_on(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&format!("{}{}", role("Engineer", &[staff]), role("Enginer", &[staff])));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_finding(ada, "role Enginer").await;
        stage.until_told_and_done().await;
        let doctor = stage.run(&["doctor", "--json"]);
        assert_eq!(doctor.code, 1, "{doctor:?}");
        assert!(doctor.out.contains("there is no role Enginer"), "{}", doctor.out);
        stage.end().await;
    }

    somebody_in_three_hundred_groups_has_what_the_one_gives(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[staff]));
        let (ada, account) = stage.hire("Ada Lovelace");
        {
            let mut world = stage.twin.world();
            for number in 0..300 {
                let group = world.create_group(&format!("Group {number}"));
                world.add_member(group, ada);
            }
        }
        stage.start_subscribed().await;
        assert!(stage.twin.world().role_names_of(&account).is_empty());
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        let explained = stage.run(&["explain", &ada.to_string(), "--json"]).json();
        assert_eq!(explained["given"][0]["paths"][0][0]["name"], "Staff", "{explained:#}");
        let parents = stage.requests(Vendor::Graph, "GET /v1.0/groups/{id}/memberOf");
        assert_eq!(parents.len(), 0, "she is in it directly: there is no way to look for");
        stage.twin.world().remove_member(staff, ada);
        stage.until_roles(&account, &[]).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    a_role_deleted_under_our_feet_is_noticed_and_one_made_anew_is_given_again(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        let (engineer, reader) = {
            let mut world = stage.twin.world();
            (world.create_role("Engineer"), world.create_role("Reader"))
        };
        stage.policy(&format!("{}{}", role("Engineer", &[staff]), role("Reader", &[staff])));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        let (boris, second) = stage.hire("Boris Karl");
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer", "Reader"]).await;
        stage.until_told_and_done().await;
        stage.twin.world().delete_role(&engineer);
        stage.twin.world().add_member(staff, boris);
        stage.until_roles(&second, &["Reader"]).await;
        stage.until_finding(boris, "role Engineer").await;
        stage.until_told_and_done().await;
        let _ = reader;
        stage.until_catalogue_seen().await;
        stage.stop().await;
        stage.twin.world().create_role("Engineer");
        stage.start().await;
        stage.until_roles(&account, &["Engineer", "Reader"]).await;
        stage.until_roles(&second, &["Engineer", "Reader"]).await;
        stage.until_idle().await;
        stage.end().await;
    }

    a_role_recreated_under_the_same_name_is_given_to_those_who_had_it(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        let engineer = stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[staff]));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_told_and_done().await;
        stage.until_catalogue_seen().await;
        stage.stop().await;
        let anew = stage.twin.world().recreate_role(&engineer);
        stage.start().await;
        stage.until_world("the new role is given", |world| world.has_role(&account, &anew)).await;
        stage.until_idle().await;
        stage.end().await;
    }

    a_role_that_everybody_has_and_that_is_made_later_is_given_to_everybody(stage, Setup::unlimited()) {
        stage.policy("[[roles]]\nrole = \"Reader\"\n");
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.start_subscribed().await;
        stage.until_finding(ada, "role Reader").await;
        stage.until_catalogue_seen().await;
        stage.until_idle().await;
        stage.stop().await;
        stage.twin.world().create_role("Reader");
        stage.start().await;
        stage.until_roles(&account, &["Reader"]).await;
        stage.until_idle().await;
        stage.end().await;
    }

    a_page_that_is_missing_from_a_list_of_members_takes_nothing(stage, Setup::unlimited()) {
        let (top, nested) = {
            let mut world = stage.twin.world();
            world.create_role("Engineer");
            let (top, nested) = (world.create_group("Top"), world.create_group("Nested"));
            world.add_member(top, nested);
            (top, nested)
        };
        stage.policy(&role("Engineer", &[top]));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(nested, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_told_and_done().await;
        let pages = Match::vendor(Vendor::Graph).route("/transitiveMembers");
        let missing = stage.twin.faults().inject(pages, Fault::Page(PageFault::Missing), Times::N(1));
        stage.twin.world().rename_group(top, "Renamed");
        stage.until_struck(missing).await;
        stage.until_told_and_done().await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.end().await;
    }

    a_search_of_auth0_that_is_stale_makes_nobody_twice_and_takes_nothing(
        stage, Setup { search_lag: std::time::Duration::from_secs(3600), ..Setup::unlimited() }
    ) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&format!("{SWEEPING}[provision]\nmethod = \"scim\"\n{}", role("Engineer", &[staff])));
        stage.start_subscribed().await;
        let ada = stage.twin.world().hire(unprovisioned("Ada Lovelace"));
        stage.twin.world().add_member(staff, ada);
        let account = stage.until_account(ada).await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_swept_anew().await;
        stage.sweep(&["--whole"]);
        stage.until_told_and_done().await;
        // Nothing is known of her any more: only Auth0's refusal to make her twice tells whose account that is.
        stage.store().forget_person(stage.subject(ada), Vec::new()).await.unwrap();
        for link in stage.store().links(stage.subject(ada)).await.unwrap() {
            stage.store().remove_link(stage.subject(ada), link).await.unwrap();
        }
        stage.twin.journal().clear();
        stage.sweep(&["--whole"]);
        stage.until_told_and_done().await;
        let refused: Vec<_> = stage.calls().into_iter().filter(|call| call.status == 409).collect();
        assert_eq!(refused.iter().map(|call| call.route).collect::<Vec<_>>(), [MAKE]);
        let links = stage.store().links(stage.subject(ada)).await.unwrap();
        assert_eq!(links.iter().map(|link| link.as_str()).collect::<Vec<_>>(), [&*account]);
        assert_eq!(stage.twin.world().accounts_of(ada).len(), 1);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.end().await;
    }

    a_group_of_thousands_cannot_delay_a_lockout(stage, Setup::unlimited()) {
        const PEOPLE: usize = 300;
        // Slow enough for the fan-out to be there still when the lockout is proven.
        stage.set_env("GRAPH_RESOURCE_UNITS_PER_SECOND", "100");
        let staff = stage.twin.world().create_group("Staff");
        let outer = stage.twin.world().create_group("Outer");
        stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[outer]));
        stage.start_subscribed().await;
        // The fan-out shall come from the group alone.
        let untold = stage.twin.faults().mishap("", Mishap::Lose, Times::Forever);
        let people: Vec<_> = {
            let mut world = stage.twin.world();
            (0..PEOPLE).map(|number| {
                let person = world.hire(Hire {
                    upn: format!("p{number}@contoso.example"),
                    ..unprovisioned("Some Body")
                });
                world.add_member(staff, person);
                person
            }).collect()
        };
        let (ada, account) = stage.at_risk("Ada Lovelace", "high");
        assert!(stage.twin.deliveries().settled(PATIENCE).await);
        stage.twin.faults().lift(untold);
        stage.twin.world().add_member(outer, staff);
        stage.until("the bulk lane is full", async || (stage.waiting_in_bulk().await > 100).then_some(())).await;
        stage.alert(ada, "high").await;
        stage.until_case(ada, CaseState::Verified).await;
        assert!(stage.waiting_in_bulk().await > 0, "the lockout did not pass the fan-out");
        assert!(stage.is_locked_out(&account));
        stage.until_idle().await;
        assert_eq!(people.len(), PEOPLE);
        stage.end().await;
    }
}
