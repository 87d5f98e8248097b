//! How a command ends: the exit code, and what is said when it failed.

use std::process::ExitCode;

use super::output::Output;
use crate::config::Mistakes;
use crate::retry::WhatNow;

/// The codes of sysexits.h where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    Error = 1,
    /// Something would be changed.
    Changes = 2,
    /// A containment was asked for and is not proven.
    NotVerified = 4,
    Usage = 64,
    /// Server, queue or store cannot be reached now.
    TryLater = 75,
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not do it.
#[derive(Debug)]
pub enum Failure {
    Configuration(Mistakes),
    Usage(String),
    TryLater(anyhow::Error),
    Other(anyhow::Error),
}

impl Failure {
    pub fn other(error: impl Into<anyhow::Error>) -> Failure {
        Failure::Other(error.into())
    }

    /// Says it once, on stderr, with its causes. A reader that went away (`| head`) is no failure.
    pub fn tell(&self, output: &Output) -> Exit {
        match self {
            Failure::Configuration(mistakes) => {
                output.say(mistakes.coloured());
                Exit::Configuration
            }
            Failure::Usage(text) => {
                output.say_error(text);
                Exit::Usage
            }
            Failure::TryLater(error) => {
                output.say_error(&format!("{error:#}"));
                Exit::TryLater
            }
            Failure::Other(error) if reader_left(error) => Exit::Done,
            Failure::Other(error) => {
                output.say_error(&format!("{error:#}"));
                Exit::Error
            }
        }
    }
}

fn reader_left(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.into_iter().any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Failure {
        Failure::Configuration(mistakes)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Other(error)
    }
}

/// A store that is busy, full or out of reach may be back; one that cannot be read will not.
impl From<crate::store::Error> for Failure {
    fn from(error: crate::store::Error) -> Failure {
        match error.what_now() {
            WhatNow::BackOff | WhatNow::RetryAt(_) | WhatNow::TryAgain => Failure::TryLater(error.into()),
            WhatNow::GiveUp | WhatNow::AskHuman => Failure::Other(error.into()),
        }
    }
}
