//! `ottla broker`: the embedded broker in the foreground, for trying things without a cluster.
//!
//! What it prints is a file of settings: `ottla broker >broker.properties` serves clients that are given
//! `-F broker.properties`. A password is not printed.

use crate::failure::{Failure, Outcome};
use crate::signals::Signals;
use crate::{connection, output};
use ottla::broker::Broker;
use ottla::task;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    listen: String,
    /// How many partitions a topic gets that is created without saying how many
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Let in only who knows this, by PLAIN or SCRAM; can be given again and again
    #[arg(long, value_name = "USER:PASSWORD", value_parser = user)]
    sasl: Vec<User>,
    /// Encrypt with TLS, with a certificate of an authority made for the occasion
    #[arg(long)]
    tls: bool,
    /// Where to write the authority's certificate; a temporary file when not given
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_file: Option<PathBuf>,
}

/// Who may come in.
#[derive(Clone)]
struct User {
    name: String,
    password: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:***", self.name)
    }
}

fn user(text: &str) -> Result<User, String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok(User { name: name.to_owned(), password: password.to_owned() })
        }
        _ => Err("USER:PASSWORD is expected".to_owned()),
    }
}

pub(crate) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    let mut signals = Signals::listen();
    let mut builder = Broker::builder().listen(&options.listen).partitions(options.partitions);
    for User { name, password } in &options.sasl {
        builder = builder.user(name, password);
    }
    if options.tls {
        builder = builder.tls();
    }
    let broker = builder.start().await?;
    let ca_file = match broker.ca_pem() {
        Some(pem) => Some(CaFile::write(options.ca_file, pem)?),
        None => None,
    };
    output::print(&settings(&broker, ca_file.as_ref().map(|file| file.path.as_path()), &options.sasl))?;
    if !connection.is_quiet() {
        eprintln!("All that it holds is in memory and gone with it. Ctrl-C ends it.");
    }
    let number = signals.received().await;
    broker.shutdown().await;
    // Whoever ends it by Ctrl-C does what was asked for above.
    if number == crate::signals::SIGINT { Ok(()) } else { Err(Failure::Signal(number)) }
}

/// What a client has to set to reach it.
fn settings(broker: &Broker, ca_file: Option<&Path>, users: &[User]) -> String {
    let mut lines = vec![
        format!("bootstrap.servers={}", broker.bootstrap_servers()),
        format!("security.protocol={}", broker.security_protocol()),
    ];
    lines.extend(ca_file.map(|path| format!("ssl.ca.location={}", path.display())));
    if let Some(user) = users.first() {
        lines.push("sasl.mechanism=SCRAM-SHA-256".to_owned());
        lines.push(format!("sasl.username={}", user.name));
    }
    lines.join("\n")
}

/// The authority's certificate for clients to read; a temporary file goes with the broker.
struct CaFile {
    path: PathBuf,
    is_temporary: bool,
}

impl CaFile {
    fn write(chosen: Option<PathBuf>, pem: &str) -> Outcome<CaFile> {
        let is_temporary = chosen.is_none();
        let path = match chosen {
            Some(path) => path,
            None => {
                let random = task::random::<8>().map_err(|error| Failure::failed(error.to_string()))?;
                std::env::temp_dir().join(format!("ottla-ca-{:016x}.pem", u64::from_le_bytes(random)))
            }
        };
        // A temporary file must be new: nobody may have put one there to be overwritten.
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(true).create_new(is_temporary);
        let written = how.open(&path).and_then(|mut file| file.write_all(pem.as_bytes()));
        match written {
            Ok(()) => Ok(CaFile { path, is_temporary }),
            Err(error) => Err(Failure::failed(format!("cannot write {}: {error}", path.display()))),
        }
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        if self.is_temporary {
            // That it is gone already is as well.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
