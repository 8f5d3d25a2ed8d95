//! Shows on small trees that each rule is able to fail, and where it must not.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{limits, races, rules};

/// A small tree of files, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Tree {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tidy-{}-{number}", std::process::id()));
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("a file lies in the tree")).expect("the folder is made");
            fs::write(path, text).expect("the file is written");
        }
        Tree(root)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Checks that there are as many findings as expected and that each begins as expected.
#[track_caller]
fn assert_found(findings: &[String], expected: &[&str]) {
    let fits =
        findings.len() == expected.len() && findings.iter().zip(expected).all(|(f, e)| f.starts_with(e));
    assert!(fits, "found {findings:#?}\nexpected {expected:#?}");
}

#[test]
fn an_arrow_that_points_up_is_found() {
    let tree = Tree::new(&[
        ("src/lib.rs", "mod store;\npub use crate::worker::Worker;"),
        (
            "src/store/claim.rs",
            "use crate::name::TaskId;\nuse super::scan;\nuse crate::worker::Slot;",
        ),
        (
            "src/store/scan.rs",
            "use crate::{\n    fs::{Dir, master},\n    app,\n};",
        ),
        (
            "src/fs/mod.rs",
            "fn f() { crate::store::open(); super::error::of(); super::map(); }",
        ),
        (
            "src/fs/os/file.rs",
            "use super::super::super::worker::Slot;\nuse super::super::Dir;",
        ),
    ]);
    assert_found(
        &rules::module_order(&tree.0),
        &[
            "src/fs/mod.rs:1: `fs` names `store`; it may name: error name",
            "src/fs/mod.rs:1: `fs` names `map`",
            "src/fs/os/file.rs:1: `fs` names `worker`",
            "src/store/claim.rs:3: `store` names `worker`",
            "src/store/scan.rs:1: `store` names `app`",
        ],
    );
}

#[test]
fn a_module_without_a_row_and_a_short_cut_through_the_crate_are_found() {
    let tree = Tree::new(&[
        ("src/helpers.rs", "fn f() {}"),
        (
            "src/store.rs",
            "use crate::Worker;\nuse crate::*;\npub(crate) struct S;",
        ),
    ]);
    assert_found(
        &rules::module_order(&tree.0),
        &[
            "src/helpers.rs:1: module `helpers` has no row",
            "src/store.rs:1: `crate::Worker` is no module",
            "src/store.rs:2: `crate::*` is no module",
        ],
    );
}

#[test]
fn tests_comments_and_literals_may_name_anything() {
    let tree = Tree::new(&[
        (
            "src/fs/mod.rs",
            "//! crate::worker\n/* crate::app /* .unwrap() */ panic!() */\n\
             const A: &str = \"crate::app \\\" panic!()\";\nconst B: &str = r#\"todo!() \" fs2::lock\"#;\n\
             const C: [char; 3] = ['\"', '\\'', '\\\\'];\nfn f<'a>(x: &'a str) -> &'a str { x }\n\
             #[cfg(test)]\nmod tests {\n    use crate::store::Store;\n    fn g() { x.unwrap(); println!(\"}\"); }\n}\n\
             #[cfg(test)]\nuse crate::worker;\nfn after() { crate::app::run(); }\n",
        ),
        (
            "src/store/tests.rs",
            "use crate::app;\nfn f() { fs2::lock(); todo!(); }",
        ),
        ("src/store/tests/more.rs", "use crate::app;"),
    ]);
    assert_found(
        &rules::module_order(&tree.0),
        &["src/fs/mod.rs:14: `fs` names `app`"],
    );
    assert_found(&rules::shortcuts(&tree.0), &[]);
    assert_found(&rules::crates(&tree.0), &[]);
}

#[test]
fn a_long_file_is_found() {
    let tree = Tree::new(&[
        ("src/long.rs", "\n".repeat(501).as_str()),
        ("cli/src/fits.rs", "\n".repeat(500).as_str()),
    ]);
    assert_found(
        &rules::lengths(&tree.0),
        &["src/long.rs:501: longer than 500 lines"],
    );
}

#[test]
fn a_crate_outside_of_its_place_is_found() {
    let tree = Tree::new(&[
        ("src/fs/os/lock.rs", "use fs2::FileExt;"),
        ("src/fs/os/file.rs", "fn f() { ::fs2::FileExt::unlock(x); }"),
        ("src/fs/watch.rs", "use notify::Watcher;"),
        (
            "src/worker/wake.rs",
            "use notify;\nfn f() { x.notify(); crate::fs::notify::g(); }",
        ),
        ("src/app/args.rs", "use clap::Parser;"),
        (
            "src/map.rs",
            "use indicatif::ProgressBar;\nuse {clap::Parser, std::fs};",
        ),
        ("cli/src/main.rs", "use clap::Parser;\nuse bincode::Options;"),
    ]);
    assert_found(
        &rules::crates(&tree.0),
        &[
            "src/fs/os/file.rs:1: names fs2; only src/fs/os/lock.rs may",
            "src/map.rs:2: names clap; only src/app and cli/src may",
            "src/map.rs:1: names indicatif",
            "src/worker/wake.rs:1: names notify",
            "cli/src/main.rs:2: names bincode",
        ],
    );
}

#[test]
fn a_look_at_the_clock_or_the_disk_in_a_pure_file_is_found() {
    let tree = Tree::new(&[
        (
            "src/policy.rs",
            "use crate::clock::Moment;\nfn f(now: Moment) -> bool { now.since(Moment::now()) }\n\
             fn g() { std::fs::read(\"x\"); }\n#[cfg(test)]\nmod tests { fn h() { Moment::now(); } }",
        ),
        ("src/clock.rs", "fn f() { Instant::now(); }"),
    ]);
    assert_found(
        &rules::purity(&tree.0),
        &[
            "src/policy.rs:2: `::now` in a file that is pure",
            "src/policy.rs:3: `std::fs`",
        ],
    );
}

#[test]
fn shortcuts_are_found() {
    let tree = Tree::new(&[
        (
            "src/store.rs",
            "fn f() {\n x.unwrap();\n x.map(Option::unwrap);\n x.unwrap_or(1);\n panic!(\"no\");\n}",
        ),
        (
            "src/worker.rs",
            "fn f() {\n println!();\n eprintln!();\n todo!()\n}\nfn g() { if panic != 1 {} }",
        ),
        ("src/app/mod.rs", "fn f() { println!(); dbg!(1); }"),
        ("cli/src/main.rs", "fn f() { eprintln!(); unimplemented!() }"),
    ]);
    assert_found(
        &rules::shortcuts(&tree.0),
        &[
            "src/app/mod.rs:1: `dbg!`",
            "src/store.rs:2: `.unwrap(`",
            "src/store.rs:3: `::unwrap`",
            "src/store.rs:5: `panic!`",
            "src/worker.rs:4: `todo!`",
            "src/worker.rs:2: `println!`",
            "src/worker.rs:3: `eprintln!`",
            "cli/src/main.rs:1: `unimplemented!`",
        ],
    );
}

#[test]
fn silenced_lints_and_skipped_tests_are_found() {
    let tree = Tree::new(&[
        (
            "src/lib.rs",
            "#![allow(dead_code)]\n#[cfg(test)]\nmod tests {\n    #[allow(unused)]\n    fn f() {}\n}",
        ),
        (
            "tests/it/main.rs",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n// #[allow(x)]",
        ),
        (
            "examples/a.rs",
            "#[expect(dead_code, reason = \"shown\")]\nfn f() {}",
        ),
    ]);
    assert_found(
        &rules::attributes(&tree.0),
        &[
            "src/lib.rs:4: `#[allow(`",
            "src/lib.rs:1: `#![allow(`",
            "tests/it/main.rs:2: `#[ignore`",
        ],
    );
}

#[test]
fn forgotten_test_files_are_found() {
    let tree = Tree::new(&[
        ("tests/it/main.rs", "mod claim;\nmod races;\n// mod publish;\n"),
        ("tests/it/claim.rs", ""),
        ("tests/it/publish.rs", ""),
        ("tests/it/races/mod.rs", "mod two;"),
        ("tests/it/races/two.rs", ""),
        ("tests/it/races/three.rs", ""),
        ("tests/it/data/store.json", ""),
    ]);
    assert_found(
        &rules::forgotten_files(&tree.0, "tests/it", "main.rs"),
        &[
            "tests/it/publish.rs:1: tests/it/main.rs does not say",
            "tests/it/races/three.rs:1: tests/it/races/mod.rs",
        ],
    );
}

#[test]
fn dependencies_without_a_reason_are_found() {
    let tree = Tree::new(&[
        (
            "Cargo.toml",
            "[package]\nname = \"x\"\n[dependencies]\n# Why.\nserde = \"1\"\nlibc = \"0.2\"\n\
             fs2 = \"0.4\" # why\nclap = { version = \"4\", features = [ # why\n  \"derive\",\n] }\n\
             url = \"a#b\"\n\n[dev-dependencies]\n#\ninsta = \"1\"\n[features]\ncli = []\n",
        ),
        (
            "cli/Cargo.toml",
            "[target.'cfg(unix)'.dependencies]\na.workspace = true\n[dependencies.b]\nversion = \"1\"\n",
        ),
    ]);
    assert_found(
        &rules::dependencies(&tree.0),
        &[
            "Cargo.toml:6: `libc`",
            "Cargo.toml:11: `url`",
            "Cargo.toml:15: `insta`",
            "cli/Cargo.toml:2: `a`",
            "cli/Cargo.toml:3: `dependencies.b`",
        ],
    );
}

#[test]
fn refused_words_are_found() {
    let tree = Tree::new(&[
        ("README.md", "A Job Queue.\n"),
        ("src/store.rs", "// fine\nfn next_work_item() {}\n"),
        ("docs/a.md", "the lock file of a task\n"),
    ]);
    assert_found(
        &rules::vocabulary(&tree.0),
        &[
            "src/store.rs:2: `work item`: say `task`",
            "README.md:1: `job queue`: say `store`",
        ],
    );
}

#[test]
fn a_fuzz_target_that_no_test_walks_is_found() {
    let files = [
        ("fuzz/Cargo.toml", "[[bin]]\nname = \"good\"\n"),
        ("fuzz/README.md", "| `good` | what it reads |\n"),
        ("fuzz/corpus/good/one", "x"),
        ("fuzz/fuzz_targets/good.rs", "fuzz_target!(good);\n"),
        ("src/fuzz/mod.rs", "walk(\"good\", super::good);"),
    ];
    assert_found(&rules::fuzz_targets(&Tree::new(&files).0), &[]);
    let long = "\n".repeat(6);
    let large = "x".repeat(301 << 10);
    let bad = [
        ("fuzz/fuzz_targets/bad.rs", long.as_str()),
        ("fuzz/corpus/good/two", large.as_str()),
    ];
    let tree = Tree::new(&[&files[..], &bad].concat());
    assert_found(
        &rules::fuzz_targets(&tree.0),
        &[
            "fuzz/fuzz_targets/bad.rs:1: has more in it",
            "fuzz/fuzz_targets/bad.rs:1: is not in fuzz/Cargo.toml",
            "fuzz/fuzz_targets/bad.rs:1: is not in fuzz/README.md",
            "fuzz/fuzz_targets/bad.rs:1: is walked by no test",
            "fuzz/fuzz_targets/bad.rs:1: has no corpus",
            "fuzz/corpus:1: 2 files",
        ],
    );
}

#[test]
fn races_without_a_test_are_found() {
    let page = "# Races\n\nSee `Dir::list()`.\n\n| race | never | shown by |\n|---|---|---|\n\
                | two claimers | both win | `store::tests::twins::two_claimers`, `it::many::two` |\n\
                | cut off | lost | `model::sound::three` |\n\
                | helper | x | `it::many::helper`, `policy::tests::late`, `policy::tests::later` |\n\
                | gone | x | `it::gone::two`, `command::journey::all`, `store::tests::twins::in_a_comment` |\n\
                | real NFS | x | to come in `tests/nfs` |\n| nothing | x | reasons |\n\
                | calls fail | x | `faults::kills::each`, `faults::kills::every` |\n\
                | real kernels | x | `nfs::death::power`, `nfs::death::mount`, `nfs::birth::power` |\n";
    let tree = Tree::new(&[
        ("docs/races.md", page),
        (
            "src/store/tests/twins.rs",
            "#[test]\nfn two_claimers() {}\n// #[test]\n// fn in_a_comment() {}\n",
        ),
        ("src/policy.rs", "mod tests {\n    #[test]\n    fn late() {}\n}\n"),
        ("tests/it/many.rs", "#[test]\nfn two() {}\nfn helper() {}\n"),
        ("tests/model/sound.rs", "#[test]\nfn two() {}\n"),
        ("tests/faults/kills.rs", "#[test]\nfn each() {}\n"),
        (
            "tests/nfs/death.rs",
            "#[test]\nfn power() {}\nfn mount(version: &str) {}\n",
        ),
        ("cli/tests/command/journey.rs", "#[test]\nfn all() {}\n"),
    ]);
    assert_found(
        &races::races(&tree.0, "docs/races.md"),
        &[
            "docs/races.md:8: `model::sound::three`: no such test in tests/model/sound.rs",
            "docs/races.md:9: `it::many::helper`: it is no test",
            "docs/races.md:9: `policy::tests::later`: no such test in src/policy.rs",
            "docs/races.md:10: `it::gone::two`: no such module",
            "docs/races.md:10: `store::tests::twins::in_a_comment`: no such test",
            "docs/races.md:12: nothing: no test",
            "docs/races.md:13: `faults::kills::every`: no such test in tests/faults/kills.rs",
            "docs/races.md:14: `nfs::death::mount`: it is no test",
            "docs/races.md:14: `nfs::birth::power`: no such module",
        ],
    );
    assert_found(
        &races::races(&tree.0, "docs/none.md"),
        &["docs/none.md:1: the page is missing"],
    );
}

#[test]
fn limits_that_stand_elsewhere_are_found() {
    let page = "# Limits\n\n`src/none.rs` `NONE`\n\n| what | limit | where |\n|---|---|---|\n\
                | a row | 64 MiB | `src/table.rs` `LONGEST`, `longest` |\n\
                | a value | 4 GiB | `src/table.rs` `LONG`, `LONGER`; `src/gone.rs` `LONGEST` |\n\
                | `--flag` | none | |\n";
    let tree = Tree::new(&[
        ("docs/limits.md", page),
        (
            "src/table.rs",
            "// const LONGER\nconst LONGEST: u64 = 1;\nstruct Table {\n    longest: u64,\n}\n",
        ),
    ]);
    assert_found(
        &limits::limits(&tree.0, "docs/limits.md"),
        &[
            "docs/limits.md:8: `LONG`: not in src/table.rs",
            "docs/limits.md:8: `LONGER`: not in src/table.rs",
            "docs/limits.md:8: `src/gone.rs`: no such file",
        ],
    );
    assert_found(
        &limits::limits(&tree.0, "docs/none.md"),
        &["docs/none.md:1: the page is missing"],
    );
}
