//! A document with nothing wrong, for tests that put something wrong into it.

pub(crate) const QCVN: &str = "http://www.mic.gov.vn/TBT/QCVN_102_2016";

/// One element of the header a line.
pub(crate) fn document() -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<edXML xmlns="{QCVN}">
  <edXML:edXMLEnvelope xmlns:edXML="{QCVN}">
    <edXML:edXMLHeader>
      <edXML:MessageHeader>
        <edXML:From><edXML:OrganId>000.00.12.H47</edXML:OrganId><edXML:OrganName>Sở Nội vụ</edXML:OrganName></edXML:From>
        <edXML:To><edXML:OrganId>000.00.13.H47</edXML:OrganId></edXML:To>
        <edXML:DocumentId>000.00.12.H47,2026,7</edXML:DocumentId>
        <edXML:Code><edXML:CodeNumber>7</edXML:CodeNumber><edXML:CodeNotation>SNV-VP</edXML:CodeNotation></edXML:Code>
        <edXML:PromulgationInfo><edXML:Place>Huế</edXML:Place><edXML:PromulgationDate>2026/03/02</edXML:PromulgationDate></edXML:PromulgationInfo>
        <edXML:DocumentType><edXML:Type>2</edXML:Type><edXML:TypeDetail>18</edXML:TypeDetail><edXML:TypeName>Công văn</edXML:TypeName></edXML:DocumentType>
        <edXML:Subject>V/v thử</edXML:Subject>
        <edXML:SignerInfo><edXML:FullName>Nguyễn Văn A</edXML:FullName></edXML:SignerInfo>
        <edXML:OtherInfo><edXML:Priority>1</edXML:Priority></edXML:OtherInfo>
        <edXML:SteeringType>0</edXML:SteeringType>
      </edXML:MessageHeader>
      <edXML:TraceHeaderList><edXML:TraceHeader><edXML:OrganId>000.00.12.H47</edXML:OrganId><edXML:Timestamp>2026/03/02 08:00:00</edXML:Timestamp></edXML:TraceHeader></edXML:TraceHeaderList>
    </edXML:edXMLHeader>
    <edXML:edXMLBody><edXML:edXMLManifest version="1.0"><edXML:Reference><edXML:ContentId>cid:1</edXML:ContentId><edXML:AttachmentName>a.pdf</edXML:AttachmentName></edXML:Reference></edXML:edXMLManifest></edXML:edXMLBody>
  </edXML:edXMLEnvelope>
  <AttachmentEncoded><Attachment><ContentId>1</ContentId><AttachmentName>a.pdf</AttachmentName><ContentTransferEncoded>JVBERi0xLjQK</ContentTransferEncoded></Attachment></AttachmentEncoded>
</edXML>
"#
    )
}
