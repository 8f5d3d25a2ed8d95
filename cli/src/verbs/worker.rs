//! `worker`: one worker process of a sweep.

use std::path::Path;
use std::time::{Duration, Instant};

use flockwork::app::exit::{Ended, Failed, USAGE};
use flockwork::app::{self, Work};
use flockwork::{Stop, Store};

use crate::args::{WorkFlags, WorkerArgs};
use crate::exec::Words;
use crate::exec::guard::Guard;
use crate::exec::resources::{Budget, Offer};
use crate::exec::worker::{Setup, SweepWorker};
use crate::steward::Steward;
use crate::sweep::command::CommandLine;
use crate::sweep::pattern::Fill;
use crate::sweep::spec::{Sweep, Timeout};
use crate::sweep::template::Template;
use crate::sweep::units::parse_size;

/// Between two looks for a sweep in a store that has none yet.
const LOOK: Duration = Duration::from_millis(500);

/// Runs the verb.
pub(crate) fn worker(args: WorkerArgs) -> Ended {
    let path = app::named(args.place.store.as_deref())?;
    let flags = args.work;
    let work = Work {
        store: path,
        config: flags.worker.config(),
        idle_exit: flags.worker.idle_exit,
        on_signal: flags.worker.on_signal(),
        quiet: args.quiet,
        parent: args.parent,
        note: flags.worker.note(),
        near_end: None,
    };
    work.run(|store, stop, config| {
        let sweep = wait_for_sweep(store, stop, flags.worker.idle_exit)?;
        // Commands run without a guard too; they outlive a worker that is killed outright then.
        let guard = Guard::start().ok();
        let budget = Budget::new(offer(&flags)?);
        if flags.worker.has_auto_slots() {
            let fit = budget
                .slots_for(&sweep.limits)
                .map_err(|text| Failed::new(USAGE, text, None))?;
            *config = config.clone().slots(fit);
        }
        let worker = make(store, &sweep, &flags, budget, guard.as_ref())?;
        let steward = Steward::start(store, &sweep);
        Ok((
            worker,
            Beside {
                steward: Some(steward),
                guard,
            },
        ))
    })
}

/// What lives beside the worker.
struct Beside {
    steward: Option<Steward>,
    guard: Option<Guard>,
}

impl Drop for Beside {
    fn drop(&mut self) {
        drop(self.steward.take());
        if let Some(guard) = self.guard.take() {
            guard.end();
        }
    }
}

fn make(
    store: &Store,
    sweep: &Sweep,
    flags: &WorkFlags,
    budget: Budget,
    guard: Option<&Guard>,
) -> Result<SweepWorker, Failed> {
    let command = CommandLine::of(sweep)?;
    let ok_if = CommandLine::ok_if(sweep)?;
    let words = |line: CommandLine, typed: &[String]| {
        Words::new(typed, Box::new(move |fill: &Fill<'_>| line.argv(fill)))
    };
    let typed = sweep.ok_if.clone().unwrap_or_default();
    let templates = templates(sweep)?;
    let (columns, here) = (sweep.columns.clone(), sweep.here.clone());
    let setup = Setup {
        store: store.path().to_owned(),
        command: words(command, &sweep.command),
        ok_if: ok_if.map(|line| words(line, &typed)),
        render: Box::new(move |source, values, task| {
            let known = templates.iter().find(|(known, _)| known == source);
            let (_, template) = known.ok_or("the sweep has no such template")?;
            let fill = Fill {
                columns: &columns,
                values,
                task,
                dir: Path::new(""),
                here: &here,
                output: None,
            };
            template.render(&fill).map_err(|error| error.to_string())
        }),
        tokens: guard.map(Guard::tokens),
        budget,
        // The rest of the grace is for giving the task back.
        leave_within: flags.worker.grace.mul_f64(0.8),
    };
    let worker = SweepWorker::new(sweep.clone(), setup)?;
    if matches!(sweep.limits.timeout, Some(Timeout::TimesMedian(_))) {
        worker.median().seed(app::task_times(store));
    }
    Ok(worker)
}

fn offer(flags: &WorkFlags) -> Result<Offer, Failed> {
    let memory = match &flags.offer_mem {
        Some(text) => Some(parse_size(text).map_err(|error| {
            Failed::usage(format!("--offer-mem {text:?}: {error}"), "write it as 512M or 4G")
        })?),
        None => None,
    };
    Ok(Offer::of_this_host(flags.offer_cpus, memory))
}

/// Reads the templates of a sweep once.
fn templates(sweep: &Sweep) -> Result<Vec<(String, Template)>, Failed> {
    let inputs = sweep
        .inputs
        .iter()
        .map(|input| (&input.template, input.name.as_str()));
    let stdin = sweep.stdin.iter().map(|template| (template, "--stdin"));
    let read = |(source, name): (&String, &str)| {
        Ok((source.clone(), Template::parse(source, name, &sweep.columns)?))
    };
    inputs.chain(stdin).map(read).collect()
}

/// The sweep is written just after the store is made.
fn wait_for_sweep(store: &Store, stop: &Stop, limit: Duration) -> Result<Sweep, Failed> {
    let begun = Instant::now();
    loop {
        if let Some(sweep) = Sweep::load(store.path())? {
            return Ok(sweep);
        }
        if stop.requested().is_some() || begun.elapsed() >= limit {
            return Err(Failed::usage(
                format!(
                    "{} has no sweep: nobody has submitted a command to it",
                    store.path().display()
                ),
                "submit one: flockwork submit STORE --params FILE -- COMMAND; \
                 a program of your own has its own verb `worker`",
            ));
        }
        std::thread::sleep(LOOK);
    }
}
