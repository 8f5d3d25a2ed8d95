//! The torture that ships with the command, on three clients.

use std::time::Duration;

use crate::site::{LONG, Site, runs_all};

#[test]
fn three_clients_survive_kills_stops_and_removals_v3() {
    if runs_all() {
        torture("3");
    }
}

#[test]
fn three_clients_survive_kills_stops_and_removals_v42() {
    torture("4.2");
}

fn torture(version: &str) {
    let Some(mut site) = Site::take("torture", version, "") else {
        return;
    };
    let store = format!("{}/t.flock", site.dir());
    let order =
        format!("flockwork torture {store} --for 20s --workers 3 --tasks 150 --lease 8s --format json");
    let first = site.client(0).spawn(&order).unwrap();
    let others = [1, 2].map(|client| {
        let join = format!("flockwork torture {store} --join --workers 3");
        site.client(client).spawn(&join).unwrap()
    });
    let verdict = first.finish(LONG + Duration::from_secs(120));
    let said = verdict.unwrap_or_else(|error| panic!("{error}\n{}\n{}", others[0].text(), others[1].text()));
    for other in &others {
        other.finish(LONG).unwrap();
    }
    let json = &said[said.find('{').unwrap()..=said.rfind('}').unwrap()];
    let verdict: serde_json::Value =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {said}"));
    println!("  {verdict}");
    assert_eq!(verdict["verdict"], "passed", "{verdict}");
}
