//! What the command line tells of itself to other programs: shell completions and manual pages.

use crate::cli::{Cli, ManArgs};
use crate::config::ConfigError;
use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::Write as _;

/// Prints the completions for a shell.
pub fn completions(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "qqq-tracker", &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}

/// Prints the manual page of a command, or writes the pages of all.
pub fn man(args: &ManArgs) -> anyhow::Result<()> {
    if let Some(folder) = &args.dir {
        let cannot = || format!("cannot write into {}", folder.display());
        std::fs::create_dir_all(folder).with_context(cannot)?;
        return clap_mangen::generate_to(command(), folder).with_context(cannot);
    }
    let mut command = command();
    command.build();
    let mut found = &command;
    for name in &args.command {
        found = found.find_subcommand(name).ok_or_else(|| unknown(found, name))?;
    }
    let mut page = Vec::new();
    Man::new(found.clone()).render(&mut page)?;
    Ok(std::io::stdout().write_all(&page)?)
}

fn command() -> Command {
    Cli::command()
}

fn unknown(command: &Command, name: &str) -> ConfigError {
    let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let known = if known.is_empty() { "nothing below it".to_owned() } else { known.join(", ") };
    ConfigError::value("man", format!("`{name}` is not a command: {} has {known}", command.get_name()))
}
