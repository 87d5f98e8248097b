//! What became of a round's actions, and what the next round must know of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::super::picture;
use super::super::super::record::sync as record;
use super::super::{Scope, Trouble};
use super::Look;
use crate::action::Outcome;
use crate::action::sync::SyncAction;
use crate::apply::sync::{Applied, Told};
use crate::case::AccountId;
use crate::clock;
use crate::plan::sync::kept;
use crate::retry::WhatNow;
use crate::snapshot::sync::{Depth, Holding, Mail};

/// Rounds of one look that may end in doubt before Auth0 is taken to be away.
const IN_DOUBT_MAX: u32 = 1;
/// How soon to look again when the tenant's catalogue was stale.
const STALE_AGAIN: Duration = Duration::from_secs(1);

impl Look<'_> {
    pub(super) async fn take_outcomes(&mut self, applied: Vec<Applied>) -> Result<(), Trouble> {
        let now = self.looker.deps.clock.now();
        self.unwritten.extend(record::applied(&applied, &self.asks, self.subject, now));
        self.has_given |= applied.iter().any(|done| done.action.gives());
        let doubt = applied.iter().find_map(doubt);
        let mut taken = Ok(());
        // Each is taken, whatever became of the one before: a mail that has left is not sent again.
        for done in applied {
            taken = self.take_outcome(done).await.and(taken);
        }
        taken?;
        self.too_doubtful(doubt)?;
        // On the warm path roles were not read before; what was proven of them still holds.
        match self.picture.snapshot.depth {
            Depth::Full => {
                picture::complete(self.looker.eyes(), &self.policy, &mut self.picture.snapshot).await
            }
            Depth::Known => Ok(()),
        }
    }

    /// One lost reply is read back at once. A vendor that goes on like that is away: the lane pauses, nobody's fault.
    fn too_doubtful(&mut self, doubt: Option<String>) -> Result<(), Trouble> {
        let Some(why) = doubt else { return Ok(()) };
        self.in_doubt += 1;
        if self.in_doubt <= IN_DOUBT_MAX {
            return Ok(());
        }
        Err(Trouble { why, now: WhatNow::BackOff, scope: Scope::Everybody })
    }

    async fn take_outcome(&mut self, done: Applied) -> Result<(), Trouble> {
        let Applied { action, outcome, told } = done;
        match (&outcome, told) {
            (_, Told::Stale) => {
                self.looker.auth0.forget_tenant();
                let at = clock::after(self.looker.deps.clock.now(), STALE_AGAIN);
                let why = format!("{}: the role or organization is gone", action.sentence());
                return Err(Trouble { why, now: WhatNow::RetryAt(at), scope: Scope::Person });
            }
            (Outcome::Accepted, Told::Holding(holding)) => self.take_shown(&action, *holding).await?,
            (Outcome::Accepted, Told::Account(id)) => self.add_made(&id).await?,
            (Outcome::Accepted, Told::Nothing) => self.after(&action),
            (Outcome::Unknown(_), _) if action.is_mail() => self.doubt_mail(&action),
            (Outcome::AccountGone | Outcome::Unknown(_), _) => self.read_anew(action.account()).await?,
            (Outcome::NotInPlan | Outcome::Refused(_), _) => match &action {
                SyncAction::EndAccess { means, .. } if means.next().is_some() => {
                    self.looker.learn_refusal_of(*means);
                    self.picture.snapshot.means = self.looker.means();
                }
                _ => drop(self.refused.insert(action.sentence())),
            },
            (Outcome::Failed { why, now: WhatNow::GiveUp }, _) => {
                tracing::warn!(subject.id = %self.subject, "Auth0 refused a change: {why}");
                self.refused.insert(action.sentence());
            }
            (Outcome::Failed { why, now }, _) => {
                return Err(Trouble::from_action(why.clone(), *now));
            }
        }
        Ok(())
    }

    /// Whether a mail has left cannot be read back: it is asked for once more, not for ever.
    fn doubt_mail(&mut self, action: &SyncAction) {
        let since = self.looker.deps.clock.now();
        let Some(mail) = self.mail(action) else { return };
        if !matches!(mail, Mail::Doubted { .. }) {
            *mail = Mail::Doubted { since };
            return;
        }
        *mail = Mail::Sent;
        tracing::warn!(subject.id = %self.subject, "Auth0 has not said whether it mailed, twice");
        self.unproven.insert(format!(
            "not known whether it is done, Auth0 gave no answer twice: {}",
            action.sentence()
        ));
    }

    fn mail(&mut self, action: &SyncAction) -> Option<&mut Mail> {
        let remembered = self.picture.snapshot.remembered.as_mut()?;
        match action {
            SyncAction::MailPasswordLink { .. } => Some(&mut remembered.password_mail),
            SyncAction::MailEnrolment { .. } => Some(&mut remembered.enrolment_mail),
            _ => None,
        }
    }

    /// A write that does not read back as it was written, in its answer and by id, is not repeated.
    async fn take_shown(&mut self, action: &SyncAction, holding: Holding) -> Result<(), Trouble> {
        let id = holding.id.clone();
        let none = BTreeMap::new();
        let values = if let SyncAction::SetAttributes { values, .. } = action { values } else { &none };
        let is_odd = !kept::otherwise(self.subject, values, &holding).is_empty();
        self.replace(holding);
        if !is_odd {
            return Ok(());
        }
        self.read_anew(Some(&id)).await?;
        let snapshot = &mut self.picture.snapshot;
        if let (Some(holding), Some(remembered)) = (snapshot.accounts.get(&id), &mut snapshot.remembered) {
            let odd = kept::otherwise(self.subject, values, holding);
            if !odd.is_empty() {
                remembered.kept_otherwise.entry(id).or_default().extend(odd);
            }
        }
        Ok(())
    }

    /// The answer of a write shows the account as it is; roles and organizations are not in it.
    fn replace(&mut self, mut holding: Holding) {
        if let Some(before) = self.picture.snapshot.accounts.get_mut(&holding.id) {
            (holding.roles, holding.organizations) = (before.roles.take(), before.organizations.take());
            *before = holding;
        }
    }

    async fn add_made(&mut self, id: &AccountId) -> Result<(), Trouble> {
        self.has_provisioned = true;
        self.read_anew(Some(id)).await
    }

    /// What the next round must not take from memory.
    fn after(&mut self, action: &SyncAction) {
        if let Some(mail) = self.mail(action) {
            *mail = Mail::Sent;
            return;
        }
        let snapshot = &mut self.picture.snapshot;
        let remembered = snapshot.remembered.as_mut();
        match action {
            SyncAction::EndAccess { account, .. } => {
                remembered.map(|remembered| remembered.proven.remove(account));
            }
            SyncAction::Delete { account, .. } => {
                snapshot.accounts.remove(account);
                self.picture.gone_links.insert(account.clone());
            }
            SyncAction::Link { secondary, primary } => {
                snapshot.look_alikes.remove(secondary);
                self.picture.gone_links.insert(secondary.clone());
                if let Some(holding) = snapshot.accounts.get_mut(primary) {
                    holding.absorbed.insert(secondary.clone());
                }
            }
            other => {
                if let Some(holding) = other.account().and_then(|id| snapshot.accounts.get_mut(id)) {
                    (holding.roles, holding.organizations) = (None, None);
                }
            }
        }
    }

    async fn read_anew(&mut self, id: Option<&AccountId>) -> Result<(), Trouble> {
        let Some(id) = id else {
            // Whether an account was made is not known: look for it.
            return picture::widen(self.looker.eyes(), &self.policy, &self.known, &mut self.picture).await;
        };
        match picture::holding(self.looker.eyes(), id).await? {
            Some(holding) => drop(self.picture.snapshot.accounts.insert(id.clone(), holding)),
            None => {
                self.picture.snapshot.accounts.remove(id);
                self.picture.gone_links.insert(id.clone());
            }
        }
        Ok(())
    }
}

/// Why nobody knows whether it arrived. Mails are counted by themselves: they are not repeated in this look.
fn doubt(done: &Applied) -> Option<String> {
    match &done.outcome {
        Outcome::Unknown(why) if !done.action.is_mail() => Some(why.clone()),
        _ => None,
    }
}
