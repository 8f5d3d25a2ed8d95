//! Help of the verbs that reach workers and other hosts.

use super::Verb;

pub(super) const HOSTS: &[Verb] = &[
    (
        "ping",
        "Ask every worker for a sign of life through the file system, and measure how long it takes",
        &[
            ("ping /proj/s.flock", ""),
            ("ping /proj/s.flock --timeout 10s --format json", "for programs"),
        ],
        "Each worker adds a line to its own file in the store. `answered after` is the worker's wait for its next look, \
         on the file server's clock; what it takes longer to be seen here is the file system. Idle workers look at once \
         on a local file system, within 15 s on others; busy ones with their heartbeat, every fifth of the lease. Exit \
         code 1: a worker that should live has not answered; 7: none lives.",
    ),
    (
        "hosts",
        "Do something on many hosts at once, by ssh",
        &[
            ("hosts status -n 'node[01-64]'", "which can be worked with"),
            ("hosts run -n @hosts.txt -- uname -sr", "a command on each"),
            ("hosts mkdir -n @hosts.txt /scratch sweep", ""),
        ],
        "Nothing is installed there; `ssh HOST true` must work without a question. Hosts are named as `node[01-64,70]`, \
         `192.168.100.101..200` or `node{a,b}`, with commas between them; `ana@node01:2222` has a user and a port.",
    ),
    (
        "hosts status",
        "Say which hosts are ON, which are OFF, and why",
        &[
            ("hosts status -n 'node[01-64]'", ""),
            (
                "hosts status -n @hosts.txt --ping",
                "only whether they answer pings",
            ),
            ("hosts status -n @hosts.txt --group", "`node[01-63]` in one row"),
            ("hosts status -n @hosts.txt --format json", "for programs"),
        ],
        "A host is ON if a command can be run there by ssh; LOGIN is how long that took, RTT how long it then took to \
         send a line and have it back. Exit code 1 if any host is OFF.",
    ),
    (
        "hosts run",
        "Run a command on many hosts at once, and say what came of each",
        &[
            ("hosts run -n 'node[01-64]' -- uname -sr", ""),
            (
                "hosts run -n @hosts.txt -f sim.py -- python3 {file} --name {host}",
                "a file is copied first",
            ),
            (
                "hosts run -n @hosts.txt --script setup.sh -- --fast",
                "a script, with arguments",
            ),
            (
                "hosts run -n @hosts.txt --in-place --timeout 10m -- make -C /src",
                "one line for each host",
            ),
            (
                "hosts run -n @hosts.txt --shell -- 'df -h | tail -1'",
                "a shell there reads it",
            ),
            ("hosts run -n @hosts.txt --format json -- true", "for programs"),
        ],
        "Lines of the commands come with the host's name in front; all of it is kept in out/HOST/. In the end hosts \
         with the same output and exit code are one line. No shell reads the command, so its words arrive as they are \
         written here.\n\n\
         A few lines of plain `sh` watch the command there. They tell when it begins and ends, give a sign of life every \
         5 s, and stop the command and all that it has started (TERM, after --grace KILL) at Ctrl-C, at a timeout, and \
         when the connection breaks. A host that is silent for 30 s is dead until it reports again; the run ends without \
         waiting for it. That a connection is cut without a word is noticed there when TCP gives up, after about 15 \
         minutes.\n\n\
         --fanout says how many hosts are connected to at the same time; the commands of all run at once. The command \
         has FLOCKWORK_HOST, FLOCKWORK_FILE and FLOCKWORK_DIR, and an empty stdin.\n\n\
         Exit code 0 if all are ok, 1 if any is not, 7 if no host was reached, 130 after Ctrl-C.",
    ),
    (
        "hosts mkdir",
        "Make a directory on each host",
        &[
            (
                "hosts mkdir -n 'node[01-64]' /scratch sweep",
                "makes /scratch/sweep",
            ),
            ("hosts mkdir -n @hosts.txt . results", "below the user's home"),
        ],
        "The parent must be there. For each host it says where the directory was made, or why not. Exit code 1 if any \
         was not made.",
    ),
    (
        "hosts cp",
        "Copy files to many hosts, or from them, with checksums on both sides",
        &[
            (
                "hosts cp -n node[01-20] data/ results.txt :/scratch/ana/",
                "to the hosts",
            ),
            (
                "hosts cp -n node[001-100] big.db :/scratch/ana/ --tree",
                "hosts that have it send it on to others",
            ),
            (
                "hosts cp -n node[01-20] :/scratch/ana/out.txt collected/ --divide",
                "from them: collected/node01/out.txt",
            ),
            (
                "hosts cp -n @hosts.txt :out collected/",
                "refused if two have a file of one name",
            ),
        ],
        "Exactly one side begins with a colon: :PATH is on every host, relative to the home there; :all/PATH is the same. \
         DEST is always a directory, and is made if it is missing. Directories are copied with all below them, with \
         permissions and times (to the second). A link stays a link; one that leads outside is not taken from a host, and \
         nothing is ever written through one.\n\n\
         A file grows under a hidden name, .NAME.fw-HASH.part, and gets its own when its SHA-256 there is that of the \
         source. A copy that was cut goes on when the same command is given again. A file with the same content is left \
         as it is.\n\n\
         With --tree two hosts at a time get the files from here, and each host that has them sends them on to one other by \
         its own ssh, without a question (give --ssh-option ForwardAgent=yes to lend it your agent). Each host checks for \
         itself what came; what was wrong, or could not be sent on, comes from here.\n\n\
         The first signal (Ctrl-C) cuts what is on its way and says what has arrived, the second ends it at once.\n\n\
         Each host needs sh and one of sha256sum, shasum and openssl. Exit code 1 if anything has failed, 130 after \
         Ctrl-C, 143 after TERM.",
    ),
    (
        "hosts distribute",
        "Send each file of a directory to exactly one host",
        &[
            (
                "hosts distribute -n node[01-20] images/ /scratch/ana/images --by size",
                "about as many bytes to each",
            ),
            (
                "hosts distribute -n node[01-20] images/ images --by index",
                "img_00042.fits: to host 42 modulo 20, counted from 0",
            ),
            (
                "hosts distribute -n node[01-20] images/ images --by random --seed 7 --move",
                "and delete it here",
            ),
        ],
        "With --move a file is deleted here once it has its name there, was synced, and its SHA-256 was read back. What \
         failed stays, and is named. The same command again sends what is missing: which file goes where, and what has \
         arrived, stands in DIR/.flockwork-distribute.jsonl. Signals and exit codes are those of `hosts cp`.",
    ),
    (
        "local",
        "Start, ping and stop worker services on this machine, for trying things out",
        &[
            (
                "local start s.flock --ports ports.txt",
                "a worker behind each port",
            ),
            ("local ping", "each sends a word back"),
            ("local stop", "and nothing is left"),
        ],
        "Services listen on 127.0.0.1 only, and do what they are told by the user who has started them only.",
    ),
    (
        "local start",
        "Start worker services on this machine, one for each port",
        &[
            ("local start s.flock --ports ports.txt", ""),
            (
                "local start s.flock --ports ports.txt -- --slots 2",
                "flags for the workers",
            ),
            (
                "local start --ports ports.txt",
                "without a store they only answer",
            ),
        ],
        "The file has a port a line, each above 1023; # begins a comment. Ports that are taken are named, and the other \
         services start. They outlive the terminal. Exit code 1 if a port was taken, 7 if none was free.",
    ),
    (
        "local ping",
        "Ask each service for an echo, and measure the round trip",
        &[
            ("local ping", ""),
            ("local ping --ports ports.txt --format json", "for programs"),
        ],
        "Exit code 1 if a service does not answer.",
    ),
    (
        "local stop",
        "End the services and their workers",
        &[
            ("local stop", "all"),
            ("local stop --ports ports.txt", "those on these ports"),
        ],
        "A worker gives its task back first. Exit code 1 if a service is still there.",
    ),
];
