//! `POST /webhooks/azure-monitor`: log search alerts of Azure Monitor in the common alert schema.
//!
//! An action group proves itself with a secret in the URL, or as a secure webhook with a token of Entra; either is
//! enough when both are set. Only log alerts that fired say something about people: their user comes from the dimensions
//! that the rule is split by (Log Alerts V2 embed no rows), or from embedded rows (simple log alerts). Metric alerts and
//! resolved ones are accepted and ignored. `TenantId` of a Log Analytics row is the workspace and not the Entra tenant
//! (Azure Monitor reference, AADUserRiskEvents): it is not read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use subtle::{Choice, ConstantTimeEq};
use tokio::time::Instant;

use super::door::{Door, Places, accepted};
use super::entra_token::Checker;
use super::harvest::{Dropped, Harvest};
use super::refusal::Refusal;
use super::shapes;
use super::wire::{self, Text};
use super::{Settings, body, query};
use crate::clock::Timestamp;
use crate::event::{Event, RiskEvidence, RiskLevel, RiskState, Source, clip};

/// From the first byte to the answer, fetching Entra's keys included. An action group waits 30 s.
const TIME_MAX: Duration = Duration::from_secs(10);
const SOURCE: Source = Source::AzureMonitor;

pub(super) struct Route {
    door: Arc<Door>,
    places: Places,
    /// Apart from those of requests that have proven themselves, which strangers must not take.
    checks: Places,
    secrets: Vec<SecretString>,
    tokens: Option<Checker>,
}

impl Route {
    pub(super) fn new(settings: &Settings, door: &Arc<Door>) -> Option<Route> {
        let secrets = settings.azure_monitor_secrets.clone();
        let tokens = settings.azure_monitor_jwt.as_ref().map(|jwt| Checker::new(jwt, settings.tenant));
        let is_set = !secrets.is_empty() || tokens.is_some();
        let (places, checks) = (Places::new(settings), door.places_of_strangers(settings));
        is_set.then(|| Route { door: door.clone(), places, checks, secrets, tokens })
    }

    async fn authenticate(&self, parts: &Parts, deadline: Instant) -> Result<(), Refusal> {
        if let Ok(secret) = query::parameter(parts.uri.query(), "secret")
            && self.knows(&secret)
        {
            return Ok(());
        }
        let bearer =
            parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        match (&self.tokens, bearer) {
            (Some(tokens), Some(token)) => {
                // Checking may wait for Entra.
                let _place = self.checks.take()?;
                tokens.check(token, self.door.now(), deadline).await
            }
            (_, None) if parts.uri.query().is_none() => Err(Refusal::Unsigned),
            _ => Err(Refusal::WrongSecret),
        }
    }

    fn knows(&self, secret: &str) -> bool {
        let matches = self.secrets.iter().fold(Choice::from(0), |matches, ours| {
            matches | ours.expose_secret().as_bytes().ct_eq(secret.as_bytes())
        });
        matches.into()
    }
}

pub(super) async fn receive(State(route): State<Arc<Route>>, request: Request) -> Response {
    route.door.attend(SOURCE, handle(&route, request)).await
}

async fn handle(route: &Route, request: Request) -> Result<Response, Refusal> {
    let deadline = Instant::now() + TIME_MAX;
    let (parts, body) = request.into_parts();
    route.authenticate(&parts, deadline).await?;
    body::expect_json(&parts.headers)?;
    let (body, _place) = route.door.receive(&route.places, body, deadline).await?;
    let reader = shapes::Reader { tenant: route.door.tenant, source: SOURCE, received_at: route.door.now() };
    let harvest = read(&reader, &body)?;
    drop(body);
    route.door.store(SOURCE, &harvest, deadline).await?;
    Ok(accepted())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    #[serde(borrow, default)]
    schema_id: Text<'a>,
    #[serde(borrow, default)]
    data: Option<AlertData<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertData<'a> {
    #[serde(borrow)]
    essentials: Essentials<'a>,
    #[serde(borrow, default)]
    alert_context: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Essentials<'a> {
    #[serde(borrow, default)]
    signal_type: Text<'a>,
    #[serde(borrow, default)]
    monitor_condition: Text<'a>,
    #[serde(borrow, default)]
    fired_date_time: Text<'a>,
}

#[derive(Deserialize)]
struct Context<'a> {
    #[serde(borrow)]
    condition: Condition<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition<'a> {
    #[serde(borrow)]
    all_of: &'a RawValue,
}

#[derive(Deserialize)]
struct Criterion<'a> {
    #[serde(borrow, default)]
    dimensions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Cell<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    value: Text<'a>,
}

fn read(reader: &shapes::Reader, body: &[u8]) -> Result<Harvest, Refusal> {
    body::expect_shallow(body)?;
    let alert: Alert = wire::object(wire::value(body)?).ok_or(Refusal::Unreadable)?;
    let mut harvest = Harvest::default();
    let Some(data) = alert.data.filter(|_| alert.schema_id.is("azureMonitorCommonAlertSchema")) else {
        harvest.drop(Dropped::Unhandled);
        return Ok(harvest);
    };
    if !data.essentials.signal_type.is("Log") || !data.essentials.monitor_condition.is("Fired") {
        harvest.drop(Dropped::Nothing);
        return Ok(harvest);
    }
    let fired_at = data.essentials.fired_date_time.time();
    for row in rows(data.alert_context)? {
        match event(reader, &row, fired_at) {
            Ok(event) => harvest.keep(event)?,
            Err(why) => harvest.drop(why),
        }
    }
    Ok(harvest)
}

type Row<'a> = BTreeMap<String, Text<'a>>;

/// The rows of every criterion: its dimensions are one, its embedded result rows are the others.
fn rows(context: Option<&RawValue>) -> Result<Vec<Row<'_>>, Refusal> {
    let context: Context = context.and_then(wire::object).ok_or(Refusal::Unreadable)?;
    let criteria = wire::elements(context.condition.all_of).ok_or(Refusal::Unreadable)?;
    let mut rows = Vec::new();
    for criterion in criteria {
        let criterion: Criterion = wire::object(criterion).ok_or(Refusal::Unreadable)?;
        let embedded = criterion.event.and_then(wire::elements).unwrap_or_default();
        wire::expect_few(rows.len() + embedded.len() + 1)?;
        rows.extend(criterion.dimensions.into_iter().chain(embedded).map(row).filter(|row| !row.is_empty()));
    }
    Ok(rows)
}

/// `[{"name":…,"value":…}]` by name. Names are compared without case; a name that comes twice keeps its first value.
fn row(cells: &RawValue) -> Row<'_> {
    let mut row = Row::new();
    for cell in wire::elements(cells).unwrap_or_default() {
        if let Some(Cell { name, value }) = wire::object(cell)
            && let Some(name) = name.get()
        {
            row.entry(name.to_ascii_lowercase()).or_insert(value);
        }
    }
    row
}

/// A row is about a person when it has `UserId` (AADUserRiskEvents), or an `Id` that is a GUID and no detection
/// beside it (AADRiskyUsers, where the row's id is the user's).
fn event(reader: &shapes::Reader, row: &Row<'_>, fired_at: Option<Timestamp>) -> Result<Event, Dropped> {
    let text = |name: &str| row.get(name).and_then(Text::get);
    let time = |name: &str| text(name).and_then(wire::time);
    let user = match (text("userid"), text("id"), text("riskeventtype")) {
        (Some(id), _, _) | (None, Some(id), None) => wire::guid(id).ok_or(Dropped::Unreadable)?,
        _ => return Err(Dropped::Unhandled),
    };
    let said_at = time("lastupdateddatetime")
        .or_else(|| time("risklastupdateddatetime"))
        .or_else(|| time("detecteddatetime"))
        .or(fired_at);
    Ok(reader.event(
        user,
        RiskEvidence {
            level: text("risklevel").map_or(RiskLevel::Unknown, RiskLevel::read),
            // The rule fired for this person; what it leaves unsaid is that they are at risk.
            state: text("riskstate").map_or(RiskState::AtRisk, RiskState::read),
            detection: text("riskeventtype").map(clip),
            detected_at: said_at,
        },
    ))
}
