//! Sets up the guests of the rig, and runs any program on some of them over a real NFS.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use flockwork_rig::{Image, Plan, Result, Rig};

#[derive(Debug, Parser)]
#[command(
    about = "A real NFS server and its clients as guests of this machine, without KVM and without root"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Download and unpack what the guests are made of; nothing is installed
    Setup,
    /// Start a server and clients, and run a shell script on each client at the same time, in the mounted directory
    ///
    /// The script finds its number, from 1, in $NODE and how many there are in $NODES. What it says is shown with the
    /// client's name before each line. The exit status is 1 if one of them fails.
    #[command(
        after_help = "Example: flockwork-rig run -k 3 --vers 3 --program target/debug/flockwork -- \
                            'flockwork doctor .'"
    )]
    Run(RunArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Clients
    #[arg(short = 'k', long, default_value_t = 2)]
    clients: u8,
    /// Version of NFS: 3, 4.0, 4.1 or 4.2
    #[arg(long, default_value = "4.2")]
    vers: String,
    /// Further options of the mount, such as noac
    #[arg(long, default_value = "")]
    opts: String,
    /// Lease and grace of the server, in seconds
    #[arg(long, default_value_t = 10)]
    lease: u64,
    /// A program to put on the clients' path; may be repeated
    #[arg(long)]
    program: Vec<PathBuf>,
    /// Seconds that the script may take
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    #[arg(last = true, required = true)]
    script: Vec<String>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Setup => Image::get().map(|image| {
            println!("{image:?}");
            true
        }),
        Verb::Run(args) => run(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &RunArgs) -> Result<bool> {
    let lease = Duration::from_secs(args.lease);
    let mut plan = Plan::default().clients(args.clients).lease(lease);
    for program in &args.program {
        let name = program
            .file_name()
            .ok_or("a program without a name")?
            .to_string_lossy()
            .into_owned();
        plan = plan.program(program, &name);
    }
    let mut rig = Rig::start(&plan)?;
    rig.mount(&args.vers, &args.opts)?;
    let (nodes, script) = (args.clients, args.script.join(" "));
    let mut jobs = Vec::new();
    for (node, client) in (1..).zip(rig.clients()) {
        let job = client.spawn(&format!(
            "export NODE={node} NODES={nodes}; cd /mnt/nfs; {script}"
        ))?;
        jobs.push((client.name().to_owned(), job));
    }
    let mut all_well = true;
    for (name, job) in jobs {
        let ended = job.wait(Duration::from_secs(args.timeout));
        for line in job.text().lines() {
            println!("[{name}] {line}");
        }
        match ended {
            Ok(0) => continue,
            Ok(status) => println!("[{name}] FAILED: status {status}"),
            Err(error) => println!("[{name}] FAILED: {error}"),
        }
        all_well = false;
    }
    Ok(all_well)
}
