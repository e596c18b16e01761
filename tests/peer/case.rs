//! [`Case`]: one lie, when it is told, and what it excuses.

use bytes::BytesMut;
use ottla::messages::{AnyRequest, AnyResponse, ApiKey, RequestHeader, ResponseHeader, api};
use ottla::wire;
use std::fmt;
use std::time::Duration;

/// How long a lie lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until the peer is told to be well: [`LYING`].
    ForEver,
    /// Two times.
    Twice,
}

/// For how long "for ever" is.
pub const LYING: Duration = Duration::from_secs(6);

/// When the first lie is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onset {
    /// To the first who comes.
    AtOnce,
    /// When records flow both ways. Nothing happens to the connections that are there.
    OnceWell,
    /// The same, and all connections are closed: for lies that are told to those who connect.
    OnceWellAnew,
}

/// How the listener is secured when it is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// SASL/PLAIN on loopback, which keeps a password at stake in every case.
    Plain,
    /// SASL/SCRAM-SHA-256.
    Scram,
    /// TLS with a client certificate's key at stake, no SASL.
    Tls,
}

/// What is done about a request; `None` is the truth.
pub type Answer = Box<dyn Fn(&Asked) -> Option<Act> + Send + Sync>;

/// What a lie looks like.
pub enum Lie {
    /// Nobody listens.
    Refuse,
    /// Somebody listens and takes no connection: the queue of those who want one is full, and who knocks hears nothing.
    Hang,
    /// Something else than a conversation happens to a connection that was made.
    Greet(Greeting),
    /// In place of the server's part of the TLS handshake, or with another certificate.
    Handshake(Certificate),
    /// What is said in answer to a request; nothing else than the truth when it is `None`.
    Answer(Answer),
}

/// What happens to a connection in place of a conversation.
#[derive(Debug, Clone)]
pub enum Greeting {
    Close,
    Silence,
    /// A reset (RST), not an orderly end.
    Reset,
    /// Waits for the first bytes, says this and closes.
    Say(Vec<u8>),
    /// Waits for the first bytes, says this and nothing more.
    SayAndSilence(Vec<u8>),
    /// The same byte, as fast as it is taken.
    Endless(u8),
}

/// Which certificate a server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    Good,
    Expired,
    Future,
    WrongHost,
    OtherAuthority,
}

/// What is done in answer to a request. Bytes are as they go on the wire.
#[derive(Debug, Clone)]
pub enum Act {
    Say(Vec<u8>),
    SayAndClose(Vec<u8>),
    /// Then never a word again on this connection.
    SayAndSilence(Vec<u8>),
    /// So many bytes at a time.
    Drip {
        bytes: Vec<u8>,
        at_once: usize,
        every: Duration,
    },
    /// These bytes again and again, as fast as they are taken.
    Endless(Vec<u8>),
    /// No answer; the next request gets one.
    Skip,
    /// Behind the answer to the next request.
    HoldBack(Vec<u8>),
    /// The truth, this much later.
    Late(Duration),
}

/// A request, and what is true.
pub struct Asked {
    pub header: RequestHeader,
    pub request: AnyRequest,
    pub truth: AnyResponse,
}

pub struct Case {
    pub family: &'static str,
    pub name: String,
    pub security: Security,
    pub onset: Onset,
    pub lie: Lie,
    /// One of those that the gate plays, in this mode.
    pub quick: Option<Mode>,
    /// The lie does no harm that anybody had to be told of.
    pub harmless: bool,
    /// The lie makes a consumer look for its offset anew: it reads from the beginning.
    pub rereads: bool,
    /// The lie is an acknowledgement all the same.
    pub acknowledges: bool,
    /// The lie is believed for as long as a connection lasts: who is well again begins with new ones.
    pub restarts: bool,
    /// The lie is a refusal by which a producer knows that nothing was written: nothing is.
    pub refuses: bool,
    /// The lie shows that the server is not the one that was meant, or does not want the client: who goes on on the same
    /// connection has not looked.
    pub ends: bool,
}

impl Case {
    pub fn new(family: &'static str, name: impl Into<String>, lie: Lie) -> Case {
        Case {
            family,
            name: name.into(),
            security: Security::Plain,
            onset: Onset::OnceWell,
            lie,
            quick: None,
            harmless: false,
            rereads: false,
            acknowledges: false,
            restarts: false,
            refuses: false,
            ends: false,
        }
    }

    /// A lie in the answers of these APIs.
    pub fn on(
        family: &'static str,
        name: impl Into<String>,
        keys: &'static [ApiKey],
        lie: impl Fn(&Asked) -> Act + Send + Sync + 'static,
    ) -> Case {
        let lie = move |asked: &Asked| keys.contains(&asked.key()).then(|| lie(asked));
        Case::new(family, name, Lie::Answer(Box::new(lie)))
    }

    pub fn onset(self, onset: Onset) -> Case {
        Case { onset, ..self }
    }

    pub fn security(self, security: Security) -> Case {
        Case { security, ..self }
    }

    pub fn quick(self, mode: Mode) -> Case {
        Case { quick: Some(mode), ..self }
    }

    pub fn harmless(self) -> Case {
        Case { harmless: true, ends: false, ..self }
    }

    pub fn rereads(self) -> Case {
        Case { rereads: true, ..self }
    }

    pub fn acknowledges(self) -> Case {
        Case { acknowledges: true, ..self }
    }

    pub fn restarts(self) -> Case {
        Case { restarts: true, ..self }
    }

    pub fn refuses(self) -> Case {
        Case { refuses: true, ..self }
    }

    pub fn ends(self) -> Case {
        Case { ends: true, ..self }
    }

    /// Whether the lie is for those who connect: then nobody may be connected when it begins.
    pub fn begins_anew(&self) -> bool {
        self.onset == Onset::OnceWellAnew || !matches!(self.lie, Lie::Answer(_))
    }

    pub fn full_name(&self) -> String {
        format!("{}/{}", self.family, self.name)
    }
}

impl Asked {
    pub fn key(&self) -> ApiKey {
        self.header.request_api_key
    }

    pub fn version(&self) -> i16 {
        self.header.request_api_version
    }

    /// What is true, as it goes on the wire.
    pub fn honestly(&self) -> Vec<u8> {
        self.around(&self.body())
    }

    /// The body of what is true.
    pub fn body(&self) -> Vec<u8> {
        body(&self.truth, self.version())
    }

    /// What is true, but for what `change` makes of it.
    pub fn but(&self, change: impl FnOnce(&mut AnyResponse)) -> Act {
        let mut answer = self.truth.clone();
        change(&mut answer);
        Act::Say(self.around(&body(&answer, self.version())))
    }

    /// A frame with this body.
    pub fn around(&self, body: &[u8]) -> Vec<u8> {
        self.answering(self.header.correlation_id, body)
    }

    /// A frame with this correlation id and body.
    pub fn answering(&self, correlation_id: i32, body: &[u8]) -> Vec<u8> {
        let layout = api(self.key()).unwrap().response_header_version(self.version());
        let mut frame = BytesMut::new();
        wire::encode(&ResponseHeader { correlation_id }, layout, layout >= 1, &mut frame).unwrap();
        frame.extend_from_slice(body);
        framed(&frame)
    }
}

/// Bytes behind their length.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    [&i32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

pub fn body(answer: &AnyResponse, version: i16) -> Vec<u8> {
    let mut body = BytesMut::new();
    answer.encode(version, &mut body).unwrap_or_else(|error| panic!("{error}"));
    body.to_vec()
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::ForEver => "for ever",
            Mode::Twice => "twice",
        })
    }
}
