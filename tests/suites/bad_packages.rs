//! Packages that are refused: each with a name, a place and what to do about it, and nothing of
//! it kept but the fact of its refusal.

use api::client::{DetailView, RefusalView};
use api::v1;
use bytes::Bytes;
use testkit::Document;

use crate::house::{A, B, C, House, document, drain, files, push, refused, try_push};

const HEADER: &str = "edXML/edXMLEnvelope/edXMLHeader/MessageHeader";

/// The text of a good package.
fn text() -> String {
    String::from_utf8(document("d").bytes()).unwrap()
}

/// The text with one element cut out, tags included.
fn without(name: &str) -> Vec<u8> {
    let text = text();
    let (start, end) = (format!("<edXML:{name}>"), format!("</edXML:{name}>"));
    let (from, to) = (
        text.find(&start).unwrap(),
        text.find(&end).unwrap() + end.len(),
    );
    format!("{}{}", &text[..from], &text[to..]).into_bytes()
}

fn first(view: &RefusalView) -> &DetailView {
    view.details
        .first()
        .unwrap_or_else(|| panic!("no detail in {view:?}"))
}

/// What to do stands in the second half of each text: a verb that a sender can follow.
fn says_what_to_do(detail: &DetailView) {
    let en = [
        "Register", "Send", "send", "Remove", "Mend", "Use", "Put", "Write", "Add", "Encode",
        "Shorten", "check", "Check", "Split",
    ];
    let vi = ["ãy ", "ửi ", "ỉ để", "hỉ dùng"];
    assert!(
        en.iter().any(|verb| detail.message_en.contains(verb)),
        "{detail:?}"
    );
    assert!(
        vi.iter().any(|verb| detail.message.contains(verb)),
        "{detail:?}"
    );
    assert_ne!(detail.message, detail.message_en);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_package_is_refused_with_the_place_and_what_to_do() {
    let house = House::new();
    let a = house.client(&house.a).await;
    let deep = format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    let deep = text().replace(
        "<edXML:MessageHeader>",
        &format!("<edXML:MessageHeader>{deep}"),
    );
    let wide = "x".repeat(1 << 20);
    let wide = text().replace(
        "<edXML:edXMLHeader>",
        &format!("<edXML:edXMLHeader a=\"{wide}\">"),
    );
    let doctype = text().replacen(
        "?>",
        "?>\r\n<!DOCTYPE edXML [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>",
        1,
    );
    let elsewhere = text().replace(
        "http://www.mic.gov.vn/TBT/QCVN_102_2016",
        "http://example.org/other",
    );
    let no_attachment = {
        let text = text();
        let (from, to) = (
            text.find("  <AttachmentEncoded>").unwrap(),
            text.find("</AttachmentEncoded>").unwrap(),
        );
        format!(
            "{}{}",
            &text[..from],
            &text[to + "</AttachmentEncoded>\r\n".len()..]
        )
    };
    let base64 = {
        let text = text();
        let at = text.find("</edXML:ContentTransferEncoded>").unwrap();
        format!("{}***{}", &text[..at - 4], &text[at..])
    };
    let cases: [(&str, Vec<u8>, &str, &str); 13] = [
        ("nothing", Vec::new(), "EMPTY", ""),
        (
            "a picture",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(),
            "NOT_XML",
            "",
        ),
        (
            "a page",
            b"<html><body/></html>".to_vec(),
            "NOT_EDXML",
            "html",
        ),
        (
            "cut off",
            text().into_bytes()[..900].to_vec(),
            "NOT_WELL_FORMED",
            "",
        ),
        ("a DTD", doctype.into_bytes(), "DOCTYPE", ""),
        (
            "10,000 nested elements",
            deep.into_bytes(),
            "TOO_DEEP",
            HEADER,
        ),
        (
            "1 MiB attribute",
            wide.into_bytes(),
            "TAG_TOO_LONG",
            "edXML",
        ),
        (
            "wrong namespace",
            elsewhere.into_bytes(),
            "WRONG_NAMESPACE",
            "edXML/edXMLEnvelope",
        ),
        (
            "no From",
            without("From"),
            "NO_FROM",
            &format!("{HEADER}/From"),
        ),
        ("no To", without("To"), "NO_TO", &format!("{HEADER}/To")),
        (
            "no number",
            without("CodeNumber"),
            "NO_NUMBER",
            &format!("{HEADER}/Code/CodeNumber"),
        ),
        (
            "no attachment",
            no_attachment.into_bytes(),
            "REFERENCE_WITHOUT_ATTACHMENT",
            "edXML",
        ),
        ("no base64", base64.into_bytes(), "BAD_BASE64", "edXML"),
    ];
    for (what, package, code, path) in cases {
        let view = refused(try_push(&a, &package).await);
        let detail = first(&view);
        assert_eq!(
            (view.name.as_str(), detail.code.as_str()),
            ("BAD_PACKAGE", code),
            "{what}: {view:?}"
        );
        assert!(detail.path.starts_with(path), "{what}: {detail:?}");
        assert!(detail.line >= 1 && detail.column >= 1, "{what}: {detail:?}");
        assert!(
            view.retry_after.is_none(),
            "sending the same again helps nobody"
        );
        says_what_to_do(detail);
    }
    // Nothing of all this is kept, and the axis is as it was.
    assert!(files(&house.axis.data().join("payloads")).is_empty());
    let receipt = push(&a, &document("d").bytes()).await;
    assert!(!receipt.duplicate);
    let b = house.client(&house.b).await;
    assert_eq!(drain(&b).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_speaks_for_its_own_agencies_only() {
    let house = House::new();
    let b = house.client(&house.b).await;
    let view = refused(try_push(&b, &document("d").bytes()).await);
    assert_eq!(view.name, "FOREIGN_SENDER");
    let detail = first(&view);
    assert_eq!(detail.path, format!("{HEADER}/From/OrganId"));
    assert!(
        detail.message_en.contains(A) && detail.message_en.contains("so-b"),
        "{detail:?}"
    );
    let unknown = Document::new("000.00.77.H99", &[B], "d").bytes();
    assert_eq!(refused(try_push(&b, &unknown).await).name, "FOREIGN_SENDER");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_receiver_is_named_at_once_and_nobody_gets_anything() {
    let house = House::new();
    let a = house.client(&house.a).await;
    // B twice: by its code of 2016 and its code of 2020.
    let to = [B, "000.00.88.H99", C, "H99.2", "H99.404.nowhere"];
    let view = refused(try_push(&a, &Document::new(A, &to, "d").bytes()).await);
    let told: Vec<_> = view
        .details
        .iter()
        .map(|detail| (detail.code.as_str(), detail.path.as_str()))
        .collect();
    let path = |n: u32| format!("{HEADER}/To[{n}]/OrganId");
    assert_eq!(
        told,
        [
            ("UNKNOWN_RECEIVER", path(2).as_str()),
            ("REPEATED_RECEIVER", path(4).as_str()),
            ("UNKNOWN_RECEIVER", path(5).as_str()),
        ]
    );
    for (detail, code) in view
        .details
        .iter()
        .zip(["000.00.88.H99", "H99.2", "H99.404.nowhere"])
    {
        assert!(
            detail.message.contains(code) && detail.message_en.contains(code),
            "{detail:?}"
        );
    }
    for system in [&house.b, &house.c] {
        let client = house.client(system).await;
        assert!(drain(&client).await.is_empty(), "nothing is half-sent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_over_the_limit_is_refused_while_it_streams_and_leaves_nothing() {
    let house = House::with_config("[limits]\nmax_package_bytes = 1048576\n");
    let a = house.client(&house.a).await;
    let options = v1::PushOptions::default();
    let endless = tokio::io::AsyncReadExt::take(tokio::io::repeat(b' '), 1 << 40);
    let view = refused(a.push_stream(endless, options).await);
    assert_eq!(view.name, "TOO_LARGE");
    assert!(first(&view).message_en.contains("1048576"), "{view:?}");
    let large = document("d").sized(1 << 20, 1).attach(10_000, 2).bytes();
    assert_eq!(
        refused(a.push_stream(&large[..], options).await).name,
        "TOO_LARGE"
    );
    assert_eq!(refused(try_push(&a, &large).await).name, "TOO_LARGE");
    let unary = house.client(&house.a).await;
    let view = refused(
        unary
            .push(Bytes::from(vec![b' '; (4 << 20) + 1]), options)
            .await,
    );
    assert_eq!(view.name, "TOO_LARGE");
    assert!(
        view.details
            .iter()
            .any(|detail| detail.message_en.contains("PushStream")),
        "{view:?}"
    );
    let payloads = house.axis.data().join("payloads");
    crate::house::eventually("the temporary files to go", || async {
        files(&payloads).is_empty().then_some(())
    })
    .await;
    let fits = document("d").sized(1_000_000, 1).bytes();
    assert!(a.push_stream(&fits[..], options).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_cut_off_leaves_nothing_and_can_be_sent_again() {
    use tokio::io::AsyncWriteExt;
    let house = House::new();
    let package = document("d").sized(3 << 20, 9).bytes();
    let payloads = house.axis.data().join("payloads");
    for part in [10, 2 << 20, package.len() - 1] {
        let client = house.client(&house.a).await;
        let (mut writer, reader) = tokio::io::duplex(1 << 16);
        let pushing = tokio::spawn({
            let client = client.clone();
            async move { client.push_stream(reader, v1::PushOptions::default()).await }
        });
        writer.write_all(&package[..part]).await.unwrap();
        if part > 1 << 20 {
            crate::house::eventually("the first part to arrive", || async {
                (!files(&payloads.join("tmp")).is_empty()).then_some(())
            })
            .await;
        }
        // The client is gone in the middle.
        pushing.abort();
        drop((writer, client));
        let _ = pushing.await;
        crate::house::eventually("the temporary file to go", || async {
            files(&payloads).is_empty().then_some(())
        })
        .await;
    }
    let b = house.client(&house.b).await;
    assert!(drain(&b).await.is_empty());
    let a = house.client(&house.a).await;
    let pushed = a
        .push_stream(&package[..], v1::PushOptions::default())
        .await
        .unwrap();
    assert!(!pushed.receipt.duplicate);
    let got = drain(&b).await;
    assert_eq!(got.len(), 1);
    assert!(got[0].1 == package);
    assert_eq!(files(&payloads).len(), 1);
}
