//! Joiners: accounts that have to be made, look-alikes that may be linked, and the mails that go with it.
//!
//! Correlation comes first: the link index, SCIM's external id and the Entra object id have been searched before
//! anything is made. The same e-mail address ties nobody together; it is shown to a person.

use std::time::Duration;

use super::Draft;
use super::attributes;
use crate::action::sync::{NewAccount, SyncAction, Way};
use crate::clock::{self, Timestamp};
use crate::policy::Policy;
use crate::policy::sync::{Link, Method, Switch};
use crate::snapshot::sync::{AccountKind, Depth, Groups, Holding, LookAlike, Mail, SyncSnapshot};
use crate::snapshot::{AccountsSeen, Blocked};

/// How long a mail of which nobody knows whether it has left is waited for. Long enough for somebody who got it not to be
/// asked twice in a row, and for an Auth0 that was away to be back.
const MAIL_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// How a look-alike is found again among the findings.
const SAME_ADDRESS: &str = "has the same e-mail address and is not linked";

pub(super) fn plan(snapshot: &SyncSnapshot, policy: &Policy, draft: &mut Draft) {
    if !snapshot.accounts.is_empty() {
        look_alikes(snapshot, policy, draft);
        return;
    }
    if snapshot.depth != Depth::Full || snapshot.accounts_seen != AccountsSeen::All {
        draft.need_whole();
        return;
    }
    let way = match policy.provision.method {
        Method::FirstLogin => {
            draft.hold("no account yet: Auth0 makes it at the first login".into());
            look_alikes(snapshot, policy, draft);
            return;
        }
        Method::Scim => Way::Scim,
        Method::Database => match &policy.provision.connection {
            Some(connection) => Way::Database { connection: connection.clone() },
            None => return draft.find("no account is made: [provision] names no connection".into()),
        },
    };
    look_alikes(snapshot, policy, draft);
    if let (Way::Database { .. }, Some(other)) = (&way, snapshot.look_alikes.values().find(|l| l.is_database))
    {
        // Auth0 would refuse a second user with the address; whose account that is, a person must say.
        return draft.hold(format!("no account is made: {} has the e-mail address", other.id));
    }
    if let Some(new) = new_account(snapshot, policy, way, draft) {
        if policy.provision.password_mail == Switch::Yes && matches!(new.way, Way::Database { .. }) {
            draft.remembered.password_mail = Mail::Owed;
        }
        draft.actions.push(SyncAction::Provision(new));
    }
}

fn new_account(snapshot: &SyncSnapshot, policy: &Policy, way: Way, draft: &mut Draft) -> Option<NewAccount> {
    let told = |property: &str| snapshot.profile.text(property).map(str::to_owned);
    let Some(user_name) = told("userPrincipalName") else {
        draft.find("no account is made: Graph does not tell the user principal name".into());
        return None;
    };
    let email = told("mail");
    if email.is_none() && matches!(way, Way::Database { .. }) {
        draft.find("no account is made: the person has no mail address in Entra".into());
        return None;
    }
    let wanted = attributes::wanted(snapshot, policy, draft);
    Some(NewAccount {
        object: snapshot.subject.object,
        way,
        user_name,
        email,
        values: attributes::for_a_new_account(wanted),
        display_name: told("displayName"),
        given_name: told("givenName"),
        family_name: told("surname"),
    })
}

/// Shown; linked only where the policy says so, both addresses are verified, and there is exactly one of each.
fn look_alikes(snapshot: &SyncSnapshot, policy: &Policy, draft: &mut Draft) {
    if snapshot.depth == Depth::Known {
        // Look-alikes were not read: what was found of them stands until they are.
        let known = draft.remembered.findings.iter().filter(|finding| finding.contains(SAME_ADDRESS));
        return draft.findings.extend(known.cloned());
    }
    let mut linkable = Vec::new();
    for other in snapshot.look_alikes.values() {
        match primary_for(snapshot, policy, other) {
            Some(primary) => linkable.push((primary.id.clone(), other.id.clone())),
            None => match why_not_free(snapshot, other) {
                Some(why) => draft.find(format!("{} {SAME_ADDRESS}: {why}", other.id)),
                None => draft.find(format!("{} {SAME_ADDRESS}", other.id)),
            },
        }
    }
    match linkable.as_slice() {
        [] => {}
        [(primary, secondary)] => {
            draft.actions.push(SyncAction::Link { primary: primary.clone(), secondary: secondary.clone() });
        }
        several => {
            let others: Vec<&str> = several.iter().map(|(_, other)| other.as_str()).collect();
            draft.find(format!("several accounts could be linked, none is: {}", others.join(", ")));
        }
    }
}

fn primary_for<'a>(snapshot: &'a SyncSnapshot, policy: &Policy, other: &LookAlike) -> Option<&'a Holding> {
    let protected = |id| policy.protected.accounts.contains(id);
    let may = policy.provision.link == Link::VerifiedEmail
        && other.is_database
        && other.email_verified
        && why_not_free(snapshot, other).is_none()
        && !protected(&other.id);
    let is_enterprise = |account: &&Holding| matches!(account.kind, AccountKind::Enterprise { .. });
    let mut enterprise = snapshot.accounts.values().filter(is_enterprise);
    match (may, enterprise.next(), enterprise.next()) {
        (true, Some(one), None) if one.email_verified && !protected(&one.id) => Some(one),
        _ => None,
    }
}

/// What is locked would be open again through the account that it is linked into; what is somebody else's stays theirs.
fn why_not_free(snapshot: &SyncSnapshot, other: &LookAlike) -> Option<String> {
    let own = snapshot.subject.object.to_string();
    match &other.stamp {
        Some(stamp) => Some(format!("it is held by {}", stamp.case)),
        None if other.blocked == Blocked::Yes => Some("it is blocked".into()),
        None if other.owners.iter().any(|owner| *owner != own) => Some("it belongs to somebody else".into()),
        None => None,
    }
}

/// Mails that are owed for accounts that exist by now.
pub(super) fn mails(snapshot: &SyncSnapshot, policy: &Policy, now: Timestamp, draft: &mut Draft) {
    let unprotected = |account: &&Holding| !policy.protected.accounts.contains(&account.id);
    if is_due(draft.remembered.password_mail, now, draft) {
        let ours = snapshot.accounts.values().filter(unprotected).find_map(|account| match &account.kind {
            AccountKind::Database { connection }
                if Some(connection) == policy.provision.connection.as_ref() =>
            {
                Some((account.id.clone(), connection.clone(), account.email.clone()?))
            }
            _ => None,
        });
        if let Some((account, connection, email)) = ours {
            draft.actions.push(SyncAction::MailPasswordLink { account, connection, email });
        }
    }
    let wants_enrolment = policy.mfa.enrolment_mail == Switch::Yes
        && policy.mfa.metadata_key.is_some()
        && matches!(&snapshot.groups, Groups::Known(groups) if policy.mfa.rule().holds(groups));
    if !wants_enrolment {
        return;
    }
    if draft.remembered.enrolment_mail == Mail::NotOwed {
        draft.remembered.enrolment_mail = Mail::Owed;
    }
    if !is_due(draft.remembered.enrolment_mail, now, draft) {
        return;
    }
    if let Some(account) =
        snapshot.accounts.values().filter(unprotected).find(|account| account.email.is_some())
    {
        draft.actions.push(SyncAction::MailEnrolment { account: account.id.clone() });
    }
}

/// One that may be on its way is sent once more, after a wait: a person who gets it twice loses less than one who never
/// does.
fn is_due(mail: Mail, now: Timestamp, draft: &mut Draft) -> bool {
    match mail {
        Mail::NotOwed | Mail::Sent => false,
        Mail::Owed => true,
        Mail::Doubted { since } => {
            let again_at = clock::after(since, MAIL_AGAIN_AFTER);
            if now >= again_at {
                return true;
            }
            draft.hold(format!(
                "whether Auth0 has mailed is not known: it is asked once more at {again_at:.0}"
            ));
            draft.look_at_latest(again_at);
            false
        }
    }
}
