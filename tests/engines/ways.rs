//! The same sweep by each way of launching: one command for each, a kill in the middle, and the same table.

use std::path::Path;
use std::process::Stdio;

use crate::condor::Pool;
use crate::site::{Site, ok};
use crate::slurm::Cluster;
use crate::wait::{LONG, wait_until};

const TASKS: usize = 300;

/// Runs the sweep by one command that is given at `place`, kills a worker at `victim` when 60 tasks are done, and returns
/// what the table says of each task: its number, its parameter, its result.
#[track_caller]
fn table(site: &Site, place: &str, dir: &Path, launch: &str, victim: &str) -> Vec<String> {
    let name = launch.split(' ').next().unwrap();
    let (store, results) = (format!("{name}.flock"), format!("{name}.csv"));
    let flockwork = |words: &[&str]| {
        let mut command = site.on(place, "flockwork");
        command.env("FW_DIR", dir).args(words);
        command
    };
    let mut run = flockwork(&[
        "run",
        &store,
        "--network",
        "--lease",
        "5s",
        "-o",
        &results,
        "--launch",
        launch,
    ]);
    run.args([
        &format!("--sweep=n=1..{TASKS}"),
        "--",
        "sh",
        "-c",
        "sleep 0.1; echo square=$(($1 * $1))",
        "sh",
        "{n}",
    ]);
    let running = site.start_command(run.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let counted = |what: &str| -> Option<u64> {
        let output = flockwork(&["status", &store, "--format", "json"])
            .output()
            .unwrap();
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        status[what].as_u64()
    };
    wait_until("60 tasks to be done", LONG * 2, || {
        counted("ok").filter(|done| *done >= 60)
    });
    let mut kill = site.on(victim, "pkill");
    ok(kill
        .env("FW_DIR", dir)
        .args(["-KILL", "-o", "-f", "^[^ ]*flockwork worker"]));
    let output = running.finish();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{launch}: {}\n{said}", output.status);
    println!(
        "{launch}: {}",
        said.lines()
            .find(|line| line.starts_with("Summary"))
            .unwrap_or_default()
    );
    assert!(
        said.contains(&format!("{TASKS} tasks: {TASKS} ok")),
        "{launch}: {said}"
    );
    let audit = ok(&mut flockwork(&["audit", &store, "--format", "json"]));
    let audit: serde_json::Value = serde_json::from_str(&audit).unwrap();
    assert_eq!(audit["verdict"], "complete", "{launch}: {audit}");
    let text = std::fs::read_to_string(site.shared().join(&results)).unwrap();
    let first_cells = |line: &str| line.splitn(4, ',').take(3).collect::<Vec<_>>().join(",");
    text.lines().map(first_cells).collect()
}

#[test]
fn one_command_for_each_way_and_the_same_table_from_all() {
    let Some(cluster) = Cluster::new() else { return };
    let site = &cluster.site;
    let dir = site.shared();
    let expected: Vec<String> = std::iter::once("task,n,square".to_owned())
        .chain((1..=TASKS).map(|n| format!("{:07},{n},{}", n - 1, n * n)))
        .collect();
    for (place, launch, victim) in [
        ("h1", "local --workers 3", "h1"),
        // Only the head may log in to the hosts.
        ("head", "ssh -n h[1-3] --slots 1", "h2"),
        ("h1", "slurm --workers 3 --time 10m --mem 100M", "h3"),
    ] {
        assert_eq!(table(site, place, &dir, launch, victim), expected, "{launch}");
    }
    let Some(pool) = Pool::new() else { return };
    let launch = "condor --workers 3 --mem 100M";
    let dir = Path::new(crate::condor::DIR);
    assert_eq!(
        table(&pool.site, "pool", dir, launch, "pool"),
        expected,
        "{launch}"
    );
}
