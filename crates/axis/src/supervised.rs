//! A command that goes on whatever happens: it says a trouble once and that it is over once,
//! waits longer each time, and tells the service manager that it is alive.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::signals::Signals;
use crate::watchdog::tell;

/// The longest pause between two attempts: shorter than any sensible watchdog.
const LONGEST: Duration = Duration::from_secs(30);
const FIRST: Duration = Duration::from_secs(1);

/// How it stands with the command.
#[derive(Debug)]
pub(crate) struct Standing {
    /// What it does when all is well.
    doing: String,
    /// The trouble that was said last.
    said: Option<String>,
    pause: Duration,
}

impl Standing {
    /// It works from now on: the service manager hears that it is ready.
    pub(crate) fn ready(doing: impl Into<String>) -> Self {
        let doing = doing.into();
        tell(&[NotifyState::Ready, NotifyState::Status(&doing)]);
        Self {
            doing,
            said: None,
            pause: FIRST,
        }
    }

    /// The loop goes round.
    pub(crate) fn alive(&self) {
        if sd_notify::watchdog_enabled().is_some() {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// All is well; that a trouble is over is said once.
    pub(crate) fn well(&mut self) {
        self.pause = FIRST;
        if self.said.take().is_some() {
            eprintln!("axis: hoạt động trở lại (working again)");
            tell(&[NotifyState::Status(&self.doing)]);
        }
        self.alive();
    }

    /// Says a trouble, unless it was said last, and waits before the next attempt: so long, or
    /// twice as long as the last time. Returns the signal that ended the wait.
    pub(crate) async fn trouble(
        &mut self,
        text: &str,
        pause: Option<Duration>,
        signals: &mut Signals,
    ) -> Option<&'static str> {
        if self.said.as_deref() != Some(text) {
            eprintln!("axis: {text}\n    Sẽ tự thử lại. (It is tried again by itself.)");
            let first = text.lines().next().unwrap_or_default();
            tell(&[NotifyState::Status(first)]);
            self.said = Some(text.to_owned());
        }
        self.alive();
        let wait = pause.unwrap_or(self.pause).min(LONGEST);
        self.pause = (self.pause * 2).min(LONGEST);
        tokio::select! {
            () = tokio::time::sleep(wait) => None,
            signal = signals.next() => Some(signal),
        }
    }

    /// It ends in good order.
    pub(crate) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}
