//! Values that Auth0 keeps otherwise than they were written: a text that it trims, a name that it makes up where there is
//! none. They are written once, said, and left until what is wanted, or what is there, is another value.
//!
//! Of both a digest is remembered, which differs from person to person: values are not stored.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::attributes::{current, differs};
use crate::event::Subject;
use crate::policy::sync::Target;
use crate::snapshot::sync::Holding;

/// What was written to the account and is not there, by target, as it is remembered.
pub fn otherwise(
    subject: Subject,
    values: &BTreeMap<Target, Option<Value>>,
    account: &Holding,
) -> BTreeMap<String, String> {
    let odd = values.iter().filter(|(to, wanted)| differs(to, wanted.as_ref(), account));
    odd.map(|(to, wanted)| (to.to_string(), mark(subject, to, wanted.as_ref(), account))).collect()
}

/// Of one value that is wanted and another that is there.
pub(super) fn mark(subject: Subject, to: &Target, wanted: Option<&Value>, account: &Holding) -> String {
    let pair = format!("{subject} {} {to} {wanted:?} {:?}", account.id, current(to, account));
    let digest: [u8; 32] = Sha256::digest(pair).into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
