//! Numbers, caps and files of launches.

use super::*;
use crate::launch::request::tests::request;

/// A record of Slurm.
pub(crate) fn record(number: u64, workers: u32, first: Option<u64>) -> Record {
    Record {
        schema: SCHEMA.to_owned(),
        number,
        engine: Engine::Slurm,
        at: 1_795_240_982_000,
        by: "login1:4121".to_owned(),
        user: "ana".to_owned(),
        token: "00c0ffee00c0ffee".to_owned(),
        asked: request(workers),
        parent: first,
        first,
        cap: Cap::None,
        text: None,
    }
}

fn draft(workers: u32, cap: Cap) -> Draft<'static> {
    Draft {
        engine: Engine::Slurm,
        asked: request(workers),
        parent: None,
        cap,
        text: &|asked, number| Ok(Some(format!("{} for {number}\n", asked.workers))),
    }
}

#[test]
fn launches_are_numbered_and_read_as_they_were_written() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), fs::Permissions::from_mode(0o2770)).unwrap();
    let launches = Launches::of(place.path());
    assert_eq!(launches.all().unwrap(), []);
    let one = launches.publish(&draft(5, Cap::None)).unwrap();
    let two = launches
        .publish(&Draft {
            parent: Some(&one),
            cap: Cap::Family { most: 6 },
            ..draft(1, Cap::None)
        })
        .unwrap();
    assert_eq!((one.number, one.family(), two.number, two.family()), (1, 1, 2, 1));
    assert_eq!(two.text.as_deref(), Some("1 for 2\n"));
    assert_eq!(launches.records().unwrap(), [one, two]);
    // Others of a group store may launch too.
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode(&launches.0), mode(&launches.path(1, "json"))),
        (0o2770, 0o660)
    );
    launches
        .notes(1)
        .unwrap()
        .add(&Note::Submitted {
            at: 1,
            job: "48213".to_owned(),
        })
        .unwrap();
    launches.stop(2).unwrap();
    launches.stop(2).unwrap();
    // Names that are not ours are nobody's launch.
    for name in ["7.json", "0000008.json", "x.json", ".launch.x.tmp"] {
        std::fs::write(launches.0.join(name), "x").unwrap();
    }
    let all = launches.all().unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|launch| (launch.came.job.as_deref(), launch.stopped))
        .collect();
    assert_eq!(told, [(Some("48213"), false), (None, true)]);
    assert!(launches.is_stopped(2).unwrap() && !launches.is_stopped(1).unwrap());
    let names = listing::names(&launches.0).unwrap();
    assert!(
        names.contains(&"000001.json".to_owned()) && names.contains(&"000001.job".to_owned()),
        "{names:?}"
    );
}

#[test]
fn many_at_once_get_all_places_and_never_one_more() {
    let place = tempfile::tempdir().unwrap();
    let launches = Launches::of(place.path());
    let cap = Cap::Store { most: 20 };
    let won: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..5)
                        .filter(|_| launches.publish(&draft(1, cap)).is_ok())
                        .count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(won, 20);
    let numbers: Vec<u64> = launches
        .records()
        .unwrap()
        .iter()
        .map(|record| record.number)
        .collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    let failed = launches.publish(&draft(2, cap)).unwrap_err();
    assert!(
        failed
            .text()
            .contains("limit of 20 workers: 20 workers were launched on this store"),
        "{}",
        failed.text()
    );
    let left = listing::names(&launches.0).unwrap();
    assert!(left.iter().all(|name| !name.ends_with(".tmp")), "{left:?}");
}

#[test]
fn a_record_that_cannot_be_read_is_not_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let launches = Launches::of(place.path());
    launches.publish(&draft(1, Cap::None)).unwrap();
    for damage in ["", "{\"schema\": \"flockwork.launch/9\"}"] {
        std::fs::write(launches.0.join("000001.json"), damage).unwrap();
        let failed = launches.publish(&draft(1, Cap::None)).unwrap_err();
        assert!(failed.text().contains("000001.json"), "{}", failed.text());
    }
}

#[test]
fn a_record_is_a_file_that_people_can_read() {
    let place = tempfile::tempdir().unwrap();
    let launches = Launches::of(place.path());
    let mut record = record(1, 5, None);
    record.cap = Cap::Family { most: 50 };
    record.text = Some("#!/bin/sh\n".to_owned());
    std::fs::create_dir(&launches.0).unwrap();
    launches.link(&launches.path(1, "json"), &record).unwrap();
    let text = std::fs::read_to_string(launches.path(1, "json")).unwrap();
    insta::assert_snapshot!(text, @r##"
    {
      "schema": "flockwork.launch/1",
      "number": 1,
      "engine": "slurm",
      "at": 1795240982000,
      "by": "login1:4121",
      "user": "ana",
      "token": "00c0ffee00c0ffee",
      "asked": {
        "program": "/proj/ana/bin/flockwork",
        "store": "/proj/ana/sweep.flock",
        "workers": 5,
        "seconds": 7200,
        "memory": 4294967296,
        "cpus": 2,
        "until_done": false
      },
      "cap": {
        "of": "family",
        "most": 50
      },
      "text": "#!/bin/sh\n"
    }
    "##);
    let again = launches.link(&launches.path(1, "json"), &record).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
}
