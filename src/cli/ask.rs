//! Asks before something is done, where somebody is there to answer.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;

use super::exit::Failure;

/// `--yes`, for commands that ask.
#[derive(Debug, Args)]
pub struct Consent {
    /// Do not ask; needed where there is no terminal to ask on
    #[arg(long, short)]
    yes: bool,
}

impl Consent {
    /// Goes on only with `--yes`, or when a person at a terminal types `y`.
    pub fn obtain(&self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            let text = "there is no terminal to ask on: add --yes to go on without a question";
            return Err(Failure::Usage(text.to_owned()));
        }
        let mut stderr = anstream::stderr().lock();
        write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()).map_err(Failure::other)?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map_err(Failure::other)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::Other(anyhow::anyhow!("nothing was done"))),
        }
    }
}
