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
    assert_snapshot!(text);
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
    assert_snapshot!(text);
}
