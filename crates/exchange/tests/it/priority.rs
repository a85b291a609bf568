//! Urgency: the order of what is fetched, and the share of what is not urgent.

use edxml::Priority;
use exchange::Lane;

use crate::ground::{A, B, Ground, draft};

fn level(id: &str, level: u8) -> Vec<u8> {
    let mut draft = draft(id, &[B]);
    draft.document.other_info.priority = Priority::new(level).unwrap();
    edxml::write::document(&draft)
}

#[tokio::test]
async fn pr_02_each_level_is_ordered_and_others_count_as_ordinary_with_a_warning() {
    let ground = Ground::new().await;
    for of in [0, 2, 4, 1, 3] {
        ground
            .push(&ground.a, level(&format!("level-{of}"), of))
            .await
            .unwrap();
    }
    let odd = String::from_utf8(level("level-9", 4)).unwrap();
    let odd = odd.replace("Priority>4<", "Priority>9<");
    let receipt = ground.push(&ground.a, odd.into_bytes()).await.unwrap();
    assert!(
        receipt
            .warnings
            .iter()
            .any(|w| w.path.ends_with("Priority")),
        "{:?}",
        receipt.warnings
    );
    let mut fetched = Vec::new();
    while let Some((header, _)) = ground.fetch(&ground.b).await {
        fetched.push((header.level, header.lane));
    }
    assert_eq!(
        fetched,
        [
            (4, Lane::Flash),
            (3, Lane::Flash),
            (2, Lane::Urgent),
            (1, Lane::Urgent),
            (0, Lane::Routine),
            (0, Lane::Routine)
        ]
    );
    ground.exchange.close().await;
}

#[tokio::test]
async fn pr_05_an_endless_flow_of_urgent_ones_does_not_starve_who_fetches_one_by_one() {
    let ground = Ground::new().await;
    ground.push(&ground.a, level("routine", 0)).await.unwrap();
    let stated = bus::Lanes::longest_wait(bus::Lane::Routine);
    let mut number = 0;
    for waited in 0.. {
        // There is always a hỏa tốc one and a khẩn one waiting.
        for of in [3, 1] {
            number += 1;
            ground
                .push(&ground.a, level(&format!("urgent-{number}"), of))
                .await
                .unwrap();
        }
        let (header, _) = ground.fetch(&ground.b).await.unwrap();
        assert_eq!(header.sender.code, A);
        if header.level == 0 {
            break;
        }
        assert!(waited < stated, "it waits for more than {stated} others");
    }
    ground.exchange.close().await;
}
