//! The words for kinds and states: one for scripts, one for people.

use api::v1::{DeliveryState, Lane, PackageKind};

/// `document` or `status`; `unknown` for what a later axis may send.
pub(crate) const fn kind(kind: PackageKind) -> &'static str {
    match kind {
        PackageKind::Document => "document",
        PackageKind::Status => "status",
        PackageKind::Unspecified => "unknown",
    }
}

/// The kind in Vietnamese.
pub(crate) const fn kind_vi(kind: PackageKind) -> &'static str {
    match kind {
        PackageKind::Document => "văn bản",
        PackageKind::Status => "trạng thái",
        PackageKind::Unspecified => "?",
    }
}

/// The lane for scripts.
pub(crate) const fn lane(lane: Lane) -> &'static str {
    match lane {
        Lane::Flash => "flash",
        Lane::Urgent => "urgent",
        Lane::Status => "status",
        Lane::Routine => "routine",
        Lane::Unspecified => "unknown",
    }
}

/// The lane in Vietnamese, by its word for scripts.
pub(crate) fn lane_vi(lane: &str) -> &str {
    match lane {
        "flash" => "hỏa tốc",
        "urgent" => "khẩn",
        "status" => "trạng thái",
        "routine" => "thường",
        other => other,
    }
}

/// How a queue stands, in Vietnamese; a word that a later axis may send stays as it is.
pub(crate) fn queue_state_vi(state: &str) -> &str {
    match state {
        "blocked" => "trục không giao được",
        "no-system" => "chưa có hệ thống",
        "shut-out" => "hệ thống bị khóa",
        "no-consumer" => "không ai đến lấy",
        "dead-letters" => "có bản ngừng gửi",
        "slow" => "chậm",
        "paused" => "tạm dừng",
        "held" => "bị giữ",
        "flowing" => "đang chảy",
        "idle" => "rảnh",
        other => other,
    }
}

/// The state for scripts.
pub(crate) const fn state(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Held => "held",
        DeliveryState::Refused => "refused",
        DeliveryState::Pending => "pending",
        DeliveryState::Fetched => "fetched",
        DeliveryState::Acknowledged => "acknowledged",
        DeliveryState::Failed => "failed",
        DeliveryState::Recalled => "recalled",
        DeliveryState::Forwarding => "forwarding",
        DeliveryState::Forwarded => "forwarded",
        DeliveryState::Dead => "dead",
        DeliveryState::Dropped => "dropped",
        DeliveryState::Unspecified => "unknown",
    }
}

/// The state in Vietnamese.
pub(crate) const fn state_vi(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Held => "tạm giữ",
        DeliveryState::Refused => "bị từ chối",
        DeliveryState::Pending => "đang chờ",
        DeliveryState::Fetched => "đã lấy, chưa xác nhận",
        DeliveryState::Acknowledged => "đã nhận",
        DeliveryState::Failed => "bên nhận không đọc được",
        DeliveryState::Recalled => "đã thu hồi",
        DeliveryState::Forwarding => "đang chuyển",
        DeliveryState::Forwarded => "đã chuyển",
        DeliveryState::Dead => "ngừng gửi",
        DeliveryState::Dropped => "đã bỏ",
        DeliveryState::Unspecified => "?",
    }
}

/// What a number of `BussinessDocType` means, Vietnamese and English.
pub(crate) const fn business(number: u32) -> (&'static str, &'static str) {
    match number {
        0 => ("văn bản mới", "new document"),
        1 => ("thu hồi", "recall"),
        2 => ("cập nhật", "update"),
        3 => ("thay thế", "replacement"),
        _ => ("?", "?"),
    }
}
