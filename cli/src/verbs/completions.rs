//! `completions`: what a shell needs to complete our command line.

use clap::Command;
use clap_complete::Shell;
use flockwork::app::exit::{Ended, OK};

use crate::output::write_bytes;

/// Runs the verb: writes the completions to stdout.
///
/// # Errors
///
/// If stdout cannot be written.
pub(crate) fn completions(shell: Shell, command: &Command) -> Ended {
    write_bytes(&script(shell, command))?;
    Ok(OK)
}

fn script(shell: Shell, command: &Command) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut without_hidden(command),
        command.get_name(),
        &mut script,
    );
    script
}

/// Returns the command line without what is hidden: the generators would offer it.
fn without_hidden(command: &Command) -> Command {
    let mut seen = Command::new(command.get_name().to_owned());
    if let Some(about) = command.get_about() {
        seen = seen.about(about.clone());
    }
    if let Some(version) = command.get_version() {
        seen = seen.version(version.to_owned());
    }
    let arguments = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    seen.args(arguments.cloned())
        .subcommands(verbs.map(without_hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_the_verbs_and_not_what_is_hidden() {
        let command = crate::args::command();
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::Elvish,
            Shell::PowerShell,
        ] {
            let script = String::from_utf8(script(shell, &command)).unwrap();
            assert!(
                script.contains("collect") && script.contains("offer-cpus"),
                "{shell}"
            );
            assert!(
                !script.contains("guard") && !script.contains("torture-part") && !script.contains("--parent"),
                "{shell}"
            );
        }
    }
}
