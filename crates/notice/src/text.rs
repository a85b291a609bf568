//! What a notice says: in Vietnamese first, the same in English below; as JSON for machines.

use std::fmt::Write as _;

use exchange::{Alert, AlertKind, Severity};
use serde::Serialize;

/// One message about alerts.
#[derive(Debug, Clone, Serialize)]
pub struct Notice {
    /// Which axis says it.
    pub axis: String,
    /// What was raised, the worst first.
    pub raised: Vec<Line>,
    /// What is over.
    pub cleared: Vec<Line>,
}

/// One alert in a notice.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The kind's name.
    pub kind: String,
    /// `critical` or `warning`.
    pub severity: &'static str,
    /// What it is about.
    pub subject: String,
    /// Vietnamese.
    pub title: String,
    /// English.
    pub title_en: String,
    /// What was found, Vietnamese.
    pub detail: String,
    /// English.
    pub detail_en: String,
    /// What to do, Vietnamese.
    pub action: String,
    /// English.
    pub action_en: String,
    /// ISO 8601, +07:00.
    pub raised_at: String,
    /// ISO 8601, +07:00; absent while it stands.
    pub cleared_at: Option<String>,
}

impl Line {
    fn of(alert: &Alert) -> Self {
        let told = AlertKind::of_name(&alert.kind).map(AlertKind::told);
        let word = |of: fn(&exchange::Told) -> &'static str| {
            told.as_ref()
                .map_or_else(|| alert.kind.clone(), |told| of(told).to_owned())
        };
        Self {
            kind: alert.kind.clone(),
            severity: alert.severity().as_str(),
            subject: alert.subject.clone(),
            title: word(|told| told.title.vi),
            title_en: word(|told| told.title.en),
            detail: alert.detail.vi.clone(),
            detail_en: alert.detail.en.clone(),
            action: word(|told| told.act.vi),
            action_en: word(|told| told.act.en),
            raised_at: alert.raised_at.iso(),
            cleared_at: alert.cleared_at.map(ledger::time::Ms::iso),
        }
    }
}

impl Notice {
    /// About these alerts.
    #[must_use]
    pub fn of(axis: &str, alerts: &[Alert]) -> Self {
        let mut sorted: Vec<&Alert> = alerts.iter().collect();
        sorted.sort_by_key(|alert| (alert.severity(), alert.raised_at));
        let (cleared, raised): (Vec<_>, Vec<_>) = sorted
            .into_iter()
            .partition(|alert| alert.cleared_at.is_some());
        let lines = |alerts: Vec<&Alert>| alerts.into_iter().map(Line::of).collect();
        Self {
            axis: axis.to_owned(),
            raised: lines(raised),
            cleared: lines(cleared),
        }
    }

    /// The subject of a mail.
    #[must_use]
    pub fn subject(&self) -> String {
        let axis = &self.axis;
        let critical = Severity::Critical.as_str();
        let worst = if self.raised.iter().any(|line| line.severity == critical) {
            "NGHIÊM TRỌNG: "
        } else {
            ""
        };
        match (self.raised.as_slice(), self.cleared.as_slice()) {
            ([one], []) => format!("[{axis}] {worst}{}: {}", one.title, one.subject),
            ([], [one]) => format!("[{axis}] Đã hết: {}: {}", one.title, one.subject),
            ([], many) => format!("[{axis}] {} cảnh báo đã hết", many.len()),
            (many, []) => format!("[{axis}] {worst}{} cảnh báo", many.len()),
            (up, down) => format!(
                "[{axis}] {worst}{} cảnh báo, {} đã hết",
                up.len(),
                down.len()
            ),
        }
    }

    /// The text of a mail.
    #[must_use]
    pub fn body(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        for line in &self.raised {
            let level = if line.severity == Severity::Critical.as_str() {
                "NGHIÊM TRỌNG"
            } else {
                "CẢNH BÁO"
            };
            let _ = writeln!(
                text,
                "{level} {}: {}\n  {} (từ {})\n  Việc cần làm: {}\n",
                line.title, line.subject, line.detail, line.raised_at, line.action
            );
        }
        for line in &self.cleared {
            let until = line.cleared_at.as_deref().unwrap_or_default();
            let _ = writeln!(
                text,
                "ĐÃ HẾT {}: {}\n  từ {} đến {until}\n",
                line.title, line.subject, line.raised_at
            );
        }
        text.push_str("--\n\n");
        for line in &self.raised {
            let _ = writeln!(
                text,
                "{} {} ({}): {}\n  {} (since {})\n  What to do: {}\n",
                line.severity.to_uppercase(),
                line.title_en,
                line.kind,
                line.subject,
                line.detail_en,
                line.raised_at,
                line.action_en
            );
        }
        for line in &self.cleared {
            let until = line.cleared_at.as_deref().unwrap_or_default();
            let _ = writeln!(
                text,
                "OVER {} ({}): {}\n  from {} to {until}\n",
                line.title_en, line.kind, line.subject, line.raised_at
            );
        }
        let _ = writeln!(text, "{}: axis alerts", self.axis);
        text
    }
}
