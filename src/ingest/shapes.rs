//! What a signed risk alert may look like: our own schema, and what Microsoft's APIs and exports call the same thing.
//!
//! Known shapes: ours; Graph's riskyUser, riskDetection and security alert (alerts_v2); diagnostic-settings records
//! (`{"records":[…]}`); each alone, in a list (`{"value":[…]}`), in an array, or in the `data` of an envelope, in any
//! mixture. An item of no known shape is dropped, one with a broken field is dropped, the others count.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::body;
use super::harvest::{Dropped, Harvest};
use super::refusal::Refusal;
use super::signature::Signed;
use super::wire::{self, Text};
use crate::clock::Timestamp;
use crate::event::{
    About, Event, EventKind, ObjectId, RiskEvidence, RiskLevel, RiskState, Source, Subject, TenantId, clip,
};

/// An array of Event Hub messages of records is three lists deep; more is nobody's shape.
const LISTS_DEEP_MAX: usize = 4;

/// Reads one request into events about people of one tenant.
pub(super) struct Reader {
    pub(super) tenant: TenantId,
    pub(super) source: Source,
    pub(super) received_at: Timestamp,
}

/// The fields of every shape side by side. Which are there tells the shape.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    // lists and envelopes
    #[serde(borrow, default)]
    records: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    // ours
    #[serde(borrow, default)]
    level: Text<'a>,
    #[serde(borrow, default)]
    state: Text<'a>,
    #[serde(borrow, default)]
    detection: Text<'a>,
    #[serde(borrow, default)]
    detected_at: Text<'a>,
    // ours and Graph's
    #[serde(borrow, default)]
    tenant_id: Text<'a>,
    #[serde(borrow, default)]
    user_id: Text<'a>,
    // riskyUser, riskDetection
    #[serde(borrow, default, rename = "@odata.type")]
    odata_type: Text<'a>,
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    risk_level: Text<'a>,
    #[serde(borrow, default)]
    risk_state: Text<'a>,
    #[serde(borrow, default)]
    risk_event_type: Text<'a>,
    #[serde(borrow, default)]
    last_updated_date_time: Text<'a>,
    #[serde(borrow, default)]
    risk_last_updated_date_time: Text<'a>,
    #[serde(borrow, default)]
    detected_date_time: Text<'a>,
    // what tells a risky workload identity from a risky person
    #[serde(borrow, default)]
    service_principal_type: Text<'a>,
    #[serde(borrow, default)]
    service_principal_id: Text<'a>,
    // diagnostic record
    #[serde(borrow, default)]
    category: Text<'a>,
    #[serde(borrow, default)]
    properties: Option<&'a RawValue>,
    // security alert
    #[serde(borrow, default)]
    severity: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    title: Text<'a>,
    #[serde(borrow, default)]
    created_date_time: Text<'a>,
    #[serde(borrow, default)]
    last_update_date_time: Text<'a>,
    #[serde(borrow, default)]
    evidence: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Evidence<'a> {
    #[serde(borrow, default, rename = "@odata.type")]
    odata_type: Text<'a>,
    #[serde(borrow, default)]
    verdict: Text<'a>,
    #[serde(borrow, default)]
    user_account: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserAccount<'a> {
    #[serde(borrow, default)]
    azure_ad_user_id: Text<'a>,
    #[serde(borrow, default)]
    tenant_id: Text<'a>,
}

impl Reader {
    /// [`Refusal::Unreadable`] when the body is no JSON, or holds nothing but items that cannot be read.
    pub(super) fn read(&self, signed: &Signed) -> Result<Harvest, Refusal> {
        body::expect_shallow(signed.body())?;
        let mut items = Vec::new();
        gather(wire::value(signed.body())?, 0, &mut items)?;
        let mut harvest = Harvest::default();
        for item in items {
            match item {
                Some(item) => self.take(&item, &mut harvest)?,
                None => harvest.drop(Dropped::Unreadable),
            }
        }
        if harvest.is_all_unreadable() { Err(Refusal::Unreadable) } else { Ok(harvest) }
    }

    fn take(&self, item: &Item<'_>, harvest: &mut Harvest) -> Result<(), Refusal> {
        if let Some(evidence) = item.evidence {
            return self.take_alert(item, evidence, harvest);
        }
        let read = match item.properties {
            Some(properties) => self.record(item, properties),
            None => self.person(item),
        };
        match read {
            Ok(event) => harvest.keep(event),
            Err(why) => {
                harvest.drop(why);
                Ok(())
            }
        }
    }

    /// A record of Entra's diagnostic settings: `properties` has the field names of riskDetection or riskyUser.
    fn record(&self, record: &Item<'_>, properties: &RawValue) -> Result<Event, Dropped> {
        let category = record.category.get();
        if category.is_some_and(|word| !matches!(word, "UserRiskEvents" | "RiskyUsers")) {
            return Err(Dropped::Unhandled);
        }
        self.expect_ours(&record.tenant_id)?;
        self.person(&wire::object(properties).ok_or(Dropped::Unreadable)?)
    }

    /// Our own schema, riskyUser and riskDetection.
    fn person(&self, item: &Item<'_>) -> Result<Event, Dropped> {
        self.expect_ours(&item.tenant_id)?;
        let user = user_of(item)?;
        let level = item.level.get().or(item.risk_level.get()).map(RiskLevel::read);
        let state = item.state.get().or(item.risk_state.get()).map(RiskState::read);
        let (level, state) = match (level, state) {
            (None, None) => return Err(Dropped::Unreadable),
            (Some(RiskLevel::None), None) => (RiskLevel::None, RiskState::None),
            (level, state) => (level.unwrap_or(RiskLevel::Unknown), state.unwrap_or(RiskState::AtRisk)),
        };
        let said_at = item
            .detected_at
            .time()
            .or_else(|| item.last_updated_date_time.time())
            .or_else(|| item.risk_last_updated_date_time.time())
            .or_else(|| item.detected_date_time.time());
        let detection = item.detection.get().or(item.risk_event_type.get()).map(clip);
        Ok(self.event(user, RiskEvidence { level, state, detection, detected_at: said_at }))
    }

    /// A security alert becomes one event for each person in its evidence.
    fn take_alert(
        &self,
        alert: &Item<'_>,
        evidence: &RawValue,
        harvest: &mut Harvest,
    ) -> Result<(), Refusal> {
        if let Err(why) = self.expect_ours(&alert.tenant_id) {
            harvest.drop(why);
            return Ok(());
        }
        let Some(evidence) = wire::elements(evidence) else {
            harvest.drop(Dropped::Unreadable);
            return Ok(());
        };
        wire::expect_few(evidence.len())?;
        let people: BTreeSet<Uuid> = evidence.into_iter().filter_map(|one| self.accused(one)).collect();
        if people.is_empty() {
            harvest.drop(Dropped::Unhandled);
        }
        let judged = RiskEvidence {
            level: severity(alert.severity.get().unwrap_or_default()),
            state: if alert.status.is("resolved") { RiskState::None } else { RiskState::AtRisk },
            detection: alert.title.get().map(clip),
            detected_at: alert.last_update_date_time.time().or_else(|| alert.created_date_time.time()),
        };
        people.into_iter().try_for_each(|user| harvest.keep(self.event(user, judged.clone())))
    }

    /// The person of ours whom a piece of evidence accuses.
    fn accused(&self, evidence: &RawValue) -> Option<Uuid> {
        let evidence: Evidence = wire::object(evidence)?;
        let is_user = evidence.odata_type.is("#microsoft.graph.security.userEvidence");
        if !is_user || evidence.verdict.is("noThreatsFound") {
            return None;
        }
        let account: UserAccount = wire::object(evidence.user_account?)?;
        self.expect_ours(&account.tenant_id).ok()?;
        account.azure_ad_user_id.guid()
    }

    /// A tenant that is named must be ours.
    fn expect_ours(&self, tenant: &Text<'_>) -> Result<(), Dropped> {
        match tenant.get() {
            Some(_) if tenant.guid() != Some(self.tenant.0) => Err(Dropped::WrongTenant),
            _ => Ok(()),
        }
    }

    pub(super) fn event(&self, user: Uuid, evidence: RiskEvidence) -> Event {
        let about = About::Person(Subject { tenant: self.tenant, object: ObjectId(user) });
        // Like the event's own time, not later than we heard of it.
        let detected_at = evidence.detected_at.map(|at| at.min(self.received_at));
        let kind = EventKind::RiskReported(RiskEvidence { detected_at, ..evidence });
        Event::told(self.source, about, kind, detected_at, self.received_at)
    }
}

/// Whom an item is about. A riskyUser's own `id` is the person; a riskDetection's is not, it names them in `userId`.
fn user_of(item: &Item<'_>) -> Result<Uuid, Dropped> {
    if item.user_id.get().is_some() {
        return item.user_id.guid().ok_or(Dropped::Unreadable);
    }
    if item.service_principal_type.get().or(item.service_principal_id.get()).is_some() {
        return Err(Dropped::Unhandled);
    }
    let is_risky_user = match item.odata_type.get() {
        Some(name) => name.eq_ignore_ascii_case("#microsoft.graph.riskyUser"),
        None => item.risk_last_updated_date_time.get().is_some(),
    };
    if is_risky_user {
        return item.id.guid().ok_or(Dropped::Unreadable);
    }
    let speaks_of_risk = item.level.get().or(item.risk_level.get()).or(item.risk_state.get()).is_some();
    Err(if speaks_of_risk { Dropped::Unreadable } else { Dropped::Unhandled })
}

/// A security alert's severity as a risk level. `informational` is the lowest level and not "none": an alert never
/// says that somebody is safe.
fn severity(word: &str) -> RiskLevel {
    match word.to_ascii_lowercase().as_str() {
        "high" => RiskLevel::High,
        "medium" => RiskLevel::Medium,
        "low" | "informational" => RiskLevel::Low,
        _ => RiskLevel::Unknown,
    }
}

/// Flattens lists and envelopes. An element that is no object, or has a field twice, is `None`.
fn gather<'a>(raw: &'a RawValue, deep: usize, out: &mut Vec<Option<Item<'a>>>) -> Result<(), Refusal> {
    if deep > LISTS_DEEP_MAX {
        out.push(None);
        return wire::expect_few(out.len());
    }
    if let Some(elements) = wire::elements(raw) {
        wire::expect_few(out.len() + elements.len())?;
        return elements.into_iter().try_for_each(|element| gather(element, deep + 1, out));
    }
    let item: Option<Item> = wire::object(raw);
    match item.as_ref().and_then(Item::inner) {
        Some(inner) => gather(inner, deep + 1, out),
        None => {
            out.push(item);
            wire::expect_few(out.len())
        }
    }
}

impl<'a> Item<'a> {
    /// What a list or an envelope holds; `None` for an item itself.
    fn inner(&self) -> Option<&'a RawValue> {
        let is_item = self.user_id.get().is_some() || self.evidence.is_some() || self.properties.is_some();
        let inner = if is_item { None } else { self.records.or(self.value).or(self.data) };
        inner.filter(|raw| raw.get().starts_with(['[', '{']))
    }
}
