use std::os::unix::fs::symlink;

use super::site::{Site, bytes, parts, tree};

#[test]
fn a_name_that_two_hosts_have_is_refused_before_anything_is_written() {
    let site = Site::new(2);
    for (host, name) in [(1, "one"), (2, "two"), (1, "both"), (2, "both")] {
        std::fs::create_dir_all(site.there(host, "out")).unwrap();
        std::fs::write(site.there(host, &format!("out/{name}")), format!("{host}")).unwrap();
    }
    std::fs::create_dir_all(site.here("here/out")).unwrap();
    site.place.write("here/out/both", "old");
    let before = tree(&site.here("here"));
    let err = site.fails("cp", &[":out", "here"]);
    assert!(err.contains("out/both is on n1 and on n2"), "{err}");
    assert!(err.contains("hint: give --divide"), "{err}");
    assert_eq!(tree(&site.here("here")), before);
    std::fs::remove_file(site.there(2, "out/both")).unwrap();
    site.ok("cp", &[":out", "here"]);
    assert_eq!(site.place.read("here/out/both"), "1");
    assert!(site.place.has("here/out/one") && site.place.has("here/out/two"));
    site.ok("cp", &[":all/out/", "divided", "--divide"]);
    assert_eq!(site.place.read("divided/n2/out/two"), "2");
}

#[test]
fn what_was_cut_goes_on_where_it_was() {
    let site = Site::new(1);
    let content = bytes(9 << 20);
    std::fs::write(site.there(1, "f"), &content).unwrap();
    // No connection brings more than this.
    site.fault(1, "cut-back", "5500000");
    let err = site.fails("cp", &[":f", "back", "--retries", "0"]);
    assert!(err.contains("failed: n1: the connection broke"), "{err}");
    assert!(!site.place.has("back/f"));
    let length = parts(&site.here("back"))[0].metadata().unwrap().len();
    assert!((4 << 20..9 << 20).contains(&length), "{length}");
    site.ok("cp", &[":f", "back", "--retries", "0"]);
    assert_eq!(std::fs::read(site.here("back/f")).unwrap(), content);
    assert!(parts(&site.here("back")).is_empty());
    // One run can do both; and a part that is not what the file begins with is not gone on with.
    std::fs::remove_file(site.here("back/f")).unwrap();
    site.fails("cp", &[":f", "back", "--retries", "0"]);
    let part = &parts(&site.here("back"))[0];
    std::fs::write(part, vec![7; 5 << 20]).unwrap();
    site.ok("cp", &[":f", "back", "--retries", "1"]);
    assert_eq!(std::fs::read(site.here("back/f")).unwrap(), content);
}

#[test]
fn a_host_cannot_write_outside_of_its_place() {
    let site = Site::new(2);
    std::fs::create_dir_all(site.there(1, "out")).unwrap();
    std::fs::write(site.there(1, "out/good"), "good").unwrap();
    symlink("/etc/passwd", site.there(1, "out/absolute")).unwrap();
    symlink("../../up", site.there(1, "out/up")).unwrap();
    symlink("good", site.there(1, "out/inside")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        site.there(1, "out/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    // This one does not run our script at all, and answers what it likes.
    let evil = [
        "flockwork-hello",
        "ready liar",
        "e d 755 5 0 =./out =",
        "e f 644 5 4 =../../x =",
        "e f 644 5 4 =/tmp/x =",
        "e f 644 5 4 =./out/../../x =",
        "e f 644 5 4 x2e2e2f78 =",
        "e f 644 5 4 =.ssh/authorized_keys =",
        "e l 777 5 4 =./out/l =../..",
        "e l 777 5 4 =./out/l =x/../../..",
        "e f 644 5 4 =./out/twice =",
        "e f 644 5 4 =./out/twice =",
        "0 end",
        "",
    ];
    site.fault(2, "answers", &evil.join("\n"));
    let said = site.run(
        "cp",
        &[
            ":out",
            "here/back",
            "--divide",
            "--retries",
            "0",
            "--format",
            "json",
        ],
    );
    assert_eq!(said.code, 1, "{}", said.err);
    let told: serde_json::Value = serde_json::from_slice(&said.out).unwrap();
    let reasons = |host: usize| {
        let failed = told["hosts"][host]["failed"].as_array().unwrap().iter();
        let failed = failed.map(|failed| {
            let text = |key: &str| failed[key].as_str().unwrap().to_owned();
            format!("{}: {}", text("name"), text("reason"))
        });
        failed.collect::<Vec<_>>().join("\n")
    };
    let first = reasons(0);
    assert!(
        first.contains("out/absolute: refused: the link leads outside, to /etc/passwd"),
        "{first}"
    );
    assert!(
        first.contains("out/up: refused: the link leads outside"),
        "{first}"
    );
    assert!(first.contains("out/pipe: left out"), "{first}");
    assert_eq!(first.lines().count(), 3, "{first}");
    let second = reasons(1);
    for refused in [
        "../../x: refused: the path leads outside",
        "/tmp/x: refused: the path is absolute",
        "out/../../x: refused",
        "../x: refused",
        ".ssh/authorized_keys: refused: it was not asked for",
        "out/l: refused: the link leads outside, to ../..",
        "out/l: refused: the link leads outside, to x/../../..",
        "out/twice: refused: it was named twice",
    ] {
        assert!(second.contains(refused), "{refused}\n{second}");
    }
    let names: Vec<_> = tree(&site.here("here"))
        .into_iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(
        names,
        [
            "",
            "back",
            "back/n1",
            "back/n1/out",
            "back/n1/out/good",
            "back/n1/out/inside",
            "back/n2",
            "back/n2/out"
        ]
    );
}

#[test]
fn what_is_missing_there_is_named() {
    let site = Site::new(2);
    std::fs::write(site.there(1, "f"), "x").unwrap();
    let err = site.fails("cp", &[":f", "back"]);
    assert!(err.contains("failed: n2: f: it is not there"), "{err}");
    assert!(err.contains("2 hosts: 1/2 files"), "{err}");
    assert_eq!(site.place.read("back/f"), "x");
}
