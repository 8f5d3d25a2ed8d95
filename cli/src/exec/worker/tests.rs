//! The worker of a sweep: failures as they are kept, settings of a single task.

use super::*;
use crate::exec::resources::Offer;
use crate::task::Exit;

fn limits() -> Limits {
    Limits {
        timeout: Some(Timeout::After(Duration::from_secs(1))),
        grace: Duration::from_secs(10),
        output: 1 << 20,
        cpus: 2,
        memory: None,
        retry_on: Vec::new(),
        no_retry_on: Vec::new(),
        max_failures: None,
        batch: 1,
    }
}

fn sweep(script: &str) -> Sweep {
    Sweep {
        schema: "flockwork.sweep/1".to_owned(),
        columns: vec!["a".to_owned()],
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        shell: false,
        here: "/".into(),
        cwd: None,
        env: std::collections::BTreeMap::new(),
        inputs: Vec::new(),
        stdin: None,
        results: Vec::new(),
        ok_if: None,
        limits: Limits {
            timeout: None,
            cpus: 1,
            ..limits()
        },
    }
}

fn worker(sweep: Sweep, store: &Path) -> Result<SweepWorker, Failed> {
    let typed = sweep.command.clone();
    let filled: Vec<_> = typed.iter().map(std::ffi::OsString::from).collect();
    let setup = Setup {
        store: store.to_owned(),
        command: Words::new(&typed, Box::new(move |_| filled.clone())),
        ok_if: None,
        render: Box::new(|_, _, _| Err("no templates here".to_owned())),
        tokens: None,
        budget: Budget::new(Offer {
            cpus: 1,
            memory: 1 << 30,
        }),
        leave_within: Duration::from_secs(8),
    };
    SweepWorker::new(sweep, setup)
}

#[test]
fn tasks_run_from_a_store() {
    use flockwork::{Inputs, Master, MasterConfig, Outcome, RoundNumber, Store, StoreConfig, WorkerConfig};

    struct Rows(Vec<Row>, Vec<(u64, Result<Report, flockwork::Failure>)>);

    impl Master for Rows {
        type Input = Row;
        type Output = Report;

        fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<Row>>, BoxError> {
            let rows = std::mem::take(&mut self.0);
            Ok(round.is_first().then(|| Inputs::new(rows)))
        }

        fn collect(&mut self, outcome: Outcome<Row, Report>) -> Result<(), BoxError> {
            self.1.push((outcome.task.number, outcome.result));
            Ok(())
        }
    }

    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("s.flock");
    let store = Store::create(&path, &StoreConfig::default().retries(0)).unwrap();
    let script = "case $FLOCKWORK_a in 3) echo bad >&2; exit 3;; esac; echo $FLOCKWORK_TASK; pwd; \
                  echo >$FLOCKWORK_CHECKPOINT";
    let worker = worker(sweep(script), &path).unwrap();
    let row = |values: &[&str], cancelled| Row {
        values: values.iter().map(|it| Bytes::from(*it)).collect(),
        cancelled,
    };
    let rows = vec![
        row(&["1"], false),
        row(&["3"], false),
        row(&["1"], true),
        row(&[], false),
    ];
    let mut rows = Rows(rows, Vec::new());
    let worker_store = Store::open(&path).unwrap();
    let at_work = std::thread::spawn(move || WorkerConfig::default().run(&worker_store, worker));
    MasterConfig::default().run(&store, &mut rows).unwrap();
    at_work.join().unwrap().unwrap();
    rows.1.sort_by_key(|(number, _)| *number);
    let message = |at: usize| rows.1[at].1.as_ref().unwrap_err().message.as_str();
    let report = rows.1[0].1.as_ref().unwrap();
    let text = report.stdout.head.text();
    assert!(
        text.starts_with("0000000\n/") && text.contains("s.flock/scratch/"),
        "{text}"
    );
    assert_eq!(message(1), "exit 3 \"bad\"");
    assert_eq!(message(2), "cancelled");
    assert_eq!(message(3), "the row has 0 values, and the sweep has 1 parameters");
    // A quick first attempt is not asked for its checkpoint.
    assert!(path.join("sweep/checkpoints/0000000").exists());
}

#[test]
fn a_sweep_that_makes_no_sense_here_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let large = sweep("true");
    let large = Sweep {
        limits: limits(),
        ..large
    };
    let refused = worker(large, place.path()).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "a task needs 2 processors, and this worker has 1"
    );
    assert_eq!(refused.code(), USAGE);
    // What the store refuses is no mistake of whoever typed the command.
    std::fs::create_dir_all(place.path().join("sweep")).unwrap();
    std::fs::write(place.path().join("sweep/cancelled"), "no directory").unwrap();
    let refused = worker(sweep("true"), place.path()).err();
    assert_eq!(refused.map(|refused| refused.code()), Some(NOT_OK));
}

#[test]
fn a_note_changes_the_timeout() {
    let limits = limits();
    let with = |note: &str| with_note(&limits, Some(note)).timeout;
    let minutes = Some(Timeout::After(Duration::from_secs(600)));
    assert_eq!(with("{\"timeout\":\"10m\",\"more\":1}"), minutes);
    assert_eq!(with("{\"timeout\":\"20x\"}"), Some(Timeout::TimesMedian(20.0)));
    for note in ["", "{}", "{\"timeout\":\"soon\"}", "{\"timeout\":7}"] {
        assert_eq!(with(note), limits.timeout, "{note}");
    }
    assert_eq!(with_note(&limits, None).into_owned(), limits);
}

#[test]
fn the_median_sets_the_timeout_once_ten_are_done() {
    let place = tempfile::tempdir().unwrap();
    let worker = worker(sweep("true"), place.path()).unwrap();
    let limits = |times| Limits {
        timeout: Some(Timeout::TimesMedian(times)),
        ..limits()
    };
    assert_eq!(worker.timeout(&limits(20.0)), None);
    worker.median().seed([Duration::from_secs(3); 10]);
    assert_eq!(worker.timeout(&limits(20.0)), Some(Duration::from_secs(60)));
    assert_eq!(worker.timeout(&limits(0.001)), Some(LEAST_TIMEOUT));
    assert_eq!(worker.timeout(&limits(f64::NAN)), None);
    assert_eq!(worker.timeout(&limits(f64::INFINITY)), None);
}

fn report(stdout: Captured, stderr: Captured) -> Report {
    Report {
        exit: Exit::Code(1),
        host: "host".to_owned(),
        began_ms: 0,
        wall_us: 0,
        user_us: 0,
        system_us: 0,
        peak: 0,
        stdout,
        stderr,
        results: Vec::new(),
    }
}

#[test]
fn a_failure_carries_its_report_and_may_be_the_last() {
    let report = report(Captured::default(), Captured::default());
    let expected = TaskError::new("exit 1").detail(serde_json::to_string(&report).unwrap());
    assert_eq!(failure("exit 1".to_owned(), true, report.clone()), expected);
    assert_eq!(failure("exit 1".to_owned(), false, report), expected.last());
}

#[test]
fn the_detail_of_a_failure_stays_small() {
    // Each of these bytes takes six in JSON.
    for (head, tail) in [(1 << 20, 1 << 20), (2 << 20, 0), (0, 2 << 20), (100, 50)] {
        let captured = |byte: u8| Captured {
            head: vec![byte; head].into(),
            tail: vec![byte; tail].into(),
            total: 5 << 20,
        };
        let report = report(captured(b'\x01'), captured(b'x'));
        let json = detail(report.clone());
        assert!(json.len() < MOST_DETAIL, "{}", json.len());
        let kept: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(kept.stdout.total, 5 << 20);
        if head + tail < 1_000 {
            assert_eq!(kept, report);
        } else {
            let both = kept.stderr.head.0.len() + kept.stderr.tail.0.len();
            assert!(both > 10_000 && kept.stdout.omitted() > 0, "{both}");
        }
    }
}
