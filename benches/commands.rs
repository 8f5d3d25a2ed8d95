//! How fast the command runs commands, against the floor of the same run: `cargo bench --bench commands -- --help`.
//!
//! The floor is a bare loop that spawns `true` and waits for it. Rates swing with the machine, so floor and command
//! take turns, and the ratio of each pair is what counts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

const HELP: &str = "\
cargo bench --bench commands -- [MODE] [OPTIONS]

modes:
  compare   (default) spawn loop, `flockwork run` and others that are installed, in turn
  status    `status` of a store of 100,000 tasks: time and peak memory
  submit    `submit` of a table of 1,000,000 rows: time and peak memory, against 10,000 rows
options:
  --dir DIR      where stores are made (default: the temporary directory)
  --tasks N      how many tasks
  --pairs N      how many times each (default: 3)
";

struct Options {
    mode: String,
    dir: PathBuf,
    tasks: Option<u64>,
    pairs: u32,
}

fn main() {
    let options = parse();
    std::fs::create_dir_all(&options.dir).expect("the directory can be made");
    match options.mode.as_str() {
        "compare" => compare(&options),
        "status" => status(&options),
        "submit" => submit(&options),
        _ => print!("{HELP}"),
    }
}

fn parse() -> Options {
    let mut options = Options {
        mode: "compare".into(),
        dir: std::env::temp_dir(),
        tasks: None,
        pairs: 3,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value follows the option");
        match argument.as_str() {
            // What `cargo bench` adds.
            "--bench" => {}
            "--dir" => options.dir = value().into(),
            "--tasks" => options.tasks = Some(value().parse().expect("a number of tasks")),
            "--pairs" => options.pairs = value().parse().expect("a number of pairs"),
            mode => options.mode = mode.trim_start_matches('-').into(),
        }
    }
    options
}

fn flockwork() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flockwork"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// How long a command took, its processor time with that of its children, and its peak memory.
struct Cost {
    wall: Duration,
    cpu: Duration,
    peak: u64,
}

fn cost(mut command: Command) -> Cost {
    let begun = Instant::now();
    let mut child = command.spawn().expect("the command starts");
    let used = child.wait4().expect("the command can be waited for");
    assert!(used.status.success(), "{command:?} ended with {}", used.status);
    Cost {
        wall: begun.elapsed(),
        cpu: used.rusage.utime + used.rusage.stime,
        peak: used.rusage.maxrss,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Spawns `true` in so many threads; returns commands a second.
fn floor(tasks: u64, threads: u64) -> f64 {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..tasks / threads {
                    let status = Command::new("/bin/true").stdin(Stdio::null()).status();
                    assert!(status.expect("true starts").success());
                }
            });
        }
    });
    tasks as f64 / begun.elapsed().as_secs_f64()
}

fn run(dir: &Path, tasks: u64, extra: &[&str]) -> (f64, Cost) {
    let place = tempfile::tempdir_in(dir).expect("a directory can be made");
    let mut command = flockwork();
    command
        .arg("run")
        .arg(place.path().join("bench.flock"))
        .args(["--sweep", &format!("n=1..{tasks}"), "--durability", "process"])
        .args(extra)
        .args(["--", "/bin/true"]);
    let cost = cost(command);
    (tasks as f64 / cost.wall.as_secs_f64(), cost)
}

/// A peer that is installed here: its name, and how it runs so many commands, two at a time.
fn peers(tasks: u64) -> Vec<(&'static str, Command)> {
    let shell = |line: String| {
        let mut command = Command::new("sh");
        command
            .args(["-c", &line])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let is_there = |name: &str| {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {name}")])
            .stdout(Stdio::null())
            .status();
        found.is_ok_and(|status| status.success())
    };
    let mut peers = Vec::new();
    if is_there("xargs") {
        peers.push((
            "xargs -P2",
            shell(format!("seq {tasks} | xargs -P2 -n1 /bin/true")),
        ));
    }
    if is_there("parallel") {
        let few = tasks.min(1_000);
        peers.push((
            "GNU parallel",
            shell(format!("seq {few} | parallel -j2 /bin/true")),
        ));
    }
    peers
}

fn compare(options: &Options) {
    let sizes = options.tasks.map_or(vec![1_000, 10_000], |tasks| vec![tasks]);
    for tasks in sizes {
        println!(
            "{tasks} times /bin/true, 2 at a time, medians of {}:",
            options.pairs
        );
        let ways: [(&str, &[&str]); 4] = [
            ("1 worker, 2 slots", &["-w", "1", "--slots", "2", "--cwd", "/"]),
            ("2 workers", &["-w", "2", "--cwd", "/"]),
            (
                "2 workers, batches of 16",
                &["-w", "2", "--cwd", "/", "--batch", "16"],
            ),
            ("2 workers, own directories", &["-w", "2"]),
        ];
        let (mut floors, mut rates, mut cpus) = (Vec::new(), vec![Vec::new(); 4], vec![Vec::new(); 4]);
        for _ in 0..options.pairs {
            let floor = floor(tasks, 2);
            floors.push(floor);
            for (way, (_, extra)) in ways.iter().enumerate() {
                let (rate, cost) = run(&options.dir, tasks, extra);
                rates[way].push((rate, rate / floor));
                cpus[way].push(cost.cpu.as_secs_f64() * 1e6 / tasks as f64);
            }
        }
        println!("  {:<28} {:>8.0}/s", "spawn loop (floor)", median(floors));
        for (way, (name, _)) in ways.iter().enumerate() {
            let rate = median(rates[way].iter().map(|pair| pair.0).collect());
            let ratio = median(rates[way].iter().map(|pair| pair.1).collect());
            let cpu = median(cpus[way].clone());
            println!("  {name:<28} {rate:>8.0}/s   {ratio:.2} of the floor   {cpu:.0} us of CPU per task");
        }
        for (name, command) in peers(tasks) {
            let few = if name == "GNU parallel" {
                tasks.min(1_000)
            } else {
                tasks
            };
            println!(
                "  {name:<28} {:>8.0}/s",
                few as f64 / cost(command).wall.as_secs_f64()
            );
        }
    }
}

fn status(options: &Options) {
    let tasks = options.tasks.unwrap_or(100_000);
    let place = tempfile::tempdir_in(&options.dir).expect("a directory can be made");
    let store = place.path().join("bench.flock");
    let mut command = flockwork();
    command
        .args([
            "run",
            "-w",
            "2",
            "--batch",
            "64",
            "--durability",
            "process",
            "--cwd",
            "/",
            "--sweep",
        ])
        .arg(format!("n=1..{tasks}"))
        .arg(&store)
        .args(["--", "/bin/true"]);
    cost(command);
    for format in ["table", "json"] {
        let mut command = flockwork();
        command.arg("status").arg(&store).args(["--format", format]);
        let cost = cost(command);
        println!(
            "status --format {format} of {tasks} tasks: {:.3} s, peak {:.1} MiB",
            cost.wall.as_secs_f64(),
            cost.peak as f64 / f64::from(1 << 20)
        );
    }
}

fn submit(options: &Options) {
    for rows in [10_000, options.tasks.unwrap_or(1_000_000)] {
        let place = tempfile::tempdir_in(&options.dir).expect("a directory can be made");
        let table = place.path().join("table.txt");
        let mut text = String::from("alpha|beta|seed\n");
        for row in 0..rows {
            text.push_str(&format!("{}|{}|{row}\n", row as f64 / 1000.0, row % 17));
        }
        std::fs::write(&table, text).expect("the table can be written");
        for again in [false, true] {
            let mut command = flockwork();
            command
                .arg("submit")
                .arg(place.path().join("bench.flock"))
                .arg("--params")
                .arg(&table)
                .args(["--", "/bin/echo", "{alpha}", "{beta}", "{seed}"]);
            let cost = cost(command);
            println!(
                "submit of {rows} rows{}: {:.2} s, peak {:.1} MiB",
                if again { ", again" } else { "" },
                cost.wall.as_secs_f64(),
                cost.peak as f64 / f64::from(1 << 20)
            );
        }
    }
}
