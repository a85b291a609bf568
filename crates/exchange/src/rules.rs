//! What a province sets of the rules, and the rules as admission applies them.

use crate::calendar::{Calendar, CalendarError, CalendarOptions};
use crate::clocks::ClockLimits;
use crate::reasons::{ReasonOptions, Reasons};
use crate::secrecy::{Secrecy, SecrecyOptions};

/// What a province sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleOptions {
    /// Working days and hours, and what is on time.
    pub calendar: CalendarOptions,
    /// The marks of state secrets.
    pub secrecy: SecrecyOptions,
    /// From when on a sender's clock is flagged.
    pub clocks: ClockLimits,
    /// How the reasons of refusals are told apart.
    pub reasons: ReasonOptions,
}

/// The rules, ready to be applied.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) calendar: Calendar,
    pub(crate) secrecy: Secrecy,
    pub(crate) clocks: ClockLimits,
    pub(crate) reasons: Reasons,
}

impl Rules {
    pub(crate) fn open(options: &RuleOptions) -> Result<Self, CalendarError> {
        Ok(Self {
            calendar: Calendar::open(&options.calendar)?,
            secrecy: Secrecy::of(&options.secrecy),
            clocks: options.clocks.clone(),
            reasons: Reasons::of(&options.reasons),
        })
    }
}
