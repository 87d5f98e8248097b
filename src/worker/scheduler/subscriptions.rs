//! The subscriptions for users and groups: that they exist, deliver to us with the secret of today, and do not expire.
//!
//! Graph never says that a subscription for users or groups is gone, nor that it could not deliver (Microsoft Graph,
//! Reduce missing subscriptions): so they are listed on a timer, renewed by PATCH long before they expire, and made anew
//! where they are lost; whatever leaves a gap wishes for a sweep. `reauthorize` is never sent: a PATCH does the same, and
//! both within ten minutes may corrupt the subscription (same page).

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{Job, Wish, pause};
use crate::clock::{self, SharedClock, Timestamp};
use crate::entra::{self, Subscription, SubscriptionId, Subscriptions, Wanted};
use crate::retry::WhatNow;
use crate::store::{Owed, Store};
use crate::worker::record::news::Channels;

/// Four minutes are far below the limit of 25 listings in 20 seconds, and soon enough for what is swept every five.
const LOOK_EVERY: Duration = Duration::from_secs(240);
/// How often it is looked whether somebody wished for care.
const WISH_EVERY: Duration = Duration::from_secs(5);
/// How long a subscription is asked for: a week, of the 41,760 minutes that Graph allows; a tenant that stops using
/// Lockstep is left alone soon.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Renewed daily: six days for somebody to mend what keeps it from being renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(6 * 24 * 3600);
const RESOURCES: [&str; 2] = ["users", "groups"];
/// How soon to look again after a failure that passes by itself.
const AGAIN: Duration = Duration::from_secs(10);
/// Which subscriptions are ours, and the secret that they were made with, as a hash.
const NOTE: &str = "subscriptions.made";

/// What is needed to keep them.
#[derive(Debug, Clone)]
pub struct Settings {
    pub client: Subscriptions,
    /// `{LOCKSTEP_PUBLIC_URL}/webhooks/graph`
    pub notification_url: reqwest::Url,
    /// The first of `GRAPH_CLIENT_STATE`; the second is accepted until every subscription was made anew.
    pub client_state: SecretString,
}

/// What was found and done about one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub resource: &'static str,
    pub id: Option<SubscriptionId>,
    pub expires: Option<Timestamp>,
    pub done: Done,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It stands as it should.
    Nothing,
    Renewed,
    /// It was not there, or not as it should be: notifications may have been missed.
    Made,
    /// Graph is away, or asks for a pause.
    Later(String),
    /// Only a person can mend it; says what to do.
    Failed(String),
}

/// Which subscriptions are renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renew {
    /// Those that expire soon.
    Due,
    /// All: Graph asks for it before the access token that a subscription is bound to lapses, whenever that expires
    /// itself. A PATCH binds it to today's token.
    All,
}

pub(super) async fn run(job: Job) {
    let Some(settings) = job.schedule.subscriptions.clone() else { return };
    let (mut looked_at, mut wait): (Option<Timestamp>, Duration) = (None, LOOK_EVERY);
    while !job.shutdown.is_cancelled() {
        let now = job.deps.clock.now();
        let due = looked_at.is_none_or(|at| clock::elapsed(at, now) >= wait);
        let store = job.deps.store.as_ref();
        let wished = Wish::Subscriptions.made_at(store).await.ok().flatten();
        if due || wished.is_some() && wait == LOOK_EVERY {
            let renew = if wished.is_some() { Renew::All } else { Renew::Due };
            let settled = turn(&job, &settings, renew).await;
            if let Some(made_at) = wished.filter(|_| settled)
                && let Err(error) = Wish::Subscriptions.grant(store, &made_at).await
            {
                tracing::warn!("a wish could not be granted: {error}");
            }
            wait = if settled { LOOK_EVERY } else { AGAIN };
            looked_at = Some(now);
        }
        pause(WISH_EVERY, &job.shutdown).await;
    }
}

/// Whether there is time until the next turn.
async fn turn(job: &Job, settings: &Settings, renew: Renew) -> bool {
    let store = job.deps.store.as_ref();
    let kept = match keep(settings, store, &job.deps.clock, renew).await {
        Ok(kept) => kept,
        Err(why) => {
            tracing::warn!("subscriptions could not be looked at: {why}");
            return false;
        }
    };
    let now = job.deps.clock.now();
    for one in &kept {
        if let Some(expires) = one.expires {
            job.deps.metrics.subscription_expiry(one.resource, clock::elapsed(now, expires));
        }
        match &one.done {
            Done::Nothing => {}
            Done::Renewed => tracing::info!(resource = one.resource, "the subscription was renewed"),
            Done::Made => {
                tracing::warn!(resource = one.resource, "the subscription was made anew; a sweep follows")
            }
            Done::Later(why) => tracing::warn!(resource = one.resource, "no subscription yet: {why}"),
            Done::Failed(why) => tracing::error!(resource = one.resource, "no subscription: {why}"),
        }
    }
    let policy = job.deps.policy.borrow().clone();
    if let Err(error) = store.owe(pages(job.deps.telling(&policy), &kept, now)).await {
        tracing::warn!("nobody could be told of a missing subscription: {error}");
    }
    !kept.iter().any(|one| matches!(one.done, Done::Later(_)))
}

/// Makes sure of both subscriptions, and wishes for a sweep after each that was made. One that fails does not keep the
/// other from being kept.
///
/// # Errors
/// When they cannot be listed, or the store cannot be read or written.
pub async fn keep(
    settings: &Settings,
    store: &dyn Store,
    clock: &SharedClock,
    renew: Renew,
) -> anyhow::Result<Vec<Kept>> {
    let mut made = Made::read(store).await?;
    let listed = settings.client.list().await?;
    let mut kept = Vec::new();
    for resource in RESOURCES {
        let now = clock.now();
        let one = Keeper { settings, now, resource, listed: &listed, renew }.keep(&mut made).await;
        let mut notes = vec![made.note()?];
        if one.done == Done::Made {
            // In one transaction: a subscription that is known to be ours has had its gap swept, or will have.
            notes.push(Wish::Sweep.note_of(now));
        }
        store.set_notes(notes).await?;
        kept.push(one);
    }
    Ok(kept)
}

/// What we have made: subscription id to the hash of its secret. Graph does not show the secret of a subscription.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Made(std::collections::BTreeMap<String, String>);

impl Made {
    async fn read(store: &dyn Store) -> anyhow::Result<Made> {
        let text = store.note(NOTE).await?.unwrap_or_default();
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    fn has(&self, id: SubscriptionId) -> bool {
        self.secret_of(id).is_some()
    }

    fn secret_of(&self, id: SubscriptionId) -> Option<&str> {
        self.0.get(&id.to_string()).map(String::as_str)
    }

    fn add(&mut self, id: SubscriptionId, secret: String) {
        self.0.insert(id.to_string(), secret);
    }

    fn remove(&mut self, id: SubscriptionId) {
        self.0.remove(&id.to_string());
    }

    fn note(&self) -> anyhow::Result<(String, Option<String>)> {
        Ok((NOTE.to_owned(), Some(serde_json::to_string(self)?)))
    }
}

struct Keeper<'a> {
    settings: &'a Settings,
    now: Timestamp,
    resource: &'static str,
    listed: &'a [Subscription],
    renew: Renew,
}

impl Keeper<'_> {
    async fn keep(&self, made: &mut Made) -> Kept {
        match self.try_keep(made).await {
            Ok(kept) => kept,
            Err(error) => {
                let advice = self.advice(&error);
                let done = match error.what_now() {
                    WhatNow::RetryAt(_) | WhatNow::BackOff | WhatNow::TryAgain => Done::Later(advice),
                    WhatNow::GiveUp | WhatNow::AskHuman => Done::Failed(advice),
                };
                Kept { resource: self.resource, id: None, expires: None, done }
            }
        }
    }

    async fn try_keep(&self, made: &mut Made) -> Result<Kept, entra::Error> {
        let here = self.listed.iter().filter(|subscription| subscription.resource == self.resource);
        let (good, stale): (Vec<_>, Vec<_>) = here.partition(|subscription| self.is_good(subscription, made));
        let ours: Vec<_> =
            stale.into_iter().filter(|subscription| self.is_ours(subscription, made)).collect();
        for subscription in ours {
            // With an address or a secret of yesterday, or a secret that nobody can tell: neither can be changed for all of
            // its parts by PATCH.
            self.settings.client.delete(subscription.id).await?;
            made.remove(subscription.id);
        }
        match good.first() {
            None => self.make(made).await,
            Some(subscription) => self.renew(subscription, made).await,
        }
    }

    fn is_good(&self, subscription: &Subscription, made: &Made) -> bool {
        self.leads_here(subscription) && made.secret_of(subscription.id) == Some(self.secret_hash().as_str())
    }

    /// One that leads here and is not known was made by us too: the reply was lost, or the store.
    fn is_ours(&self, subscription: &Subscription, made: &Made) -> bool {
        made.has(subscription.id) || self.leads_here(subscription)
    }

    fn leads_here(&self, subscription: &Subscription) -> bool {
        subscription.notification_url == self.settings.notification_url.as_str()
    }

    async fn renew(&self, subscription: &Subscription, made: &mut Made) -> Result<Kept, entra::Error> {
        let kept = |expires, done| Kept { resource: self.resource, id: Some(subscription.id), expires, done };
        if self.renew == Renew::Due && clock::elapsed(self.now, subscription.expires) > RENEW_BEFORE {
            return Ok(kept(Some(subscription.expires), Done::Nothing));
        }
        match self.settings.client.renew(subscription.id, self.expires()).await {
            Ok(renewed) => Ok(kept(Some(renewed.expires), Done::Renewed)),
            Err(error) if error.is_gone() => {
                made.remove(subscription.id);
                self.make(made).await
            }
            Err(error) => Err(error),
        }
    }

    async fn make(&self, made: &mut Made) -> Result<Kept, entra::Error> {
        let wanted = Wanted {
            resource: self.resource.to_owned(),
            change_type: "updated,deleted".to_owned(),
            notification_url: self.settings.notification_url.clone(),
            lifecycle_url: self.settings.notification_url.clone(),
            client_state: self.settings.client_state.clone(),
            expires: self.expires(),
        };
        let subscription = self.settings.client.create(&wanted).await?;
        made.add(subscription.id, self.secret_hash());
        let (id, expires) = (Some(subscription.id), Some(subscription.expires));
        Ok(Kept { resource: self.resource, id, expires, done: Done::Made })
    }

    fn expires(&self) -> Timestamp {
        clock::after(self.now, LIFETIME)
    }

    fn secret_hash(&self) -> String {
        let digest = Sha256::digest(self.settings.client_state.expose_secret().as_bytes());
        hex::encode(&digest[..8])
    }

    fn advice(&self, error: &entra::Error) -> String {
        match error {
            entra::Error::Duplicate { id } => format!(
                "another subscription of this application for {} exists{}; if no other installation uses it, remove it \
                 with `lockstep subscriptions delete ID`",
                self.resource,
                id.map(|id| format!(" ({id})")).unwrap_or_default()
            ),
            error => error.to_string(),
        }
    }
}

/// Told once per resource and day.
fn pages(channels: Channels<'_>, kept: &[Kept], now: Timestamp) -> Vec<Owed> {
    let day = now.as_second() / (24 * 3600);
    let failed = kept.iter().filter_map(|one| match &one.done {
        Done::Failed(why) => Some((one.resource, why)),
        _ => None,
    });
    let owe = |(resource, why): (&str, &String)| {
        let text = format!(
            "Graph does not notify of changes to {resource}: {why}. Until it is mended, changes are found by the sweep, \
             and whoever is disabled is locked minutes later. It is tried again by itself; now: `lockstep subscriptions \
             ensure`."
        );
        channels.page(format!("subscription/{resource}/{day}"), &text, now)
    };
    failed.flat_map(owe).collect()
}
