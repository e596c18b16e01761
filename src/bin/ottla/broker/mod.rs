//! `ottla broker`: the embedded broker in the foreground, for trying things without a cluster.
//!
//! What it prints is a file of settings: `ottla broker >broker.properties` serves clients that are given
//! `-F broker.properties`. It is there once the broker takes connections. How kcat, Java's tools and this one reach it is said
//! on standard error. A password is not printed.

mod rules;

use crate::failure::{Failure, Outcome};
use crate::signals::Signals;
use crate::{connection, output};
use ottla::broker::{Broker, BrokerBuilder, Denial, Quota, QuotaEntity, TokenOwner};
use ottla::task;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    listen: String,
    /// Where clients are told to connect to, if that is not where it listens; without a port the one listened on
    #[arg(long, value_name = "HOST[:PORT]", value_parser = address)]
    advertise: Option<Address>,
    /// How many partitions a topic gets that is created without saying how many
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Offer only what brokers of this release of Kafka have, 2.8 to 4.3
    #[arg(long, value_name = "RELEASE")]
    as_version: Option<String>,
    /// How many MiB of records are kept in all; beyond it the largest partitions lose their oldest
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    max_stored: usize,
    /// Let in only who knows this, by PLAIN or SCRAM; can be given again and again
    #[arg(long, value_name = "USER:PASSWORD")]
    sasl: Vec<Login>,
    /// Let in who has this token, by OAUTHBEARER; can be given again and again
    #[arg(long, value_name = "USER:TOKEN")]
    oauthbearer: Vec<Login>,
    /// Let in whoever says who he is with a token that nobody signed, by OAUTHBEARER, as Kafka does by default
    #[arg(long, conflicts_with = "oauthbearer")]
    oauthbearer_unsecured: bool,
    /// Keep clients from something as an ACL would: operation=Write,topic=NAME (or group=NAME, transactional-id=NAME, cluster),
    /// of everybody or of principal=User:NAME; can be given again and again
    #[arg(long, value_name = "KEY=VALUE,..", value_parser = rules::denial)]
    deny: Vec<Denial>,
    /// Hold clients to so many bytes a second: user=NAME or user-defaults, client=NAME or client-defaults, or both, and
    /// producer_byte_rate=BYTES, consumer_byte_rate=BYTES; can be given again and again
    #[arg(long, value_name = "KEY=VALUE,..", value_parser = rules::quota)]
    quota: Vec<(QuotaEntity, Quota)>,
    /// Encrypt with TLS, with a certificate of an authority made for the occasion
    #[arg(long)]
    tls: bool,
    /// Where to write the authority's certificate; a temporary file when not given
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_file: Option<PathBuf>,
}

/// Who may come in. Taken apart after clap, which repeats what it does not understand.
#[derive(Clone)]
struct Login(String);

impl Login {
    fn parse(&self) -> Option<(&str, &str)> {
        self.0.split_once(':').filter(|(name, secret)| !name.is_empty() && !secret.is_empty())
    }

    fn parse_all<'a>(logins: &'a [Login], expected: &str) -> Outcome<Vec<(&'a str, &'a str)>> {
        let parsed = logins.iter().map(Login::parse).collect::<Option<_>>();
        parsed.ok_or_else(|| Failure::usage(expected))
    }
}

impl From<String> for Login {
    fn from(text: String) -> Login {
        Login(text)
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A host, and a port or 0 for the one that is listened on.
#[derive(Debug, Clone)]
struct Address {
    host: String,
    port: u16,
}

fn address(text: &str) -> Result<Address, String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, if rest.is_empty() { Some("") } else { rest.strip_prefix(':') }),
        None => text.split_once(':').map_or((text, Some("")), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some("") if !text.ends_with(':') => Some(0),
        port => port.and_then(|port| port.parse().ok()).filter(|&port| port > 0),
    };
    match port {
        Some(port) if !host.is_empty() => Ok(Address { host: host.to_owned(), port }),
        _ => Err("HOST or HOST:PORT is expected".to_owned()),
    }
}

pub(crate) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    let mut signals = Signals::listen();
    let users = Login::parse_all(&options.sasl, "--sasl: USER:PASSWORD is expected")?;
    let mut builder = Broker::builder().listen(&options.listen).partitions(options.partitions);
    if let Some(Address { host, port }) = options.advertise {
        builder = builder.advertise(host, port);
    }
    for (name, password) in &users {
        builder = builder.user(*name, *password);
    }
    builder = with_tokens(builder, &options.oauthbearer, options.oauthbearer_unsecured)?;
    builder = options.deny.into_iter().fold(builder, BrokerBuilder::deny);
    for (entity, quota) in options.quota {
        builder = builder.quota(entity, quota);
    }
    if options.tls {
        builder = builder.tls();
    }
    if let Some(release) = options.as_version {
        builder = builder.as_version(release);
    }
    builder = builder.max_stored_bytes(options.max_stored.saturating_mul(1024 * 1024));
    let broker = builder.start().await?;
    let ca_file = match broker.ca_pem() {
        Some(pem) => Some(CaFile::write(options.ca_file, pem)?),
        None => None,
    };
    let login = match users.first() {
        Some((name, _)) => Some(Way::Password(name)),
        None if options.oauthbearer_unsecured => Some(Way::Unsecured),
        None if !options.oauthbearer.is_empty() => Some(Way::Token),
        None => None,
    };
    output::print(&settings(&broker, ca_file.as_ref().map(|file| file.path.as_path()), login))?;
    if !connection.is_quiet() {
        eprintln!("All that it holds is in memory and gone with it. Ctrl-C ends it.");
        eprintln!("{}", hints(&broker, ca_file.as_ref().map(|file| file.path.as_path()), login));
    }
    let number = signals.received().await;
    broker.shutdown().await;
    // Whoever ends it by Ctrl-C does what was asked for above.
    if number == crate::signals::SIGINT { Ok(()) } else { Err(Failure::Signal(number)) }
}

/// Takes tokens, if any are to be taken.
fn with_tokens(builder: BrokerBuilder, logins: &[Login], unsecured: bool) -> Outcome<BrokerBuilder> {
    let tokens = Login::parse_all(logins, "--oauthbearer: USER:TOKEN is expected")?;
    if unsecured {
        return Ok(builder.unsecured_tokens());
    }
    if tokens.is_empty() {
        return Ok(builder);
    }
    let users: BTreeMap<String, String> =
        tokens.iter().map(|(user, token)| ((*token).to_owned(), (*user).to_owned())).collect();
    Ok(builder.oauth_tokens(move |token| {
        users.get(token).map(TokenOwner::new).ok_or_else(|| "nobody has this token".to_owned())
    }))
}

/// How a client may log in.
#[derive(Debug, Clone, Copy)]
enum Way<'a> {
    /// As this user.
    Password(&'a str),
    Token,
    /// With a token that it makes itself.
    Unsecured,
}

/// What a client has to set to reach it.
fn settings(broker: &Broker, ca_file: Option<&Path>, login: Option<Way<'_>>) -> String {
    let mut lines = vec![
        format!("bootstrap.servers={}", broker.bootstrap_servers()),
        format!("security.protocol={}", broker.security_protocol()),
    ];
    lines.extend(ca_file.map(|path| format!("ssl.ca.location={}", escaped(&path.display().to_string()))));
    match login {
        Some(Way::Password(user)) => {
            lines.push("sasl.mechanism=SCRAM-SHA-256".to_owned());
            lines.push(format!("sasl.username={}", escaped(user)));
        }
        Some(Way::Token) => lines.push("sasl.mechanism=OAUTHBEARER".to_owned()),
        Some(Way::Unsecured) => {
            lines.push("sasl.mechanism=OAUTHBEARER".to_owned());
            lines.push("enable.sasl.oauthbearer.unsecure.jwt=true".to_owned());
        }
        None => {}
    }
    lines.join("\n")
}

/// How clients of all kinds reach it.
fn hints(broker: &Broker, ca_file: Option<&Path>, login: Option<Way<'_>>) -> String {
    let (servers, protocol) = (broker.bootstrap_servers(), broker.security_protocol());
    if protocol == "PLAINTEXT" {
        return [
            format!("  kcat   kcat -b {servers} -L"),
            format!("  Java   kafka-topics.sh --bootstrap-server {servers} --list"),
            format!("  ottla  ottla -b {servers} topics"),
        ]
        .join("\n");
    }
    let ca = ca_file.map(|path| path.display().to_string());
    let mut shared = format!("-X security.protocol={protocol}");
    let mut java = vec![format!("security.protocol={protocol}")];
    if let Some(ca) = &ca {
        shared += &format!(" -X ssl.ca.location={ca}");
        java.push("ssl.truststore.type=PEM".to_owned());
        java.push(format!("ssl.truststore.location={}", escaped(ca)));
    }
    match login {
        Some(Way::Password(user)) => {
            // The kcat of today's distributions does SCRAM wrong (librdkafka before 2.6.1).
            shared += &format!(" -X sasl.mechanism=PLAIN -X sasl.username={user} -X sasl.password=..");
            java.push("sasl.mechanism=PLAIN".to_owned());
            java.push(format!(
                "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
                 username=\"{user}\" password=\"..\";"
            ));
        }
        Some(Way::Token) => {
            shared += " -X sasl.mechanism=OAUTHBEARER";
            java.push("sasl.mechanism=OAUTHBEARER".to_owned());
        }
        Some(Way::Unsecured) => {
            shared += " -X sasl.mechanism=OAUTHBEARER -X enable.sasl.oauthbearer.unsecure.jwt=true \
                       -X sasl.oauthbearer.config=principal=..";
            java.push("sasl.mechanism=OAUTHBEARER".to_owned());
            java.push(
                "sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                 unsecuredLoginStringClaim_sub=\"..\";"
                    .to_owned(),
            );
        }
        None => {}
    }
    let java: Vec<String> = java.into_iter().map(|line| format!("           {line}")).collect();
    [
        format!("  kcat   kcat -b {servers} {shared} -L"),
        format!("  ottla  ottla -b {servers} {shared} topics"),
        format!("  Java   kafka-topics.sh --bootstrap-server {servers} --command-config FILE --list"),
        "         with a FILE of".to_owned(),
        java.join("\n"),
    ]
    .join("\n")
}

/// A value as a `.properties` file has it: blanks at either end would not be part of it, nor `\` stand for itself.
fn escaped(value: &str) -> String {
    let inside = value.trim_matches(' ');
    let start = value.len() - value.trim_start_matches(' ').len();
    let end = value.len() - start - inside.len();
    let mut out = "\\ ".repeat(start);
    for c in inside.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0c' => out.push_str("\\f"),
            c => out.push(c),
        }
    }
    out + &"\\ ".repeat(end)
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
