use insta::assert_snapshot;

use super::*;

fn verdict() -> Verdict {
    Verdict {
        seed: 77,
        batch: 5,
        tasks_a_round: 400,
        lease: Duration::from_secs(2),
        file_system: "ext4 (/dev/vda) at /".into(),
        took: Duration::from_secs(120),
        figures: Figures {
            hosts: 2,
            kills: 1200,
            master_kills: 60,
            tasks: 40_000,
            ..Figures::default()
        },
        ..Verdict::default()
    }
}

#[test]
fn who_has_passed_has_one_line_and_the_figures() {
    let text = verdict().table(Path::new("/proj/t.flock"), false);
    assert_snapshot!(text, @r"
    PASSED  every promise was held
      file system                         ext4 (/dev/vda) at /
      lease                                       2.0s
      disturbed for                              2m00s
      seed                                          77
      hosts                                          2
      kills                                      1,200
        of masters                                  60
        halfway through a task                       0
        of these within a batch                      0
      processes stopped for a while                  0
      lock files removed                             0
      rounds                                         0
      tasks                                     40,000
      executions                                     0
        more than tasks                              0
      attempts that failed                           0
      checkpoints taken up                           0
      attempts given up                              0
      outcomes dropped: a twin was first             0
      locks found lost                               0
      waits for the file system                      0
      steps that had to be tried again               0
      outcome files watched                          0
    ");
}

#[test]
fn who_has_failed_is_told_what_where_and_how_to_repeat_it() {
    let mut failed = verdict();
    for _ in 0..2 {
        failed.add(Broken::new(Promise::Stable, "rounds/0/1\x1b.out", "it was empty"));
    }
    for number in 0..30 {
        failed.add(Broken::new(Promise::Answers, &format!("0/{number}"), "wrong"));
    }
    failed.remarks.push("one host said nothing".into());
    let text = failed.table(Path::new("/proj/t.flock"), true);
    let head = "FAILED  broken: each task has one accepted outcome, the answer to its own input; an outcome that was \
                seen never changes\n  VIOLATION stable: rounds/0/1\\x1b.out: it was empty\n  VIOLATION answers: 0/0: wrong\n";
    assert!(text.starts_with(head), "{text}");
    assert!(
        text.contains("  20 of 31 shown\n  note one host said nothing\n"),
        "{text}"
    );
    let tail =
        "  again     flockwork torture STORE --seed 77 --batch 5 --tasks 400\n  store     /proj/t.flock\n";
    assert!(text.ends_with(tail), "{text}");
}

#[test]
fn programs_are_told_the_same() {
    let mut failed = verdict();
    failed.add(Broken::new(Promise::LeftOver, "x", "left"));
    let text = crate::output::document("torture", failed.json(Path::new("t.flock"), true));
    assert_snapshot!(text, @r#"
    {
      "schema": "flockwork.torture/1",
      "store": "t.flock",
      "verdict": "failed",
      "violations": [
        {
          "promise": "left_over",
          "place": "x",
          "what": "left"
        }
      ],
      "remarks": [],
      "file_system": "ext4 (/dev/vda) at /",
      "seed": 77,
      "batch": 5,
      "tasks_a_round": 400,
      "lease_seconds": 2.0,
      "seconds": 120.0,
      "hosts": 2,
      "kills": 1200,
      "master_kills": 60,
      "halfway_kills": 0,
      "batch_kills": 0,
      "stops": 0,
      "removals": 0,
      "rounds": 0,
      "tasks": 40000,
      "executions": 0,
      "executions_again": 0,
      "failures": 0,
      "restored": 0,
      "lost": 0,
      "twins": 0,
      "locks_lost": 0,
      "parked": 0,
      "troubles": 0,
      "watched": 0,
      "kept": true
    }
    "#);
}
