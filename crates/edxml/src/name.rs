//! The names of elements, by local name, with the spellings met (reference section j.4).

macro_rules! names {
    ($($name:ident: $($spelling:literal)+;)*) => {
        /// A known element, whatever its prefix and spelling.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(clippy::enum_variant_names)] // the format's names
        pub(crate) enum Name {
            $($name,)*
            /// Not in the table.
            Unknown,
        }

        const SPELLINGS: &[(&str, Name)] = &[$($(($spelling, Name::$name),)+)*];
    };
}

// The first spelling of each is the one that the format has.
names! {
    Root: "edXML" "edXml" "EdXML" "edxml";
    Envelope: "edXMLEnvelope";
    Header: "edXMLHeader" "edXmlHeader" "EdXMLHeader";
    MessageHeader: "MessageHeader" "Status";
    TraceHeaderList: "TraceHeaderList";
    Signature: "Signature" "DigitalSignature";
    Body: "edXMLBody" "edXmlBody" "EdXMLBody";
    Manifest: "edXMLManifest" "Manifest" "edXmlManifest";
    AttachmentEncoded: "AttachmentEncoded";
    From: "From";
    To: "To";
    OrganId: "OrganId";
    OrganizationInCharge: "OrganizationInCharge" "OrganInCharge";
    OrganName: "OrganName";
    OrganAdd: "OrganAdd";
    Email: "Email";
    Telephone: "Telephone";
    Fax: "Fax";
    Website: "Website";
    DocumentId: "DocumentId";
    Code: "Code";
    CodeNumber: "CodeNumber";
    CodeNotation: "CodeNotation";
    PromulgationInfo: "PromulgationInfo";
    Place: "Place";
    PromulgationDate: "PromulgationDate" "Date";
    DocumentType: "DocumentType";
    Type: "Type";
    TypeDetail: "TypeDetail";
    TypeName: "TypeName";
    Subject: "Subject";
    Content: "Content";
    SignerInfo: "SignerInfo" "Author";
    Competence: "Competence";
    Position: "Position" "Function";
    FullName: "FullName";
    DueDate: "DueDate";
    ToPlaces: "ToPlaces";
    OtherInfo: "OtherInfo";
    Priority: "Priority";
    SphereOfPromulgation: "SphereOfPromulgation";
    TyperNotation: "TyperNotation";
    PromulgationAmount: "PromulgationAmount";
    PageAmount: "PageAmount";
    Appendixes: "Appendixes";
    Appendix: "Appendix";
    Direction: "Direction";
    ReplyFors: "ReplyFors";
    ReferenceCodes: "ReferenceCodes";
    ResponseFor: "ResponseFor";
    SteeringType: "SteeringType";
    ResponseForTask: "ResponseForTask";
    TaskCode: "TaskCode";
    ApplicationType: "ApplicationType";
    Agency: "Agency";
    Feedback: "Feedback";
    StatusCode: "StatusCode";
    Description: "Description";
    Timestamp: "Timestamp" "TimeStamp";
    StaffInfo: "StaffInfo";
    Department: "Department";
    DepartmentId: "DepartmentId";
    Staff: "Staff";
    StaffId: "StaffId";
    Mobile: "Mobile";
    TraceHeader: "TraceHeader";
    Business: "Bussiness" "Business";
    BusinessDocType: "BussinessDocType" "BusinessDocType";
    BusinessDocReason: "BussinessDocReason" "BusinessDocReason";
    BusinessDocumentInfo: "BussinessDocumentInfo" "BusinessDocumentInfo";
    DocumentInfo: "DocumentInfo";
    DocumentReceiver: "DocumentReceiver";
    ReceiverList: "ReceiverList";
    Receiver: "Receiver";
    ReceiverType: "ReceiverType";
    Paper: "Paper";
    ReplacementInfoList: "ReplacementInfoList";
    ReplacementInfo: "ReplacementInfo";
    OrganIdList: "OrganIdList";
    Reference: "Reference";
    ContentId: "ContentId";
    ContentType: "ContentType";
    AttachmentName: "AttachmentName";
    Attachment: "Attachment";
    ContentTransferEncoded: "ContentTransferEncoded";
    FieldName: "FieldName";
    MimeType: "MimeType";
    Format: "Format";
}

const SLOTS: usize = 512;

/// Open addressing over the spellings, made by the compiler: a look-up is one hash, and one or two
/// comparisons.
const TABLE: [u8; SLOTS] = table();

const fn hash(name: &[u8]) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let (first, middle, last) = (name[0], name[length / 2], name[length - 1]);
    let second = name[if length > 1 { 1 } else { 0 }];
    #[allow(clippy::cast_possible_truncation)] // a hash may lose bits
    let mixed = (length as u32)
        .wrapping_mul(0x9E37_79B1)
        .wrapping_add((first as u32).wrapping_mul(0x85EB_CA6B))
        .wrapping_add((second as u32).wrapping_mul(0x1656_67B1))
        .wrapping_add((middle as u32).wrapping_mul(0xC2B2_AE35))
        .wrapping_add((last as u32).wrapping_mul(0x27D4_EB2F));
    (mixed >> 23) as usize % SLOTS
}

const fn table() -> [u8; SLOTS] {
    let mut table = [u8::MAX; SLOTS];
    let mut i = 0;
    assert!(SPELLINGS.len() < 255);
    while i < SPELLINGS.len() {
        let mut slot = hash(SPELLINGS[i].0.as_bytes());
        while table[slot] != u8::MAX {
            slot = (slot + 1) % SLOTS;
        }
        #[allow(clippy::cast_possible_truncation)] // asserted above
        {
            table[slot] = i as u8;
        }
        i += 1;
    }
    table
}

impl Name {
    /// The element with this local name, and the spelling used.
    pub(crate) fn look_up(local: &str) -> (Name, &'static str) {
        let mut slot = hash(local.as_bytes());
        loop {
            match SPELLINGS.get(usize::from(TABLE[slot])) {
                Some((spelling, name)) if *spelling == local => return (*name, spelling),
                Some(_) => slot = (slot + 1) % SLOTS,
                None => return (Name::Unknown, ""),
            }
        }
    }

    /// The name that the format has for it now.
    pub(crate) fn current(self) -> Option<&'static str> {
        let known = SPELLINGS.iter().find(|(_, name)| *name == self);
        known.map(|(spelling, _)| *spelling)
    }

    /// Whether it may stand several times in this parent.
    pub(crate) fn repeats_in(self, parent: Name) -> bool {
        match self {
            Name::To
            | Name::TraceHeader
            | Name::ResponseFor
            | Name::TaskCode
            | Name::Appendix
            | Name::Reference
            | Name::Attachment
            | Name::Receiver
            | Name::ReplacementInfo
            | Name::StaffInfo
            | Name::Agency
            | Name::ReplyFors
            | Name::ReferenceCodes
            | Name::Unknown => true,
            Name::OrganId => parent == Name::OrganIdList,
            Name::Place => parent == Name::ToPlaces,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found_and_nothing_else() {
        for (spelling, name) in SPELLINGS {
            assert_eq!(Name::look_up(spelling), (*name, *spelling));
        }
        for other in ["", "x", "edXMLenvelope", "organid", "Bussines", "ĐơnVị"] {
            assert_eq!(Name::look_up(other).0, Name::Unknown, "{other}");
        }
        assert!(SPELLINGS.len() * 3 < SLOTS);
    }

    #[test]
    fn look_ups_are_short() {
        let longest = SPELLINGS.iter().map(|(spelling, _)| {
            let found = TABLE.iter().position(|i| {
                SPELLINGS
                    .get(usize::from(*i))
                    .is_some_and(|s| s.0 == *spelling)
            });
            (found.unwrap() + SLOTS - hash(spelling.as_bytes())) % SLOTS
        });
        assert!(longest.max().unwrap() <= 8);
    }
}
