//! `[contain] also`: a list of words in the file, what they mean of accounts and of the person here.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::case::also::Extra;

/// What is ended for good once somebody is locked out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "BTreeSet<Word>")]
pub struct Also {
    /// Of every account.
    pub extras: BTreeSet<Extra>,
    pub entra_sessions: EntraSessions,
}

/// What becomes of the person's sign-in sessions in Entra.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EntraSessions {
    #[default]
    Stay,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Grants,
    DeviceCredentials,
    TokenVault,
    EntraSessions,
}

impl From<BTreeSet<Word>> for Also {
    fn from(words: BTreeSet<Word>) -> Also {
        let extra = |word: &Word| match word {
            Word::Grants => Some(Extra::Grants),
            Word::DeviceCredentials => Some(Extra::DeviceCredentials),
            Word::TokenVault => Some(Extra::TokenVault),
            Word::EntraSessions => None,
        };
        let ends = words.contains(&Word::EntraSessions);
        let entra_sessions = if ends { EntraSessions::End } else { EntraSessions::Stay };
        Also { extras: words.iter().filter_map(extra).collect(), entra_sessions }
    }
}
