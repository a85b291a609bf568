//! The list of agencies as it goes out, and codes that nobody registered.

use exchange::refusal::Name;
use exchange::{Edition, ImportOrder, PushOptions};
use lists::{Column, Format};

use crate::ground::{A, B, Ground, new, operator};

async fn import(ground: &Ground, csv: &str) {
    let imported = ground
        .exchange
        .import_agencies(&operator(), csv.to_owned().into(), ImportOrder::default())
        .await
        .unwrap();
    assert_eq!(imported.problems, []);
}

/// Duty RG-04: versions are numbered, never change, and the difference lists exactly the edits.
#[tokio::test]
async fn rg_04_a_published_version_stays_and_the_difference_lists_exactly_the_edits() {
    let ground = Ground::new().await;
    let missing = ground.exchange.publication(None).await.unwrap_err();
    assert_eq!(missing.name, Name::NotFound);
    let first = ground
        .exchange
        .publish(&operator(), "đầu tiên", None)
        .await
        .unwrap();
    assert_eq!(
        (first.version, first.agencies, first.by.as_str()),
        (1, 3, "Lan")
    );

    import(
        &ground,
        &format!("code,name\n{A},Sở Nội vụ và Lao động\n000.00.09.H99,Sở Mới\n"),
    )
    .await;
    let second = ground
        .exchange
        .publish(&operator(), "", None)
        .await
        .unwrap();
    assert_eq!((second.version, second.agencies), (2, 4));
    let found = ground
        .exchange
        .publication_difference(1, Some(2))
        .await
        .unwrap();
    let added: Vec<_> = found
        .added
        .iter()
        .map(|entry| entry.code.as_str())
        .collect();
    assert_eq!(added, ["000.00.09.H99"]);
    assert!(found.removed.is_empty());
    let field = (
        Column::Name,
        "Sở Nội vụ".to_owned(),
        "Sở Nội vụ và Lao động".to_owned(),
    );
    assert_eq!(
        (found.changed.len(), &found.changed[0].fields[..]),
        (1, &[field][..])
    );
    assert!(
        ground
            .exchange
            .publication_difference(2, None)
            .await
            .unwrap()
            .is_empty()
    );

    let day = "2026-07-01".parse().unwrap();
    let refused = ground
        .exchange
        .mark_sent(&operator(), 1, day, " ")
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::BadArgument);
    let refused = ground
        .exchange
        .mark_sent(&operator(), 7, day, "12/UBND")
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::NotFound);
    ground
        .exchange
        .mark_sent(&operator(), 1, day, "12/UBND")
        .await
        .unwrap();

    // All of it is in the journal.
    let json = ground
        .exchange
        .publication(Some(1))
        .await
        .unwrap()
        .json
        .clone();
    let ground = ground.restarted().await;
    let again = ground.exchange.publication(Some(1)).await.unwrap();
    assert_eq!(again.json, json);
    assert_eq!(again.about.sha256, first.sha256);
    assert_eq!(
        again.about.sent.as_ref().map(|sent| sent.document.as_str()),
        Some("12/UBND")
    );
    assert!(again.entries.iter().any(|entry| entry.name == "Sở Nội vụ"));
    let versions = ground.exchange.publications().await.unwrap();
    let numbers: Vec<_> = versions.iter().map(|one| one.version).collect();
    assert_eq!(numbers, [2, 1]);
}

/// Duty RG-04: the export is the registry: taken over again it changes nothing.
#[tokio::test]
async fn rg_04_an_export_taken_over_again_changes_nothing() {
    let ground = Ground::new().await;
    import(
        &ground,
        &format!(
            "code,name,parent,kind,level,contact,centre,state,successors,other_codes\n\
         000.00.04.H99,\"Sở \"\"Cũ\"\"\",{A},Sở,2,so@x,TT1,closed,{B},H99.44 H99.45\n"
        ),
    )
    .await;
    for format in [Format::Csv, Format::Xlsx, Format::Json] {
        let (file, _, count) = ground
            .exchange
            .export(format, Edition::Now, true)
            .await
            .unwrap();
        assert_eq!(count, 4);
        let dry_run = ImportOrder {
            dry_run: true,
            ..ImportOrder::default()
        };
        let again = ground
            .exchange
            .import_agencies(&operator(), file, dry_run)
            .await
            .unwrap();
        assert_eq!(
            (again.added, again.changed, again.unchanged),
            (0, 0, 4),
            "{format:?} {again:?}"
        );
    }
    let (_, _, open) = ground
        .exchange
        .export(Format::Json, Edition::Now, false)
        .await
        .unwrap();
    assert_eq!(open, 3, "closed ones only when asked for");
}

#[tokio::test]
async fn two_people_who_publish_at_once_make_two_versions() {
    let ground = Ground::new().await;
    let lan = operator();
    let (one, other) = tokio::join!(
        ground.exchange.publish(&lan, "", None),
        ground.exchange.publish(&lan, "", None)
    );
    let mut versions = [one.unwrap().version, other.unwrap().version];
    versions.sort_unstable();
    assert_eq!(versions, [1, 2]);
}

/// How to reach an agency is for the registry's users, not for the public.
#[tokio::test]
async fn what_is_published_has_no_contacts() {
    let ground = Ground::new().await;
    import(
        &ground,
        &format!("code,name,contact\n{A},Sở Nội vụ,Bà Lan 0912\n"),
    )
    .await;
    ground
        .exchange
        .publish(&operator(), "", None)
        .await
        .unwrap();
    let published = ground.exchange.publication(None).await.unwrap();
    assert!(!String::from_utf8_lossy(&published.json).contains("0912"));
    let (export, _, _) = ground
        .exchange
        .export(Format::Json, Edition::Now, true)
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&export).contains("0912"));
}

/// Duty RG-09: a code that nobody registered is listed: since when, how often, from whom, until
/// it is registered; also over a restart.
#[tokio::test]
async fn rg_09_unknown_codes_are_listed_with_count_and_sender_until_they_are_registered() {
    let ground = Ground::new().await;
    for at in 0..3 {
        let package = new(&format!("d{at}"), &[B, "000.00.77.H99"]);
        let options = PushOptions {
            accept_known: at == 2,
        };
        let _ = ground
            .exchange
            .push(&ground.a, package.into(), options)
            .await;
    }
    // Closing records what was counted.
    let ground = ground.restarted().await;
    let unknown = ground.exchange.unknown_codes().await.unwrap();
    assert_eq!(unknown.len(), 1);
    let seen = &unknown[0];
    assert_eq!(
        (seen.code.as_str(), seen.count, seen.as_sender),
        ("000.00.77.H99", 3, false)
    );
    assert_eq!(seen.senders, [A]);
    assert!(seen.first <= seen.last);
    import(&ground, "code,name\n000.00.77.H99,Sở Mới\n").await;
    assert!(ground.exchange.unknown_codes().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_list_with_one_fault_changes_nothing() {
    let ground = Ground::new().await;
    let list = format!("code,name,parent\n{A},Tên khác,\n000.00.09.H99,Sở Mới,000.00.99.H99\n");
    let refused = ground
        .exchange
        .import_agencies(&operator(), list.into(), ImportOrder::default())
        .await
        .unwrap();
    assert_eq!((refused.problems.len(), refused.problems[0].row), (1, 3));
    assert_eq!(ground.exchange.agency(A, None).unwrap().name, "Sở Nội vụ");
    assert!(ground.exchange.agency("000.00.09.H99", None).is_err());
}
