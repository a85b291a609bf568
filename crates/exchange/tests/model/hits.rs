//! What a run has met: how often each event found a delivery in each state.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use exchange::{DeliveryState as S, Outcome};

use crate::event::{Event, Round};
use crate::model::{DeliveryNo, Model, System};

/// What there is at a receiver: nothing of the document, or a delivery in this state.
const ROWS: [&str; 8] = [
    "nothing",
    "pending",
    "fetched",
    "acknowledged",
    "failed",
    "recalled",
    "dead",
    "dropped",
];

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Document,
    Update,
    Replacement,
    LeftOut,
    Recall,
    TakeBack,
    Agree,
    Refuse,
    Report,
    Fetch,
    Stream,
    Acknowledge,
    Fail,
    Release,
    OtherRound,
    Foreign,
    Extend,
    Download,
    LeaseEnds,
    Redeliver,
    Retry,
    Drop,
    Pause,
    Set,
    Restart,
    Kill,
    Cut,
    Torn,
}

const COLUMNS: [(Column, &str); 28] = [
    (Column::Document, "document"),
    (Column::Update, "update"),
    (Column::Replacement, "replacement"),
    (Column::LeftOut, "left out"),
    (Column::Recall, "recall"),
    (Column::TakeBack, "13"),
    (Column::Agree, "15"),
    (Column::Refuse, "16"),
    (Column::Report, "01-06"),
    (Column::Fetch, "fetch"),
    (Column::Stream, "stream"),
    (Column::Acknowledge, "acknowledge"),
    (Column::Fail, "fail"),
    (Column::Release, "release"),
    (Column::OtherRound, "other round"),
    (Column::Foreign, "not its own"),
    (Column::Extend, "extend"),
    (Column::Download, "download"),
    (Column::LeaseEnds, "lease ends"),
    (Column::Redeliver, "redeliver"),
    (Column::Retry, "retry"),
    (Column::Drop, "drop"),
    (Column::Pause, "pause"),
    (Column::Set, "clock set"),
    (Column::Restart, "restart"),
    (Column::Kill, "kill"),
    (Column::Cut, "power cut"),
    (Column::Torn, "torn"),
];

/// Hits per cell, and what the run was.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    cells: BTreeMap<(usize, Column), u64>,
    pub(crate) cases: u64,
    pub(crate) steps: u64,
    pub(crate) ends: u64,
}

const fn row(state: S) -> usize {
    match state {
        S::Pending => 1,
        S::Fetched => 2,
        S::Acknowledged => 3,
        S::Failed => 4,
        S::Recalled => 5,
        S::Dead => 6,
        S::Dropped => 7,
        _ => 0,
    }
}

/// Whether no history leads there: nothing can be done to a delivery that there is not, and only
/// what waits is offered or in somebody's hands.
fn is_out_of_reach(row: usize, column: Column) -> bool {
    match column {
        Column::Fetch | Column::Stream => !matches!(row, 1 | 2),
        // In somebody's hands it is fetched; or recalled by then.
        Column::LeaseEnds => !matches!(row, 2 | 5),
        // An update or replacement takes back from who holds it.
        Column::LeftOut => matches!(row, 0 | 5),
        _ if column >= Column::Acknowledge => row == 0,
        _ => false,
    }
}

impl Hits {
    pub(crate) fn hit(&mut self, model: &Model, delivery: Option<DeliveryNo>, column: Column) {
        let state = delivery.map(|delivery| model.deliveries[&delivery].state);
        let row = state.map_or(0, row);
        *self.cells.entry((row, column)).or_default() += 1;
    }

    fn hit_all(&mut self, model: &Model, column: Column) {
        for delivery in model.deliveries.keys() {
            self.hit(model, Some(*delivery), column);
        }
    }

    /// What an event meets, before it happens. `target`: the delivery that it picks.
    pub(crate) fn meet(&mut self, model: &Model, event: &Event, target: Option<DeliveryNo>) {
        self.steps += 1;
        self.ends += u64::from(event.is_end());
        self.meets(model, event, target);
    }

    fn meets(&mut self, model: &Model, event: &Event, target: Option<DeliveryNo>) {
        if let Some(sending) = event.sending() {
            let about = sending.target.clone().unwrap_or_else(|| sending.id.clone());
            let about = (sending.from, about);
            let column = match sending.business {
                0 => Column::Document,
                1 => Column::Recall,
                2 => Column::Update,
                _ => Column::Replacement,
            };
            for to in &sending.to {
                self.hit(model, model.copy_at(&about, *to), column);
            }
            for agency in model.left_out(&sending) {
                self.hit(model, model.copy_at(&about, agency), Column::LeftOut);
            }
            return;
        }
        if let Some((from, to, id, code, _)) = event.report() {
            let (sender, receiver) = if code == 13 { (from, to) } else { (to, from) };
            let column = match code {
                13 => Column::TakeBack,
                15 => Column::Agree,
                16 => Column::Refuse,
                _ => Column::Report,
            };
            self.hit(model, model.copy_at(&(sender, id), receiver), column);
            return;
        }
        let column = match event {
            Event::Settle { foreign: true, .. } => Column::Foreign,
            Event::Settle {
                outcome: Outcome::Released,
                ..
            } => Column::Release,
            Event::Settle {
                round: Round::Other,
                ..
            } => Column::OtherRound,
            Event::Settle {
                outcome: Outcome::Acknowledged,
                ..
            } => Column::Acknowledge,
            Event::Settle { .. } => Column::Fail,
            Event::Extend(_) => Column::Extend,
            Event::Download(_) => Column::Download,
            Event::Redeliver(_) => Column::Redeliver,
            Event::Revive { retry: true, .. } => Column::Retry,
            Event::Revive { .. } => Column::Drop,
            Event::Pause(_) => return self.hit_all(model, Column::Pause),
            Event::Set(_) => return self.hit_all(model, Column::Set),
            Event::Restart => return self.hit_all(model, Column::Restart),
            Event::Kill => return self.hit_all(model, Column::Kill),
            Event::Cut(_) => return self.hit_all(model, Column::Cut),
            Event::Torn { of, .. } => {
                self.hit_all(model, Column::Torn);
                return self.meets(model, of, target);
            }
            // Told when it happens.
            _ => return,
        };
        if target.is_some() {
            self.hit(model, target, column);
        }
    }

    /// What goes out over a stream.
    pub(crate) fn streams(&mut self, model: &Model, system: System) {
        for delivery in model.on_offer(system, None) {
            self.hit(model, Some(delivery), Column::Stream);
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.steps += other.steps;
        self.ends += other.ends;
        for (cell, count) in other.cells {
            *self.cells.entry(cell).or_default() += count;
        }
    }

    /// Cells within reach that were met less often than that.
    pub(crate) fn seldom(&self, least: u64) -> Vec<String> {
        let mut seldom = Vec::new();
        for (column, name) in COLUMNS {
            for (row, state) in ROWS.iter().enumerate() {
                let count = self.cells.get(&(row, column)).copied().unwrap_or(0);
                if !is_out_of_reach(row, column) && count < least {
                    seldom.push(format!("{name} at {state}: {count}"));
                }
            }
        }
        seldom
    }

    /// Cells that were met and are said to be out of reach.
    pub(crate) fn unforeseen(&self) -> Vec<String> {
        let met = self.cells.keys();
        met.filter(|(row, column)| is_out_of_reach(*row, *column))
            .map(|(row, column)| format!("{column:?} at {}", ROWS[*row]))
            .collect()
    }

    /// The table: an event a line, a state a column; `-` = out of reach.
    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:<12}", "");
        for state in ROWS {
            let _ = write!(table, "{state:>13}");
        }
        for (column, name) in COLUMNS {
            let _ = write!(table, "\n{name:<12}");
            for row in 0..ROWS.len() {
                let cell = match self.cells.get(&(row, column)) {
                    _ if is_out_of_reach(row, column) => "-".to_owned(),
                    Some(count) => count.to_string(),
                    None => "0".to_owned(),
                };
                let _ = write!(table, "{cell:>13}");
            }
        }
        let share = 100 * self.ends / self.steps.max(1);
        let _ = write!(
            table,
            "\n{} cases, {} steps, {} of them a stop, kill or power cut ({share} %)",
            self.cases, self.steps, self.ends
        );
        table
    }
}
