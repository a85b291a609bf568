//! The words for kinds and states: one for scripts, one for people.

use api::v1::{DeliveryState, PackageKind};

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
