//! placeholder
use crate::event::ObjectId;
use std::collections::BTreeSet;
pub enum Affected {
    Nobody,
    Members(BTreeSet<ObjectId>),
    Everybody,
}
pub struct PolicyPrint;
impl PolicyPrint {
    pub fn of(_: &super::Policy) -> PolicyPrint {
        PolicyPrint
    }
    pub fn from_text(_: &str) -> Option<PolicyPrint> {
        None
    }
    pub fn to_text(&self) -> String {
        String::new()
    }
    pub fn changes_since(&self, _: Option<&PolicyPrint>) -> Affected {
        Affected::Everybody
    }
}
