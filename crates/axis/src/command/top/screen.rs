//! What `axis top` draws, and what its keys do.

use std::cmp::Reverse;

use api::v1;
use ledger::time::Ms;
use ratatui::Frame;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use super::{LINES, Look};
use crate::command::queues::{self, By};
use crate::failure::Failure;
use crate::{output, shape, story};

/// The columns of [`queues::cells`] in the order in which a narrow screen goes without them: the
/// broker's, the last fetch, those in hand, those fetched, the streams, the name or lane.
const LEAST: [usize; 7] = [7, 6, 13, 5, 4, 9, 1];
/// Blanks between two columns.
const GAP: usize = 2;
/// Lines that a page key scrolls.
const PAGE: usize = 20;
/// Figures are called old when they have not come for so long.
const OLD_MS: i64 = 10_000;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing that the screen cannot do by itself.
    Go,
    /// Other lines.
    Ask(By),
    /// The end.
    End,
}

/// By what lines are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// As the axis gives them.
    Trouble,
    Oldest,
    Waiting,
    Pace,
}

impl Sort {
    const fn next(self) -> Self {
        match self {
            Self::Trouble => Self::Oldest,
            Self::Oldest => Self::Waiting,
            Self::Waiting => Self::Pace,
            Self::Pace => Self::Trouble,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Trouble => "tình trạng (trouble)",
            Self::Oldest => "chờ lâu nhất (oldest)",
            Self::Waiting => "số chờ (waiting)",
            Self::Pace => "tốc độ (pace)",
        }
    }

    /// The lines' places in this order; equal ones stay in the order of trouble.
    fn order(self, queues: &[shape::Queue]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..queues.len()).collect();
        match self {
            Self::Trouble => {}
            Self::Oldest => order.sort_by_key(|at| {
                let oldest = queues[*at].oldest_at.as_deref();
                (oldest.is_none(), oldest)
            }),
            Self::Waiting => {
                order.sort_by_key(|at| Reverse(queues[*at].pending + queues[*at].fetched));
            }
            Self::Pace => order
                .sort_by_key(|at| Reverse(queues[*at].in_per_minute + queues[*at].out_per_minute)),
        }
        order
    }
}

/// What is on the screen.
#[derive(Debug)]
pub(super) struct View {
    look: Look,
    sort: Sort,
    /// Lines above the screen.
    above: usize,
    /// Why there are no newer figures.
    fault: Option<String>,
    pub(super) now: Ms,
}

impl View {
    pub(super) fn new(look: Look) -> Self {
        Self {
            now: look.at,
            look,
            sort: Sort::Trouble,
            above: 0,
            fault: None,
        }
    }

    /// Takes newer figures, or why there are none.
    pub(super) fn show(&mut self, look: Result<Look, Failure>) {
        match look {
            Ok(look) => {
                self.now = look.at;
                self.look = look;
                self.fault = None;
            }
            Err(failure) => self.fault = Some(failure.text().to_owned()),
        }
    }

    /// Does what a key says; a new size of the terminal only wants a new drawing.
    pub(super) fn press(&mut self, event: &Event) -> After {
        let Event::Key(KeyEvent {
            code, modifiers, ..
        }) = event
        else {
            return After::Go;
        };
        let last = self.look.queues.len().saturating_sub(1);
        match code {
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => {
                return After::End;
            }
            KeyCode::Char('q') | KeyCode::Esc => return After::End,
            KeyCode::Char('g') => {
                self.above = 0;
                return After::Ask(match self.look.by {
                    By::System => By::Agency,
                    By::Agency => By::System,
                });
            }
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.above = 0;
            }
            KeyCode::Down | KeyCode::Char('j') => self.above = (self.above + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.above = self.above.saturating_sub(1),
            KeyCode::PageDown => self.above = (self.above + PAGE).min(last),
            KeyCode::PageUp => self.above = self.above.saturating_sub(PAGE),
            KeyCode::Home => self.above = 0,
            KeyCode::End => self.above = last,
            _ => {}
        }
        After::Go
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let [title, sums, alerts, body, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(1),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let [first, second, third] = head(&self.look);
        let first = format!("{first}  sắp theo {}", self.sort.word());
        let bold = Style::new().add_modifier(Modifier::BOLD);
        frame.render_widget(Line::styled(first, bold), title);
        frame.render_widget(Line::from(second), sums);
        frame.render_widget(Line::styled(third, alarm(&self.look.alerts)), alerts);
        frame.render_widget(self.table(usize::from(body.width)), body);
        frame.render_widget(self.foot(), foot);
    }

    fn table(&self, room: usize) -> Table<'_> {
        let order = self.sort.order(&self.look.queues);
        let shown = order
            .iter()
            .skip(self.above.min(order.len().saturating_sub(1)));
        let shown: Vec<&shape::Queue> = shown.map(|at| &self.look.queues[*at]).collect();
        let cells: Vec<_> = shown
            .iter()
            .map(|queue| queues::cells(queue, self.now))
            .collect();
        let header = queues::header(self.look.by);
        let width = |column: usize| {
            let cells = cells
                .iter()
                .map(|row| Line::from(row[column].as_str()).width());
            let widest = cells.chain([Line::from(header[column]).width()]).max();
            widest.unwrap_or(0)
        };
        let columns = fitting((0..header.len()).map(width).collect(), room);
        let widths = columns
            .iter()
            .map(|(_, width)| Constraint::Length(u16::try_from(*width).unwrap_or(u16::MAX)));
        let rows = cells.into_iter().zip(shown).map(|(cells, queue)| {
            let cells = cells.into_iter().enumerate();
            let kept = cells.filter(|(at, _)| columns.iter().any(|(column, _)| column == at));
            Row::new(kept.map(|(_, cell)| cell)).style(style(&queue.state))
        });
        let underlined = Style::new().add_modifier(Modifier::UNDERLINED);
        let header = columns.iter().map(|(column, _)| header[*column]);
        Table::new(rows, widths)
            .column_spacing(u16::try_from(GAP).unwrap_or(1))
            .header(Row::new(header).style(underlined))
    }

    fn foot(&self) -> Line<'_> {
        let red = Style::new().fg(Color::Red);
        if let Some(fault) = &self.fault {
            let fault = fault.lines().next().unwrap_or_default();
            return Line::styled(
                format!("Mất liên lạc với trục, đang thử lại (trying again): {fault}"),
                red,
            );
        }
        if self.now.0 - self.look.at.0 > OLD_MS {
            return Line::styled("Đang chờ trục trả lời (waiting for the axis) …", red);
        }
        Line::from("q thoát (quit)  s sắp xếp (sort)  g nhóm (group)  ↑↓ cuộn (scroll)")
    }
}

/// The columns that fit, each with its width.
fn fitting(widths: Vec<usize>, room: usize) -> Vec<(usize, usize)> {
    let mut columns: Vec<(usize, usize)> = widths.into_iter().enumerate().collect();
    let mut least = LEAST.iter();
    while columns.iter().map(|(_, width)| width + GAP).sum::<usize>() > room + GAP {
        let Some(least) = least.next() else { break };
        columns.retain(|(column, _)| column != least);
    }
    columns
}

/// What stands above the table: what is shown, its sums, the alerts.
pub(super) fn head(look: &Look) -> [String; 3] {
    let queues = &look.queues;
    let sum = |of: fn(&shape::Queue) -> u64| queues.iter().map(of).sum::<u64>();
    let by = match look.by {
        By::System => "theo hệ thống (by system)",
        By::Agency => "theo cơ quan (by agency)",
    };
    let at = story::clock(&look.at.iso());
    let more = if look.more {
        format!(", chỉ {LINES} dòng đầu (only the first {LINES} lines)")
    } else {
        String::new()
    };
    let sums = format!(
        "Chờ (waiting) {}  ngừng (dead) {}  bị giữ (held) {}  vào (in) {}/ph  ra (out) {}/ph{more}",
        sum(|queue| queue.pending + queue.fetched),
        sum(|queue| queue.dead),
        sum(|queue| queue.held),
        sum(|queue| queue.in_per_minute),
        sum(|queue| queue.out_per_minute),
    );
    [format!("axis top  {at}  {by}"), sums, alerts(&look.alerts)]
}

/// The alerts in one line: how many, then the worst by name.
fn alerts(alerts: &[v1::Alert]) -> String {
    let Some(worst) = alerts.first() else {
        return "Không có cảnh báo nào (no alerts)".to_owned();
    };
    let title = if worst.title.is_empty() {
        &worst.kind
    } else {
        &worst.title
    };
    let rest = match alerts.len() - 1 {
        0 => String::new(),
        rest => format!(", và {rest} cảnh báo nữa (and {rest} more)"),
    };
    let first = output::shorten(&format!("{title}: {}", worst.subject), 80);
    format!("Cảnh báo (alerts): {first}{rest}  → axis alerts")
}

fn alarm(alerts: &[v1::Alert]) -> Style {
    let critical = |alert: &v1::Alert| alert.severity() == v1::AlertSeverity::Critical;
    match alerts {
        [] => Style::new(),
        some if some.iter().any(critical) => Style::new().fg(Color::Red),
        _ => Style::new().fg(Color::Yellow),
    }
}

fn style(state: &str) -> Style {
    match state {
        "blocked" | "no-system" | "shut-out" | "no-consumer" | "dead-letters" => {
            Style::new().fg(Color::Red)
        }
        "slow" | "paused" | "held" => Style::new().fg(Color::Yellow),
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    /// 22/11/2026 09:00:00 in Vietnam.
    const NOW: Ms = Ms(1_795_312_800_000);

    fn queue(system: &str, state: &str, pending: u64, oldest_at: &str) -> shape::Queue {
        let line = v1::AgencyQueue {
            system: system.to_owned(),
            lane: v1::Lane::Urgent.into(),
            state: state.to_owned(),
            pending,
            oldest_at: oldest_at.to_owned(),
            came_last_minute: 100 - pending,
            ..v1::AgencyQueue::default()
        };
        (&line).into()
    }

    fn view() -> View {
        let alert = |title: &str, severity: v1::AlertSeverity| v1::Alert {
            title: title.to_owned(),
            subject: "so-b".to_owned(),
            severity: severity.into(),
            ..v1::Alert::default()
        };
        View::new(Look {
            queues: vec![
                queue("so-b", "no-consumer", 3, "2026-11-22T08:00:05.000+07:00"),
                queue("so-c", "dead-letters", 0, ""),
                queue("so-d", "flowing", 9, "2026-11-20T07:00:00.000+07:00"),
            ],
            alerts: vec![
                alert("Văn bản chờ quá hạn", v1::AlertSeverity::Critical),
                alert("Hàng đợi không có ai nhận", v1::AlertSeverity::Warning),
            ],
            at: NOW,
            ..Look::default()
        })
    }

    fn screen(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let lines = terminal.backend().to_string();
        let lines = lines.lines().map(|line| line.trim_matches('"').trim_end());
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_screen_shows_trouble_first_with_its_ages_and_the_alerts() {
        insta::assert_snapshot!(screen(&view(), 160, 9));
    }

    #[test]
    fn a_narrow_screen_keeps_who_waits_since_when_and_the_rates() {
        insta::assert_snapshot!(screen(&view(), 76, 9));
    }

    #[test]
    fn nothing_that_waits_and_no_alerts_are_told() {
        let view = View::new(Look {
            at: NOW,
            ..Look::default()
        });
        insta::assert_snapshot!(screen(&view, 100, 6));
    }

    #[test]
    fn keys_sort_scroll_group_and_end() {
        let mut view = view();
        let key = |code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
        let first = |view: &View| screen(view, 160, 9).lines().nth(4).unwrap().to_owned();
        assert!(first(&view).starts_with("so-b"));
        for expected in ["so-d", "so-d", "so-c", "so-b"] {
            assert_eq!(view.press(&key(KeyCode::Char('s'))), After::Go);
            assert!(first(&view).starts_with(expected), "{expected}");
        }
        view.press(&key(KeyCode::Down));
        assert!(first(&view).starts_with("so-c"));
        view.press(&key(KeyCode::End));
        view.press(&key(KeyCode::PageDown));
        assert!(first(&view).starts_with("so-d"), "not beyond the last");
        view.press(&key(KeyCode::PageUp));
        assert!(first(&view).starts_with("so-b"));
        assert_eq!(view.press(&Event::Resize(20, 5)), After::Go);
        assert_eq!(view.press(&key(KeyCode::Char('g'))), After::Ask(By::Agency));
        for end in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(view.press(&key(end)), After::End);
        }
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.press(&Event::Key(interrupt)), After::End);
    }

    #[test]
    fn a_screen_of_any_size_can_be_drawn() {
        for (width, height) in [(1, 1), (3, 2), (10, 4), (40, 5), (400, 80)] {
            screen(&view(), width, height);
        }
    }

    #[test]
    fn figures_that_do_not_come_are_told_and_the_last_ones_stay() {
        let mut view = view();
        let foot = |view: &View| screen(view, 160, 9).lines().last().unwrap().to_owned();
        view.now = Ms(NOW.0 + OLD_MS + 1);
        assert!(foot(&view).starts_with("Đang chờ trục trả lời"));
        view.show(Err(Failure::Unreachable("no axis there\nmore".to_owned())));
        assert_eq!(
            foot(&view),
            "Mất liên lạc với trục, đang thử lại (trying again): no axis there"
        );
        assert!(screen(&view, 160, 9).contains("so-b"));
        view.show(Ok(Look {
            at: view.now,
            ..Look::default()
        }));
        assert!(foot(&view).starts_with("q thoát"));
    }
}
