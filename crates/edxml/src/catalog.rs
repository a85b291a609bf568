//! The table of findings: the one place where their names, weights and texts stand.
//!
//! A text says what is wrong and what to do; `{}` stands for the finding's detail.

use crate::finding::Level;

macro_rules! catalog {
    ($($variant:ident $name:literal $level:tt $section:literal
        en: $en:literal
        vi: $vi:literal)*) => {
        /// The closed list of what can be found in a package.
        #[allow(rustdoc::bare_urls)] // the texts are for people, not for rustdoc
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FindingCode {
            $(#[doc = concat!("`", $name, "`: ", $en)] $variant,)*
        }

        impl FindingCode {
            /// All codes, in the order of the table: from what cannot be read to what is only odd.
            pub const ALL: &'static [FindingCode] = &[$(FindingCode::$variant),*];

            /// The stable name, in capitals.
            pub fn as_str(self) -> &'static str {
                match self { $(FindingCode::$variant => $name,)* }
            }

            /// The lowest level at which it refuses a package; `None` if it never does.
            pub fn refuses_from(self) -> Option<Level> {
                match self { $(FindingCode::$variant => catalog!(@level $level),)* }
            }

            /// The section of the engineering reference of QCVN 102 that it rests on.
            pub fn section(self) -> &'static str {
                match self { $(FindingCode::$variant => $section,)* }
            }

            /// English text, `{}` for the detail.
            pub fn text_en(self) -> &'static str {
                match self { $(FindingCode::$variant => $en,)* }
            }

            /// Vietnamese text, `{}` for the detail.
            pub fn text_vi(self) -> &'static str {
                match self { $(FindingCode::$variant => $vi,)* }
            }
        }
    };
    (@level readable) => { Some(Level::Readable) };
    (@level axis) => { Some(Level::Axis) };
    (@level strict) => { Some(Level::Strict) };
    (@level never) => { None };
}

catalog! {
    // Not XML, or XML that must not be read on.
    Empty "EMPTY" readable "a.2"
        en: "The package is empty. Send the edXML file itself."
        vi: "Gói tin rỗng. Hãy gửi đúng tệp edXML."
    NotXml "NOT_XML" readable "a.2"
        en: "This is not XML: {}. Send the edXML file itself, neither packed nor converted."
        vi: "Đây không phải XML: {}. Hãy gửi chính tệp edXML, không nén, không chuyển đổi."
    JunkBeforeDeclaration "JUNK_BEFORE_DECLARATION" readable "a.2"
        en: "Something stands before the XML declaration: {}. Remove everything before `<?xml`."
        vi: "Có nội dung thừa trước khai báo XML: {}. Hãy xóa mọi thứ đứng trước `<?xml`."
    NotWellFormed "NOT_WELL_FORMED" readable "a.2"
        en: "The XML is not well-formed: {}. Mend it with the program that wrote it; no receiver can read it."
        vi: "XML không đúng cú pháp: {}. Hãy sửa ở phần mềm tạo tệp; không bên nhận nào đọc được."
    InvalidEncoding "INVALID_ENCODING" readable "h.2"
        en: "The bytes are not valid in the file's encoding: {}. Write the file in UTF-8."
        vi: "Dữ liệu không đúng bảng mã của tệp: {}. Hãy ghi tệp bằng UTF-8."
    IllegalCharacter "ILLEGAL_CHARACTER" readable "a.2"
        en: "The character {} is not allowed in XML. Remove it from the text."
        vi: "Ký tự {} không được phép trong XML. Hãy xóa khỏi văn bản."
    Doctype "DOCTYPE" readable "j.1"
        en: "The package has a document type definition (DOCTYPE), which is never accepted. Remove it."
        vi: "Gói tin có khai báo DOCTYPE, không bao giờ được chấp nhận. Hãy xóa khai báo này."
    UnknownEntity "UNKNOWN_ENTITY" readable "j.1"
        en: "The entity &{}; is unknown. Only &lt; &gt; &amp; &quot; &apos; and character numbers may be used."
        vi: "Thực thể &{}; không xác định. Chỉ dùng &lt; &gt; &amp; &quot; &apos; và mã số ký tự."
    TooDeep "TOO_DEEP" readable "j.1"
        en: "Elements are nested deeper than {} levels. No real package is; check the program that wrote it."
        vi: "Các phần tử lồng nhau quá {} mức. Gói tin thật không như vậy; hãy kiểm tra phần mềm tạo tệp."
    TooManyAttributes "TOO_MANY_ATTRIBUTES" readable "j.1"
        en: "An element has more than {} attributes. Remove them."
        vi: "Một phần tử có hơn {} thuộc tính. Hãy bỏ bớt."
    NameTooLong "NAME_TOO_LONG" readable "j.1"
        en: "A name is longer than {} bytes. Check the program that wrote the file."
        vi: "Một tên dài hơn {} byte. Hãy kiểm tra phần mềm tạo tệp."
    TagTooLong "TAG_TOO_LONG" readable "j.1"
        en: "A tag with its attributes is longer than {} bytes. Remove the oversized attribute."
        vi: "Một thẻ cùng thuộc tính dài hơn {} byte. Hãy bỏ thuộc tính quá dài."
    TextTooLong "TEXT_TOO_LONG" readable "j.1"
        en: "A text outside the attachments is longer than {} bytes. Shorten it or send it as an attachment."
        vi: "Một đoạn chữ ngoài tệp đính kèm dài hơn {} byte. Hãy rút gọn hoặc gửi thành tệp đính kèm."
    HeaderTooLarge "HEADER_TOO_LARGE" readable "j.1"
        en: "The texts of the header are longer than {} bytes in all. Split the package."
        vi: "Tổng nội dung phần đầu dài hơn {} byte. Hãy tách gói tin."
    TooManyElements "TOO_MANY_ELEMENTS" readable "j.1"
        en: "The package has more than {} elements. Split it."
        vi: "Gói tin có hơn {} phần tử. Hãy tách gói tin."

    // XML, but not this format.
    OlderFormSoap "OLDER_FORM_SOAP" readable "a.3"
        en: "This is the SOAP form of 2012 to 2014 ({}). Send the form of QCVN 102:2016."
        vi: "Đây là mẫu SOAP của giai đoạn 2012–2014 ({}). Hãy gửi theo mẫu QCVN 102:2016."
    OlderFormMultipart "OLDER_FORM_MULTIPART" readable "a.3"
        en: "This is the multipart MIME form of 2012 to 2014 ({}). Send the form of QCVN 102:2016."
        vi: "Đây là mẫu MIME nhiều phần của giai đoạn 2012–2014 ({}). Hãy gửi theo mẫu QCVN 102:2016."
    OlderFormDraft "OLDER_FORM_DRAFT" readable "a.4"
        en: "This is an early draft of the format (namespace {}). Send the form of QCVN 102:2016."
        vi: "Đây là bản nháp ban đầu của định dạng (không gian tên {}). Hãy gửi theo mẫu QCVN 102:2016."
    NotEdxml "NOT_EDXML" readable "b.1"
        en: "This is XML but not edXML: {}. Send a package of QCVN 102:2016 with edXML/edXMLEnvelope."
        vi: "Đây là XML nhưng không phải edXML: {}. Hãy gửi gói tin QCVN 102:2016 có edXML/edXMLEnvelope."
    EnvelopeAsRoot "ENVELOPE_AS_ROOT" readable "a.4"
        en: "The root is {} itself. Put it into a root element edXML."
        vi: "Phần tử gốc chính là {}. Hãy đặt nó trong phần tử gốc edXML."
    WrongNamespace "WRONG_NAMESPACE" readable "b.1"
        en: "edXMLEnvelope is in the namespace {}. Use http://www.mic.gov.vn/TBT/QCVN_102_2016."
        vi: "edXMLEnvelope thuộc không gian tên {}. Hãy dùng http://www.mic.gov.vn/TBT/QCVN_102_2016."
    WrongCase "WRONG_CASE" readable "b.1"
        en: "The envelope is written {}. Write edXMLEnvelope, exactly so."
        vi: "Phong bì được viết là {}. Hãy viết đúng edXMLEnvelope."
    NoMessageHeader "NO_MESSAGE_HEADER" readable "b.1"
        en: "There is no edXMLHeader/MessageHeader. Add it; nothing can be routed without it."
        vi: "Thiếu edXMLHeader/MessageHeader. Hãy bổ sung; thiếu phần này không thể chuyển gói tin."
    NoFrom "NO_FROM" readable "b.2"
        en: "The sender is missing: From/OrganId is absent or empty. Put the sender's agency code there."
        vi: "Thiếu bên gửi: From/OrganId không có hoặc để trống. Hãy ghi mã định danh bên gửi."
    NoTo "NO_TO" readable "b.2"
        en: "A receiver is missing: To/OrganId is absent or empty. Put the receiver's agency code there."
        vi: "Thiếu bên nhận: To/OrganId không có hoặc để trống. Hãy ghi mã định danh bên nhận."
    NoResponseFor "NO_RESPONSE_FOR" readable "f.1"
        en: "The status does not say whom it is for: ResponseFor/OrganId is absent or empty. Copy it from the document."
        vi: "Trạng thái không ghi gửi cho ai: ResponseFor/OrganId không có hoặc để trống. Hãy chép từ văn bản."
    NoStatusCode "NO_STATUS_CODE" readable "f.1"
        en: "StatusCode is absent or empty. Write 01 to 06, 13, 15 or 16."
        vi: "StatusCode không có hoặc để trống. Hãy ghi 01 đến 06, 13, 15 hoặc 16."
    BadStatusCode "BAD_STATUS_CODE" readable "f.1"
        en: "StatusCode \"{}\" is not two digits. Write 01 to 06, 13, 15 or 16."
        vi: "StatusCode \"{}\" không phải hai chữ số. Hãy ghi 01 đến 06, 13, 15 hoặc 16."

    // Can be routed, but not accepted.
    Contradiction "CONTRADICTION" axis "b.2"
        en: "{} is said twice and not the same; one receiver would believe the one, another the other. Leave one."
        vi: "{} được ghi hai lần và khác nhau; mỗi bên nhận có thể tin một giá trị khác nhau. Hãy giữ lại một."
    NoNumber "NO_NUMBER" axis "b.2"
        en: "The document has no number: Code/CodeNumber is absent or empty. Register the document and write its number."
        vi: "Văn bản không có số: Code/CodeNumber không có hoặc để trống. Hãy vào sổ và ghi số văn bản."
    NoDate "NO_DATE" axis "b.2"
        en: "The document has no date: PromulgationInfo/PromulgationDate is absent or empty. Write it as yyyy/MM/dd."
        vi: "Văn bản không có ngày: PromulgationInfo/PromulgationDate không có hoặc để trống. Hãy ghi dạng yyyy/MM/dd."
    UnreadableDate "UNREADABLE_DATE" axis "h.2"
        en: "The document's date \"{}\" is no date. Write it as yyyy/MM/dd, a day that exists."
        vi: "Ngày văn bản \"{}\" không phải là ngày. Hãy ghi dạng yyyy/MM/dd, một ngày có thật."
    ReferenceWithoutAttachment "REFERENCE_WITHOUT_ATTACHMENT" axis "h.3"
        en: "The manifest names {}, but no attachment belongs to it. Add the attachment with the same ContentId, or remove the Reference."
        vi: "Danh mục có {} nhưng không có tệp đính kèm tương ứng. Hãy thêm tệp cùng ContentId hoặc bỏ Reference."
    BadBase64 "BAD_BASE64" axis "b.4"
        en: "The attachment's content is not base64: {}. Encode the file again and send it whole."
        vi: "Nội dung tệp đính kèm không phải base64: {}. Hãy mã hóa lại và gửi trọn vẹn."

    // Accepted; a receiver may stumble.
    RootName "ROOT_NAME" strict "b.1"
        en: "The root element is called {}. Call it edXML."
        vi: "Phần tử gốc tên là {}. Hãy đặt tên edXML."
    NoNamespace "NO_NAMESPACE" strict "a.2"
        en: "edXMLEnvelope is in no namespace; the national SDK refuses that. Declare http://www.mic.gov.vn/TBT/QCVN_102_2016."
        vi: "edXMLEnvelope không có không gian tên; SDK quốc gia sẽ từ chối. Hãy khai báo http://www.mic.gov.vn/TBT/QCVN_102_2016."
    ForeignNamespace "FOREIGN_NAMESPACE" strict "a.2"
        en: "An element is in the namespace {}. Use http://www.mic.gov.vn/TBT/QCVN_102_2016 for all."
        vi: "Một phần tử thuộc không gian tên {}. Hãy dùng http://www.mic.gov.vn/TBT/QCVN_102_2016 cho tất cả."
    UnboundPrefix "UNBOUND_PREFIX" strict "j.2"
        en: "The prefix {} is not declared; many readers refuse that, the national SDK on the envelope. Declare it with xmlns."
        vi: "Tiền tố {} chưa được khai báo; nhiều phần mềm sẽ từ chối, SDK quốc gia từ chối nếu ở phong bì. Hãy khai báo bằng xmlns."
    OtherPrefix "OTHER_PREFIX" strict "a.2"
        en: "The envelope's prefix is \"{}\"; several receivers look for the literal prefix edXML. Write edXML."
        vi: "Tiền tố của phong bì là \"{}\"; một số bên nhận tìm đúng tiền tố edXML. Hãy dùng edXML."
    DeclaredEncoding "DECLARED_ENCODING" strict "h.2"
        en: "The declaration says {}, but the bytes are something else. Declare UTF-8."
        vi: "Khai báo ghi {} nhưng dữ liệu không như vậy. Hãy khai báo UTF-8."
    XmlVersion "XML_VERSION" strict "a.2"
        en: "The declaration says XML {}; .NET readers refuse all but 1.0. Write version=\"1.0\"."
        vi: "Khai báo ghi XML {}; phần mềm .NET từ chối mọi phiên bản khác 1.0. Hãy ghi version=\"1.0\"."
    DuplicateElement "DUPLICATE_ELEMENT" strict "b.6"
        en: "{} stands more than once here; the last one counts. Leave one."
        vi: "{} xuất hiện nhiều lần; lần cuối được dùng. Hãy giữ lại một."
    OlderSpelling "OLDER_SPELLING" strict "j.4"
        en: "{} is an older spelling that the national SDK does not read; its value is lost there. Use the current name."
        vi: "{} là cách viết cũ, SDK quốc gia không đọc và làm mất giá trị. Hãy dùng tên hiện hành."
    BusinessSpelling "BUSINESS_SPELLING" strict "b.3"
        en: "{} is spelled with one s; the national SDK drops it, and a recall looks like a new document. Write Bussiness."
        vi: "{} viết một chữ s; SDK quốc gia bỏ qua, nên thu hồi thành văn bản mới. Hãy viết Bussiness."
    MisplacedElement "MISPLACED_ELEMENT" strict "b.5"
        en: "{} does not belong here; readers may not find it. Move it to its place."
        vi: "{} không đúng chỗ; bên nhận có thể không đọc được. Hãy chuyển về đúng vị trí."
    UnexpectedText "UNEXPECTED_TEXT" strict "b.1"
        en: "Text stands between elements: \"{}\". Remove it; readers ignore it."
        vi: "Có chữ nằm giữa các phần tử: \"{}\". Hãy xóa; phần mềm đọc sẽ bỏ qua."
    NoNotation "NO_NOTATION" strict "b.2"
        en: "Code/CodeNotation is absent or empty. Write the notation, e.g. VPCP-TTĐT."
        vi: "Code/CodeNotation không có hoặc để trống. Hãy ghi ký hiệu, ví dụ VPCP-TTĐT."
    NoSubject "NO_SUBJECT" strict "b.2"
        en: "Subject is absent or empty. Write the abstract of the document."
        vi: "Subject không có hoặc để trống. Hãy ghi trích yếu văn bản."
    NoDocumentId "NO_DOCUMENT_ID" strict "d"
        en: "MessageHeader/DocumentId is absent or empty; statuses can then be matched by number and date only. Write one."
        vi: "MessageHeader/DocumentId không có hoặc để trống; trạng thái chỉ khớp được theo số và ngày. Hãy bổ sung."
    IrregularAgencyCode "IRREGULAR_AGENCY_CODE" strict "c"
        en: "The agency code is in no known form: {}. Check it against the list of agencies."
        vi: "Mã định danh không theo mẫu nào: {}. Hãy đối chiếu với danh sách cơ quan."
    DuplicateTo "DUPLICATE_TO" strict "b.2"
        en: "The receiver {} stands more than once. Name each receiver once."
        vi: "Bên nhận {} bị lặp. Hãy ghi mỗi bên nhận một lần."
    NonstandardDate "NONSTANDARD_DATE" strict "h.2"
        en: "The date \"{}\" is not in the form yyyy/MM/dd; the national SDK reads it wrongly or not at all. Use that form."
        vi: "Ngày \"{}\" không theo dạng yyyy/MM/dd; SDK quốc gia sẽ đọc sai hoặc không đọc được. Hãy dùng dạng này."
    BadDate "BAD_DATE" strict "h.2"
        en: "\"{}\" is no date. Write yyyy/MM/dd, a day that exists, or leave the element out."
        vi: "\"{}\" không phải là ngày. Hãy ghi yyyy/MM/dd, một ngày có thật, hoặc bỏ phần tử này."
    NonstandardTime "NONSTANDARD_TIME" strict "h.2"
        en: "The time \"{}\" is not in the form yyyy/MM/dd HH:mm:ss; the national SDK reads it wrongly or not at all. Use that form."
        vi: "Thời gian \"{}\" không theo dạng yyyy/MM/dd HH:mm:ss; SDK quốc gia sẽ đọc sai hoặc không đọc được. Hãy dùng dạng này."
    BadTime "BAD_TIME" strict "h.2"
        en: "\"{}\" is no time. Write yyyy/MM/dd HH:mm:ss in Vietnam time."
        vi: "\"{}\" không phải là thời gian. Hãy ghi yyyy/MM/dd HH:mm:ss theo giờ Việt Nam."
    NoTimestamp "NO_TIMESTAMP" strict "f.1"
        en: "Timestamp is absent or empty. Write yyyy/MM/dd HH:mm:ss in Vietnam time."
        vi: "Timestamp không có hoặc để trống. Hãy ghi yyyy/MM/dd HH:mm:ss theo giờ Việt Nam."
    BadNumber "BAD_NUMBER" strict "b.2"
        en: "\"{}\" is no number; it is taken as absent, and the national SDK takes its default (Type 2, amounts 1). Write digits only."
        vi: "\"{}\" không phải là số; được coi như không có, còn SDK quốc gia lấy giá trị mặc định (Type 2, số lượng 1). Chỉ ghi chữ số."
    EmptyNumber "EMPTY_NUMBER" strict "b.6"
        en: "A number is empty; it is taken as absent, and the national SDK takes its default (Priority 0, Type 2, amounts 1). Write digits or leave the element out."
        vi: "Số bị để trống; được coi như không có, còn SDK quốc gia lấy giá trị mặc định (Priority 0, Type 2, số lượng 1). Hãy ghi chữ số hoặc bỏ phần tử."
    NumberWithSpaces "NUMBER_WITH_SPACES" strict "b.6"
        en: "White space stands around the number \"{}\"; the national SDK then takes its default instead. Remove it."
        vi: "Có khoảng trắng quanh số \"{}\"; SDK quốc gia sẽ lấy giá trị mặc định. Hãy bỏ khoảng trắng."
    SteeringType "STEERING_TYPE" strict "b.2"
        en: "SteeringType is \"{}\"; the national SDK refuses the package for that. Write 0, 1 or 2."
        vi: "SteeringType là \"{}\"; SDK quốc gia sẽ từ chối gói tin. Hãy ghi 0, 1 hoặc 2."
    BadPriority "BAD_PRIORITY" strict "g.1"
        en: "Priority is \"{}\"; it is taken as 0, ordinary, and so does the national SDK with what is no number: the urgency is lost. Write 0, 1, 2 or 3."
        vi: "Priority là \"{}\"; được coi là 0 (thường), SDK quốc gia cũng vậy khi không phải số: mất độ khẩn. Hãy ghi 0, 1, 2 hoặc 3."
    BadBusinessType "BAD_BUSINESS_TYPE" strict "e"
        en: "BussinessDocType is \"{}\"; the package is taken as a new document. Write 0, 1, 2 or 3."
        vi: "BussinessDocType là \"{}\"; gói tin được coi là văn bản mới. Hãy ghi 0, 1, 2 hoặc 3."
    BadFlag "BAD_FLAG" strict "b.3"
        en: "\"{}\" is neither 0 nor 1; it is taken as absent. Write 0 or 1."
        vi: "\"{}\" không phải 0 hay 1; được coi như không có. Hãy ghi 0 hoặc 1."
    NoReason "NO_REASON" strict "e"
        en: "{} is absent or empty, and a reason is due here. Write why."
        vi: "{} không có hoặc để trống, trong khi cần ghi lý do. Hãy bổ sung lý do."
    NoTarget "NO_TARGET" strict "e"
        en: "It is not said which document is meant: {} is absent or empty. Write the id of that document."
        vi: "Không rõ văn bản nào: {} không có hoặc để trống. Hãy ghi mã của văn bản đó."
    NoAnsweredDocument "NO_ANSWERED_DOCUMENT" strict "f.1"
        en: "ResponseFor has neither DocumentId nor Code, so the document cannot be found. Copy them from the document."
        vi: "ResponseFor không có DocumentId lẫn Code nên không tìm được văn bản. Hãy chép từ văn bản."
    OneDigitStatus "ONE_DIGIT_STATUS" strict "f.1"
        en: "StatusCode \"{}\" is not written with exactly two digits; some receivers do not know it then. Write a leading zero, no white space."
        vi: "StatusCode \"{}\" không đúng hai chữ số; một số bên nhận không nhận ra. Hãy thêm số 0, bỏ khoảng trắng."
    UnknownStatus "UNKNOWN_STATUS" strict "f.2"
        en: "StatusCode {} has no meaning; it is passed on as it is. Use 01 to 06, 13, 15 or 16."
        vi: "StatusCode {} không có ý nghĩa; được chuyển nguyên trạng. Hãy dùng 01 đến 06, 13, 15 hoặc 16."
    AttachmentWithoutReference "ATTACHMENT_WITHOUT_REFERENCE" strict "h.3"
        en: "The attachment {} is not in the manifest; some receivers will not show it. Add a Reference with its ContentId."
        vi: "Tệp đính kèm {} không có trong danh mục; một số bên nhận sẽ không hiển thị. Hãy thêm Reference cùng ContentId."
    ManifestDiffers "MANIFEST_DIFFERS" strict "h.3"
        en: "Manifest and attachment do not agree: {}. Write the same in both."
        vi: "Danh mục và tệp đính kèm không khớp: {}. Hãy ghi giống nhau."
    DuplicateContentId "DUPLICATE_CONTENT_ID" strict "h.3"
        en: "The ContentId {} stands more than once. Give each file its own."
        vi: "ContentId {} bị lặp. Hãy đặt riêng cho từng tệp."
    NoAttachmentName "NO_ATTACHMENT_NAME" strict "b.4"
        en: "AttachmentName is absent or empty. Write the file's name."
        vi: "AttachmentName không có hoặc để trống. Hãy ghi tên tệp."
    ForeignBase64 "FOREIGN_BASE64" strict "b.6"
        en: "Characters that are not base64 stand in the attachment's content: {}. They are skipped; encode the file again."
        vi: "Nội dung tệp đính kèm có ký tự không thuộc base64: {}. Các ký tự này bị bỏ qua; hãy mã hóa lại."
    Base64Padding "BASE64_PADDING" strict "b.4"
        en: "The base64 content ends with wrong padding ({}); .NET readers refuse that. Encode the file again."
        vi: "Phần đệm cuối base64 không đúng ({}); phần mềm .NET sẽ từ chối. Hãy mã hóa lại."
    EmptyAttachment "EMPTY_ATTACHMENT" strict "b.4"
        en: "The attachment {} is empty. Attach the file again."
        vi: "Tệp đính kèm {} rỗng. Hãy đính kèm lại."
    ContentDestroyed "CONTENT_DESTROYED" strict "h.3"
        en: "The attachment's content was destroyed before it was encoded: {}. Send the original file; never treat files as text."
        vi: "Nội dung tệp đính kèm đã bị phá hỏng trước khi mã hóa: {}. Hãy gửi lại tệp gốc; không xử lý tệp như văn bản thuần."
    ContentTypeDiffers "CONTENT_TYPE_DIFFERS" strict "h.3"
        en: "ContentType and content do not agree ({}); receivers that go by the type cannot open the file, and the national SDK refuses a package whose ZIP is none. Declare what it is."
        vi: "ContentType và nội dung không khớp ({}); bên nhận dựa vào kiểu sẽ không mở được tệp, SDK quốc gia từ chối gói tin có ZIP giả. Hãy khai đúng kiểu."
    ValueTooLong "VALUE_TOO_LONG" strict "b.2"
        en: "The value has more than {} characters; receivers may cut it or fail. Shorten it."
        vi: "Giá trị dài hơn {} ký tự; bên nhận có thể cắt bớt hoặc lỗi. Hãy rút gọn."
    ReplacementCharacter "REPLACEMENT_CHARACTER" strict "h.2"
        en: "The text holds U+FFFD, the trace of a failed conversion: \"{}\". Send the original text."
        vi: "Văn bản có ký tự U+FFFD, dấu vết chuyển mã hỏng: \"{}\". Hãy gửi nội dung gốc."
    ControlCharacter "CONTROL_CHARACTER" strict "h.2"
        en: "The text holds the control character {}. Remove it."
        vi: "Văn bản có ký tự điều khiển {}. Hãy xóa."
    LegacyText "LEGACY_TEXT" strict "h.2"
        en: "The text looks like Vietnamese in an encoding from before Unicode (TCVN3, VNI): \"{}\". Convert it to Unicode."
        vi: "Văn bản có vẻ dùng bảng mã cũ trước Unicode (TCVN3, VNI): \"{}\". Hãy chuyển sang Unicode."
    UnknownClass "UNKNOWN_CLASS" strict "g.2"
        en: "DocumentType/Type is {}; some receivers refuse that. Write 1 (legal normative) or 2 (administrative)."
        vi: "DocumentType/Type là {}; một số bên nhận sẽ từ chối. Hãy ghi 1 (quy phạm pháp luật) hoặc 2 (hành chính)."
    TrailingBytes "TRAILING_BYTES" strict "a.2"
        en: "Something follows the end of the root element: \"{}\". Remove it; many readers refuse the package for it."
        vi: "Có nội dung sau khi kết thúc phần tử gốc: \"{}\". Hãy xóa; nhiều phần mềm sẽ từ chối gói tin."

    // Worth knowing.
    ValueLong "VALUE_LONG" never "b.2"
        en: "The value has more than {} characters; some receivers keep no more. Shorten it if they matter."
        vi: "Giá trị dài hơn {} ký tự; một số bên nhận chỉ lưu đến đó. Nên rút gọn nếu cần."
    UsuallyPresent "USUALLY_PRESENT" never "b.2"
        en: "{} is absent or empty; most documents have it, and some receivers show nothing without it. Fill it in."
        vi: "{} không có hoặc để trống; phần lớn văn bản đều có, thiếu thì một số bên nhận không hiển thị. Nên bổ sung."
    UnknownType "UNKNOWN_TYPE" never "g.2"
        en: "DocumentType/TypeDetail {} is not in the list of its class; receivers go by TypeName. Write the number in the list."
        vi: "DocumentType/TypeDetail {} không có trong danh mục của loại; bên nhận dựa vào TypeName. Nên ghi đúng số thứ tự."
    UnknownSteering "UNKNOWN_STEERING" never "b.2"
        en: "SteeringType {} has no known meaning. Write 0, 1 or 2."
        vi: "SteeringType {} chưa có ý nghĩa. Nên ghi 0, 1 hoặc 2."
    LegacyPriority "LEGACY_PRIORITY" never "g.1"
        en: "Priority 4 (express at a set hour) is not in Decree 30/2020. Use 3."
        vi: "Mức 4 (hỏa tốc hẹn giờ) không có trong Nghị định 30/2020. Hãy dùng mức 3."
    NoTraceOrgan "NO_TRACE_ORGAN" never "i"
        en: "A TraceHeader does not say who wrote it. Nothing to do on the axis."
        vi: "Một TraceHeader không ghi cơ quan. Trục không cần xử lý."
    UnknownElement "UNKNOWN_ELEMENT" never "j.3"
        en: "The element {} is unknown; it is kept and passed on."
        vi: "Không rõ phần tử {}; được giữ và chuyển nguyên trạng."
    Utf16 "UTF16" never "h.2"
        en: "The package is written in {}. UTF-8 is the rule."
        vi: "Gói tin ghi bằng {}. Quy định là UTF-8."
    ByteOrderMark "BYTE_ORDER_MARK" never "h.2"
        en: "The package begins with a byte order mark. Leave it out."
        vi: "Gói tin bắt đầu bằng dấu BOM. Nên bỏ."

    // Told when a package is converted from an older form.
    Converted "CONVERTED" never "a.3"
        en: "Converted from {} to the form of QCVN 102:2016. Look it through before it is sent."
        vi: "Đã chuyển từ {} sang mẫu QCVN 102:2016. Hãy xem lại trước khi gửi."
    Rewritten "REWRITTEN" never "a.3"
        en: "Written as the current form has it: {}."
        vi: "Đã ghi lại theo mẫu hiện hành: {}."
    Added "ADDED" never "a.3"
        en: "{} was not said and was added, because the current form has it. Check it."
        vi: "{} không có trong bản gốc nên được bổ sung theo mẫu hiện hành. Hãy kiểm tra."
    LeftOut "LEFT_OUT" never "a.3"
        en: "{} has no place in the current form and was left out. Keep the original file."
        vi: "{} không có chỗ trong mẫu hiện hành nên bị bỏ lại. Hãy giữ tệp gốc."
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_complete_and_says_what_to_do() {
        let mut names = BTreeSet::new();
        for code in FindingCode::ALL {
            let name = code.as_str();
            assert!(names.insert(name), "{name} stands twice");
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            );
            assert_eq!(FindingCode::parse(name), Some(*code));
            let (en, vi) = (code.text_en(), code.text_vi());
            assert_eq!(en.matches("{}").count(), vi.matches("{}").count(), "{name}");
            assert!(en.matches("{}").count() <= 1, "{name}");
            assert!(en.ends_with('.') && vi.ends_with('.'), "{name}");
            assert!(!vi.is_ascii() && !code.section().is_empty(), "{name}");
            // What is wrong, then what to do.
            if code.refuses_from().is_some() {
                assert!(
                    en.matches(['.', ';', ':']).count() >= 2,
                    "{name} gives no advice"
                );
            }
        }
        assert_eq!(FindingCode::parse("NO_SUCH_CODE"), None);
    }
}
