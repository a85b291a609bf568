//! The demo's second act: an urgent document overtakes, a receiver refuses with its reason, a
//! document is taken back before its fetch and one after it, a replacement is told from both ends.

use api::v1;
use edxml::write::{StatusDraft, status};
use edxml::{Organ, Priority, ResponseFor, Staff, StatusCode, Timestamp};

use super::Play;
use super::script::{Piece, Script, Unusable, piece, plant};
use crate::failure::Failure;
use crate::{shape, story};

/// What the act sends.
#[derive(Debug)]
pub(crate) struct Rules {
    /// An ordinary document, and one of hỏa tốc that is sent after it.
    pub(crate) ordinary: Piece,
    pub(crate) express: Piece,
    /// 02 of a receiver on the ordinary one.
    pub(crate) refusal: Piece,
    /// A document that is taken back before anybody fetched it, and the 13 that does so.
    pub(crate) early: Piece,
    pub(crate) taken_back: Vec<Piece>,
    /// 15 of a receiver on the document that the recall of the samples names.
    pub(crate) agreement: Piece,
    /// The document that the replacement of the samples replaces.
    pub(crate) replaced: String,
}

impl Rules {
    /// # Errors
    /// If a sample is not what it was.
    pub(crate) fn write(recall: &Piece, replaced: &str) -> Result<Self, Unusable> {
        let day = (2026, 11, 20);
        let plain = |name: &str, id: &str, number: &str, level: u8| {
            let priority = Priority::new(level).unwrap_or_default();
            plant(name, id, number, day, priority)
        };
        let ordinary = plain("văn bản thường", "demo-thuong", "101", 0)?;
        let express = plain("văn bản hỏa tốc, gửi sau", "demo-hoa-toc", "102", 3)?;
        let early = plain("văn bản gửi nhầm", "demo-gui-nham", "103", 0)?;
        let receiver = ordinary.receivers.first().cloned().unwrap_or_default();
        let refusal = said(
            2,
            &receiver,
            &ordinary.sender,
            &ordinary.document_id,
            "Văn bản gửi nhầm địa chỉ, không thuộc thẩm quyền",
        )?;
        let taken_back = early.receivers.iter().map(|receiver| {
            let id = &early.document_id;
            said(13, &early.sender, receiver, id, "Phát hành nhầm")
        });
        let agrees = recall.receivers.first().cloned().unwrap_or_default();
        let agreement = said(15, &agrees, &recall.sender, &recall.document_id, "Đã hủy")?;
        Ok(Self {
            taken_back: taken_back.collect::<Result<_, _>>()?,
            ordinary,
            express,
            refusal,
            early,
            agreement,
            replaced: replaced.to_owned(),
        })
    }
}

fn said(code: u8, from: &str, to: &str, id: &str, text: &str) -> Result<Piece, Unusable> {
    let name = format!("trạng thái {code:02}");
    let unusable = || Unusable(name.clone());
    let draft = StatusDraft {
        from: Organ::new(from, None),
        response_for: ResponseFor {
            organ_id: to.into(),
            document_id: Some(id.to_owned()),
            ..ResponseFor::default()
        },
        staff: Some(Staff {
            name: Some("Nguyễn Văn An".to_owned()),
            department: Some("Văn thư".to_owned()),
            ..Staff::default()
        }),
        code: StatusCode::new(code).ok_or_else(unusable)?,
        description: Some(text.to_owned()),
        timestamp: Timestamp::new(2026, 11, 20, 9, 0, 0).ok_or_else(unusable)?,
    };
    piece(name.clone(), status(&draft).map_err(|_| unusable())?)
}

impl Play {
    /// Urgency, a refusal, a recall before the fetch.
    pub(super) async fn overtake_refuse_recall(&mut self, script: &Script) -> Result<(), Failure> {
        let rules = &script.rules;
        self.screen
            .heading("Hỏa tốc vượt trước", "an urgent document overtakes")?;
        let sent = [
            (&rules.ordinary, self.push(&rules.ordinary).await?),
            (&rules.express, self.push(&rules.express).await?),
        ];
        self.screen.sent(&sent)?;
        let first = rules.ordinary.receivers.first();
        let receiver = first.map(String::as_str).unwrap_or_default();
        let received = self.stage.actor(receiver)?.fetch().await?;
        let came: Vec<_> = received
            .iter()
            .filter_map(|header| header.document.as_ref()?.document_id.clone())
            .collect();
        self.screen.note(&format!(
            " \nBên nhận {receiver} lấy về theo thứ tự (fetched in this order): {}",
            came.join(", ")
        ))?;
        let place = |piece: &Piece| came.iter().position(|id| *id == piece.document_id);
        if place(&rules.express) > place(&rules.ordinary) {
            return Err(Failure::refused(
                "the urgent document was fetched after the ordinary one",
            ));
        }
        self.receive_all().await?;

        self.screen
            .heading("Từ chối tiếp nhận", "a receiver refuses, with its reason")?;
        let receipt = self.push(&rules.refusal).await?;
        self.screen.sent(&[(&rules.refusal, receipt)])?;
        self.tell_matrix(&rules.ordinary).await?;

        self.screen
            .heading("Thu hồi trước khi lấy", "a recall before the fetch")?;
        let receipt = self.push_unowed(&rules.early).await?;
        self.screen.sent(&[(&rules.early, receipt)])?;
        for piece in &rules.taken_back {
            let receipt = self.push_unowed(piece).await?;
            self.screen.sent(&[(piece, receipt)])?;
        }
        self.receive_all().await?;
        self.tell_matrix(&rules.early).await
    }

    /// The answer to the recall of the samples, and the chain of the replacement.
    pub(super) async fn answer_and_link(&mut self, script: &Script) -> Result<(), Failure> {
        let rules = &script.rules;
        let receipt = self.push(&rules.agreement).await?;
        self.screen.sent(&[(&rules.agreement, receipt)])?;
        self.tell_matrix(&script.recall).await?;
        self.receive_all().await?;

        self.screen
            .heading("Thay thế", "a replacement, told from the old document")?;
        let request = v1::TraceRequest {
            id: rules.replaced.clone(),
        };
        let trace = self.stage.operator.trace(request).await?;
        for event in trace.events.iter().filter(|event| event.kind == "linked") {
            self.screen.note(&format!(
                "{}  {}\n({})",
                story::clock(&event.at),
                event.detail,
                event.detail_en
            ))?;
        }
        Ok(())
    }

    /// Where a document stands at each receiver.
    async fn tell_matrix(&self, piece: &Piece) -> Result<(), Failure> {
        let request = v1::MatrixRequest {
            sender: piece.sender.clone(),
            document_id: piece.document_id.clone(),
            package_id: String::new(),
        };
        let matrix = self.stage.operator.matrix(request).await?;
        for cell in &matrix.cells {
            let said = cell.events.last();
            let said = said
                .map(|event| event.description.as_str())
                .unwrap_or_default();
            self.screen.note(&format!(
                "{}: {} {} {said}",
                shape::code(cell.receiver.as_ref()),
                cell.status,
                cell.status_label
            ))?;
        }
        Ok(())
    }
}
