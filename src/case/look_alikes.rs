//! Accounts that share only the person's e-mail address: shown to a person, never acted on. An address proves nothing.

use serde::{Deserialize, Serialize};

use super::AccountId;

/// Look-alikes that are shown one by one; more than a few are a shared mailbox, not a person.
const SHOWN_MAX: usize = 10;
/// Those that a message has room for beside what else it says.
const IN_SHORT_MAX: usize = 3;

/// By account id: the address itself is nobody's business.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LookAlikes {
    pub accounts: Vec<AccountId>,
    /// How many there are beyond those.
    #[serde(default)]
    pub more: usize,
}

impl LookAlikes {
    pub fn of(found: impl IntoIterator<Item = AccountId>) -> LookAlikes {
        let mut accounts: Vec<AccountId> = found.into_iter().collect();
        let more = accounts.len().saturating_sub(SHOWN_MAX);
        accounts.truncate(SHOWN_MAX);
        LookAlikes { accounts, more }
    }

    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// One sentence for each, for the audit.
    pub fn sentences(&self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("{} more accounts have the same address", self.more));
        self.accounts.iter().map(sentence).chain(more).collect()
    }

    /// What people read in chat: the first few, and how many more there are.
    pub fn in_short(&self) -> Vec<String> {
        let others = self.accounts.len().saturating_sub(IN_SHORT_MAX) + self.more;
        let more = (others > 0).then(|| {
            format!("{others} more accounts have the same address: `lockstep cases CASE --json` names them")
        });
        self.accounts.iter().take(IN_SHORT_MAX).map(sentence).chain(more).collect()
    }
}

fn sentence(account: &AccountId) -> String {
    format!("Also has the same address, and was left as it is: {account}. Look at it")
}
