//! The closed table of causes: why something has not reached its receiver, whose turn it is,
//! and the command that helps. Answers, documents and tests come from this table.

use ledger::time::Ms;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// The receiving agency, or its system's people.
    Receiver,
    /// The axis's operators.
    Operator,
    /// The axis: it goes on by itself.
    Axis,
    /// The national axis, or the one beyond.
    Beyond,
    /// Nobody: there is nothing to do.
    Nobody,
}

impl Turn {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Operator => "operator",
            Self::Axis => "axis",
            Self::Beyond => "beyond",
            Self::Nobody => "nobody",
        }
    }

    /// In Vietnamese.
    #[must_use]
    pub const fn vi(self) -> &'static str {
        match self {
            Self::Receiver => "bên nhận",
            Self::Operator => "quản trị trục",
            Self::Axis => "trục tự xử lý",
            Self::Beyond => "trục ở phía sau",
            Self::Nobody => "không ai phải làm gì",
        }
    }
}

/// One row of the table. Texts hold places like `{system}`, filled from [`About`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CauseRow {
    /// The stable name.
    pub name: &'static str,
    /// Whose turn it is.
    pub turn: Turn,
    /// The cause, Vietnamese.
    pub vi: &'static str,
    /// The same, English.
    pub en: &'static str,
    /// The command that helps; empty if none does.
    pub command: &'static str,
}

macro_rules! causes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $turn:ident $vi:literal $en:literal $command:literal;)*) => {
        /// Why something is where it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Cause { $($(#[$doc])* $variant,)* }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its row.
            #[must_use]
            pub const fn row(self) -> CauseRow {
                match self { $(Self::$variant => CauseRow {
                    name: $name, turn: Turn::$turn, vi: $vi, en: $en, command: $command,
                },)* }
            }
        }
    };
}

causes! {
    /// The ledger takes nothing after a failed write.
    ReadOnly "READ_ONLY" Operator
        "Trục đang ở chế độ chỉ đọc sau lỗi ghi đĩa: không giao được gì, vì việc lấy phải được ghi trước."
        "The axis is read-only after a disk fault: nothing can leave, because a fetch is recorded first."
        "systemctl restart axis";
    /// The disk is down to the reserve.
    DiskReserve "DISK_RESERVE" Operator
        "Đĩa chỉ còn phần dự trữ: không nhận gói tin mới; việc giao vẫn chạy."
        "The disk is down to its reserve: no new packages are taken; deliveries go on."
        "df -h";
    /// The bus does not answer.
    BusAway "BUS_AWAY" Operator
        "Không liên lạc được với hàng đợi (bus) từ {since}: luồng Subscribe và AMQP đứng; Fetch và VXP vẫn chạy. {reason}"
        "The bus does not answer since {since}: streams and AMQP stand still; Fetch and VXP go on. {reason}"
        "axis queues";
    /// The broker takes nothing until its alarm is over.
    BusBlocked "BUS_BLOCKED" Operator
        "Máy chủ hàng đợi (broker) ngừng nhận từ {since}: {reason}. Việc giao qua luồng và AMQP chậm lại; không mất gì."
        "The broker takes nothing since {since}: {reason}. Streams and AMQP slow down; nothing is lost."
        "rabbitmqctl status";
    /// The broker does not give the lane's queue.
    QueueFault "QUEUE_FAULT" Operator
        "Broker không cho dùng hàng đợi {reason}. Văn bản của làn này chờ trong sổ cái, không mất; Fetch và VXP vẫn chạy. Cấp lại quyền cho tài khoản của trục, hoặc xóa hàng đợi để trục tạo lại."
        "The broker does not give the queue {reason}. What is in this lane waits in the ledger, nothing is lost; Fetch and VXP go on. Give the axis's user its permissions back, or delete the queue: the axis makes it anew."
        "rabbitmqctl list_permissions";
    /// The receiver has it.
    Acknowledged "ACKNOWLEDGED" Nobody
        "{agency} đã xác nhận nhận an toàn lúc {since}."
        "{agency} acknowledged it at {since}."
        "axis trace {delivery}";
    /// The receiver cannot read it.
    Failed "FAILED" Operator
        "{agency} báo không đọc được lúc {since}: {reason}. Sửa phía bên nhận, rồi gửi lại."
        "{agency} reported at {since} that it cannot read it: {reason}. Mend the receiver's side, then deliver it again."
        "axis redeliver --package {package} --why \"…\"";
    /// Taken back.
    Recalled "RECALLED" Nobody
        "Bên gửi đã thu hồi lúc {since}; không giao nữa."
        "The sender has recalled it at {since}; it is not delivered any more."
        "axis trace {delivery}";
    /// Fetched, then recalled; the answer is awaited.
    RecallUnanswered "RECALL_UNANSWERED" Receiver
        "{agency} đã lấy về rồi văn bản bị thu hồi; không giao lại nữa, đang chờ {agency} trả lời 15 hoặc 16."
        "{agency} had fetched it before it was recalled; it is offered no more, and {agency}'s answer (15 or 16) is awaited."
        "axis trace {delivery}";
    /// Held by policy, and then refused.
    Refused "REFUSED" Nobody
        "Bị từ chối lúc {since}: {reason}. Bên gửi đã được báo (02)."
        "Refused at {since}: {reason}. The sender was told (02)."
        "axis trace {delivery}";
    /// Held by policy.
    Held "HELD" Operator
        "Đang bị giữ từ {since}: {reason}."
        "Held since {since}: {reason}."
        "axis trace {delivery}";
    /// Given up after too many leases.
    Dead "DEAD" Operator
        "Đã dừng giao lúc {since}: {reason}. Hệ thống {system} lấy mà không xác nhận: xem nhật ký của hệ thống đó."
        "Given up at {since}: {reason}. The system {system} takes it and does not settle: look into that system's log."
        "axis dead retry {delivery} --why \"…\"";
    /// An operator gave it up for good.
    Dropped "DROPPED" Nobody
        "{by} đã bỏ bản gửi này lúc {since}: {reason}."
        "{by} dropped it at {since}: {reason}."
        "axis trace {delivery}";
    /// On its way to another axis.
    Forwarding "FORWARDING" Beyond
        "Đang chuyển lên trục quốc gia từ {since}."
        "On its way to the national axis since {since}."
        "axis trace {delivery}";
    /// At another axis.
    Forwarded "FORWARDED" Beyond
        "Trục quốc gia đã nhận lúc {since}."
        "The national axis has it since {since}."
        "axis trace {delivery}";
    /// No system serves the agency.
    NoSystem "NO_SYSTEM" Operator
        "Chưa có hệ thống nào phục vụ {agency}: không ai lấy được."
        "No system serves {agency}: nobody can fetch it."
        "axis system add ID --agency {code}";
    /// The system is suspended.
    SystemSuspended "SYSTEM_SUSPENDED" Operator
        "Hệ thống {system} đang bị đình chỉ: không kết nối được."
        "The system {system} is suspended: it cannot connect."
        "axis system list";
    /// The system has neither key nor certificate that is valid.
    NoCredentials "NO_CREDENTIALS" Operator
        "Hệ thống {system} không còn khóa hay chứng thư nào: không kết nối được."
        "The system {system} has neither a key nor a certificate: it cannot connect."
        "axis system key {system}";
    /// An operator has paused delivery.
    Paused "PAUSED" Operator
        "{by} đã tạm dừng việc giao cho {whom} từ {since}: {reason}."
        "{by} has paused delivery to {whom} since {since}: {reason}."
        "axis resume {whom} --why \"…\"";
    /// A fetch has it in hand.
    Leased "LEASED" Receiver
        "Hệ thống {system} đang giữ từ {since}, chưa xác nhận; hết hạn giữ lúc {until} thì được giao lại."
        "The system {system} has it in hand since {since} and has not settled; the lease ends at {until}, then it is offered again."
        "axis trace {delivery}";
    /// A stream has it in hand.
    InStream "IN_STREAM" Receiver
        "Hệ thống {system} đã nhận qua luồng lúc {since} mà chưa xác nhận; luồng đứt thì được giao lại."
        "The system {system} got it over a stream at {since} and has not settled; it is offered again when the stream ends."
        "axis trace {delivery}";
    /// The agency is suspended or closed, and nobody comes.
    AgencyInactive "AGENCY_INACTIVE" Operator
        "{agency} đang tạm dừng hoặc đã đóng, và hệ thống {system} không đến lấy."
        "{agency} is suspended or closed, and the system {system} does not come."
        "axis registry show {code}";
    /// Nobody has come since the axis started.
    NeverCame "NEVER_CAME" Receiver
        "Hệ thống {system} chưa kết nối lần nào từ khi trục khởi động ({since}). Gọi cho đơn vị quản lý hệ thống đó; không mất gì, văn bản chờ."
        "The system {system} has not come since the axis started ({since}). Call whoever runs it; nothing is lost, it waits."
        "axis system list";
    /// Nobody comes any more.
    StayedAway "STAYED_AWAY" Receiver
        "Hệ thống {system} lấy lần cuối lúc {since}, nay không có luồng nào. Gọi cho đơn vị quản lý hệ thống đó; không mất gì, văn bản chờ."
        "The system {system} last fetched at {since} and has no stream now. Call whoever runs it; nothing is lost, it waits."
        "axis queues --system {system}";
    /// A stream is there and takes no more.
    ReceiverSlow "RECEIVER_SLOW" Receiver
        "Hệ thống {system} có luồng nhưng không nhận thêm: đang giữ {count} bản gửi chưa xác nhận."
        "The system {system} has a stream and takes no more: it has {count} unsettled deliveries in hand."
        "axis queues --system {system}";
    /// In the system's queue on the broker, not settled.
    AmqpUnsettled "AMQP_UNSETTLED" Receiver
        "Đã đặt vào hàng đợi AMQP của hệ thống {system} ({count} tiến trình đang nhận); hệ thống chưa báo kết quả qua axis.settle."
        "It is in the AMQP queue of the system {system} ({count} consumers); the system has not settled it through axis.settle."
        "axis queues --system {system}";
    /// The lane's window is full.
    WindowFull "WINDOW_FULL" Receiver
        "Cửa sổ phát hành của làn này đã đầy ({count}): hệ thống {system} nhận chậm hơn văn bản đến."
        "This lane's window is full ({count}): the system {system} takes more slowly than documents come."
        "axis queues --system {system}";
    /// Others go first.
    Behind "BEHIND" Axis
        "Còn {count} bản gửi khẩn hơn hoặc đến trước; hệ thống {system} đang nhận."
        "{count} deliveries that are more urgent or came earlier go first; the system {system} is taking them."
        "axis queues --system {system}";
    /// It will leave at once.
    OnItsWay "ON_ITS_WAY" Axis
        "Không có gì bất thường: đến lượt giao ngay cho hệ thống {system}."
        "Nothing is wrong: it is next for the system {system}."
        "axis queues --system {system}";
    /// Some deliveries of an agency or a system were given up.
    SomeDead "SOME_DEAD" Operator
        "{count} bản gửi cho {whom} đã dừng giao sau nhiều lần không xác nhận."
        "{count} deliveries to {whom} were given up after leases that ended unsettled."
        "axis dead list";
    /// Some deliveries of an agency or a system are held.
    SomeHeld "SOME_HELD" Operator
        "{count} bản gửi cho {whom} đang bị giữ."
        "{count} deliveries to {whom} are held."
        "axis queues --by agency";
    /// Nothing waits for the agency or the system.
    NothingWaits "NOTHING_WAITS" Nobody
        "Không có gì đang chờ {whom}."
        "Nothing waits for {whom}."
        "";
}

/// What fills the places of a row's texts. Empty ones read as `—`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// `{agency}`: name and code.
    pub agency: String,
    /// `{code}`: the agency's main code.
    pub code: String,
    /// `{system}`: its id.
    pub system: String,
    /// `{whom}`: what an operator named or paused: a system's id or an agency's code.
    pub whom: String,
    /// `{delivery}`: its id.
    pub delivery: String,
    /// `{package}`: its id.
    pub package: String,
    /// `{since}`.
    pub since: Option<Ms>,
    /// `{until}`.
    pub until: Option<Ms>,
    /// `{by}`: a person or a system.
    pub by: String,
    /// `{reason}`.
    pub reason: String,
    /// `{count}`; more than ten thousand reads as `> 10000`.
    pub count: u64,
}

/// Beyond this a count is not made exact.
pub(crate) const MANY: u64 = 10_000;

impl About {
    /// A text of the table with its places filled.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let or_dash = |text: &str| {
            if text.is_empty() {
                "—".to_owned()
            } else {
                text.to_owned()
            }
        };
        let time = |at: Option<Ms>| at.map_or_else(|| "—".to_owned(), Ms::told);
        let count = if self.count > MANY {
            format!("> {MANY}")
        } else {
            self.count.to_string()
        };
        let mut filled = String::with_capacity(text.len() + 64);
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            filled.push_str(before);
            let (place, after) = behind.split_once('}').unwrap_or((behind, ""));
            filled.push_str(&match place {
                "agency" => or_dash(&self.agency),
                "code" => or_dash(&self.code),
                "system" => or_dash(&self.system),
                "whom" => or_dash(&self.whom),
                "delivery" => or_dash(&self.delivery),
                "package" => or_dash(&self.package),
                "since" => time(self.since),
                "until" => time(self.until),
                "by" => or_dash(&self.by),
                "reason" => or_dash(self.reason.trim().trim_end_matches('.')),
                "count" => count.clone(),
                other => format!("{{{other}}}"),
            });
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_cause_is_one_row_in_both_languages_with_known_places() {
        let names: HashSet<_> = Cause::ALL.iter().map(|cause| cause.row().name).collect();
        assert_eq!(names.len(), Cause::ALL.len());
        for cause in Cause::ALL {
            let row = cause.row();
            assert!(
                row.name
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b == b'_')
            );
            assert!(!row.vi.is_empty() && !row.en.is_empty() && row.vi != row.en);
            for text in [row.vi, row.en, row.command] {
                let filled = About::default().fill(text);
                assert!(!filled.contains('{') && !filled.contains('}'), "{filled}");
            }
            let places = |text: &str| -> HashSet<String> {
                let parts = text.split('{').skip(1);
                parts
                    .map(|part| part.split('}').next().unwrap().to_owned())
                    .collect()
            };
            assert_eq!(places(row.vi), places(row.en), "{}", row.name);
        }
    }

    /// What operators read of each cause is this table, word for word.
    #[test]
    fn the_operators_pages_hold_every_row() {
        let en = include_str!("../../../docs/operations.md");
        let vi = include_str!("../../../docs/vi/van-hanh.md");
        for cause in Cause::ALL {
            let row = cause.row();
            for (page, turn, text) in [(en, row.turn.word(), row.en), (vi, row.turn.vi(), row.vi)] {
                let helps = match row.command {
                    "" => String::new(),
                    command => format!("`{command}`"),
                };
                let line = format!("| `{}` | {turn} | {text} | {helps} |", row.name);
                assert!(page.contains(&line), "a page lacks: {line}");
            }
        }
    }

    #[test]
    fn a_reason_cannot_write_into_the_text() {
        let about = About {
            reason: "xem {until}.".to_owned(),
            ..About::default()
        };
        assert_eq!(about.fill("Lý do: {reason}."), "Lý do: xem {until}.");
    }
}
