//! What the demo shows: Vietnamese first, English beside it.

use std::collections::BTreeMap;
use std::io;

use api::client::RefusalView;
use api::v1;

use super::compare::Tally;
use super::script::{Piece, Script};
use super::stage::Stage;
use crate::output::{self, Paint, Tone};
use crate::{refusal, story};

/// The screen, or nothing where a machine reads.
#[derive(Debug)]
pub(crate) struct Screen {
    shown: bool,
    paint: Paint,
    part: u32,
    /// What a receipt is has been said.
    explained: bool,
}

impl Screen {
    /// Shows everything, or nothing.
    pub(crate) fn new(shown: bool) -> Self {
        Self {
            shown,
            paint: Paint::for_stdout(),
            part: 0,
            explained: false,
        }
    }

    fn say(&self, text: impl AsRef<str>) -> io::Result<()> {
        if self.shown {
            output::line(text)
        } else {
            Ok(())
        }
    }

    fn indented(&self, text: &str) -> io::Result<()> {
        self.say(
            text.lines()
                .map(|line| format!("   {line}").trim_end().to_owned())
                .collect::<Vec<_>>()
                .join("\n"),
        )
    }

    /// Begins a part.
    pub(crate) fn heading(&mut self, vi: &str, en: &str) -> io::Result<()> {
        self.part += 1;
        self.say(format!(
            "\n{}",
            self.paint
                .tone(Tone::Strong, format!("{}. {vi} ({en})", self.part))
        ))
    }

    /// Who is there.
    pub(crate) fn opening(&mut self, stage: &Stage) -> io::Result<()> {
        self.say(self.paint.tone(
            Tone::Strong,
            "TRỤC LIÊN THÔNG VĂN BẢN: từ lúc gửi đến lúc nhận, trên gói tin thật",
        ))?;
        self.say("(the document exchange axis, from sending to receiving, on real packages)")?;
        self.heading("Trục và các cơ quan", "the axis and the agencies")?;
        self.indented(&format!(
            "Trục chạy tại {}, dữ liệu trong thư mục tạm {}.\n\
             (The axis runs there; its data lie in a temporary folder.)\n\
             Danh mục là của một tỉnh không có thật, Lâm Hải, đã nhập tỉnh Sơn Bình từ 01/07/2025; thêm các\n\
             cơ quan mà các tệp mẫu nhắc tới. (The registry: an invented province that took in another one\n\
             in July 2025, and the agencies that the samples name.)\n\
             Mỗi cơ quan gửi nhận có một hệ thống với khóa riêng. (Each that sends or receives has a system with its own key.)\n ",
            stage.server(),
            stage.data().display()
        ))?;
        let rows = stage.actors.iter().map(|actor| {
            [
                actor.code.clone(),
                actor.name.clone(),
                actor.system.clone(),
                actor.way().to_owned(),
            ]
        });
        self.indented(&output::table(
            [
                "Mã định danh",
                "Cơ quan",
                "Hệ thống",
                "Nhận bằng (receives by)",
            ],
            rows,
        ))
    }

    /// Packages that were accepted.
    pub(crate) fn sent(&mut self, sent: &[(&Piece, v1::Receipt)]) -> io::Result<()> {
        for (piece, receipt) in sent {
            self.indented(&format!(
                "{tick} {file}: {about}\n    {sender} → {receivers}\n    DocumentId {document}",
                tick = self.paint.tone(Tone::Good, "✓"),
                file = piece.file,
                about = piece.about,
                sender = piece.sender,
                receivers = piece.receivers.join(", "),
                document = piece.document_id,
            ))?;
            if !receipt.warnings.is_empty() {
                let codes: Vec<_> = receipt
                    .warnings
                    .iter()
                    .map(|warning| warning.code.as_str())
                    .collect();
                self.indented(&format!("    cảnh báo (warning) {}", codes.join(", ")))?;
            }
        }
        if !std::mem::replace(&mut self.explained, true) {
            self.indented(
                " \nBiên nhận chỉ được trả khi gói tin đã nằm chắc trên đĩa: mất điện ngay sau đó cũng không mất văn bản.\n\
                 (A receipt leaves only when the package is safe on disk: a power cut the next instant loses nothing.)",
            )?;
        }
        Ok(())
    }

    /// A file that was refused: what is wrong with it, where, and what to do.
    pub(crate) fn refused(&self, file: &str, view: &RefusalView) -> io::Result<()> {
        self.indented(&format!(
            "{} {file}: {}",
            self.paint.tone(Tone::Bad, "✗"),
            view.name
        ))?;
        for line in refusal::lines(view) {
            self.indented(&format!("    {line}"))?;
        }
        Ok(())
    }

    /// What a part is about, before it.
    pub(crate) fn note(&self, text: &str) -> io::Result<()> {
        self.indented(text)
    }

    /// What came to whom.
    pub(crate) fn received(&self, received: &[v1::DeliveryHeader]) -> io::Result<()> {
        #[derive(Default)]
        struct Got {
            documents: usize,
            statuses: usize,
            by_axis: usize,
        }
        let mut by_receiver: BTreeMap<String, Got> = BTreeMap::new();
        for header in received {
            let got = by_receiver
                .entry(story::agency(header.receiver.as_ref()))
                .or_default();
            match &header.status {
                None => got.documents += 1,
                Some(status) => {
                    got.statuses += 1;
                    got.by_axis += usize::from(status.made_by_axis);
                }
            }
        }
        let rows = by_receiver.into_iter().map(|(name, got)| {
            [
                name,
                got.documents.to_string(),
                got.statuses.to_string(),
                got.by_axis.to_string(),
            ]
        });
        self.indented(&output::table(
            [
                "Bên nhận",
                "Văn bản",
                "Trạng thái",
                "trong đó do trục lập (by the axis)",
            ],
            rows,
        ))?;
        let arrived = received
            .iter()
            .filter(|header| {
                header
                    .status
                    .as_ref()
                    .is_some_and(|status| status.made_by_axis)
            })
            .count();
        if arrived > 0 {
            self.indented(&format!(
                "Khi bên nhận xác nhận đã có văn bản, trục tự báo 01 (đã đến) cho bên gửi: {arrived} lần.\n\
                 (When a receiver confirms, the axis itself reports 01, arrived, to the sender: {arrived} times.)"
            ))?;
        }
        Ok(())
    }

    /// The story of a document.
    pub(crate) fn story(&self, trace: &v1::TraceResponse) -> io::Result<()> {
        self.indented(&story::tell(trace))
    }

    /// How sent and received compare.
    pub(crate) fn reckoning(&self, owed: usize, tally: Tally) -> io::Result<()> {
        let verdict = if tally.lost + tally.doubled == 0 {
            self.paint
                .tone(Tone::Good, "Đủ và đúng từng byte (complete, byte for byte)")
        } else {
            self.paint.tone(Tone::Bad, "KHÔNG KHỚP (they differ)")
        };
        self.indented(&format!(
            "Phải giao (owed)      {owed}\n\
             Tệp đã nhận (files)   {files}\n\
             Mất (lost)            {lost}\n\
             Trùng (doubled)       {doubled}\n\
             {verdict}",
            files = tally.files,
            lost = tally.lost,
            doubled = tally.doubled,
        ))
    }

    /// How to go on by hand.
    pub(crate) fn stay(&mut self, stage: &Stage, script: &Script) -> io::Result<()> {
        self.heading("Mời dùng thử", "try it yourself")?;
        let Some(actor) = stage.actors.first() else {
            return Ok(());
        };
        self.indented(&format!(
            "Trục vẫn chạy, trong cửa sổ lệnh khác (the axis goes on; in another terminal):\n \n\
             axis queues --data {data}\n\
             axis history --data {data}\n\
             axis registry tree H99 --depth 1 --data {data}\n\
             axis registry as-of 2025-06-30 'so noi vu' --data {data}\n\
             axis trace '{document}' --data {data}\n\
             axis receive --out received --server {server} --system {system} --key-file {key}\n \n\
             Nhấn Ctrl-C để dừng; mọi thứ trong thư mục tạm sẽ mất. (Ctrl-C stops it and removes the folder.)",
            data = stage.data().display(),
            document = script.story.1,
            server = stage.server(),
            system = actor.system,
            key = actor.key_file.display(),
        ))
    }
}
