//! `hosts run`: a command on many hosts at once.

use std::time::Duration;

use flockwork::app::Screen;
use flockwork::app::exit::{Ended, Failed, NO_WORKER, NOT_OK, OK};
use flockwork::app::times;

use crate::args::{Format, HostsRunArgs};
use crate::hosts::run::{self, Limits, Plan, Ran, Source, Style};
use crate::hosts::{Ssh, list};
use crate::output::{Cell, Column, Table, cut, width};

/// With signs of life ssh gives a silent host up only after as many times the limit for being dead, for it may come back.
const PATIENCE: u32 = 10;
const LEAST_PATIENCE: Duration = Duration::from_secs(300);

/// Runs the verb.
///
/// # Errors
///
/// If the command line or a file makes no sense, or something here cannot be written.
pub(crate) fn run(args: HostsRunArgs) -> Ended {
    let hosts = list::read(&args.hosts)?;
    let caught = super::listen()?;
    let copier = Ssh::new(&args.ssh, true)?;
    let heartbeat = if args.no_heartbeat {
        Duration::ZERO
    } else {
        args.heartbeat
    };
    if args.dead_after <= heartbeat {
        return Err(Failed::usage(
            "--dead-after is not longer than --heartbeat: every host would be dead between two signs of life",
            "write for example --heartbeat 5s --dead-after 30s",
        ));
    }
    let patience = match heartbeat.is_zero() {
        true => args.dead_after,
        false => (args.dead_after * PATIENCE).max(LEAST_PATIENCE),
    };
    let runner = Ssh::new(&args.ssh, false)?.patient(patience);
    let format = args.format;
    let plan = plan(args, hosts, heartbeat, runner.reach())?;
    run::check(&plan)?;
    let ran = run::run(&plan, &copier, &runner, &caught)?;
    match format {
        Some(Format::Table) => short_table(&ran).print(Format::Table)?,
        Some(format) => table(&ran).print(format)?,
        None => tell(&ran, &plan),
    }
    Ok(caught.code().unwrap_or_else(|| code(&ran)))
}

fn plan(
    args: HostsRunArgs,
    hosts: Vec<crate::hosts::Host>,
    heartbeat: Duration,
    reach: Duration,
) -> Result<Plan, Failed> {
    let mut words = args.command;
    let mut files = Vec::new();
    if let Some(script) = &args.script {
        files.push(Source::read(script, true)?);
        words.insert(0, "{file}".to_owned());
    }
    for file in &args.files {
        files.push(Source::read(file, false)?);
    }
    let style = match (args.format, args.in_place) {
        (_, true) => Style::InPlace,
        (Some(_), _) => Style::Quiet,
        _ => Style::Live,
    };
    Ok(Plan {
        hosts,
        words,
        shell: args.shell,
        files,
        dir: args.remote_dir,
        heartbeat,
        limits: Limits {
            reach,
            dead_after: (!heartbeat.is_zero()).then_some(args.dead_after),
            host: args.host_timeout,
            all: args.timeout,
            grace: args.grace,
        },
        fanout: args.ssh.fanout as usize,
        out: (!args.no_out).then_some(args.out),
        style,
    })
}

fn code(ran: &Ran) -> u8 {
    let words = || ran.outcomes.iter().map(|outcome| outcome.row.word());
    match () {
        () if words().all(|word| word == "unreached") => NO_WORKER,
        () if words().all(|word| word == "ok") && !ran.has_lost_output => OK,
        () => NOT_OK,
    }
}

/// Tells what came of all: a line for each group of hosts.
fn tell(ran: &Ran, plan: &Plan) {
    let rows: Vec<_> = ran.outcomes.iter().map(|outcome| outcome.row.clone()).collect();
    let groups = run::groups(&rows);
    let screen = Screen::plain();
    screen.line(&run::total(ran));
    // A long list of names does not push the rest away.
    let names = groups
        .iter()
        .map(|group| width(&group.hosts))
        .max()
        .unwrap_or(0)
        .min(40);
    let details = groups
        .iter()
        .map(|group| width(&group.detail))
        .max()
        .unwrap_or(0)
        .min(40);
    for group in &groups {
        let hosts = &group.hosts;
        let line = format!(
            "  {hosts:names$}  {:9}  {:details$}  {}",
            group.word, group.detail, group.text
        );
        screen.line(cut(line.trim_end(), 400).as_ref());
    }
    if let Some(out) = &plan.out {
        screen.line(&format!(
            "  results  {}/HOST/stdout, stderr, status",
            out.display()
        ));
    }
}

/// For people: what fits beside each other.
fn short_table(ran: &Ran) -> Table {
    let columns = vec![
        Column::left("host"),
        Column::left("state"),
        Column::right("took"),
        Column::left("reason"),
        Column::left("last_line"),
    ];
    let mut table = Table::new("hosts-run", "hosts", columns);
    for outcome in &ran.outcomes {
        let row = &outcome.row;
        table.row(vec![
            row.host.clone().into(),
            Cell::from(row.word()).of_kind(run::kind(row.word())),
            outcome.ran.map(times::short).unwrap_or_default().into(),
            row.detail().into(),
            row.last.clone().into(),
        ]);
    }
    table.note(Some(run::total(ran)));
    table
}

/// For programs: all that is known.
fn table(ran: &Ran) -> Table {
    let columns = vec![
        Column::left("host"),
        Column::left("state"),
        Column::right("exit"),
        Column::right("seconds"),
        Column::right("pid"),
        Column::left("reason"),
        Column::right("stdout_bytes"),
        Column::right("stderr_bytes"),
        Column::left("stdout_sha256"),
        Column::left("stderr_sha256"),
        Column::left("dir"),
        Column::left("last_line"),
    ];
    let mut table = Table::new("hosts-run", "hosts", columns);
    for outcome in &ran.outcomes {
        let row = &outcome.row;
        let seconds = outcome.ran.map(|ran| (ran.as_secs_f64() * 1e3).round() / 1e3);
        table.row(vec![
            row.host.clone().into(),
            Cell::from(row.word()).of_kind(run::kind(row.word())),
            row.exit().map_or_else(Cell::default, Cell::from),
            seconds.map_or_else(Cell::default, Cell::from),
            outcome.pid.map_or_else(Cell::default, Cell::from),
            row.detail().into(),
            outcome.stdout_bytes.into(),
            outcome.stderr_bytes.into(),
            row.output.0.to_string().into(),
            row.output.1.to_string().into(),
            outcome
                .dir
                .as_ref()
                .map_or_else(Cell::default, |dir| dir.display().to_string().into()),
            row.last.clone().into(),
        ]);
    }
    let rows: Vec<_> = ran.outcomes.iter().map(|outcome| outcome.row.clone()).collect();
    let groups = run::groups(&rows).into_iter().map(|group| {
        serde_json::json!({
            "hosts": group.hosts, "count": group.size, "state": group.word, "reason": group.detail, "text": group.text,
        })
    });
    table.about("groups", groups.collect::<Vec<_>>());
    table.about("seconds", (ran.took.as_secs_f64() * 1e3).round() / 1e3);
    table
}
