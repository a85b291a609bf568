//! `axis queues`: what waits, per system and lane or per agency, the worst first.

use api::client::Client;
use api::v1;
use clap::ValueEnum;
use ledger::time::{Clock, Ms};

use crate::door::{LookArgs, Patience};
use crate::failure::Failure;
use crate::{output, shape, story, words};

/// How lines are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// A line for each lane of each system
    #[default]
    System,
    /// A line for each agency
    Agency,
}

/// Which queues.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Which {
    /// How lines are made
    #[arg(long, value_enum, default_value_t)]
    pub(crate) by: By,
    /// Only this agency (any of its codes)
    #[arg(long, value_name = "CODE")]
    agency: Option<String>,
    /// Only this system
    #[arg(long, value_name = "ID")]
    system: Option<String>,
    /// Also those that nothing is open for
    #[arg(long)]
    all: bool,
}

impl Which {
    /// The request for the first page.
    pub(crate) fn request(&self, page_size: u32) -> v1::QueuesRequest {
        let by = match self.by {
            By::System => v1::QueuesBy::System,
            By::Agency => v1::QueuesBy::Agency,
        };
        v1::QueuesRequest {
            by: by.into(),
            agency: self.agency.clone(),
            system: self.system.clone(),
            all: self.all,
            page_size,
            page_token: String::new(),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// At most so many lines; 0 means all
    #[arg(long, value_name = "N", default_value_t = 0)]
    max: usize,
    /// One JSON object a line on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: LookArgs,
    #[command(flatten)]
    patience: Patience,
}

/// Runs `axis queues`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.operator.connect(args.patience).await?;
    let max = if args.max == 0 { usize::MAX } else { args.max };
    let queues = fetch(&client, &args.which, max).await?;
    if args.json {
        for queue in &queues {
            output::json(queue)?;
        }
        return Ok(());
    }
    let now = Clock::system().now();
    output::line(table(args.which.by, &queues, now))?;
    Ok(())
}

/// Page by page, at most `max` lines.
///
/// # Errors
/// A refusal, or no axis there.
async fn fetch(client: &Client, which: &Which, max: usize) -> Result<Vec<shape::Queue>, Failure> {
    let mut request = which.request(u32::try_from(max.min(2_000)).unwrap_or(2_000));
    let mut queues = Vec::new();
    loop {
        let page = client.queues(request.clone()).await?;
        queues.extend(page.queues.iter().map(shape::Queue::from));
        if page.next_page_token.is_empty() || queues.len() >= max {
            queues.truncate(max);
            return Ok(queues);
        }
        request.page_token = page.next_page_token;
    }
}

/// The headings of [`cells`].
pub(crate) const fn header(by: By) -> [&'static str; 14] {
    let (one, two) = match by {
        By::System => ("Hệ thống", "Làn"),
        By::Agency => ("Cơ quan", "Tên"),
    };
    [
        one,
        two,
        "Tình trạng",
        "Chờ",
        "Đã lấy",
        "Đang giữ",
        "Trong hàng",
        "Chưa ack",
        "Ngừng",
        "Luồng",
        "Cũ nhất",
        "Vào/ph",
        "Ra/ph",
        "Lấy lần cuối",
    ]
}

/// A line's cells; how long the oldest has waited is told as of `now`.
pub(crate) fn cells(queue: &shape::Queue, now: Ms) -> [String; 14] {
    let (one, two) = match (&queue.system, &queue.agency) {
        (Some(system), _) if system.is_empty() => ("—".to_owned(), String::new()),
        (Some(system), _) => (system.clone(), String::new()),
        (None, agency) => (
            agency.clone().unwrap_or_default(),
            output::shorten(queue.name.as_deref().unwrap_or(""), 28),
        ),
    };
    let two = queue
        .lane
        .map_or(two, |lane| words::lane_vi(lane).to_owned());
    let time = |at: &Option<String>| at.as_deref().map(story::clock).unwrap_or_default();
    [
        one,
        two,
        words::queue_state_vi(&queue.state).to_owned(),
        queue.pending.to_string(),
        queue.fetched.to_string(),
        queue.leased.to_string(),
        queue.ready.to_string(),
        queue.unacked.to_string(),
        queue.dead.to_string(),
        queue.streams.to_string(),
        queue
            .oldest_at
            .as_deref()
            .map(|at| story::age(at, now))
            .unwrap_or_default(),
        queue.in_per_minute.to_string(),
        queue.out_per_minute.to_string(),
        time(&queue.last_fetch_at),
    ]
}

/// All lines under their headings.
pub(crate) fn table(by: By, queues: &[shape::Queue], now: Ms) -> String {
    if queues.is_empty() {
        return "Không có gì đang chờ (nothing waits).".to_owned();
    }
    output::table(header(by), queues.iter().map(|queue| cells(queue, now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 22/11/2026 09:00:00 in Vietnam.
    const NOW: Ms = Ms(1_795_312_800_000);

    fn queue(state: &str, pending: u64) -> v1::AgencyQueue {
        v1::AgencyQueue {
            state: state.to_owned(),
            pending,
            fetched: 1,
            leased: 1,
            streams: 2,
            oldest_at: "2026-11-22T08:57:05+07:00".to_owned(),
            last_fetch_at: "2026-11-22T08:59:58.100+07:00".to_owned(),
            came_last_minute: 4,
            left_last_minute: 3,
            ..v1::AgencyQueue::default()
        }
    }

    fn of(lines: &[v1::AgencyQueue]) -> Vec<shape::Queue> {
        lines.iter().map(shape::Queue::from).collect()
    }

    #[test]
    fn lanes_of_systems_are_told_the_worst_first() {
        let lines = [
            v1::AgencyQueue {
                lane: v1::Lane::Flash.into(),
                streams: 0,
                last_fetch_at: String::new(),
                ..queue("no-system", 12)
            },
            v1::AgencyQueue {
                system: "so-tai-chinh".to_owned(),
                lane: v1::Lane::Urgent.into(),
                dead: 2,
                ..queue("dead-letters", 7)
            },
            v1::AgencyQueue {
                system: "so-y-te".to_owned(),
                lane: v1::Lane::Routine.into(),
                ready: 990,
                unacked: 10,
                oldest_at: "2026-11-19T08:00:00+07:00".to_owned(),
                ..queue("paused", 1_200)
            },
        ];
        insta::assert_snapshot!(table(By::System, &of(&lines), NOW));
    }

    #[test]
    fn agencies_are_told_by_code_and_name() {
        let agency = |code: &str, name: &str| {
            Some(v1::Agency {
                main_code: code.to_owned(),
                name: name.to_owned(),
                ..v1::Agency::default()
            })
        };
        let lines = [
            v1::AgencyQueue {
                agency: agency("000.00.02.H99", "Sở Tài chính"),
                ..queue("no-consumer", 3)
            },
            v1::AgencyQueue {
                agency: agency(
                    "000.00.03.H99",
                    "Ban Quản lý Khu kinh tế và các khu công nghiệp",
                ),
                oldest_at: String::new(),
                ..queue("idle", 0)
            },
        ];
        insta::assert_snapshot!(table(By::Agency, &of(&lines), NOW));
    }

    #[test]
    fn nothing_that_waits_is_told_in_words() {
        assert_eq!(
            table(By::System, &[], NOW),
            "Không có gì đang chờ (nothing waits)."
        );
    }
}
