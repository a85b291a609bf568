//! The elements of a package, each with its children in the order of the national SDK (reference
//! section b.5).

use super::{File, Writer};
use crate::namespace::NAMESPACE;
use crate::package::{Business, Document, Organ, ResponseFor, Staff, TraceHeader};

impl Writer {
    pub(super) fn message_header(&mut self, document: &Document) {
        self.organ("From", &document.from);
        for to in &document.to {
            self.organ("To", to);
        }
        self.text("DocumentId", document.document_id.as_deref());
        self.open("Code");
        self.text("CodeNumber", Some(&document.code.number));
        self.text("CodeNotation", Some(&document.code.notation));
        self.close("Code");
        self.open("PromulgationInfo");
        self.text("Place", document.promulgation.place.as_deref());
        self.date("PromulgationDate", document.promulgation.date.as_ref());
        self.close("PromulgationInfo");
        let kind = &document.document_type;
        self.open("DocumentType");
        self.number("Type", Some(kind.class.unwrap_or(2)));
        self.number("TypeDetail", kind.detail);
        self.text("TypeName", kind.name.as_deref());
        self.close("DocumentType");
        self.text("Subject", document.subject.as_deref());
        self.text("Content", document.content.as_deref());
        let signer = &document.signer;
        let signer = [
            ("Competence", &signer.competence),
            ("Position", &signer.position),
            ("FullName", &signer.full_name),
        ];
        if signer.iter().any(|(_, text)| text.is_some()) {
            self.open("SignerInfo");
            for (name, text) in signer {
                self.text(name, text.as_deref());
            }
            self.close("SignerInfo");
        }
        self.date("DueDate", document.due_date.as_ref());
        self.other_info(document);
        for response in &document.response_for {
            self.response_for(response);
        }
        self.number("SteeringType", Some(document.steering_type.unwrap_or(0)));
        self.list("ResponseForTask", "TaskCode", &document.task_codes);
        self.text("ApplicationType", document.application_type.as_deref());
        self.list("ToPlaces", "Place", &document.to_places);
        self.close("MessageHeader");
    }

    fn other_info(&mut self, document: &Document) {
        let info = &document.other_info;
        self.open("OtherInfo");
        self.leaf("Priority", &info.priority.level().to_string());
        self.text("SphereOfPromulgation", info.sphere.as_deref());
        self.text("TyperNotation", info.typer_notation.as_deref());
        self.number("PromulgationAmount", info.promulgation_amount);
        self.number("PageAmount", info.page_amount);
        if let Some(direction) = info.direction {
            self.leaf("Direction", if direction { "true" } else { "false" });
        }
        self.list("Appendixes", "Appendix", &info.appendixes);
        self.close("OtherInfo");
    }

    fn list(&mut self, list: &str, item: &'static str, texts: &[String]) {
        if !texts.is_empty() {
            self.open(list);
            for text in texts {
                self.text(item, Some(text));
            }
            self.close(list);
        }
    }

    pub(super) fn organ(&mut self, name: &str, organ: &Organ) {
        self.open(name);
        self.agency("OrganId", &organ.id);
        self.text("OrganizationInCharge", organ.in_charge.as_deref());
        self.text("OrganName", organ.name.as_deref());
        self.text("OrganAdd", organ.address.as_deref());
        self.text("Email", organ.email.as_deref());
        self.text("Telephone", organ.telephone.as_deref());
        self.text("Fax", organ.fax.as_deref());
        self.text("Website", organ.website.as_deref());
        self.close(name);
    }

    pub(super) fn response_for(&mut self, response: &ResponseFor) {
        self.open("ResponseFor");
        self.agency("OrganId", &response.organ_id);
        self.text("Code", response.code.as_deref());
        self.text("DocumentId", response.document_id.as_deref());
        self.date("PromulgationDate", response.promulgation_date.as_ref());
        self.close("ResponseFor");
    }

    pub(super) fn staff(&mut self, staff: Option<&Staff>) {
        if let Some(staff) = staff {
            self.open("StaffInfo");
            self.text("Department", staff.department.as_deref());
            self.text("Staff", staff.name.as_deref());
            self.text("Email", staff.email.as_deref());
            self.text("Mobile", staff.mobile.as_deref());
            self.close("StaffInfo");
        }
    }

    pub(super) fn trace(&mut self, trace: &TraceHeader) {
        self.open("TraceHeader");
        if let Some(organ) = &trace.organ_id {
            self.agency("OrganId", organ);
        }
        if let Some(timestamp) = &trace.timestamp {
            self.leaf("Timestamp", &timestamp.to_string());
        }
        self.close("TraceHeader");
    }

    pub(super) fn business(&mut self, business: &Business) {
        self.open("Bussiness");
        self.text("DocumentId", business.document_id.as_deref());
        self.leaf("BussinessDocType", &business.kind.number().to_string());
        self.text("BussinessDocReason", business.reason.as_deref());
        self.number("Paper", business.paper);
        let info = business.info;
        if info != Default::default() || !business.receivers.is_empty() {
            self.open("BussinessDocumentInfo");
            self.flag("DocumentInfo", info.document);
            self.flag("DocumentReceiver", info.receivers);
            if !business.receivers.is_empty() {
                self.open("ReceiverList");
                for change in &business.receivers {
                    self.open("Receiver");
                    self.agency("OrganId", &change.organ_id);
                    self.flag("ReceiverType", change.added);
                    self.close("Receiver");
                }
                self.close("ReceiverList");
            }
            self.close("BussinessDocumentInfo");
        }
        if !business.replacements.is_empty() {
            self.open("ReplacementInfoList");
            for replacement in &business.replacements {
                self.open("ReplacementInfo");
                self.text("DocumentId", replacement.document_id.as_deref());
                self.open("OrganIdList");
                for organ in &replacement.organ_ids {
                    self.agency("OrganId", organ);
                }
                self.close("OrganIdList");
                self.close("ReplacementInfo");
            }
            self.close("ReplacementInfoList");
        }
        self.staff(business.staff.as_ref());
        self.close("Bussiness");
    }

    pub(super) fn manifest(&mut self, files: &[File]) {
        self.indent();
        if files.is_empty() {
            self.tag("<", "edXMLManifest", " version=\"1.0\" />\r\n");
            return;
        }
        self.tag("<", "edXMLManifest", " version=\"1.0\">\r\n");
        self.depth += 1;
        for (index, file) in files.iter().enumerate() {
            self.open("Reference");
            self.leaf("ContentId", &content_id(file, index));
            self.text("ContentType", Some(&file.content_type));
            self.text("Description", file.description.as_deref());
            self.text("AttachmentName", Some(&file.name));
            self.close("Reference");
        }
        self.close("edXMLManifest");
    }

    /// `AttachmentEncoded`: without the prefix, but for the element of the content.
    pub(super) fn attachments(&mut self, files: &[File]) {
        if files.is_empty() {
            self.out.extend_from_slice(b"  <AttachmentEncoded />\r\n");
            return;
        }
        self.out.extend_from_slice(b"  <AttachmentEncoded>\r\n");
        for (index, file) in files.iter().enumerate() {
            self.out.extend_from_slice(b"    <Attachment>\r\n");
            let id = content_id(file, index);
            let fields = [
                ("ContentId", Some(id.as_str())),
                ("AttachmentName", Some(file.name.as_str())),
                ("Description", file.description.as_deref()),
                ("ContentType", Some(file.content_type.as_str())),
            ];
            for (name, text) in fields {
                if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
                    self.out
                        .extend_from_slice(format!("      <{name}>").as_bytes());
                    self.escape(name, text);
                    self.out
                        .extend_from_slice(format!("</{name}>\r\n").as_bytes());
                }
            }
            self.out.extend_from_slice(
                format!("      <edXML:ContentTransferEncoded xmlns:edXML=\"{NAMESPACE}\">")
                    .as_bytes(),
            );
            self.base64(&file.bytes);
            self.out
                .extend_from_slice(b"</edXML:ContentTransferEncoded>\r\n    </Attachment>\r\n");
        }
        self.out.extend_from_slice(b"  </AttachmentEncoded>\r\n");
    }
}

fn content_id(file: &File, index: usize) -> String {
    match &file.content_id {
        Some(id) => id.clone(),
        None => format!("cid:{}", index + 1),
    }
}
