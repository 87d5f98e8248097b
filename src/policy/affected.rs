//! Whom a changed policy concerns: they are looked at again, and nobody else.
//!
//! What the policy was is remembered as a print of a few kilobytes ([`PolicyPrint::to_text`]): one fingerprint of all
//! that concerns everybody, and for each group one of the rules that give something to its members. A rule that is
//! added, taken away or changed changes the fingerprint of exactly the groups whose members it gives to, before and
//! after; other rules keep theirs. So the print needs no rule, and its size follows from the groups alone.
//!
//! Not followed, because nothing waits for it: what containment does (it is decided at the next signal), who is
//! protected, when sweeps are made, and how long leavers are kept (their next look is planned already, and is planned
//! anew then). What people hold in Auth0 by hand when a rule first names it is drift: the sweep of everybody finds it.
//!
//! Pure data and functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::groups::GroupRule;
use super::{Mode, Policy};
use crate::event::ObjectId;

/// Whom a change concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Affected {
    Nobody,
    /// Whoever is in one of these groups, or was when last seen.
    Members(BTreeSet<ObjectId>),
    Everybody,
}

/// What the policy was, as far as people are looked at again when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyPrint {
    standing: Standing,
    /// Of all that concerns everybody, rules that may give to people in none of their groups among it.
    everybody: Fingerprint,
    /// Of the rules that give something to the members of the group.
    groups: BTreeMap<ObjectId, Fingerprint>,
}

/// What is done with the directory at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The policy asks for nothing beyond containment.
    Unmanaged,
    /// It is computed and shown.
    Observed,
    Enforced,
}

/// 48 bits of a hash: enough to tell the versions of one policy apart.
type Fingerprint = [u8; FINGERPRINT_BYTES];

const FINGERPRINT_BYTES: usize = 6;
const GROUP_BYTES: usize = 16;
/// Another form of the print gets another number; one that is not known counts as none.
const VERSION: u8 = 1;

impl PolicyPrint {
    pub fn of(policy: &Policy) -> PolicyPrint {
        // Every section is named here, so that a new one cannot be forgotten.
        let Policy {
            mode,
            contain: _,
            protected: _,
            people,
            provision,
            attributes,
            tables,
            roles,
            organizations,
            mfa,
            leavers,
            sweep: _,
            notify: _,
        } = policy;
        // Debug names every field, which serves for the same reason. That its form may change with a new version of the
        // program costs one look at everybody.
        let mut everybody: BTreeSet<String> =
            attributes.iter().map(|attribute| format!("{attribute:?}")).collect();
        everybody.insert(format!("{people:?} {provision:?} {tables:?} {:?}", leavers.delete));
        let mut rules = Rules { everybody, groups: BTreeMap::new() };
        for rule in roles {
            rules.add(&rule.rule(), rule);
        }
        for rule in organizations {
            // A role inside is given to members only, so that the members of the organization are enough.
            rules.add(&rule.rule(), rule);
        }
        if mfa.metadata_key.is_some() {
            rules.add(&mfa.rule(), mfa);
        }
        PolicyPrint {
            standing: match (policy.manages_directory(), mode) {
                (false, _) => Standing::Unmanaged,
                (true, Mode::Observe) => Standing::Observed,
                (true, Mode::Enforce) => Standing::Enforced,
            },
            everybody: fingerprint(&rules.everybody),
            groups: rules.groups.iter().map(|(group, rules)| (*group, fingerprint(rules))).collect(),
        }
    }

    /// Who has to be looked at, when people were last looked at by `before`; `None` when they never were.
    pub fn changes_since(&self, before: Option<&PolicyPrint>) -> Affected {
        if self.standing == Standing::Unmanaged {
            return Affected::Nobody;
        }
        let Some(before) = before else { return Affected::Everybody };
        // What was only shown until now is still to be done.
        let starts = self.standing == Standing::Enforced && before.standing == Standing::Observed;
        if starts || self.everybody != before.everybody {
            return Affected::Everybody;
        }
        let named = self.groups.keys().chain(before.groups.keys());
        let differs = |group: &&ObjectId| self.groups.get(*group) != before.groups.get(*group);
        let groups: BTreeSet<ObjectId> = named.filter(differs).copied().collect();
        if groups.is_empty() { Affected::Nobody } else { Affected::Members(groups) }
    }

    /// For [`PolicyPrint::from_text`]: under 60 KiB for as many groups as a policy may name.
    pub fn to_text(&self) -> String {
        let standing = match self.standing {
            Standing::Unmanaged => 0,
            Standing::Observed => 1,
            Standing::Enforced => 2,
        };
        let mut bytes = vec![VERSION, standing];
        bytes.extend(self.everybody);
        for (group, rules) in &self.groups {
            bytes.extend(group.0.as_bytes());
            bytes.extend(rules);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None` when it is not the text of a print, or of another version.
    pub fn from_text(text: &str) -> Option<PolicyPrint> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let [VERSION, standing, rest @ ..] = bytes.as_slice() else { return None };
        let standing = match standing {
            0 => Standing::Unmanaged,
            1 => Standing::Observed,
            2 => Standing::Enforced,
            _ => return None,
        };
        let (everybody, rest) = rest.split_first_chunk::<FINGERPRINT_BYTES>()?;
        let mut groups = BTreeMap::new();
        let entries = rest.chunks_exact(GROUP_BYTES + FINGERPRINT_BYTES);
        if !entries.remainder().is_empty() {
            return None;
        }
        for entry in entries {
            let (group, rules) = entry.split_first_chunk::<GROUP_BYTES>()?;
            groups.insert(ObjectId(uuid::Uuid::from_bytes(*group)), rules.try_into().ok()?);
        }
        Some(PolicyPrint { standing, everybody: *everybody, groups })
    }
}

/// Rules by whom they concern. Sets, so that the order of the file does not matter.
struct Rules {
    everybody: BTreeSet<String>,
    groups: BTreeMap<ObjectId, BTreeSet<Fingerprint>>,
}

impl Rules {
    fn add(&mut self, who: &GroupRule, rule: &dyn Debug) {
        let Some(groups) = who.reach() else {
            self.everybody.insert(format!("{rule:?}"));
            return;
        };
        let print = fingerprint(rule);
        for group in groups {
            self.groups.entry(group).or_default().insert(print);
        }
    }
}

fn fingerprint(of: &(impl Debug + ?Sized)) -> Fingerprint {
    let digest: [u8; 32] = Sha256::digest(format!("{of:?}")).into();
    let mut print = Fingerprint::default();
    print.copy_from_slice(&digest[..FINGERPRINT_BYTES]);
    print
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::GROUPS_MAX;
    use crate::policy::sync::{Delete, Link, RoleRule, Switch};

    fn id(number: u128) -> ObjectId {
        ObjectId(uuid::Uuid::from_u128(number))
    }

    fn members(numbers: &[u128]) -> Affected {
        Affected::Members(numbers.iter().copied().map(id).collect())
    }

    fn policy(text: &str) -> Policy {
        let policy: Policy = toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        Policy { mode: Mode::Enforce, ..policy }
    }

    fn group(number: u128) -> String {
        format!("\"{}\"", id(number))
    }

    fn role(name: &str, any_of: &[u128], more: &str) -> String {
        let any_of: Vec<String> = any_of.iter().copied().map(group).collect();
        format!("[[roles]]\nrole = \"{name}\"\nany_of = [{}]\n{more}\n", any_of.join(", "))
    }

    /// As the scheduler asks, by way of the stored text.
    fn affected(before: &str, after: &str) -> Affected {
        let stored = PolicyPrint::of(&policy(before)).to_text();
        let before = PolicyPrint::from_text(&stored).expect("a print that was just written");
        PolicyPrint::of(&policy(after)).changes_since(Some(&before))
    }

    #[test]
    fn members_of_exactly_the_rules_that_differ_are_affected() {
        let (one, two) = (role("Reader", &[1, 2], ""), role("Admin", &[3], ""));
        let both = format!("{one}{two}");
        assert_eq!(affected(&both, &both), Affected::Nobody);
        assert_eq!(affected(&both, &format!("{two}{one}")), Affected::Nobody, "order gives nothing");
        assert_eq!(affected(&one, &both), members(&[3]), "added");
        assert_eq!(affected(&both, &two), members(&[1, 2]), "taken away");
        assert_eq!(
            affected(&both, &format!("{one}{}", role("Admin", &[4], ""))),
            members(&[3, 4]),
            "changed"
        );
        let privileged = role("Admin", &[3], "privileged = \"yes\"");
        assert_eq!(affected(&both, &format!("{one}{privileged}")), members(&[3]));
    }

    #[test]
    fn whom_a_rule_gives_to_is_in_its_any_of_or_in_all_of_its_all_of() {
        let narrow = role("Admin", &[3], &format!("all_of = [{}]\nnone_of = [{}]", group(8), group(9)));
        assert_eq!(affected(&role("Admin", &[3], ""), &narrow), members(&[3]), "who is in none_of lost it");
        let all = role("Admin", &[], &format!("all_of = [{}, {}]", group(5), group(6)));
        assert_eq!(
            affected(&role("Reader", &[1], ""), &format!("{}{all}", role("Reader", &[1], ""))),
            members(&[5])
        );
    }

    #[test]
    fn organizations_and_the_second_factor_are_rules_too() {
        let organization = |inside: &str| {
            format!("[[organizations]]\norganization = \"acme\"\nany_of = [{}]\n{inside}", group(1))
        };
        let inside = role("Editor", &[2], "").replace("[[roles]]", "[[organizations.roles]]");
        assert_eq!(affected(&organization(""), &organization(&inside)), members(&[1]));
        let mfa = |key: &str| format!("[mfa]\nany_of = [{}]\n{key}", group(7));
        let reader = role("Reader", &[1], "");
        assert_eq!(affected(&reader, &format!("{reader}{}", mfa(""))), Affected::Nobody, "nothing is set");
        let set = format!("{reader}{}", mfa("metadata_key = \"mfa\""));
        assert_eq!(affected(&reader, &set), members(&[7]));
    }

    #[test]
    fn a_rule_that_reaches_strangers_concerns_everybody_before_and_after() {
        let (open, closed) = (role("Reader", &[], ""), role("Reader", &[1], ""));
        assert_eq!(affected(&open, &closed), Affected::Everybody);
        assert_eq!(affected(&closed, &open), Affected::Everybody);
        let beside = role("Admin", &[2], "");
        assert_eq!(affected(&open, &format!("{open}{beside}")), members(&[2]), "it did not change itself");
    }

    #[test]
    fn what_is_not_about_groups_concerns_everybody_and_containment_nobody() {
        let base = role("Reader", &[1], "");
        let with = |more: &str| affected(&base, &format!("{base}{more}"));
        for everybody in [
            "[[attributes]]\nto = \"name\"\nfrom = \"displayName\"\n",
            "[tables.country]\nDE = \"Germany\"\n",
            "[people]\nguests = \"include\"\n",
            "[provision]\nmethod = \"scim\"\n",
            "[leavers]\ndelete = \"after-grace\"\n",
        ] {
            assert_eq!(with(everybody), Affected::Everybody, "{everybody}");
        }
        for nobody in [
            "[contain]\nrisk_level = \"low\"\n",
            "[protected]\naccounts = [\"auth0|1\"]\n",
            "[sweep]\nevery_seconds = 60\n",
            "[leavers]\ngrace_days = 7\n",
        ] {
            assert_eq!(with(nobody), Affected::Nobody, "{nobody}");
        }
    }

    #[test]
    fn without_a_former_print_everybody_is_affected_where_the_directory_is_managed() {
        assert_eq!(PolicyPrint::of(&policy("")).changes_since(None), Affected::Nobody);
        assert_eq!(
            PolicyPrint::of(&policy(&role("Reader", &[1], ""))).changes_since(None),
            Affected::Everybody
        );
        assert_eq!(
            affected(&role("Reader", &[1], ""), ""),
            Affected::Nobody,
            "what is not named is left alone"
        );
        assert_eq!(affected("", &role("Reader", &[1], "")), members(&[1]));
    }

    #[test]
    fn what_was_only_shown_is_done_once_it_may_be() {
        let enforced = policy(&role("Reader", &[1], ""));
        let observed = Policy { mode: Mode::Observe, ..enforced.clone() };
        let (enforced, observed) = (PolicyPrint::of(&enforced), PolicyPrint::of(&observed));
        assert_eq!(enforced.changes_since(Some(&observed)), Affected::Everybody);
        assert_eq!(observed.changes_since(Some(&enforced)), Affected::Nobody);
    }

    #[test]
    fn the_text_of_the_largest_policy_is_small_and_read_back() {
        let largest = u128::try_from(GROUPS_MAX).unwrap();
        let rule = |number: u128| RoleRule {
            role: format!("role {number}"),
            any_of: (0..largest).map(id).collect(),
            all_of: BTreeSet::new(),
            none_of: BTreeSet::new(),
            privileged: Switch::No,
        };
        let print = PolicyPrint::of(&Policy { roles: (0..3).map(rule).collect(), ..Policy::default() });
        let text = print.to_text();
        assert!(text.len() <= 64 * 1024, "{} bytes", text.len());
        assert_eq!(PolicyPrint::from_text(&text), Some(print));
    }

    #[test]
    fn what_is_no_print_counts_as_none() {
        let text = PolicyPrint::of(&policy(&role("Reader", &[1], ""))).to_text();
        let bytes = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
            change(&mut bytes);
            PolicyPrint::from_text(&URL_SAFE_NO_PAD.encode(bytes))
        };
        assert!(bytes(&|_| {}).is_some());
        for wrong in [
            bytes(&|bytes| bytes[0] = VERSION + 1),
            bytes(&|bytes| bytes[1] = 9),
            bytes(&|bytes| bytes.truncate(20)),
            bytes(&Vec::clear),
            PolicyPrint::from_text("{}"),
        ] {
            assert_eq!(wrong, None);
        }
    }

    #[test]
    fn linking_accounts_alone_is_keeping_the_directory() {
        let mut linking = Policy::default();
        assert!(!linking.manages_directory() && linking.leavers.delete == Delete::Never);
        linking.provision.link = Link::VerifiedEmail;
        assert!(linking.manages_directory());
    }
}
