//! A system's limits, and all that is known of it.

use api::v1;
use clap::Args;

use super::Common;
use crate::failure::Failure;
use crate::shape::System;
use crate::{output, shape};

/// Limits of a system; 0 = the axis's, as the configuration says.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Limits of its own (0 = those of [limits] in the configuration)")]
pub(crate) struct LimitArgs {
    /// Subscribe streams at a time
    #[arg(long, value_name = "N")]
    pub(super) max_streams: Option<u32>,
    /// Bytes of its pushes under way
    #[arg(long, value_name = "N")]
    pub(super) max_bytes_in_flight: Option<u64>,
    /// Pushes in a second
    #[arg(long, value_name = "N")]
    pub(super) max_pushes_per_second: Option<u32>,
    /// Open deliveries that may wait for it before senders are told to wait
    #[arg(long, value_name = "N")]
    pub(super) max_open_deliveries: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The system
    id: String,
    #[command(flatten)]
    limits: LimitArgs,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// `axis system limits`.
pub(super) async fn set(args: SetArgs) -> Result<(), Failure> {
    let LimitArgs {
        max_streams,
        max_bytes_in_flight,
        max_pushes_per_second,
        max_open_deliveries,
    } = args.limits;
    let says_nothing = max_streams.is_none()
        && max_bytes_in_flight.is_none()
        && max_pushes_per_second.is_none()
        && max_open_deliveries.is_none();
    if says_nothing {
        return Err(Failure::usage(format!(
            "which limit? Give one at least, e.g. --max-streams N; `axis system show {}` tells those it has",
            args.id
        )));
    }
    let request = v1::SetSystemLimitsRequest {
        id: args.id,
        max_streams,
        max_bytes_in_flight,
        max_pushes_per_second,
        max_open_deliveries,
        why: args.why.unwrap_or_default(),
    };
    let client = args.common.connect().await?;
    let system = System::from(&client.set_system_limits(request).await?);
    if args.common.json {
        output::json(&system)?;
        return Ok(());
    }
    output::line(limits(&system))?;
    Ok(())
}

/// `axis system show`.
pub(super) async fn show(id: String, common: &Common) -> Result<(), Failure> {
    let client = common.connect().await?;
    let systems = client.list_systems(v1::ListSystemsRequest {}).await?;
    let found = systems.systems.iter().find(|system| system.id == id);
    let Some(system) = found.map(System::from) else {
        return Err(Failure::refused(format!(
            "there is no system {id:?} (không có hệ thống này); `axis system list` tells all"
        )));
    };
    if common.json {
        output::json(&system)?;
        return Ok(());
    }
    output::line(told(&system))?;
    output::line("")?;
    output::line(limits(&system))?;
    Ok(())
}

/// Whom it serves and how it comes in.
fn told(system: &System) -> String {
    let state = match (&system.reason, system.suspended) {
        (Some(reason), true) => format!("tạm dừng (suspended): {reason}"),
        (None, true) => "tạm dừng (suspended)".to_owned(),
        (_, false) => "hoạt động (active)".to_owned(),
    };
    let until = |end: &Option<String>| {
        let end = end.as_deref();
        end.map(|end| format!(", đến {end}")).unwrap_or_default()
    };
    let keys = system.keys.iter().map(|key| {
        let until = until(&key.not_after);
        format!("{} (từ {}{until})", key.id, key.added_at)
    });
    let pins = system.pins.iter().map(|pin| {
        let until = until(&pin.not_after);
        format!("{} {}{until}", pin.spki_sha256, pin.subject)
    });
    let rows = [
        ("Tên (name)", system.name.clone().unwrap_or_default()),
        ("Cơ quan (agencies)", system.agencies.join(", ")),
        ("Kết nối (attachment)", system.attachment.clone()),
        ("Tình trạng (state)", state),
        ("Khóa (keys)", keys.collect::<Vec<_>>().join("; ")),
        (
            "Chứng thư (certificates)",
            pins.collect::<Vec<_>>().join("; "),
        ),
    ];
    let rows = rows.map(|(name, is)| [name.to_owned(), is]);
    output::table(["Hệ thống (system)", &system.id], rows)
}

/// The limits that count, and whose they are.
fn limits(system: &System) -> String {
    let shape::Limits {
        max_streams,
        max_bytes_in_flight,
        max_pushes_per_second,
        max_open_deliveries,
    } = system.in_force;
    let own = system.limits;
    let row = |what: &str, limit: Option<u64>, is_own: bool| {
        [
            what.to_owned(),
            limit.map_or_else(|| "không giới hạn (none)".to_owned(), |of| of.to_string()),
            if is_own {
                "riêng (its own)"
            } else {
                "của trục (the axis's)"
            }
            .to_owned(),
        ]
    };
    let rows = [
        row(
            "Luồng nhận (streams)",
            max_streams.map(u64::from),
            own.max_streams.is_some(),
        ),
        row(
            "Byte đang gửi (bytes in flight)",
            max_bytes_in_flight,
            own.max_bytes_in_flight.is_some(),
        ),
        row(
            "Gói mỗi giây (pushes a second)",
            max_pushes_per_second.map(u64::from),
            own.max_pushes_per_second.is_some(),
        ),
        row(
            "Bản gửi đang chờ (open deliveries)",
            max_open_deliveries,
            own.max_open_deliveries.is_some(),
        ),
    ];
    output::table(["Giới hạn", "Mức", "Của ai"], rows)
}
