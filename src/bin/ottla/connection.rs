//! Where the cluster is, and how loud the tool is: the options that all commands share.

use crate::failure::{Failure, Outcome};
use ottla::Client;
use ottla::config::{Origin, Secret, Settings};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Options {
    /// Brokers to ask for the cluster, as host:port with commas between
    #[arg(short = 'b', long = "brokers", global = true, value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// Any setting by its Kafka name; can be given again and again
    #[arg(short = 'X', long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// A .properties file of settings; the environment and .env go before it
    #[arg(short = 'F', long = "file", global = true, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Say less: no progress, no remarks
    #[arg(short = 'q', long, global = true)]
    quiet: bool,
    /// Say more, on standard error; -vv and -vvv say even more. RUST_LOG counts before it
    #[arg(short = 'v', long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl Options {
    /// The settings from everywhere, without a look at whether they are enough.
    pub(crate) fn settings(&self) -> Outcome<Settings> {
        let mut settings = Settings::from_env()?;
        if let Some(file) = &self.file {
            settings.add_file(file)?;
        }
        for pair in &self.settings {
            // What is no such pair is not repeated: there may be a password in it.
            let Some((key, value)) = pair.split_once('=').filter(|(key, _)| could_be_a_key(key.trim()))
            else {
                return Err(Failure::usage("-X: KEY=VALUE is expected, as in -X acks=all"));
            };
            let key = key.trim();
            settings.set(key, value).map_err(|error| Failure::usage(format!("-X {key}: {error}")))?;
        }
        if let Some(brokers) = &self.brokers {
            settings.set("bootstrap.servers", brokers)?;
        }
        if !settings.is_set("client.id") {
            settings.set("client.id", "ottla")?;
        }
        if let Some(remark) =
            self.file.as_ref().map(|file| overridden(file, &settings)).transpose()?.flatten()
        {
            self.remark(&remark);
        }
        Ok(settings)
    }

    /// Says something that is worth knowing and no error.
    fn remark(&self, text: &str) {
        if !self.quiet {
            eprintln!("ottla: {text}");
        }
    }

    /// A client that has reached the cluster.
    pub(crate) async fn client(&self) -> Outcome<Client> {
        connect(self.settings()?).await
    }

    /// Whether to show progress: somebody watches, and wants to see it.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// Whether to keep remarks to oneself.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) fn start_logging(&self) {
        let level = match (self.quiet, self.verbose) {
            (_, 1) => "ottla=info",
            (_, 2) => "ottla=debug",
            (_, 3..) => "ottla=trace",
            (true, 0) => "off",
            // What is tried again is not worth a word before it has failed for good.
            (false, 0) => {
                "ottla=warn,ottla::net::pool=error,ottla::cluster=error,\
                 ottla::engine::batcher=error,ottla::engine::cursor::failed=error"
            }
        };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal());
        if self.verbose == 0 { log.without_time().with_target(false).init() } else { log.init() }
    }
}

fn could_be_a_key(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Which settings of a file do not count because the environment or a `.env` file has another value: who names a file may
/// not think of those. Names only, for values may be secrets.
fn overridden(file: &Path, settings: &Settings) -> Outcome<Option<String>> {
    let in_file = Settings::from_file(file)?;
    let is_lost = |key: &&str| {
        let (there, here) = (settings.get_secret(key), in_file.get_secret(key));
        let by_others = matches!(settings.origin(key), Origin::Environment { .. } | Origin::DotEnv { .. });
        by_others && there.map(Secret::expose) != here.map(Secret::expose)
    };
    let described = in_file.describe();
    let keys =
        described.iter().filter(|setting| setting.origin != Origin::Default).map(|setting| setting.key);
    let lost: Vec<&str> = keys.filter(is_lost).collect();
    Ok((!lost.is_empty()).then(|| {
        let (file, lost) = (file.display(), lost.join(", "));
        format!("the environment or a .env file goes before {file} in: {lost}")
    }))
}

/// A client that has reached the cluster.
pub(crate) async fn connect(settings: Settings) -> Outcome<Client> {
    Ok(Client::builder().settings(settings).connect().await?)
}
