//! Content leaves by an approved list only, and leaves its record behind.

use exchange::refusal::Name;
use exchange::{Caller, Operator};
use ledger::id::PackageId;

use crate::ground::{B, C, Ground, new, operator};

fn registrar_of_removals() -> Operator {
    Operator {
        person: "Trần Thị Lan".to_owned(),
        ..operator()
    }
}

#[tokio::test]
async fn ex_11_content_leaves_by_decision_only_and_its_record_stays() {
    let ground = Ground::new().await;
    let sent = ground.push(&ground.a, new("d-1", &[B])).await.unwrap();
    let kept = ground.push(&ground.a, new("d-2", &[B, C])).await.unwrap();
    ground.take_all(&ground.b).await;
    let remove = async |list: Vec<PackageId>, decision: &str| {
        let by = registrar_of_removals();
        ground.exchange.remove(&by, list, decision).await
    };
    let decision = "77/QĐ-UBND ngày 22/11/2026";
    // Without a decision, with a wrong id, and while a receiver waits: nothing leaves.
    let unknown = PackageId::from_slice(&[7; 12]).unwrap();
    for (list, decision) in [
        (vec![sent.package], " "),
        (vec![], decision),
        (vec![sent.package, unknown], decision),
        (vec![sent.package, sent.package], decision),
        (vec![sent.package, kept.package], decision),
    ] {
        let refused = remove(list, decision).await.unwrap_err();
        assert_eq!(refused.name, Name::BadArgument);
    }
    let delivery = sent.receivers[0].delivery;
    assert!(ground.exchange.download(&ground.b, delivery).await.is_ok());

    let removals = remove(vec![sent.package], decision).await.unwrap();
    assert_eq!((removals[0].removed, removals[0].size), (true, sent.size));
    let ground = ground.restarted().await;
    let refused = ground.exchange.download(&ground.b, delivery).await;
    assert_eq!(refused.unwrap_err().name, Name::Removed);
    // Auditors see the record, that the content is gone, by which decision, by whom.
    let auditor = Caller::Operator(operator());
    let trace = ground
        .exchange
        .trace(&auditor, &sent.package.to_string())
        .await
        .unwrap();
    assert!(trace.packages[0].content_removed);
    assert_eq!(trace.packages[0].sha256, sent.sha256);
    let step = trace
        .events
        .iter()
        .find(|event| event.kind == "payload-removed")
        .unwrap();
    assert!(step.detail.contains(decision), "{step:?}");
    assert_eq!(step.actor, "Trần Thị Lan");
    // The chain is whole, with the anchors given before.
    let verified = ground
        .exchange
        .verify(&[sent.anchor.clone(), kept.anchor.clone()])
        .await
        .unwrap();
    assert!(verified.sound, "{verified:?}");
    // A second time nothing is recorded.
    let again = ground
        .exchange
        .remove(&registrar_of_removals(), vec![sent.package], decision)
        .await
        .unwrap();
    assert!(!again[0].removed);
    ground.exchange.close().await;
}
