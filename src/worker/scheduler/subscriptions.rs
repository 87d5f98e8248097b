//! The subscriptions for users and groups: that they exist, deliver to us with the secret of today, and do not expire.
//!
//! Graph never says that a subscription for users or groups is gone, nor that it could not deliver (Microsoft Graph,
//! Reduce missing subscriptions): so they are listed on a timer, renewed by PATCH long before they expire, and made anew
//! where they are lost; whatever leaves a gap wishes for a sweep. `reauthorize` is never sent: a PATCH does the same, and
//! both within ten minutes may corrupt the subscription (same page).
//!
//! Whoever looks after them holds a lease of its own meanwhile: `lockstep subscriptions ensure` does so beside a server that
//! keeps the schedule, and two at a time would take each other's for strangers'.
//!
//! Until when they live is kept in the store: it goes on being measured while they can neither be listed nor renewed, also
//! after a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Job, Wish, pause};
use crate::clock::{self, SharedClock, Timestamp};
use crate::entra::{self, Subscription, SubscriptionId, Subscriptions, Wanted};
use crate::retry::WhatNow;
use crate::store::{self, Owed, Store};
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
const LEASE_NAME: &str = "subscriptions";
/// Longer than one resource takes: two requests of thirty seconds each.
pub const LEASE: Duration = Duration::from_secs(90);
/// Which subscriptions are ours, and the secret that they were made with, as a hash.
const NOTE: &str = "subscriptions.made";
/// Until when each lived when it was seen last.
const EXPIRIES: &str = "subscriptions.expire";

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
    /// Until when Graph notifies, also where nothing could be done; `None`: it does not.
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
    let (mut looked_at, mut wait, mut renew) = (None, LOOK_EVERY, Renew::Due);
    while !job.shutdown.is_cancelled() {
        let now = job.deps.clock.now();
        let due = looked_at.is_none_or(|at| clock::elapsed(at, now) >= wait);
        let store = job.deps.store.as_ref();
        let wished = Wish::Subscriptions.made_at(store).await.ok().flatten();
        if due || wished.is_some() && wait == LOOK_EVERY {
            if wished.is_some() {
                renew = Renew::All;
            }
            let turn = turn(&job, &settings, renew).await;
            if let Some(made_at) = wished.filter(|_| turn != Turn::Again)
                && let Err(error) = Wish::Subscriptions.grant(store, &made_at).await
            {
                tracing::warn!("a wish could not be granted: {error}");
            }
            if turn == Turn::Kept {
                renew = Renew::Due;
            }
            wait = if turn == Turn::Again { AGAIN } else { LOOK_EVERY };
            looked_at = Some(now);
        }
        pause(WISH_EVERY, &job.shutdown).await;
    }
    // Whoever goes on renews them, and this process would not hear of it.
    job.deps.metrics.forget_subscriptions();
}

/// What a turn leaves for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Kept,
    /// Something has to be mended first: there is time.
    Refused,
    Again,
}

async fn turn(job: &Job, settings: &Settings, renew: Renew) -> Turn {
    let store = job.deps.store.as_ref();
    let kept = match keep(settings, store, &job.deps.clock, renew).await {
        Ok(Some(kept)) => kept,
        Ok(None) => {
            tracing::info!("another process looks after the subscriptions");
            return Turn::Again;
        }
        Err(why) => {
            tracing::warn!("subscriptions could not be looked at: {why}");
            return Turn::Again;
        }
    };
    let now = job.deps.clock.now();
    for one in &kept {
        job.deps.metrics.subscription_expires(one.resource, one.expires.unwrap_or(now));
        log(one);
    }
    let policy = job.deps.policy.borrow().clone();
    if let Err(error) = store.owe(pages(job.deps.telling(&policy), &kept, now)).await {
        tracing::warn!("nobody could be told of a subscription that is not kept: {error}");
    }
    let any = |is: fn(&Done) -> bool| kept.iter().any(|one| is(&one.done));
    if any(|done| matches!(done, Done::Later(_))) {
        Turn::Again
    } else if any(|done| matches!(done, Done::Failed(_))) {
        Turn::Refused
    } else {
        Turn::Kept
    }
}

fn log(one: &Kept) {
    let resource = one.resource;
    match &one.done {
        Done::Nothing => {}
        Done::Renewed => tracing::info!(resource, "the subscription was renewed"),
        Done::Made => tracing::warn!(resource, "the subscription was made anew; a sweep follows"),
        Done::Later(why) => tracing::warn!(resource, "the subscription is not kept yet: {why}"),
        Done::Failed(why) => tracing::error!(resource, "the subscription is not kept: {why}"),
    }
}

/// Makes sure of both subscriptions, and wishes for a sweep after each that was made. One that fails does not keep the
/// other from being kept. `None` when another process is at it.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn keep(
    settings: &Settings,
    store: &dyn Store,
    clock: &SharedClock,
    renew: Renew,
) -> anyhow::Result<Option<Vec<Kept>>> {
    let lease = Lease { store, clock, holder: Uuid::now_v7().to_string() };
    if !lease.take().await? {
        return Ok(None);
    }
    let kept = keep_alone(settings, &lease, renew).await;
    if let Err(error) = store.drop_lease(LEASE_NAME, &lease.holder).await {
        tracing::debug!("the lease could not be given back: {error}");
    }
    kept.map(Some)
}

struct Lease<'a> {
    store: &'a dyn Store,
    clock: &'a SharedClock,
    holder: String,
}

impl Lease<'_> {
    /// Takes it, or goes on holding it.
    async fn take(&self) -> Result<bool, store::Error> {
        let now = self.clock.now();
        self.store.take_lease(LEASE_NAME, &self.holder, now, clock::after(now, LEASE)).await
    }
}

async fn keep_alone(settings: &Settings, lease: &Lease<'_>, renew: Renew) -> anyhow::Result<Vec<Kept>> {
    let Lease { store, clock, .. } = *lease;
    let (mut made, mut expiries) = (Made::read(store).await?, Expiries::read(store).await?);
    let listed = match settings.client.list().await {
        Ok(listed) => listed,
        Err(error) => {
            let now = clock.now();
            let unseen = |resource| Kept::not(resource, None, expiries.to_come(resource, now), &error);
            return Ok(RESOURCES.map(unseen).into());
        }
    };
    let mut kept = Vec::new();
    for resource in RESOURCES {
        anyhow::ensure!(lease.take().await?, "another process has taken over");
        let now = clock.now();
        let one = Keeper { settings, now, resource, listed: &listed, renew }.keep(&mut made).await;
        expiries.set(resource, one.expires);
        let mut notes = vec![made.note()?, expiries.note()?];
        if one.done == Done::Made {
            // In one transaction: a subscription that is known to be ours has had its gap swept, or will have.
            notes.push(Wish::Sweep.note_of(now));
        }
        store.set_notes(notes).await?;
        kept.push(one);
    }
    Ok(kept)
}

impl Kept {
    fn not(
        resource: &'static str,
        id: Option<SubscriptionId>,
        expires: Option<Timestamp>,
        error: &entra::Error,
    ) -> Kept {
        let advice = advice(resource, error);
        let done = match error.what_now() {
            WhatNow::RetryAt(_) | WhatNow::BackOff | WhatNow::TryAgain => Done::Later(advice),
            WhatNow::GiveUp | WhatNow::AskHuman => Done::Failed(advice),
        };
        Kept { resource, id, expires, done }
    }
}

fn advice(resource: &str, error: &entra::Error) -> String {
    match error {
        entra::Error::Duplicate { id } => format!(
            "another subscription of this application for {resource} exists{}; if no other installation uses it, remove it \
             with `lockstep subscriptions delete ID`",
            id.map(|id| format!(" ({id})")).unwrap_or_default()
        ),
        error => error.to_string(),
    }
}

/// What we have made: subscription id to the hash of its secret. Graph does not show the secret of a subscription.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Made(BTreeMap<String, String>);

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

/// Resource to the end of its subscription.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Expiries(BTreeMap<String, Timestamp>);

impl Expiries {
    async fn read(store: &dyn Store) -> anyhow::Result<Expiries> {
        let text = store.note(EXPIRIES).await?.unwrap_or_default();
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    fn to_come(&self, resource: &str, now: Timestamp) -> Option<Timestamp> {
        self.0.get(resource).copied().filter(|expires| *expires > now)
    }

    fn set(&mut self, resource: &str, expires: Option<Timestamp>) {
        match expires {
            Some(expires) => drop(self.0.insert(resource.to_owned(), expires)),
            None => drop(self.0.remove(resource)),
        }
    }

    fn note(&self) -> anyhow::Result<(String, Option<String>)> {
        Ok((EXPIRIES.to_owned(), Some(serde_json::to_string(self)?)))
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
        let here = self.listed.iter().filter(|subscription| subscription.resource == self.resource);
        let (good, stale): (Vec<_>, Vec<_>) = here.partition(|subscription| self.is_good(subscription, made));
        let good = good.first().copied();
        match self.try_keep(good, stale, made).await {
            Ok(kept) => kept,
            Err(error) => {
                // One that is gone is not ours any more.
                let stands = good.filter(|subscription| made.has(subscription.id));
                let (id, expires) = (stands.map(|one| one.id), stands.map(|one| one.expires));
                Kept::not(self.resource, id, expires, &error)
            }
        }
    }

    async fn try_keep(
        &self,
        good: Option<&Subscription>,
        stale: Vec<&Subscription>,
        made: &mut Made,
    ) -> Result<Kept, entra::Error> {
        let ours: Vec<_> =
            stale.into_iter().filter(|subscription| self.is_ours(subscription, made)).collect();
        for subscription in ours {
            // With an address or a secret of yesterday, or a secret that nobody can tell: neither can be changed for all of
            // its parts by PATCH.
            match self.settings.client.delete(subscription.id).await {
                Ok(()) => {}
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
            made.remove(subscription.id);
        }
        match good {
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
}

/// Told once per resource and day, and once more when it is over.
fn pages(channels: Channels<'_>, kept: &[Kept], now: Timestamp) -> Vec<Owed> {
    let day = now.as_second() / (24 * 3600);
    let page = |one: &Kept| {
        let Done::Failed(why) = &one.done else { return Vec::new() };
        let resource = one.resource;
        let (key, what) = match one.expires {
            Some(expires) => (
                "renewal",
                format!(
                    "The subscription to changes of {resource} is not kept: {why}. Graph notifies until {expires:.0}. \
                     Unless it is mended before, changes are then found by the sweep"
                ),
            ),
            None => (
                "subscription",
                format!(
                    "Graph does not notify of changes to {resource}: {why}. Until it is mended, changes are found by the sweep"
                ),
            ),
        };
        let text = format!(
            "{what}, and whoever is disabled is locked minutes later. It is tried again by itself; now: `lockstep \
             subscriptions ensure`."
        );
        channels.page(format!("{key}/{resource}/{day}"), &text, now)
    };
    kept.iter().flat_map(page).collect()
}
