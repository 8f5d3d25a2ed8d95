//! `flockwork doctor --peer` tells the truth about a mount.

use serde_json::Value;

use crate::site::{LONG, Site};

/// The findings of two clients that ran it at the same time.
fn examine(site: &mut Site) -> [Vec<Value>; 2] {
    let words = format!(
        "flockwork doctor {} --peer --timeout 120s --format json 2>/dev/null",
        site.dir()
    );
    let jobs = [0, 1].map(|client| site.client(client).spawn(&format!("{words}; true")).unwrap());
    jobs.map(|job| {
        let text = job.finish(LONG).unwrap();
        let whole: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        whole["checks"]
            .as_array()
            .unwrap_or_else(|| panic!("{text}"))
            .clone()
    })
}

/// The verdicts of one check, each with its text.
fn verdicts(findings: &[Value], check: &str) -> Vec<(String, String)> {
    let of_check = findings.iter().filter(|finding| finding["check"] == check);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found: Vec<_> = of_check
        .map(|finding| (text(&finding["verdict"]), text(&finding["text"])))
        .collect();
    assert!(!found.is_empty(), "no {check} in {findings:?}");
    found
}

#[track_caller]
fn all_are(findings: &[Value], check: &str, verdict: &str) {
    let found = verdicts(findings, check);
    println!("  {check}: {found:?}");
    assert!(found.iter().all(|(is, _)| is == verdict), "{found:?}");
}

fn sound(version: &str) {
    let Some(mut site) = Site::take("doctor", version, "") else {
        return;
    };
    for findings in examine(&mut site) {
        for check in [
            "peer-flock",
            "peer-creation",
            "peer-link",
            "peer-listing",
            "peer-touch",
        ] {
            all_are(&findings, check, "ok");
        }
    }
}

#[test]
fn locks_exclude_and_names_are_seen_at_once_v3() {
    sound("3");
}

#[test]
fn locks_exclude_and_names_are_seen_at_once_v42() {
    sound("4.2");
}

#[test]
fn locks_that_do_not_exclude_are_found_out_v3_nolock() {
    let Some(mut site) = Site::take("doctor", "3", "nolock") else {
        return;
    };
    for findings in examine(&mut site) {
        all_are(&findings, "peer-flock", "fail");
        all_are(&findings, "peer-creation", "ok");
    }
}

#[test]
fn clocks_that_differ_are_told_v42() {
    let Some(mut site) = Site::take("doctor-clock", "4.2", "") else {
        return;
    };
    let set = |shift: i64| format!("date -s @$(($(date +%s) + {shift}))");
    site.client(1).run(&set(100)).unwrap();
    let both = examine(&mut site);
    site.client(1).run(&set(-100)).unwrap();
    for findings in both {
        all_are(&findings, "peer-clock", "warn");
    }
}
