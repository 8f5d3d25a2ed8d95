//! `man`: the manual page of the command, or of one verb.

use clap::Command;
use clap_mangen::Man;
use flockwork::app::exit::{Ended, Failed, NOT_OK, OK};

use crate::nearest::nearest;
use crate::output::{escape, write_bytes};

/// Runs the verb: writes the page to stdout.
///
/// # Errors
///
/// If there is no such verb, or stdout cannot be written.
pub(crate) fn man(verb: &[String], command: Command) -> Ended {
    write_bytes(&page(verb, command)?)?;
    Ok(OK)
}

fn page(verb: &[impl AsRef<str>], command: Command) -> Result<Vec<u8>, Failed> {
    // Building gives the verbs their full names, and what is said for all of them.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    // A verb may have verbs of its own: `hosts run`.
    for name in verb {
        let name = name.as_ref();
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        let verbs: Vec<Command> = verbs.cloned().collect();
        let found = verbs.iter().find(|verb| verb.get_name() == name).cloned();
        command = found.ok_or_else(|| unknown(name, verbs.iter().map(Command::get_name)))?;
    }
    let source = format!("flockwork {}", env!("CARGO_PKG_VERSION"));
    let mut page = Vec::new();
    let written = Man::new(command)
        .source(source)
        .manual("flockwork")
        .render(&mut page);
    written.map_err(|error| Failed::new(NOT_OK, format!("cannot make the page: {error}"), None))?;
    Ok(page)
}

fn unknown<'a>(name: &str, verbs: impl Iterator<Item = &'a str>) -> Failed {
    let hint = match nearest(name, verbs) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`flockwork --help` lists the verbs".to_owned(),
    };
    Failed::usage(format!("there is no verb `{}`", escape(name)), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(verb: &[&str]) -> String {
        String::from_utf8(page(verb, crate::args::command()).unwrap()).unwrap()
    }

    #[test]
    fn the_command_and_each_verb_have_a_page() {
        let whole = text(&[]);
        assert!(
            whole.starts_with(".ie") && whole.contains("flockwork\\-run(1)"),
            "{whole}"
        );
        assert!(!whole.contains("guard") && !whole.contains("part"), "{whole}");
        let run = text(&["run"]);
        assert!(
            run.contains(".TH flockwork-run 1") && run.contains("\\-\\-workers"),
            "{run}"
        );
        assert!(run.contains("Exit codes"), "{run}");
        let run = text(&["hosts", "run"]);
        assert!(
            run.contains(".TH flockwork-hosts-run 1") && run.contains("\\-\\-dead\\-after"),
            "{run}"
        );
    }

    #[test]
    fn an_unknown_verb_is_a_usage_error_with_a_question() {
        let failed = page(&["statsu"], crate::args::command()).unwrap_err();
        assert_eq!(
            failed.text(),
            "error: there is no verb `statsu`\nhint: did you mean `status`?"
        );
        assert_eq!(failed.code(), 2);
        // What is hidden is not there.
        assert!(page(&["guard"], crate::args::command()).is_err());
    }
}
