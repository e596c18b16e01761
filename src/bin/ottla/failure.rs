//! [`Failure`]: why a command ends before its work is done, and what the process then says and returns.

use ottla::config::ConfigError;
use ottla::{Error, ErrorKind};
use std::io;
use std::process::ExitCode;

/// What becomes of a command.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a command ends before its work is done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or a setting is wrong.
    Usage(String),
    /// It did not work.
    Failed(String),
    /// A signal with this number ended it.
    Signal(u8),
    /// Whoever read our output has enough, as in `| head`: there is nothing to complain about.
    OutputClosed,
}

/// Says what there is to say, on standard error, and gives the process's exit code.
pub(crate) fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(Failure::Failed(why)) => {
            eprintln!("ottla: {why}");
            ExitCode::FAILURE
        }
        Err(Failure::Usage(why)) => {
            eprintln!("ottla: {why}");
            ExitCode::from(2)
        }
        Err(Failure::Signal(number)) => ExitCode::from(number.saturating_add(128)),
    }
}

impl Failure {
    pub(crate) fn usage(why: impl Into<String>) -> Failure {
        Failure::Usage(why.into())
    }

    pub(crate) fn failed(why: impl Into<String>) -> Failure {
        Failure::Failed(why.into())
    }

    /// An error of writing to standard output.
    pub(crate) fn output(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::failed(format!("standard output: {error}")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error.kind() {
            ErrorKind::Config => Failure::Usage(error.to_string()),
            _ => Failure::Failed(error.to_string()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Error::from(error).into()
    }
}
