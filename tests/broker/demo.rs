//! `axis demo --bus amqp://…` tells the same story as without a broker.

use serde_json::{Value, json};
use testkit::{Broker, Cli, Vhost};

/// What of the report is not made up anew by each run.
fn story(report: &Value) -> Value {
    let packages = report["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let deliveries = package["deliveries"].as_array().unwrap().iter();
            let deliveries: Vec<_> = deliveries
                .map(|of| json!([of["receiver"], of["state"], of["statuses"]]))
                .collect();
            json!([
                package["kind"],
                package["sender"],
                package["receivers"],
                deliveries
            ])
        });
    let mut packages: Vec<Value> = packages.collect();
    // The axis's own statuses come as each receiver settles.
    packages.sort_by_key(Value::to_string);
    json!([
        packages,
        report["refused"],
        report["lost"],
        report["doubled"]
    ])
}

pub(crate) async fn the_demo_tells_the_same_story_over_a_broker(broker: &Broker, vhost: &Vhost) {
    let play = |cli: Cli, more: &[&str]| {
        let finished = cli
            .run([&["demo", "--exit", "--json"], more].concat())
            .unwrap();
        finished.ok().unwrap().json().unwrap().remove(0)
    };
    let (plain, over) = {
        let with = Cli::new().env("AXIS_BUS_PASSWORD", &vhost.password);
        (play(Cli::new(), &[]), play(with, &["--bus", &vhost.url]))
    };
    assert_eq!(story(&over), story(&plain));
    assert_eq!((&over["lost"], &over["doubled"]), (&json!(0), &json!(0)));
    // It did go over the broker.
    let queues = broker.queues(&vhost.name).unwrap();
    assert!(
        queues
            .iter()
            .any(|queue| queue.starts_with("axis.system.qlvb")),
        "{queues:?}"
    );
    // A broker that does not let it in is told, and nothing is played.
    let wrong = Cli::new().env("AXIS_BUS_PASSWORD", "another");
    let refused = wrong.run(["demo", "--exit", "--bus", &vhost.url]).unwrap();
    let refused = refused.code(3).unwrap();
    assert!(
        refused.stderr.contains("bus.password_file"),
        "{}",
        refused.stderr
    );
}
