//! The submit files as people see them, hostile paths, and what engines answer.

use flockwork::app::exit::USAGE;
use insta::assert_snapshot;

use super::*;
use crate::launch::request::tests::request;

const ENGINES: [Engine; 3] = [Engine::Slurm, Engine::Condor, Engine::Sge];

fn text(engine: Engine, asked: &Request) -> String {
    submit_file(engine, asked, Some(3)).unwrap()
}

#[test]
fn slurm_gets_an_array() {
    assert_snapshot!(text(Engine::Slurm, &request(50)), @r"
    #!/bin/sh
    # Workers of sweep, each one a job of its own: submit it with sbatch.
    #SBATCH --job-name=sweep --array=1-50
    # What each of them may use. Add --partition= and --account= where your site wants them.
    #SBATCH --cpus-per-task=2 --time=02:00:00 --mem=4G
    # Preempted, or its node gone: run it again. Before the time is up the worker is told.
    #SBATCH --requeue --open-mode=append --signal=B:USR1@120
    #SBATCH --chdir=/proj/ana/sweep.flock
    #SBATCH --output=/proj/ana/sweep.flock/logs/slurm-%A_%a.out
    # By `exec` signals reach the worker itself.
    exec /proj/ana/bin/flockwork worker /proj/ana/sweep.flock --idle-exit 10m --stop-before-limit
    ");
}

#[test]
fn htcondor_gets_a_cluster() {
    assert_snapshot!(text(Engine::Condor, &request(50)), @r#"
    # Workers of sweep, each one a job of its own: submit it with condor_submit.
    universe              = vanilla
    executable            = /proj/ana/bin/flockwork
    arguments             = "worker /proj/ana/sweep.flock --idle-exit 10m --stop-before-limit --time-limit 7200s"
    initialdir            = /proj/ana/sweep.flock
    # All machines see the store by themselves.
    should_transfer_files = NO
    # A job that has to go gives its task back, and is run again by HTCondor.
    kill_sig              = SIGTERM
    job_max_vacate_time   = 60
    request_cpus          = 2
    request_memory        = 4G
    allowed_execute_duration = 7200
    batch_name            = sweep
    log                   = /proj/ana/sweep.flock/logs/condor.$(Cluster).log
    output                = /proj/ana/sweep.flock/logs/condor.$(Cluster).$(Process).out
    error                 = /proj/ana/sweep.flock/logs/condor.$(Cluster).$(Process).err
    queue 50
    "#);
}

#[test]
fn grid_engine_gets_an_array() {
    assert_snapshot!(text(Engine::Sge, &request(50)), @r"
    #!/bin/sh
    # Workers of sweep, each one a task of an array job: submit it with qsub.
    #$ -N sweep -S /bin/sh -t 1-50
    # What each of them may use. The names h_vmem (for each slot) and smp are those of your site; -q and -P too.
    #$ -l h_rt=02:00:00,h_vmem=4G
    #$ -pe smp 2
    # Told with USR2 before it is killed; run again if its host is gone.
    #$ -notify -r y
    #$ -wd /proj/ana/sweep.flock
    #$ -j y -o /proj/ana/sweep.flock/logs
    # By `exec` signals reach the worker itself.
    exec /proj/ana/bin/flockwork worker /proj/ana/sweep.flock --idle-exit 10m --stop-before-limit --time-limit 7200s
    ");
}

#[test]
fn what_was_not_asked_for_is_not_in_it_and_replacements_name_their_launch() {
    let asked = Request {
        seconds: None,
        memory: None,
        cpus: None,
        until_done: true,
        ..request(1)
    };
    let slurm = text(Engine::Slurm, &asked);
    assert!(
        !slurm.contains("--time=") && !slurm.contains("--mem=") && !slurm.contains("--array"),
        "{slurm}"
    );
    assert!(slurm.contains("slurm-%j.out"), "{slurm}");
    for engine in ENGINES {
        let text = text(engine, &asked);
        assert!(text.contains("--relaunch 3"), "{text}");
        assert!(
            !text.contains("--time-limit") && !text.contains("allowed_execute_duration"),
            "{text}"
        );
        let printed = submit_file(engine, &asked, None).unwrap();
        assert!(!printed.contains("--relaunch"), "{printed}");
    }
}

#[test]
fn a_submit_file_fits_on_a_screen() {
    for engine in ENGINES {
        let text = text(engine, &request(50));
        assert!(text.lines().count() <= 20, "{text}");
        assert!(text.lines().all(|line| line.len() <= 120), "{text}");
    }
}

#[test]
fn paths_are_quoted_or_refused() {
    let at = |store: &str| Request {
        store: store.to_owned(),
        program: "/my bin/flock'work".to_owned(),
        ..request(2)
    };
    let hostile = at("/a b/it's 100% $HOME.flock");
    assert_snapshot!(text(Engine::Slurm, &hostile), @r#"
    #!/bin/sh
    # Workers of it_s_100___HOME, each one a job of its own: submit it with sbatch.
    #SBATCH --job-name=it_s_100___HOME --array=1-2
    # What each of them may use. Add --partition= and --account= where your site wants them.
    #SBATCH --cpus-per-task=2 --time=02:00:00 --mem=4G
    # Preempted, or its node gone: run it again. Before the time is up the worker is told.
    #SBATCH --requeue --open-mode=append --signal=B:USR1@120
    #SBATCH --chdir="/a b/it's 100% $HOME.flock"
    #SBATCH --output="/a b/it's 100%% $HOME.flock/logs/slurm-%A_%a.out"
    # By `exec` signals reach the worker itself.
    exec "/my bin/flock'work" worker "/a b/it's 100% "'$HOME.flock' --idle-exit 10m --stop-before-limit
    "#);
    assert_snapshot!(text(Engine::Condor, &hostile), @r#"
    # Workers of it_s_100___HOME, each one a job of its own: submit it with condor_submit.
    universe              = vanilla
    executable            = /my bin/flock'work
    arguments             = "worker '/a b/it''s 100% $(DOLLAR)HOME.flock' --idle-exit 10m --stop-before-limit --time-limit 7200s"
    initialdir            = /a b/it's 100% $(DOLLAR)HOME.flock
    # All machines see the store by themselves.
    should_transfer_files = NO
    # A job that has to go gives its task back, and is run again by HTCondor.
    kill_sig              = SIGTERM
    job_max_vacate_time   = 60
    request_cpus          = 2
    request_memory        = 4G
    allowed_execute_duration = 7200
    batch_name            = it_s_100___HOME
    log                   = /a b/it's 100% $(DOLLAR)HOME.flock/logs/condor.$(Cluster).log
    output                = /a b/it's 100% $(DOLLAR)HOME.flock/logs/condor.$(Cluster).$(Process).out
    error                 = /a b/it's 100% $(DOLLAR)HOME.flock/logs/condor.$(Cluster).$(Process).err
    queue 2
    "#);
    for (engine, store, what) in [
        (Engine::Slurm, "/a\\b.flock", "`\\`"),
        (Engine::Condor, "/a\"b.flock", "`\"`"),
        (Engine::Condor, "/a.flock\\", "ends in a way"),
        (Engine::Condor, "/a.flock ", "ends in a way"),
        (Engine::Sge, "/a b.flock", "a blank"),
        (Engine::Sge, "/a:b.flock", "`:`"),
        (Engine::Sge, "/$x.flock", "`$`"),
    ] {
        let failed = submit_file(engine, &at(store), None).unwrap_err();
        assert!(
            failed.code() == USAGE && failed.text().contains(what),
            "{engine:?} {}",
            failed.text()
        );
    }
    for engine in ENGINES {
        let broken = at("/a\nb.flock");
        assert!(
            submit_file(engine, &broken, None)
                .unwrap_err()
                .text()
                .contains("line break")
        );
        let broken = Request {
            flags: vec!["--scratch=/x\n#SBATCH --wrap=evil".to_owned()],
            ..request(1)
        };
        assert!(
            submit_file(engine, &broken, None)
                .unwrap_err()
                .text()
                .contains("line break")
        );
    }
}

#[test]
fn the_last_line_means_the_same_words_to_a_shell() {
    let asked = Request {
        store: "/proj/$(touch x);it`s.flock".to_owned(),
        ..request(1)
    };
    let text = text(Engine::Slurm, &asked);
    let line = text.lines().last().unwrap();
    let words = shlex::split(line).unwrap();
    assert_eq!(
        words[..4],
        [
            "exec",
            "/proj/ana/bin/flockwork",
            "worker",
            "/proj/$(touch x);it`s.flock"
        ]
    );
}

#[test]
fn job_numbers_are_found_in_what_engines_say() {
    for (engine, said, found) in [
        (Engine::Slurm, "48213\n", Some("48213")),
        (Engine::Slurm, "48213;cluster2\n", Some("48213")),
        (Engine::Slurm, "Welcome to 7 of 9\n48213\n", Some("48213")),
        (Engine::Slurm, "sbatch: error: no partition\n", None),
        (Engine::Slurm, "", None),
        (Engine::Condor, "12.0 - 12.49\n", Some("12")),
        (Engine::Condor, "12.0\n", Some("12")),
        (
            Engine::Condor,
            "Submitting job(s)..\n2 job(s) submitted to cluster 12.\n",
            Some("12"),
        ),
        (Engine::Condor, "ERROR: Can't open 1.5 files\n", None),
        (Engine::Sge, "99.1-50:1\n", Some("99")),
        (Engine::Sge, "99\n", Some("99")),
        (
            Engine::Sge,
            "Your job-array 99.1-50:1 (\"x\") has been submitted\n",
            Some("99"),
        ),
        (Engine::Sge, "Unable to run job\n", None),
    ] {
        assert_eq!(job_id(engine, said).as_deref(), found, "{engine:?} {said:?}");
    }
}
