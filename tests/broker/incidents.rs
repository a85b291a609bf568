//! What operators are told of a fault: one alert up and one down, whatever happened meanwhile,
//! and in words why something waits.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::Axis;

use crate::house::NEVER;

/// The alerts that stood or had been, at one moment.
#[derive(Debug)]
pub(crate) struct Before(BTreeSet<String>);

/// What is told of one alert: kind, subject, and since when.
fn told(alert: &Value) -> (&str, &str, &str) {
    let text = |key: &str| alert[key].as_str().unwrap_or_default();
    (text("kind"), text("subject"), text("raised_at"))
}

fn alerts(axis: &Axis, all: bool) -> Vec<Value> {
    let mut words = vec!["alerts", "--json"];
    words.extend(all.then_some("--all"));
    let told = axis.operate(words).unwrap();
    told.ok().unwrap().json().unwrap()
}

fn key(alert: &Value) -> String {
    let (kind, subject, since) = told(alert);
    format!("{kind} {subject} {since}")
}

/// What has been told so far.
pub(crate) fn so_far(axis: &Axis) -> Before {
    Before(alerts(axis, true).iter().map(key).collect())
}

/// Waits until an alert of this kind stands about that subject, and gives it.
pub(crate) fn stands(axis: &Axis, kind: &str, subject: &str) -> Value {
    let began = Instant::now();
    loop {
        let standing = alerts(axis, false);
        let found = standing
            .iter()
            .find(|alert| told(alert).0 == kind && told(alert).1 == subject);
        if let Some(found) = found {
            return found.clone();
        }
        assert!(
            began.elapsed() < NEVER,
            "no alert {kind} about {subject}: {standing:#?}"
        );
        pause();
    }
}

/// Waits until nothing stands any more but alerts about `others`; then each of `expected` was
/// raised once since `before`, and cleared, and nothing else was.
pub(crate) fn one_up_and_one_down(
    axis: &Axis,
    what: &str,
    before: &Before,
    expected: &[(&str, &str)],
    others: &[&str],
) {
    let is_other = |alert: &Value| others.contains(&told(alert).1);
    let began = Instant::now();
    loop {
        let mut standing = alerts(axis, false);
        standing.retain(|alert| !is_other(alert));
        if standing.is_empty() {
            break;
        }
        assert!(began.elapsed() < NEVER, "{what}: stands: {standing:#?}");
        pause();
    }
    let mut new = alerts(axis, true);
    new.retain(|alert| !is_other(alert) && !before.0.contains(&key(alert)));
    assert!(
        new.iter().all(|alert| alert["cleared_at"].is_string()),
        "{what}: {new:#?}"
    );
    let mut raised: Vec<_> = new
        .iter()
        .map(|alert| (told(alert).0, told(alert).1))
        .collect();
    raised.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(raised, expected, "{what}: {new:#?}");
}

/// The causes that `axis why` names, and its whole answer.
pub(crate) fn why(axis: &Axis, of: &str) -> (Vec<String>, Value) {
    let said = axis.operate(["why", of, "--json"]).unwrap();
    let said = said.ok().unwrap().json().unwrap().remove(0);
    let findings = said["findings"].as_array().cloned().unwrap_or_default();
    let causes = findings.iter().filter_map(|found| found["cause"].as_str());
    (causes.map(str::to_owned).collect(), said)
}

/// Waits until `axis why` names this cause.
pub(crate) fn why_becomes(axis: &Axis, of: &str, cause: &str) {
    let began = Instant::now();
    loop {
        let (causes, said) = why(axis, of);
        if causes.iter().any(|named| named == cause) {
            return;
        }
        assert!(began.elapsed() < NEVER, "{of} never is {cause}: {said:#}");
        pause();
    }
}

/// The daemon tells nobody that it has changed its mind.
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
