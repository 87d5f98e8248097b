//! Every alert × policy × view of Entra, against the rule written down a second time, as a table.

use super::scene::{Scene, at, person};
use crate::event::{RiskLevel, RiskState, Source};
use crate::plan::plan;
use crate::snapshot::{Directory, Enabled, Risk, RiskView};

const LEVELS: [RiskLevel; 5] =
    [RiskLevel::Unknown, RiskLevel::None, RiskLevel::Low, RiskLevel::Medium, RiskLevel::High];
const STATES: [RiskState; 7] = [
    RiskState::Unknown,
    RiskState::None,
    RiskState::AtRisk,
    RiskState::ConfirmedCompromised,
    RiskState::ConfirmedSafe,
    RiskState::Remediated,
    RiskState::Dismissed,
];
const THRESHOLDS: [RiskLevel; 3] = [RiskLevel::Low, RiskLevel::Medium, RiskLevel::High];
/// Five seconds before, at, and after the detection of the alert, and a record without a time.
const UPDATED_AT: [Option<&str>; 4] = [Some("07:59:50"), Some("07:59:55"), Some("08:00:00"), None];

fn risk_views() -> Vec<RiskView> {
    let mut views = vec![RiskView::Unread("Graph answered 503".into()), RiskView::NotListed];
    for level in LEVELS {
        for state in STATES {
            for updated_at in UPDATED_AT {
                views.push(RiskView::Known(Risk { level, state, updated_at: updated_at.map(at) }));
            }
        }
    }
    views
}

fn directories() -> Vec<Directory> {
    let scene = person("anna");
    let with = |enabled| scene.clone().with_enabled(enabled).snapshot.directory;
    vec![
        with(Enabled::Yes),
        with(Enabled::No),
        with(Enabled::NotTold),
        scene.clone().soft_deleted().snapshot.directory,
        Directory::Missing,
        Directory::Unread("Graph answered 503".into()),
    ]
}

/// The words of the policy: at risk at or over the level, or confirmed compromised whatever the level.
fn calls(level: RiskLevel, state: RiskState, threshold: RiskLevel) -> bool {
    let high_enough = match threshold {
        RiskLevel::Low => [RiskLevel::Low, RiskLevel::Medium, RiskLevel::High].contains(&level),
        RiskLevel::Medium => [RiskLevel::Medium, RiskLevel::High].contains(&level),
        _ => level == RiskLevel::High,
    };
    state == RiskState::ConfirmedCompromised
        || (high_enough && (state == RiskState::AtRisk || state == RiskState::Unknown))
}

/// The alert itself says that it is over, and Entra's "at risk" is no newer.
fn lags(told: RiskState, risk: &Risk) -> bool {
    let over = [RiskState::ConfirmedSafe, RiskState::Remediated, RiskState::Dismissed].contains(&told);
    over && risk.updated_at.is_some_and(|updated_at| updated_at <= at("07:59:55"))
}

fn should_contain(scene: &Scene, level: RiskLevel, state: RiskState, threshold: RiskLevel) -> bool {
    let gone = match &scene.snapshot.directory {
        Directory::Present(person) => person.enabled == Enabled::No,
        Directory::SoftDeleted(_) => true,
        Directory::Missing | Directory::Unread(_) => false,
    };
    let by_alert = calls(level, state, threshold);
    let by_risk = match &scene.snapshot.risk {
        RiskView::Known(risk) if risk.state.is_cleared() => {
            let over = risk.updated_at.is_some_and(|updated_at| updated_at >= at("07:59:55"));
            by_alert && !over
        }
        RiskView::Known(risk) => by_alert || (calls(risk.level, risk.state, threshold) && !lags(state, risk)),
        RiskView::NotListed | RiskView::Unread(_) => by_alert,
    };
    gone || by_risk
}

#[test]
fn every_alert_is_weighed_by_the_one_rule() {
    let mut contained = 0;
    for (threshold, base) in
        THRESHOLDS.map(|t| (t, person("anna").account("waad|1").source(Source::Risk, Some(t), None)))
    {
        for (level, state) in LEVELS.iter().flat_map(|level| STATES.map(|state| (*level, state))) {
            let mut scene = base.clone().alert_from(Source::Risk, level, state);
            for risk in risk_views() {
                scene.snapshot.risk = risk;
                for directory in directories() {
                    scene.snapshot.directory = directory;
                    let expected = should_contain(&scene, level, state, threshold);
                    let acts = !plan(&scene.snapshot, &scene.policy, scene.now).actions.is_empty();
                    assert_eq!(
                        acts, expected,
                        "needs {threshold:?}: {level:?} {state:?} in {:#?}",
                        scene.snapshot
                    );
                    contained += u32::from(acts);
                }
            }
        }
    }
    assert!(contained > 10_000, "the table has shrunk: {contained}");
}
