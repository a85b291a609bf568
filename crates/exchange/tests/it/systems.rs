//! Systems, their keys, and what revoking does.

use exchange::refusal::Name;
use exchange::{Credentials, NewSystem, Next, Revoke};

use crate::ground::{B, Ground, operator};

#[tokio::test]
async fn a_revoked_key_is_dead_at_once_and_its_streams_are_cut() {
    let ground = Ground::new().await;
    let mut stream = ground.exchange.subscribe(&ground.b, 1).await.unwrap();
    assert!(matches!(stream.next().await, Next::CaughtUp));
    let (second, key) = ground
        .exchange
        .add_key(&operator(), "b", None)
        .await
        .unwrap();
    let revoked = ground
        .exchange
        .revoke(&operator(), "b", Revoke::Key(1))
        .await
        .unwrap();
    assert_eq!((revoked.keys, revoked.streams_cut), (1, 1));
    let Next::Cut(refusal) = stream.next().await else {
        panic!("not cut")
    };
    assert_eq!(refusal.name, Name::Unauthenticated);
    let old = Credentials::Key {
        system: "b",
        key: ground.key(1),
    };
    assert_eq!(
        ground.exchange.authenticate(old).unwrap_err().name,
        Name::Unauthenticated
    );
    assert_eq!(second, 2);
    ground
        .exchange
        .authenticate(Credentials::Key {
            system: "b",
            key: &key,
        })
        .unwrap();
}

#[tokio::test]
async fn an_agency_is_served_by_one_system_at_a_time() {
    let ground = Ground::new().await;
    let other = NewSystem {
        id: "b2".to_owned(),
        agencies: vec![B.to_owned()],
        with_key: true,
        ..NewSystem::default()
    };
    let refused = ground
        .exchange
        .add_system(&operator(), other.clone())
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::AlreadyExists);
    ground
        .exchange
        .revoke(&operator(), "b", Revoke::All)
        .await
        .unwrap();
    ground
        .exchange
        .add_system(&operator(), other)
        .await
        .unwrap();
    let systems = ground.exchange.systems();
    let served: Vec<_> = systems
        .iter()
        .map(|s| (s.id.as_str(), s.agencies.len()))
        .collect();
    assert_eq!(served, [("a", 1), ("b", 0), ("b2", 1), ("c", 1)]);
}

#[tokio::test]
async fn wrong_credentials_are_refused_alike() {
    let ground = Ground::new().await;
    let refused = |credentials| ground.exchange.authenticate(credentials).unwrap_err();
    let unknown = refused(Credentials::Key {
        system: "x",
        key: ground.key(0),
    });
    let wrong = refused(Credentials::Key {
        system: "b",
        key: ground.key(0),
    });
    let empty = refused(Credentials::Key {
        system: "b",
        key: "",
    });
    let pin = refused(Credentials::Certificate {
        spki_sha256: [7; 32],
    });
    assert!(
        [&wrong, &empty, &pin]
            .iter()
            .all(|refusal| **refusal == unknown)
    );
}
