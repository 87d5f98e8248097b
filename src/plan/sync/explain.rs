//! Why a person has what they have: each role with the groups that give it, each attribute with its source.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{Draft, attributes};
use crate::case::AccountId;
use crate::event::ObjectId;
use crate::policy::Policy;
use crate::policy::groups::GroupRule;
use crate::snapshot::sync::{Groups, SyncSnapshot};

/// One thing that rules decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Given {
    /// `role Engineer`, `organization acme`, `role Admin in acme`, `app_metadata.mfa_required`.
    pub what: String,
    pub holds: bool,
    /// Groups of the rules that hold which the person is in: what gives it.
    pub by: BTreeSet<ObjectId>,
    /// Why it does not hold, one sentence per rule.
    pub missing: Vec<String>,
}

/// One attribute of one account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    pub account: AccountId,
    pub target: String,
    pub expression: String,
    pub wanted: Option<Value>,
    pub current: Option<Value>,
}

/// Everything that the rules say of one person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// `None` when groups were not read; `unread` says why.
    pub given: Vec<Given>,
    pub attributes: Vec<Source>,
    pub unread: Option<String>,
}

pub fn explain(snapshot: &SyncSnapshot, policy: &Policy) -> Explanation {
    let (given, unread) = match &snapshot.groups {
        Groups::Known(groups) => (given(policy, groups), None),
        Groups::Unread(why) => (Vec::new(), Some(why.clone())),
    };
    Explanation { given, attributes: sources(snapshot, policy), unread }
}

fn given(policy: &Policy, groups: &BTreeSet<ObjectId>) -> Vec<Given> {
    let mut ways: BTreeMap<String, Vec<Way>> = BTreeMap::new();
    let mut add = |what: String, way: Way| ways.entry(what).or_default().push(way);
    for role in &policy.roles {
        add(format!("role {}", role.role), vec![role.rule()]);
    }
    for organization in &policy.organizations {
        let name = &organization.organization;
        add(format!("organization {name}"), vec![organization.rule()]);
        for role in &organization.roles {
            add(format!("role {} in {name}", role.role), vec![organization.rule(), role.rule()]);
        }
    }
    if let Some(key) = &policy.mfa.metadata_key {
        add(format!("app_metadata.{key}"), vec![policy.mfa.rule()]);
    }
    ways.into_iter().map(|(what, ways)| one(what, &ways, groups)).collect()
}

/// Rules that must all hold: a role inside an organization needs the membership too.
type Way = Vec<GroupRule>;

fn one(what: String, ways: &[Way], groups: &BTreeSet<ObjectId>) -> Given {
    let holds = |way: &&Way| way.iter().all(|rule| rule.holds(groups));
    let named = ways.iter().filter(holds).flatten().flat_map(|rule| rule.any_of.iter().chain(&rule.all_of));
    let by: BTreeSet<ObjectId> = named.filter(|id| groups.contains(id)).copied().collect();
    let given = ways.iter().any(|way| holds(&way));
    let failing = ways.iter().flatten().filter(|rule| !rule.holds(groups));
    let missing = if given { Vec::new() } else { failing.map(|rule| why_not(rule, groups)).collect() };
    Given { what, holds: given, by, missing }
}

fn why_not(rule: &GroupRule, groups: &BTreeSet<ObjectId>) -> String {
    let list = |ids: Vec<&ObjectId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let excluded: Vec<&ObjectId> = rule.none_of.intersection(groups).collect();
    let lacking: Vec<&ObjectId> = rule.all_of.difference(groups).collect();
    if !excluded.is_empty() {
        format!("excluded by {}", list(excluded))
    } else if !lacking.is_empty() {
        format!("not in {}", list(lacking))
    } else {
        format!("in none of {}", list(rule.any_of.iter().collect()))
    }
}

fn sources(snapshot: &SyncSnapshot, policy: &Policy) -> Vec<Source> {
    let wanted = attributes::wanted(snapshot, policy, &mut Draft::of(snapshot));
    let mut sources = Vec::new();
    for account in snapshot.accounts.values() {
        for attribute in &policy.attributes {
            sources.push(Source {
                account: account.id.clone(),
                target: attribute.to.to_string(),
                expression: attribute.from.source().to_owned(),
                wanted: wanted.get(&attribute.to).cloned().flatten(),
                current: attributes::current(&attribute.to, account),
            });
        }
    }
    sources
}
