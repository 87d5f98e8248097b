//! The command line: one file per command, data on stdout, talk on stderr.
//!
//! Commands that change something ask the running server over the admin listener; commands that only read go to the
//! store's file, so that they also work when the server is down. Nothing is asked without a terminal, and nothing is
//! coloured outside one. The exit codes are those of sysexits.h where it has one; `--help` lists them.

mod admin;
mod ask;
mod audit;
mod cases;
mod check;
mod contain;
mod dead;
mod doctor;
mod exit;
mod explain;
mod findings;
mod healthcheck;
mod output;
mod plan;
mod records;
mod release;
mod serve;
mod subscriptions;
mod summary;
mod sweep;
mod unrecorded;
mod vendors;
mod wait;
mod words;

use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::config::{Environment, Local};
use exit::{Exit, Failure};
use output::{Format, Output};

/// How long background threads may take to end after the command is done.
const WIND_DOWN: Duration = Duration::from_secs(2);

/// Keeps Auth0 in step with Microsoft Entra ID: a risk alert becomes a proven lockout in seconds.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, arg_required_else_help = true, after_help = FIRST_STEPS)]
struct Arguments {
    /// Write data as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const FIRST_STEPS: &str = "\
First steps:
  cp .env.example .env      then fill it in; every setting is in docs/configuration.md
  lockstep check            what the configuration says, or everything that is wrong with it
  lockstep serve            run it; in observe mode, the default, nothing is written to Auth0

Exit codes:
   0  done, or nothing to do       64  usage
   1  error                        75  try later: server, queue or store cannot be reached
   2  something would be changed,  78  configuration
      or there are findings
   4  containment not verified";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Check(check::Check),
    Doctor(doctor::Doctor),
    Plan(plan::Plan),
    Explain(explain::Explain),
    Contain(contain::Contain),
    Release(release::Release),
    Cases(cases::Cases),
    Findings(findings::Findings),
    Sweep(sweep::Sweep),
    Dead(dead::Dead),
    Audit(audit::Audit),
    Subscriptions(subscriptions::Subscriptions),
    Healthcheck(healthcheck::Healthcheck),
}

/// Runs the program. The process is expected to exit with what this returns.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return told_by_clap(&error),
    };
    let output = Output::new(if arguments.json { Format::Json } else { Format::People });
    match run(arguments.command, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.tell(&output).into(),
    }
}

fn run(command: Command, output: &Output) -> Result<Exit, Failure> {
    crate::outbound::install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::other)?;
    let result = runtime.block_on(dispatch(command, output));
    runtime.shutdown_timeout(WIND_DOWN);
    result
}

async fn dispatch(command: Command, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Serve(command) => command.run().await,
        Command::Check(command) => command.run(output),
        Command::Doctor(command) => command.run(output).await,
        Command::Plan(command) => command.run(output).await,
        Command::Explain(command) => command.run(output).await,
        Command::Contain(command) => command.run(output).await,
        Command::Release(command) => command.run(output).await,
        Command::Cases(command) => command.run(output).await,
        Command::Findings(command) => command.run(output).await,
        Command::Sweep(command) => command.run(output).await,
        Command::Dead(command) => command.run(output).await,
        Command::Audit(command) => command.run(output).await,
        Command::Subscriptions(command) => command.run(output).await,
        Command::Healthcheck(command) => command.run(output).await,
    }
}

/// Help and version are data; everything else that clap says is about wrong usage.
fn told_by_clap(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when the terminal is gone.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done.into(),
        _ => Exit::Usage.into(),
    }
}

/// The process's variables and the `.env` file of the working directory.
fn environment() -> Environment {
    Environment::of_process(std::path::Path::new("."))
}

fn local() -> Result<Local, Failure> {
    Ok(crate::config::load_local(&environment())?)
}
