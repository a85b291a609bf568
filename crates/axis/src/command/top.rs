//! `axis top`: the queues live in a terminal, from the same call as `axis queues`. Elsewhere the
//! same figures as plain tables, one after the other.

mod screen;

use std::io::IsTerminal as _;
use std::time::Duration;

use api::client::Client;
use api::v1;
use ledger::time::{Clock, Ms};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::command::queues::{self, By, Which};
use crate::door::{LookArgs, Patience};
use crate::failure::Failure;
use crate::signals::Signals;
use crate::{output, shape};

use screen::{After, View};

/// Lines asked for at a look: one page of the axis. Those in trouble come first, so what is left
/// out is what flows.
const LINES: u32 = 2_000;
/// How long the keyboard is waited for at a time, so that its thread ends with the command.
const KEYBOARD: Duration = Duration::from_millis(100);
/// How often the screen is drawn when nothing happens: the ages on it grow.
const REDRAW: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
    /// End after so many looks; 0 means without end [default: 0 in a terminal, 1 elsewhere]
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    operator: LookArgs,
    #[command(flatten)]
    patience: Patience,
}

/// The figures of one moment.
#[derive(Debug, Default)]
struct Look {
    by: By,
    queues: Vec<shape::Queue>,
    /// There are more lines than were asked for.
    more: bool,
    alerts: Vec<v1::Alert>,
    at: Ms,
}

/// Runs `axis top`.
///
/// # Errors
/// A refusal at the first look, or no axis there; a terminal that cannot be used.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.operator.connect(args.patience).await?;
    let every = Duration::from_secs(args.every);
    // Before the screen is taken: whoever is refused reads it where the command was typed.
    let first = look(&client, &args.which).await?;
    if is_screen() {
        let looks = args.count.unwrap_or(0);
        return live(client, args.which, first, every, looks).await;
    }
    print(&first)?;
    let looks = args.count.unwrap_or(1);
    let mut told = 1;
    while looks == 0 || told < looks {
        tokio::time::sleep(every).await;
        output::line("")?;
        print(&look(&client, &args.which).await?)?;
        told += 1;
    }
    Ok(())
}

/// Whether a screen can be drawn: both ends are a terminal, and one that has a cursor.
fn is_screen() -> bool {
    std::io::stdout().is_terminal()
        && std::io::stdin().is_terminal()
        && std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

fn print(look: &Look) -> Result<(), Failure> {
    for line in screen::head(look) {
        output::line(line)?;
    }
    output::line(queues::table(look.by, &look.queues, look.at))?;
    Ok(())
}

/// One page of queues and the alerts that stand.
async fn look(client: &Client, which: &Which) -> Result<Look, Failure> {
    let page = client.queues(which.request(LINES)).await?;
    let alerts = client.alerts(v1::AlertsRequest::default()).await?.alerts;
    Ok(Look {
        by: which.by,
        queues: page.queues.iter().map(shape::Queue::from).collect(),
        more: !page.next_page_token.is_empty(),
        alerts,
        at: Clock::system().now(),
    })
}

/// The screen until somebody ends it.
async fn live(
    client: Client,
    which: Which,
    first: Look,
    every: Duration,
    looks: u64,
) -> Result<(), Failure> {
    let mut signals = Signals::take()?;
    let (asked, asks) = watch::channel(which.by);
    let (told, mut news) = mpsc::channel(1);
    let _looking = AbortOnDropHandle::new(tokio::spawn(follow(client, which, every, asks, told)));
    let (pressed, mut keys) = mpsc::channel(16);
    let mut view = View::new(first);
    let mut screen = Screen::take()?;
    // It ends when nobody listens any more: a tenth of a second after this function.
    let keyboard = tokio::task::spawn_blocking(move || listen(&pressed));
    let mut redraw = tokio::time::interval(REDRAW);
    let mut told = 1;
    let ended = loop {
        if let Err(error) = screen.draw(&view) {
            break Err(Failure::caused_by(&error));
        }
        if looks != 0 && told >= looks {
            break Ok(());
        }
        tokio::select! {
            key = keys.recv() => match key.map(|event| view.press(&event)) {
                Some(After::Go) => {}
                Some(After::Ask(by)) => { let _ = asked.send(by); }
                Some(After::End) | None => break Ok(()),
            },
            look = news.recv() => match look {
                Some(look) => { told += 1; view.show(look) }
                None => break Ok(()),
            },
            _ = redraw.tick() => view.now = Clock::system().now(),
            _ = signals.next() => break Ok(()),
        }
    };
    drop(keys);
    drop(screen);
    let _ = keyboard.await;
    ended
}

/// Looks again and again, at once where other lines are asked for; a look that fails is told and
/// tried again.
async fn follow(
    client: Client,
    mut which: Which,
    every: Duration,
    mut asks: watch::Receiver<By>,
    told: mpsc::Sender<Result<Look, Failure>>,
) {
    loop {
        let asked = tokio::time::timeout(every, asks.changed()).await;
        if matches!(asked, Ok(Err(_))) {
            return;
        }
        which.by = *asks.borrow_and_update();
        if told.send(look(&client, &which).await).await.is_err() {
            return;
        }
    }
}

fn listen(pressed: &mpsc::Sender<Event>) {
    while !pressed.is_closed() {
        match event::poll(KEYBOARD) {
            Ok(false) => {}
            Ok(true) => match event::read() {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Press => {}
                Ok(event) => {
                    if pressed.blocking_send(event).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            },
            Err(_) => return,
        }
    }
}

/// The terminal while it is ours. It is given back when this is dropped, and by a hook when the
/// program panics.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> Result<Self, Failure> {
        ratatui::try_init()
            .map(Self)
            .map_err(|error| Failure::caused_by(&error))
    }

    fn draw(&mut self, view: &View) -> std::io::Result<()> {
        self.0.draw(|frame| view.draw(frame)).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
