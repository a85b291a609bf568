//! The closed table of refusals: one row a name, from which code, documents and tests come.

/// How the protocols tell a refusal. The names are gRPC's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrpcCode {
    /// The request itself is at fault.
    InvalidArgument,
    /// The caller is not known.
    Unauthenticated,
    /// The caller may not do this.
    PermissionDenied,
    /// No such thing.
    NotFound,
    /// Something else stands under this key.
    AlreadyExists,
    /// The state does not allow it.
    FailedPrecondition,
    /// A limit; a retry after a while helps.
    ResourceExhausted,
    /// Try again.
    Unavailable,
    /// The stored bytes are damaged.
    DataLoss,
    /// The outcome is not known; sending again is safe.
    Aborted,
    /// A fault of the axis.
    Internal,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The stable name.
    pub name: &'static str,
    /// gRPC's code.
    pub grpc: GrpcCode,
    /// The number on the VXP endpoint.
    pub vxp: u16,
    /// The HTTP status.
    pub http: u16,
    /// Whether sending the same again may help.
    pub retry: bool,
    /// What it means and what to do, Vietnamese.
    pub vi: &'static str,
    /// The same, English.
    pub en: &'static str,
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident $name:literal $grpc:ident $vxp:literal $http:literal $retry:literal $vi:literal $en:literal;)*) => {
        /// Why something was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Name { $($(#[$doc])* $variant,)* }

        impl Name {
            /// Every name.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its row.
            #[must_use]
            pub const fn row(self) -> Row {
                match self { $(Self::$variant => Row {
                    name: $name, grpc: GrpcCode::$grpc, vxp: $vxp, http: $http, retry: $retry, vi: $vi, en: $en,
                },)* }
            }
        }
    };
}

refusals! {
    /// No credentials, or wrong ones.
    Unauthenticated "UNAUTHENTICATED" Unauthenticated 15 401 false
        "Không xác định được hệ thống gọi: thiếu hoặc sai khóa, hoặc chứng thư chưa được đăng ký. Kiểm tra mã hệ thống và khóa."
        "The calling system is not known: no key, a wrong key, or a certificate that is not registered. Check the system id and its key.";
    /// Not for this caller.
    PermissionDenied "PERMISSION_DENIED" PermissionDenied 15 403 false
        "Bên gọi không có quyền thực hiện yêu cầu này."
        "The caller may not do this.";
    /// `From` is not an agency of the calling system.
    ForeignSender "FOREIGN_SENDER" PermissionDenied 19 403 false
        "Cơ quan gửi (From) không thuộc hệ thống đang gọi. Gửi bằng hệ thống phục vụ cơ quan đó, hoặc đề nghị quản trị trục gán cơ quan cho hệ thống này."
        "The sender (From) is not an agency of the calling system. Send through the system that serves it, or have the operator assign the agency to this system.";
    /// The sending agency is not approved, suspended or closed.
    SenderInactive "SENDER_INACTIVE" PermissionDenied 19 403 false
        "Cơ quan gửi chưa được phê duyệt, đang bị tạm dừng hoặc đã đóng; lý do được nêu."
        "The sending agency is not approved, suspended or closed; the reason is told.";
    /// The package is larger than the limit.
    TooLarge "TOO_LARGE" InvalidArgument 10 413 false
        "Gói tin vượt quá kích thước cho phép."
        "The package is larger than the limit.";
    /// A limit of the calling system.
    LimitReached "LIMIT_REACHED" ResourceExhausted 20 429 true
        "Hệ thống gọi đã chạm giới hạn. Gửi lại sau thời gian được báo."
        "The calling system has reached a limit. Send again after the time told.";
    /// The push was cut off half-way.
    Incomplete "INCOMPLETE" InvalidArgument 10 400 true
        "Luồng gửi bị ngắt giữa chừng; không có gì được lưu. Gửi lại cả gói tin."
        "The push was cut off; nothing was kept. Send the whole package again.";
    /// The package cannot be read or fails the checks; the findings tell where.
    BadPackage "BAD_PACKAGE" InvalidArgument 22 422 false
        "Gói tin không đúng QCVN 102:2016. Xem vị trí và lý do, sửa rồi gửi lại."
        "The package does not follow QCVN 102:2016. See place and reason, mend it, send again.";
    /// The package carries a mark of state secrets.
    SecretMark "SECRET_MARK" FailedPrecondition 22 422 false
        "Gói tin mang dấu hiệu bí mật nhà nước; trục không chuyển và không giữ nội dung. Gửi theo quy định về bảo vệ bí mật nhà nước; nếu chỉ là từ ngữ thông thường, đổi tên tệp hoặc trích yếu rồi gửi lại."
        "The package carries a mark of state secrets; the axis does not carry it and keeps nothing of its content. Send it by the way that the law prescribes; if the words are harmless, change the file name or subject and send again.";
    /// A receiver's code is in no registry.
    UnknownReceiver "UNKNOWN_RECEIVER" InvalidArgument 18 422 false
        "Mã cơ quan nhận không có trong danh mục. Sửa mã rồi gửi lại."
        "The receiver's code is not registered. Correct it and send again.";
    /// A receiver is closed.
    ClosedReceiver "CLOSED_RECEIVER" FailedPrecondition 23 409 false
        "Cơ quan nhận đã đóng hoặc sáp nhập. Gửi cho cơ quan kế thừa được nêu."
        "The receiver is closed or merged. Send to the successor that is named.";
    /// A receiver stands twice in To, by the same or another of its codes.
    RepeatedReceiver "REPEATED_RECEIVER" InvalidArgument 18 422 false
        "Một cơ quan nhận xuất hiện nhiều lần trong To. Chỉ để một lần rồi gửi lại."
        "A receiver stands more than once in To. Name it once and send again.";
    /// Other bytes under a DocumentId that a receiver has already.
    Conflict "CONFLICT" AlreadyExists 22 409 false
        "Mã văn bản này đã được gửi với nội dung khác. Dùng mã văn bản mới, hoặc gửi dạng cập nhật, thay thế."
        "This DocumentId was sent before with other content. Use a new DocumentId, or send an update or a replacement.";
    /// The document was recalled from this receiver.
    DocumentRecalled "DOCUMENT_RECALLED" FailedPrecondition 22 409 false
        "Văn bản đã bị thu hồi khỏi cơ quan nhận này. Phát hành lại phải dùng mã văn bản mới."
        "The document was recalled from this receiver. A new issue needs a new DocumentId.";
    /// A recall, update or replacement names no document of this sender.
    UnknownDocument "UNKNOWN_DOCUMENT" FailedPrecondition 22 409 false
        "Thu hồi, cập nhật hoặc thay thế phải nêu một văn bản mà chính cơ quan gửi đã gửi qua trục."
        "A recall, update or replacement must name a document that this sender has sent through the axis.";
    /// A status from an agency that is not a receiver of the document.
    NotAReceiver "NOT_A_RECEIVER" FailedPrecondition 22 409 false
        "Cơ quan báo trạng thái không phải là bên nhận của văn bản này."
        "The reporting agency is not a receiver of this document.";
    /// A status that needs a reason has none.
    ReasonMissing "REASON_MISSING" InvalidArgument 22 422 false
        "Trạng thái này phải kèm lý do (Description)."
        "This status needs a reason (Description).";
    /// No such package, delivery, document, agency or system.
    NotFound "NOT_FOUND" NotFound 21 404 false
        "Không tìm thấy. Kiểm tra lại mã."
        "Not found. Check the id.";
    /// The receiver has other bytes than were accepted.
    WrongHash "WRONG_HASH" InvalidArgument 22 422 false
        "SHA-256 mà bên nhận báo khác với gói tin đã gửi: bản nhận bị hỏng hoặc nhầm. Tải lại rồi kết thúc lại."
        "The receiver's SHA-256 is not the package's: what it has is damaged or another one. Download it again, then settle again.";
    /// The delivery is another system's.
    ForeignDelivery "FOREIGN_DELIVERY" PermissionDenied 21 403 false
        "Bản gửi này không thuộc cơ quan nào của hệ thống đang gọi."
        "This delivery is not for any agency of the calling system.";
    /// The state table does not allow the change.
    WrongState "WRONG_STATE" FailedPrecondition 21 409 false
        "Trạng thái hiện tại của bản gửi không cho phép thao tác này."
        "The delivery's present state does not allow this.";
    /// The delivery's document was recalled; its content is not served.
    Recalled "RECALLED" FailedPrecondition 21 410 false
        "Văn bản đã bị thu hồi; nội dung không còn được cung cấp."
        "The document was recalled; its content is no longer served.";
    /// The content was removed by decision.
    Removed "REMOVED" FailedPrecondition 21 410 false
        "Nội dung đã được xóa theo quyết định; hồ sơ vẫn còn."
        "The content was removed by decision; the record remains.";
    /// An argument is not what it should be.
    BadArgument "BAD_ARGUMENT" InvalidArgument 10 400 false
        "Tham số không hợp lệ."
        "An argument is not valid.";
    /// It exists already.
    AlreadyExists "ALREADY_EXISTS" AlreadyExists 21 409 false
        "Đã tồn tại."
        "It exists already.";
    /// The registry file has errors; nothing was changed.
    BadRegistry "BAD_REGISTRY" InvalidArgument 10 422 false
        "Danh mục có lỗi; không có gì được thay đổi. Sửa các dòng được nêu rồi nhập lại."
        "The list has errors; nothing was changed. Mend the rows named and import again.";
    /// Somebody changed the agency since the caller saw it.
    RegistryConflict "REGISTRY_CONFLICT" Aborted 21 409 false
        "Có người đã thay đổi cơ quan này sau khi bạn xem. Xem lại rồi làm lại."
        "Somebody changed this agency since you saw it. Look at it again, then repeat.";
    /// The agency's state does not allow it.
    WrongAgencyState "WRONG_AGENCY_STATE" FailedPrecondition 21 409 false
        "Trạng thái hiện tại của cơ quan không cho phép thao tác này."
        "The agency's present state does not allow this.";
    /// Disk space has run down to the reserve.
    DiskFull "DISK_FULL" ResourceExhausted 20 507 true
        "Đĩa của trục đã đầy; tạm ngừng nhận gói tin mới, việc nhận và xác nhận vẫn chạy. Gửi lại sau."
        "The axis's disk is full; new packages are not taken for now, fetching and settling go on. Send again later.";
    /// The journal could not be written; the node is read-only.
    ReadOnly "READ_ONLY" Unavailable 20 503 true
        "Trục đang ở chế độ chỉ đọc do lỗi ghi đĩa. Gửi lại sau khi quản trị khởi động lại."
        "The axis is read-only after a disk fault. Send again after the operator has restarted it.";
    /// It is not known whether it became durable.
    OutcomeUnknown "OUTCOME_UNKNOWN" Aborted 20 503 true
        "Chưa biết yêu cầu đã được ghi hay chưa. Gửi lại đúng gói tin này: trục không tạo bản trùng."
        "It is not known whether this became durable. Send the same again: the axis makes no double.";
    /// The axis is starting or stopping.
    NotServing "NOT_SERVING" Unavailable 20 503 true
        "Trục đang khởi động hoặc đang dừng. Gửi lại sau ít giây."
        "The axis is starting or stopping. Try again in a few seconds.";
    /// Stored bytes do not match their hash.
    ContentDamaged "CONTENT_DAMAGED" DataLoss 20 500 false
        "Dữ liệu lưu trên trục không khớp mã băm; không có gì được giao. Báo quản trị trục."
        "The stored bytes do not match their hash; nothing was delivered. Tell the operator.";
    /// A fault of the axis itself.
    Internal "INTERNAL" Internal 20 500 true
        "Lỗi nội bộ của trục. Gửi lại; nếu còn lỗi, báo quản trị kèm thời điểm."
        "A fault of the axis. Try again; if it stays, tell the operator the time.";
}

impl Name {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }
}

/// Where and what, of one thing at fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// The finding's code, or the refusal's name.
    pub code: String,
    /// Element path or argument name.
    pub path: String,
    /// 1-based; 0 if there is none.
    pub line: u32,
    /// 1-based, in characters; 0 if there is none.
    pub column: u32,
    /// Vietnamese.
    pub message: String,
    /// English.
    pub message_en: String,
}

/// A refusal: its name, what exactly is at fault, and when a retry may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .name.as_str(), first_told(.name, .details))]
pub struct Refusal {
    /// Which row of the table.
    pub name: Name,
    /// Each thing at fault, all at once; may be empty.
    pub details: Vec<Detail>,
    /// When to try again, in milliseconds, if that helps.
    pub retry_after_ms: Option<u64>,
}

fn first_told<'a>(name: &Name, details: &'a [Detail]) -> &'a str {
    match details.first() {
        Some(detail) => &detail.message_en,
        None => name.row().en,
    }
}

impl Refusal {
    /// A refusal without details.
    #[must_use]
    pub const fn new(name: Name) -> Self {
        Self {
            name,
            details: Vec::new(),
            retry_after_ms: None,
        }
    }

    /// BAD_ARGUMENT: what of a call cannot be, and why.
    #[must_use]
    pub fn argument(path: impl Into<String>, vi: impl Into<String>, en: impl Into<String>) -> Self {
        Self::new(Name::BadArgument).at(path, vi, en)
    }

    /// Adds what is at fault; `code` is the refusal's name.
    #[must_use]
    pub fn at(
        mut self,
        path: impl Into<String>,
        vi: impl Into<String>,
        en: impl Into<String>,
    ) -> Self {
        self.details.push(Detail {
            code: self.name.as_str().to_owned(),
            path: path.into(),
            message: vi.into(),
            message_en: en.into(),
            ..Detail::default()
        });
        self
    }

    /// Says when to try again.
    #[must_use]
    pub const fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_is_one_row_with_both_languages() {
        let names: HashSet<_> = Name::ALL.iter().map(|name| name.as_str()).collect();
        assert_eq!(names.len(), Name::ALL.len());
        for name in Name::ALL {
            let row = name.row();
            assert!(
                !row.vi.is_empty() && !row.en.is_empty() && row.vi != row.en,
                "{}",
                row.name
            );
            assert!(
                row.name
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b == b'_')
            );
        }
    }
}
