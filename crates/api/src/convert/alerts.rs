//! Alerts, as axis.v1 tells them.

use exchange::{Alert, AlertKind, AlertPage, Severity};
use ledger::time::Ms;

use crate::v1;

pub(crate) fn standing_alerts(standing: Vec<Alert>) -> v1::AlertsResponse {
    v1::AlertsResponse {
        alerts: standing.into_iter().map(alert).collect(),
        next_page_token: String::new(),
    }
}

pub(crate) fn alert_page(page: AlertPage) -> v1::AlertsResponse {
    v1::AlertsResponse {
        alerts: page.alerts.into_iter().map(alert).collect(),
        next_page_token: page.next,
    }
}

fn alert(alert: Alert) -> v1::Alert {
    let severity = match alert.severity() {
        Severity::Critical => v1::AlertSeverity::Critical,
        Severity::Warning => v1::AlertSeverity::Warning,
    };
    let told = AlertKind::of_name(&alert.kind).map(AlertKind::told);
    let word = |of: fn(&exchange::Told) -> &'static str| {
        told.as_ref()
            .map_or_else(String::new, |told| of(told).to_owned())
    };
    let at = |at: Option<Ms>| at.map(Ms::iso).unwrap_or_default();
    v1::Alert {
        severity: severity.into(),
        title: word(|told| told.title.vi),
        title_en: word(|told| told.title.en),
        action: word(|told| told.act.vi),
        action_en: word(|told| told.act.en),
        recorded: alert.at.is_some(),
        kind: alert.kind,
        subject: alert.subject,
        detail: alert.detail.vi,
        detail_en: alert.detail.en,
        raised_at: alert.raised_at.iso(),
        cleared_at: at(alert.cleared_at),
        told_at: at(alert.told_at),
    }
}
