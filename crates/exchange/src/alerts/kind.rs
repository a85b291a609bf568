//! The closed table of alerts: what each is called, how bad it is, what it means and what to
//! do about it, in both languages. `docs/operations.md`, `axis alerts`, notices and metrics
//! take their words from here.

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Documents do not pass, or may be lost: somebody gets up.
    Critical,
    /// It will be critical unless somebody looks at it today.
    Warning,
}

impl Severity {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

/// A text in both languages of the axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words<T = &'static str> {
    /// Vietnamese.
    pub vi: T,
    /// English.
    pub en: T,
}

impl Words<String> {
    /// Both at once.
    #[must_use]
    pub fn new(vi: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            vi: vi.into(),
            en: en.into(),
        }
    }
}

/// One kind of alert, as operators read it.
#[derive(Debug, Clone)]
pub struct Told {
    /// The name in the journal, on the wire, in metrics: never changed.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What its subject is.
    pub subject: &'static str,
    /// In a few words.
    pub title: Words,
    /// What it means.
    pub means: Words,
    /// What to do.
    pub act: Words,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $severity:ident, $subject:literal {
        title: $title_vi:literal, $title_en:literal;
        means: $means_vi:literal, $means_en:literal;
        act: $act_vi:literal, $act_en:literal;
    })*) => {
        /// What an alert is about. The table is closed: whoever raises one takes a kind from it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Every kind, the critical ones first.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// What operators read of it.
            #[must_use]
            pub const fn told(self) -> Told {
                match self {
                    $(Self::$kind => Told {
                        name: $name,
                        severity: Severity::$severity,
                        subject: $subject,
                        title: Words { vi: $title_vi, en: $title_en },
                        means: Words { vi: $means_vi, en: $means_en },
                        act: Words { vi: $act_vi, en: $act_en },
                    },)*
                }
            }
        }
    };
}

kinds! {
    /// A failed write or sync: the node takes nothing more.
    ReadOnly = "read-only", Critical, "axis" {
        title: "Trục chỉ còn đọc", "The axis is read-only";
        means: "Ghi nhật ký xuống đĩa đã thất bại. Trục không nhận, không giao gì nữa cho đến khi khởi động lại; mọi biên nhận đã cấp vẫn đúng.",
               "Writing the journal failed. Nothing is accepted or delivered until a restart; every receipt given stands.";
        act: "Xem nhật ký hệ thống (`journalctl -u axis`, `dmesg`) tìm lỗi đĩa; sửa đĩa hoặc chuyển thư mục dữ liệu; rồi khởi động lại và chạy `axis verify`.",
             "Look for disk errors (`journalctl -u axis`, `dmesg`); mend the disk or move the data folder; then restart and run `axis verify`.";
    }
    /// Admission has stopped for want of space.
    DiskReserve = "disk-reserve", Critical, "axis" {
        title: "Hết dung lượng đĩa, ngừng nhận văn bản", "The disk is full: nothing new is accepted";
        means: "Chỉ còn phần dự trữ: văn bản mới bị từ chối (DISK_FULL); việc nhận về, xác nhận và thu hồi vẫn chạy.",
               "Only the reserve is left: new packages are refused (DISK_FULL); fetches, settles and recalls go on.";
        act: "Giải phóng hoặc tăng dung lượng cho thư mục dữ liệu. Trục tự nhận lại khi có chỗ, không cần khởi động lại.",
             "Free or add space for the data folder. The axis accepts again by itself, without a restart.";
    }
    /// Stored bytes do not match their hash.
    ContentDamaged = "content-damaged", Critical, "package id" {
        title: "Nội dung lưu trữ bị hỏng", "Stored content is damaged";
        means: "Nội dung một gói tin đọc từ đĩa không khớp mã băm SHA-256. Gói tin đó không được giao; các gói tin khác không bị ảnh hưởng.",
               "A package read from disk does not match its SHA-256. It is not delivered; others are not touched.";
        act: "Chạy `axis verify` để biết phạm vi; khôi phục tệp từ bản sao lưu. Cảnh báo tự hết khi gói tin được đọc lại nguyên vẹn.",
             "Run `axis verify` to learn how far it goes; restore the file from a backup. The alert ends when the package is read whole again.";
    }
    /// The broker cannot be reached.
    BusAway = "bus-away", Critical, "bus" {
        title: "Mất kết nối tới hàng đợi (broker)", "The bus (broker) is away";
        means: "Không nối được tới RabbitMQ. Trục vẫn nhận văn bản; hệ thống nhận qua hàng đợi phải chờ. Không mất gì: sổ cái giữ tất cả.",
               "RabbitMQ cannot be reached. Packages are still accepted; systems that receive by the bus wait. Nothing is lost: the ledger holds all.";
        act: "Kiểm tra broker (`rabbitmqctl status`), mạng, tài khoản và mật khẩu trong `[bus]`. Trục tự nối lại.",
             "Check the broker (`rabbitmqctl status`), the network, user and password in `[bus]`. The axis reconnects by itself.";
    }
    /// The broker takes no publishes.
    BusBlocked = "bus-blocked", Critical, "bus" {
        title: "Hàng đợi (broker) chặn gửi", "The bus (broker) blocks publishing";
        means: "RabbitMQ báo thiếu bộ nhớ hoặc đĩa và không nhận thêm. Trục vẫn nhận văn bản; việc giao qua hàng đợi tạm dừng.",
               "RabbitMQ has a memory or disk alarm and takes nothing more. Packages are still accepted; delivery by the bus pauses.";
        act: "Xem `rabbitmqctl alarms` hoặc `rabbitmq-diagnostics alarms`; giải phóng bộ nhớ hoặc đĩa của broker.",
             "See `rabbitmq-diagnostics alarms`; free the broker's memory or disk.";
    }
    /// The oldest waiting delivery of a system's lane is over its limit.
    OldestAge = "oldest-age", Critical, "system/lane" {
        title: "Văn bản chờ quá hạn theo làn ưu tiên", "A document waits longer than its lane allows";
        means: "Có văn bản chờ hệ thống này nhận lâu hơn hạn của làn ưu tiên (hỏa tốc, khẩn, trạng thái, thường). Việc giao đang tạm dừng thì không tính.",
               "A delivery has waited for this system longer than the limit of its lane (flash, urgent, status, routine). What a pause keeps back does not count.";
        act: "`axis queues` và `axis why HỆ-THỐNG` cho biết vì sao; liên hệ đầu mối của hệ thống nhận. Với văn bản khẩn, báo ngay đơn vị nhận bằng kênh khác.",
             "`axis queues` and `axis why SYSTEM` tell why; call the receiving system's contact. For an urgent document tell the receiver by another channel now.";
    }
    /// What is urgent still waits, some times longer than the limit of its lane.
    Escalated = "escalated", Critical, "system/lane/step" {
        title: "Văn bản khẩn vẫn chưa được lấy", "An urgent document still waits";
        means: "Văn bản hỏa tốc hoặc khẩn đã chờ gấp nhiều lần hạn của làn (`alerts.escalate_at`); mỗi bậc báo một lần, hết khi văn bản được nhận.",
               "A flash or urgent document has waited some times the limit of its lane (`alerts.escalate_at`). Each step is told once; it ends when the document is taken.";
        act: "Báo lãnh đạo trực và gọi điện cho bên nhận ngay; chuyển văn bản bằng kênh khác nếu cần. `axis why HỆ-THỐNG` cho biết vì sao.",
             "Tell the officer on duty and call the receiver now; use another channel if need be. `axis why SYSTEM` tells why.";
    }
    /// A document of hỏa tốc hẹn giờ comes due and is not settled.
    DueSoon = "due-soon", Critical, "package id" {
        title: "Văn bản hỏa tốc hẹn giờ sắp đến giờ", "A document with a set hour comes due";
        means: "Văn bản hỏa tốc hẹn giờ sắp đến giờ mà còn bên nhận chưa nhận xong.",
               "The hour of a document of hỏa tốc hẹn giờ is near, and a receiver has not settled it.";
        act: "Báo ngay cho bên nhận bằng điện thoại; `axis why GÓI-TIN` cho biết vì sao chưa đến.",
             "Call the receiver now; `axis why PACKAGE` tells why it has not arrived.";
    }
    /// Something waits and nobody takes it.
    QueueUnattended = "queue-unattended", Warning, "system" {
        title: "Hàng đợi không có ai nhận", "A queue without a consumer";
        means: "Có văn bản chờ, nhưng hệ thống nhận không mở luồng nhận và không lấy văn bản nào trong thời gian quy định. Thời gian tạm dừng giao không tính.",
               "Deliveries wait, and the system has neither a stream open nor fetched anything for the time set. The time of a pause does not count.";
        act: "Liên hệ đầu mối của hệ thống nhận: phần mềm có chạy, mạng và chứng thư có còn dùng được? `axis why HỆ-THỐNG`.",
             "Call the system's contact: does its software run, do network and certificate work? `axis why SYSTEM`.";
    }
    /// An agency does not fetch.
    Unfetched = "unfetched", Warning, "agency" {
        title: "Cơ quan chưa lấy văn bản về", "An agency has not fetched";
        means: "Có văn bản chờ cơ quan này quá số giờ làm việc quy định mà chưa được lấy về.",
               "Something has waited for this agency longer than the working hours that are set.";
        act: "Nhắc văn thư của cơ quan nhận. `axis remind` liệt kê mọi cơ quan chậm nhận; `axis why MÃ` cho biết vì sao.",
             "Remind the agency's clerk. `axis remind` lists all that are late; `axis why CODE` tells why.";
    }
    /// A recall that a receiver has not answered.
    RecallUnanswered = "recall-unanswered", Warning, "package id of the recall" {
        title: "Thu hồi chưa được trả lời", "A recall is not answered";
        means: "Có bên nhận đã lấy văn bản bị thu hồi mà chưa trả lời đồng ý (15) hay từ chối (16) quá số giờ làm việc quy định.",
               "A receiver that had the recalled document has not answered 15 or 16 within the working hours that are set.";
        act: "`axis status matrix GÓI-TIN` cho biết bên nào; `axis remind GÓI-TIN --why …` gửi lại yêu cầu thu hồi cho các bên chưa trả lời.",
             "`axis status matrix PACKAGE` tells who; `axis remind PACKAGE --why …` delivers the recall once more to those who owe the answer.";
    }
    /// Statuses whose document does not come.
    StatusUnmatched = "status-unmatched", Warning, "agency whose document it is said to be" {
        title: "Trạng thái không tìm thấy văn bản", "A status without its document";
        means: "Có trạng thái đã chuyển tới cơ quan này mà văn bản nó nêu chưa từng đi qua trục, quá số giờ quy định (`alerts.unmatched_hours`): sai mã văn bản, hoặc văn bản gửi ngoài trục.",
               "A status was delivered to this agency, and the document it names has not passed the axis within the hours that are set (`alerts.unmatched_hours`): a wrong DocumentId, or a document sent elsewhere.";
        act: "`axis unmatched` liệt kê; báo cho đầu mối của cơ quan gửi trạng thái. Cảnh báo tự hết khi văn bản đến, hoặc sau 30 ngày.",
             "`axis unmatched` lists them; tell the contact of the agency that reports. The alert ends when the document comes, or after 30 days.";
    }
    /// Deliveries that were given up.
    DeadLetters = "dead-letters", Warning, "system" {
        title: "Có bản gửi bị dừng giao", "Dead deliveries";
        means: "Hệ thống nhận đã lấy nhiều lần mà không xác nhận; trục dừng giao các bản này để không chặn các bản khác.",
               "The receiver took them again and again without settling; they were put aside so that others pass.";
        act: "`axis dead list`; khi hệ thống nhận đã sửa: `axis dead retry`, hoặc `axis dead drop --why …`.",
             "`axis dead list`; once the receiver is mended `axis dead retry`, or `axis dead drop --why …`.";
    }
    /// A queue or exchange that the broker does not give.
    BusFault = "bus-fault", Warning, "queue" {
        title: "Hàng đợi không dùng được", "A queue of the broker cannot be used";
        means: "Broker không cho dùng một hàng đợi hoặc exchange: đã bị xóa, thiếu quyền, hoặc được tạo khác cấu hình.",
               "The broker does not give a queue or exchange: it is missing, not permitted, or made otherwise.";
        act: "Kiểm tra quyền của tài khoản trục và định nghĩa hàng đợi (`axis bus definitions`, `rabbitmqctl list_permissions`).",
             "Check the axis's permissions and the queues' definitions (`axis bus definitions`, `rabbitmqctl list_permissions`).";
    }
    /// A queue was deleted under the axis.
    BusLost = "bus-lost", Warning, "queue" {
        title: "Hàng đợi bị xóa", "A queue was deleted";
        means: "Ai đó đã xóa một hàng đợi trên broker trong khi trục đang dùng. Không mất gì: trục tạo lại hàng đợi và gửi lại những gì nằm trong đó.",
               "Somebody deleted a queue at the broker while the axis used it. Nothing is lost: the axis makes it anew and publishes again what lay in it.";
        act: "Hỏi đội quản trị broker xem ai đã làm và vì sao (nhật ký RabbitMQ, chính sách, kịch bản dọn dẹp). Cảnh báo tự hết sau `alerts.quiet_seconds` không tái diễn.",
             "Ask the broker team who did it and why (RabbitMQ's log, policies, cleaning scripts). The alert ends after `alerts.quiet_seconds` without another.";
    }
    /// Messages from the bus that mean nothing.
    BusJunk = "bus-junk", Warning, "system or queue" {
        title: "Thông điệp rác trên hàng đợi", "Junk on the bus";
        means: "Nhận được thông điệp không hiểu được hoặc trái phép; đã chuyển vào `axis.dead` kèm lý do.",
               "A message could not be understood or was not allowed; it was moved to `axis.dead` with the reason.";
        act: "Xem `axis.dead`, báo cho đầu mối của hệ thống gửi. Cảnh báo tự hết sau `alerts.quiet_seconds` không còn thông điệp như vậy.",
             "Look into `axis.dead` and tell the sending system's contact. The alert ends after `alerts.quiet_seconds` without another.";
    }
    /// The disk fills.
    DiskFilling = "disk-filling", Warning, "axis" {
        title: "Đĩa sắp đầy", "The disk is filling";
        means: "Dung lượng trống của đĩa chứa dữ liệu xuống dưới ngưỡng. Khi hết, trục ngừng nhận văn bản mới.",
               "Free space under the data folder is below the limit. When it is gone, nothing new is accepted.";
        act: "Tăng dung lượng đĩa. Không xóa tệp trong thư mục dữ liệu bằng tay.",
             "Add disk space. Never delete files of the data folder by hand.";
    }
    /// Syncs take long.
    SyncSlow = "sync-slow", Warning, "axis" {
        title: "Ghi nhật ký xuống đĩa chậm", "The journal's sync is slow";
        means: "Mỗi biên nhận chờ một lần ghi chắc xuống đĩa; các lần ghi này đang lâu hơn ngưỡng, hệ thống gửi phải chờ.",
               "Every receipt waits for a sync; syncs take longer than the limit, and senders wait.";
        act: "Kiểm tra đĩa và máy ảo (`iostat -x 1`, sao lưu đang chạy, đĩa dùng chung, RAID xuống cấp).",
             "Check disk and host (`iostat -x 1`, a running backup, shared storage, a degraded RAID).";
    }
    /// The index cannot keep up.
    IndexLag = "index-lag", Warning, "axis" {
        title: "Chỉ mục chậm hơn nhật ký", "The index lags behind the journal";
        means: "Nhiều dòng đang chờ ghi vào chỉ mục. Không mất gì, nhưng bộ nhớ tăng và lần khởi động lại sau sẽ lâu hơn.",
               "Many rows wait to be written to the index. Nothing is lost, but memory grows and the next start takes longer.";
        act: "Kiểm tra tải và tốc độ đĩa. Nếu kéo dài: khởi động lại; `axis index rebuild` khi trục dừng.",
             "Check load and disk speed. If it lasts: restart; `axis index rebuild` while the axis is stopped.";
    }
    /// A certificate ends soon, or has ended.
    CertificateEnding = "certificate-ending", Warning, "file" {
        title: "Chứng thư hoặc danh sách thu hồi sắp hết hạn", "A certificate or revocation list is ending";
        means: "Khi chứng thư của cổng nghe hết hạn, các hệ thống không kết nối được nữa; danh sách thu hồi (CRL) quá hạn không còn cho biết chứng thư nào mới bị thu hồi.",
               "When a listener's certificate has ended, systems cannot connect; a revocation list (CRL) that has ended tells nothing of certificates revoked since.";
        act: "Đặt chứng thư hoặc CRL mới vào cùng tệp; trục nạp lại mà không ngừng phục vụ (hoặc khởi động lại).",
             "Put the new certificate or list into the same file; the axis reloads it (or restart it).";
    }
    /// A system's key ends soon, or has ended.
    KeyEnding = "key-ending", Warning, "system/key" {
        title: "Khóa hoặc chứng thư của hệ thống sắp hết hạn", "A system's key or certificate is ending";
        means: "Hệ thống này không còn khóa (hoặc chứng thư) nào dùng được lâu hơn; khi hết hạn, hệ thống không kết nối được nữa.",
               "The system has no key (or certificate) that lasts longer; when it has ended, the system cannot connect.";
        act: "Cấp khóa mới (`axis system key HỆ-THỐNG`, chứng thư: thêm `--cert TỆP`), giao cho đầu mối của hệ thống, rồi thu hồi khóa cũ.",
             "Make a new key (`axis system key SYSTEM`; a certificate: with `--cert FILE`), hand it to the system's contact, then revoke the old one.";
    }
    /// A package with a mark of state secrets was refused.
    SecretMark = "secret-mark", Warning, "system" {
        title: "Có gói tin mang dấu hiệu bí mật nhà nước", "A package with a mark of state secrets";
        means: "Hệ thống này đã gửi gói tin mang dấu hiệu mật. Trục từ chối và không giữ nội dung; chỉ có mã băm và cơ quan gửi được ghi lại.",
               "This system sent a package that carries a mark of secrecy. It was refused and nothing of its content is kept; hash and sender are recorded.";
        act: "Liên hệ đầu mối của hệ thống gửi; xử lý theo quy định về bảo vệ bí mật nhà nước. Xem `axis history --refused`. Nếu chỉ là từ ngữ thông thường, chỉnh `[secrecy]`. Cảnh báo tự hết sau một ngày không tái diễn.",
             "Call the sending system's contact and follow the rules on state secrets; see `axis history --refused`. If the words are harmless, adjust `[secrecy]`. The alert ends after a day without another.";
    }
    /// The wall clock jumped.
    ClockOff = "clock-off", Warning, "axis" {
        title: "Đồng hồ máy chủ sai", "The clock is off";
        means: "Đồng hồ vừa nhảy so với thời gian trôi thật. Thứ tự văn bản không bị ảnh hưởng, nhưng thời điểm ghi trong biên nhận có thể sai.",
               "The wall clock jumped against the time that passed. Order is not touched, but times in receipts may be wrong.";
        act: "Kiểm tra đồng bộ thời gian (`timedatectl`, `chronyc tracking`). Trục chỉ thấy đồng hồ nhảy, không thấy đồng hồ sai từ đầu: máy chủ phải có NTP. Cảnh báo tự hết sau một giờ đồng hồ chạy đều.",
             "Check time synchronisation (`timedatectl`, `chronyc tracking`). The axis sees a jump, not a clock that was wrong all along: the host needs NTP. The alert ends after an hour of a steady clock.";
    }
}

impl Kind {
    /// Its name in the journal, on the wire and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.told().name
    }

    /// Of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_says_what_to_do() {
        let mut names = std::collections::BTreeSet::new();
        for kind in Kind::ALL {
            let told = kind.told();
            assert!(names.insert(told.name), "{}", told.name);
            assert_eq!(Kind::of_name(told.name), Some(*kind));
            for words in [&told.title, &told.means, &told.act] {
                assert!(!words.vi.is_empty() && !words.en.is_empty());
                assert_ne!(words.vi, words.en);
            }
        }
        assert!(Kind::ALL.is_sorted_by_key(|kind| kind.told().severity));
        assert_eq!(Kind::of_name("unheard-of"), None);
    }
}
