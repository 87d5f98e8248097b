//! Joiners: accounts made, look-alikes shown or linked, mails.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::scene::{Scene, account, adele, at};
use crate::case::CaseId;
use crate::event::EventId;
use crate::plan::sync::Next;
use crate::plan::sync::check::check;
use crate::snapshot::sync::{Depth, LookAlike, Mail};
use crate::snapshot::{AccountsSeen, Blocked, Stamp};

fn newcomer(policy: &str) -> Scene {
    let mut scene = adele().policy(policy);
    scene.snapshot.accounts.clear();
    scene
}

fn look_alike(scene: &mut Scene, id: &str, verified: bool) {
    let other = LookAlike {
        id: account(id),
        is_database: id.starts_with("auth0|"),
        email_verified: verified,
        blocked: Blocked::No,
        stamp: None,
        owners: BTreeSet::new(),
    };
    scene.snapshot.look_alikes.insert(account(id), other);
}

const SCIM: &str = "[provision]\nmethod = \"scim\"\n";
const DATABASE: &str =
    "[provision]\nmethod = \"database\"\nconnection = \"Users\"\npassword_mail = \"yes\"\n";

#[test]
fn each_way_of_the_policy() {
    insta::assert_snapshot!(newcomer("").printed(), @"held: no account yet: Auth0 makes it at the first login");
    insta::assert_snapshot!(newcomer(SCIM).printed(), @"Provision 00000000-0000-0000-0000-0000000000ad by SCIM");
    insta::assert_snapshot!(newcomer(DATABASE).printed(), @"Provision 00000000-0000-0000-0000-0000000000ad in Users");
}

#[test]
fn nothing_is_made_before_everything_was_searched() {
    let mut scene = newcomer(SCIM);
    scene.snapshot.depth = Depth::Known;
    assert_eq!(scene.plan().next, Next::ReadWhole);
    scene.snapshot.depth = Depth::Full;
    let (unread, why) = (BTreeSet::new(), "the search failed".into());
    scene.snapshot.accounts_seen = AccountsSeen::Partly { unread, why };
    let plan = scene.plan();
    assert!(plan.actions.is_empty(), "{plan:?}");
}

#[test]
fn the_password_link_is_owed_before_the_account_is_made_and_mailed_once() {
    let scene = newcomer(DATABASE);
    assert_eq!(scene.plan().remembered.unwrap().password_mail, Mail::Owed);
    let made = scene.applied();
    assert!(made.printed().contains("Have Auth0 mail a change-password link"), "{}", made.printed());
    assert_eq!(made.settled().printed(), "");
}

#[test]
fn a_mail_that_may_be_on_its_way_is_waited_for_and_sent_once_more() {
    let mut scene = newcomer(DATABASE).applied();
    scene.snapshot.remembered.as_mut().unwrap().password_mail = Mail::Doubted { since: scene.now };
    insta::assert_snapshot!(scene.printed(), @"held: whether Auth0 has mailed is not known: it is asked once more at 2026-03-02T08:10:01Z");
    assert_eq!(scene.plan().remembered.unwrap().look_at, Some(at("2026-03-02T08:10:01Z")));
    scene.now = at("2026-03-02T08:10:01Z");
    assert!(scene.printed().contains("Have Auth0 mail a change-password link"), "{}", scene.printed());
}

#[test]
fn the_same_address_is_shown_and_never_merged_by_itself() {
    let mut scene = adele();
    look_alike(&mut scene, "auth0|other", true);
    assert!(scene.printed().contains("held: auth0|other has the same e-mail address and is not linked"));
    let mut scene = newcomer(DATABASE);
    look_alike(&mut scene, "auth0|other", true);
    insta::assert_snapshot!(scene.printed(), @"
    held: auth0|other has the same e-mail address and is not linked
    held: no account is made: auth0|other has the e-mail address
    ");
}

#[test]
fn a_verified_database_twin_is_linked_where_the_policy_says_so() {
    let link = "[provision]\nlink = \"verified-email\"\n";
    let mut scene = adele().policy(link);
    look_alike(&mut scene, "auth0|other", true);
    insta::assert_snapshot!(scene.printed(), @"Link auth0|other into waad|adele");
    look_alike(&mut scene, "auth0|third", true);
    insta::assert_snapshot!(scene.printed(), @"held: several accounts could be linked, none is: auth0|other, auth0|third");
    let mut scene = adele().policy(link);
    look_alike(&mut scene, "auth0|unproven", false);
    look_alike(&mut scene, "google-oauth2|1", true);
    assert!(scene.plan().actions.is_empty());
    let mut scene = adele().policy(link);
    look_alike(&mut scene, "auth0|other", true);
    scene.snapshot.accounts.get_mut(&account("waad|adele")).unwrap().email_verified = false;
    assert!(scene.plan().actions.is_empty(), "verified on one side only");
}

#[test]
fn what_is_locked_or_somebody_elses_is_never_linked() {
    let mut free = adele().policy("[provision]\nlink = \"verified-email\"\n");
    look_alike(&mut free, "auth0|other", true);
    let own = free.snapshot.subject.object.to_string();
    let with = |change: &dyn Fn(&mut LookAlike)| {
        let mut scene = free.clone();
        change(scene.snapshot.look_alikes.get_mut(&account("auth0|other")).unwrap());
        scene
    };
    let case = CaseId::opened_by(EventId(Uuid::from_u128(6)));
    let mine = with(&|other| other.owners = [own.clone()].into());
    assert_eq!(mine.plan().actions.len(), 1, "tied to the person already");
    let someone = "00000000-0000-0000-0000-000000000bad".to_owned();
    for (scene, why) in [
        (with(&|other| other.blocked = Blocked::Yes), "it is blocked"),
        (with(&|other| other.stamp = Some(Stamp { case })), "it is held by case_"),
        (with(&|other| other.owners = [own.clone(), someone.clone()].into()), "it belongs to somebody else"),
    ] {
        let plan = scene.plan();
        assert!(plan.actions.is_empty(), "{why}");
        let findings = plan.remembered.as_ref().unwrap().findings.clone();
        assert!(findings.iter().any(|finding| finding.contains(why)), "{findings:?}");
        let refused = check(&free.plan(), &scene.snapshot, &scene.policy, scene.now).unwrap_err().to_string();
        assert!(refused.contains("locked or somebody else's"), "{refused}");
        let mut warm = scene;
        warm.snapshot.remembered = plan.remembered;
        (warm.snapshot.depth, warm.snapshot.look_alikes) = (Depth::Known, Default::default());
        assert_eq!(warm.plan().remembered.unwrap().findings, findings, "not read, not forgotten");
    }
}

#[test]
fn a_requirement_is_a_flag_and_an_enrolment_mail_comes_once() {
    let policy = "[mfa]\nmetadata_key = \"mfa_required\"\nenrolment_mail = \"yes\"\n";
    let scene = adele().policy(policy);
    insta::assert_snapshot!(scene.printed(), @"
    Set app_metadata.mfa_required of waad|adele
    Have Auth0 mail an MFA enrolment ticket to waad|adele
    ");
    assert_eq!(scene.settled().printed(), "");
}
