//! What tests and benches need around the axis: its processes, and what they cost.
//!
//! * [`Axis`]: a real daemon as a child: started on free ports, killed, terminated, restarted.
//! * [`Broker`]: a private RabbitMQ with everything that can go wrong with one.
//! * [`Cli`]: one call of the `axis` command, run to its end.
//! * [`Process`]: any other child (a client in another language, a tracer) under the same rules.
//! * [`Document`], [`status_package`]: packages of invented agencies ([`agency`], [`agency_list`]),
//!   whose [`System`]s are added with [`Axis::register`] and [`Axis::add_system`].
//! * [`Proc`]: CPU time and peak memory of a process.
//!
//! Promises: nothing waits without an end, and what went wrong comes with what the child wrote to
//! its standard error; no child outlives its handle; the binary is that of the sources as they
//! stand (it is built if it is absent or older); no variable of the caller's environment that
//! begins with `AXIS_` reaches a child; a WARN or ERROR in a daemon's log fails the test that does
//! not expect it.
//!
//! Calls block the thread. In an async test use the multi-threaded flavour, or `spawn_blocking`
//! for [`Axis::terminate`] while calls are in flight: the drain waits for them.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use testkit::{Axis, Cli};
//!
//! let mut axis = Axis::builder().start()?;
//! axis.operate(["registry", "import", "agencies.csv"])?.ok()?;
//! let sent = Cli::new()
//!     .env("AXIS_SERVER", format!("http://{}", axis.grpc()))
//!     .run(["send", "a.edxml", "--json"])?
//!     .ok()?;
//! assert_eq!(sent.json()?[0]["duplicate"], false);
//!
//! axis.kill9()?;
//! axis.restart()?;
//! assert_eq!(axis.terminate()?, 0);
//! # Ok(())
//! # }
//! ```

mod agencies;
mod axis;
mod binary;
mod broker;
mod cli;
mod gate;
mod packages;
mod partner;
mod proc;
mod process;
mod raw;

pub use agencies::{System, agency, agency_list};
pub use axis::{Axis, Builder, Ready};
pub use binary::axis_binary;
pub use broker::{Broker, Vhost};
pub use cli::{Cli, Finished};
pub use gate::{Gate, Way};
pub use packages::{Document, Random, noise, status_package};
pub use partner::{Answer, Got, Partner};
pub use proc::Proc;
pub use process::{Output, Process};
pub use raw::{Raw, RawRound, Setting};
pub use rustix::process::Signal;
