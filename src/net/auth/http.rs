//! Just enough of HTTP/1.1 to ask a token endpoint: one POST on a connection of its own, one bounded answer.
//!
//! [`Url`] and [`Reader`] are without I/O. Redirects are not followed (whoever redirects would get the secret), there are no
//! proxies, no compression and no second request.

use std::fmt;

use zeroize::Zeroizing;

/// Far above any answer with a token in it.
pub(super) const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Of these bytes, so many for the status line and the header fields.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// An `http` or `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) is_https: bool,
    /// A name or an address; an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query.
    target: String,
}

impl Url {
    /// Reads a URL; the error says what is wrong with it, without repeating it.
    pub(super) fn parse(text: &str) -> Result<Url, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("it is no URL")?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return Err("it begins neither with https:// nor with http://");
        }
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it has characters that a URL cannot have: write them as %XX");
        }
        let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(path_at);
        let (host, port) = host_and_port(authority).ok_or("its host or its port makes no sense")?;
        let port = port.unwrap_or(if is_https { 443 } else { 80 });
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Url { is_https, host: host.to_owned(), port, target: format!("{slash}{target}") })
    }

    /// The host as a header field names it, with the port unless it is the scheme's.
    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.is_https { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }
}

/// For errors: without the query, which may hold what is nobody's business.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority())
    }
}

fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (address, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => {
            let (host, port) =
                authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            (Some(host).filter(|host| !host.is_empty() && host.chars().all(is_name))?, port)
        }
    };
    let number = |text: &str| {
        let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| only_digits && *port > 0)
    };
    match port {
        None | Some("") => Some((host, None)),
        Some(port) => Some((host, Some(number(port)?))),
    }
}

/// A POST of a form; `authorization` is the whole value of that header field.
pub(super) fn post_form(url: &Url, authorization: &str, form: &str) -> Zeroizing<Vec<u8>> {
    let head = [
        ("POST ", url.target.as_str()),
        (" HTTP/1.1\r\nHost: ", &url.authority()),
        ("\r\nAuthorization: ", authorization),
        ("\r\nAccept: application/json\r\nContent-Type: application/x-www-form-urlencoded", ""),
        ("\r\nCache-Control: no-cache\r\nConnection: close", ""),
        ("\r\nUser-Agent: ottla/", env!("CARGO_PKG_VERSION")),
        ("\r\nContent-Length: ", &form.len().to_string()),
        ("\r\n\r\n", form),
    ];
    let bytes = head.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
    // Of its full size at once: a buffer that grows would leave copies of the secret behind.
    let mut request = Zeroizing::new(Vec::with_capacity(bytes));
    for (name, value) in head {
        request.extend_from_slice(name.as_bytes());
        request.extend_from_slice(value.as_bytes());
    }
    request
}

/// An answer: its status, and what it says.
#[derive(PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where it sends the asker, when it does.
    pub(super) location: Option<String>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// The body is not shown: it holds a token.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why an answer cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("what came back is not HTTP")]
    NotHttp,
    #[error("the answer is malformed: {0}")]
    Field(&'static str),
    #[error("the answer has more than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    #[error("the connection ended in the middle of the answer")]
    CutOff,
}

/// Puts an answer together from the bytes as they come. Each byte is looked at a bounded number of times.
#[derive(Default)]
pub(super) struct Reader {
    bytes: Zeroizing<Vec<u8>>,
    /// What was read of `bytes`.
    at: usize,
    /// Where the next search for the end of a line or of the head begins.
    searched: usize,
    head: Option<Head>,
    body: Zeroizing<Vec<u8>>,
}

struct Head {
    status: u16,
    location: Option<String>,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// So many bytes are still to come.
    Length(usize),
    /// A line with the length of the next chunk is to come.
    Chunks,
    /// So many bytes of a chunk are still to come, and the line end behind them.
    Chunk(usize),
    /// Fields behind the last chunk, and an empty line.
    Trailer,
    UntilEnd,
}

impl Reader {
    /// Takes bytes; gives the answer when it is whole.
    pub(super) fn received(&mut self, bytes: &[u8]) -> Result<Option<Answer>, Malformed> {
        if self.bytes.len().saturating_add(bytes.len()) > MAX_ANSWER_BYTES {
            return Err(Malformed::TooLong);
        }
        self.bytes.extend_from_slice(bytes);
        while self.head.is_none() {
            let Some(head) = self.take_until(b"\r\n\r\n") else {
                return self.check_beginning().map(|()| None);
            };
            let head = parse_head(&head)?;
            // 100 and its kind come before the answer.
            self.head = Some(head).filter(|head| head.status >= 200);
        }
        self.read_body()
    }

    /// Takes note that no more will come.
    pub(super) fn ended(mut self) -> Result<Answer, Malformed> {
        match &self.head {
            Some(Head { framing: Framing::UntilEnd, .. }) => {
                self.body = Zeroizing::new(self.unread().to_vec());
                self.finish().ok_or(Malformed::CutOff)
            }
            _ => Err(Malformed::CutOff),
        }
    }

    fn check_beginning(&self) -> Result<(), Malformed> {
        let unread = self.unread();
        if !unread.iter().zip(b"HTTP/").all(|(byte, wanted)| byte == wanted) {
            return Err(Malformed::NotHttp);
        }
        if unread.len() > MAX_HEAD_BYTES { Err(Malformed::TooLong) } else { Ok(()) }
    }

    fn read_body(&mut self) -> Result<Option<Answer>, Malformed> {
        loop {
            let Some(framing) = self.head.as_ref().map(|head| head.framing) else { return Ok(None) };
            let next = match framing {
                Framing::UntilEnd => return Ok(None),
                Framing::Length(0) => return Ok(self.finish()),
                Framing::Length(left) => match self.take_body(left) {
                    0 => return Ok(None),
                    taken => Framing::Length(left.saturating_sub(taken)),
                },
                Framing::Chunks => match self.take_until(b"\r\n") {
                    None => return Ok(None),
                    Some(line) => match chunk_length(&line)? {
                        0 => Framing::Trailer,
                        length => Framing::Chunk(length),
                    },
                },
                Framing::Chunk(0) => match self.unread() {
                    [b'\r', b'\n', ..] => {
                        self.advance(2);
                        Framing::Chunks
                    }
                    [] | [b'\r'] => return Ok(None),
                    _ => return Err(Malformed::Field("a chunk is longer than it says")),
                },
                Framing::Chunk(left) => match self.take_body(left) {
                    0 => return Ok(None),
                    taken => Framing::Chunk(left.saturating_sub(taken)),
                },
                Framing::Trailer => match self.take_until(b"\r\n") {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => return Ok(self.finish()),
                    Some(_) => Framing::Trailer,
                },
            };
            if let Some(head) = &mut self.head {
                head.framing = next;
            }
        }
    }

    fn finish(&mut self) -> Option<Answer> {
        let Head { status, location, .. } = self.head.take()?;
        Some(Answer { status, location, body: std::mem::take(&mut self.body) })
    }

    fn unread(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
        self.searched = self.at;
    }

    /// Moves at most `limit` bytes to the body.
    fn take_body(&mut self, limit: usize) -> usize {
        let unread = self.bytes.get(self.at..).unwrap_or_default();
        let taken = unread.get(..limit).unwrap_or(unread);
        self.body.extend_from_slice(taken);
        let taken = taken.len();
        self.advance(taken);
        taken
    }

    /// What stands before `end`, if that has come.
    fn take_until(&mut self, end: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
        let Some(found) = unsearched.windows(end.len()).position(|window| window == end) else {
            // The end may have come in part.
            self.searched = self.bytes.len().saturating_sub(end.len().saturating_sub(1)).max(self.searched);
            return None;
        };
        let found = self.searched.saturating_add(found);
        let taken = Zeroizing::new(self.bytes.get(self.at..found).unwrap_or_default().to_vec());
        self.at = found;
        self.advance(end.len());
        Some(taken)
    }
}

fn parse_head(bytes: &[u8]) -> Result<Head, Malformed> {
    if bytes.len() > MAX_HEAD_BYTES {
        return Err(Malformed::TooLong);
    }
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().splitn(3, ' ');
    if !words.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err(Malformed::NotHttp);
    }
    let status = words.next().filter(|word| word.len() == 3).and_then(|word| word.parse().ok());
    let status: u16 = status.filter(|status| *status >= 100).ok_or(Malformed::NotHttp)?;
    let (mut location, mut length, mut chunked) = (None, None, false);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Malformed::Field("a header field has no colon"))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "location" => location = Some(value.to_owned()),
            "content-length" => {
                let only_digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let found = value.parse::<usize>().ok().filter(|_| only_digits);
                let found = found.ok_or(Malformed::Field("Content-Length is no number"))?;
                if length.replace(found).is_some_and(|before| before != found) {
                    return Err(Malformed::Field("it has two lengths"));
                }
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => chunked = true,
            "transfer-encoding" => return Err(Malformed::Field("its transfer encoding was not asked for")),
            "content-encoding" if !value.eq_ignore_ascii_case("identity") => {
                return Err(Malformed::Field("it is compressed, which was not asked for"));
            }
            _ => {}
        }
    }
    let framing = match (chunked, length) {
        _ if status == 204 || status == 304 => Framing::Length(0),
        (true, Some(_)) => return Err(Malformed::Field("it is chunked and has a length")),
        (true, None) => Framing::Chunks,
        (false, Some(length)) if length > MAX_ANSWER_BYTES => return Err(Malformed::TooLong),
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::UntilEnd,
    };
    Ok(Head { status, location, framing })
}

/// The number before any extension of the chunk.
fn chunk_length(line: &[u8]) -> Result<usize, Malformed> {
    let line = String::from_utf8_lossy(line);
    let digits = line.split(';').next().unwrap_or_default().trim();
    let length = usize::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
    match length {
        None => Err(Malformed::Field("the length of a chunk is no number")),
        Some(length) if length > MAX_ANSWER_BYTES => Err(Malformed::TooLong),
        Some(length) => Ok(length),
    }
}

/// As in `application/x-www-form-urlencoded`.
pub(super) fn form_encoded(text: &str) -> Zeroizing<String> {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or('0');
    let mut encoded = Zeroizing::new(String::with_capacity(text.len().saturating_mul(3)));
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'-' | b'.' | b'_' | b'*' => encoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            _ => encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], piece: usize) -> Result<(u16, String), Malformed> {
        let mut reader = Reader::default();
        for piece in bytes.chunks(piece) {
            if let Some(answer) = reader.received(piece)? {
                return Ok((answer.status, String::from_utf8(answer.body.to_vec()).unwrap()));
            }
        }
        reader.ended().map(|answer| (answer.status, String::from_utf8(answer.body.to_vec()).unwrap()))
    }

    #[test]
    fn answers_are_read_in_pieces_of_any_size() {
        for (bytes, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"),
            ("HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello and more", 200, "hello"),
            ("HTTP/1.0 401 No\r\n\r\nuntil the end", 401, "until the end"),
            ("HTTP/1.1 204 Empty\r\n\r\n", 204, ""),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", 200, "x"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: t\r\n\r\n",
                200,
                "abc0123456789",
            ),
        ] {
            for piece in 1..=bytes.len() {
                assert_eq!(
                    read(bytes.as_bytes(), piece),
                    Ok((status, body.to_owned())),
                    "{bytes:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "a".repeat(MAX_HEAD_BYTES));
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(MAX_ANSWER_BYTES));
        for (bytes, fault) in [
            ("SSH-2.0-x\r\n", Malformed::NotHttp),
            ("HTTP/2 200\r\n\r\n", Malformed::NotHttp),
            ("HTTP/1.1 2000\r\n\r\n", Malformed::NotHttp),
            ("", Malformed::CutOff),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", Malformed::CutOff),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", Malformed::CutOff),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                Malformed::Field("Content-Length is no number"),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                Malformed::Field("it has two lengths"),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", Malformed::TooLong),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n",
                Malformed::Field("the length of a chunk is no number"),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", Malformed::TooLong),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
                Malformed::Field("a chunk is longer than it says"),
            ),
            (long.as_str(), Malformed::TooLong),
            (endless.as_str(), Malformed::TooLong),
        ] {
            for piece in [1, 7, 1 << 20] {
                let shown: String = bytes.chars().take(80).collect();
                assert_eq!(read(bytes.as_bytes(), piece), Err(fault), "{shown:?} by {piece}");
            }
        }
    }

    #[test]
    fn urls() {
        for (text, host, port, shown, target) in [
            ("https://login.example/token", "login.example", 443, "https://login.example/token", "/token"),
            ("HTTP://a:8080?x=y#z", "a", 8080, "http://a:8080/", "/?x=y"),
            ("https://[::1]:8443/t?key=1", "::1", 8443, "https://[::1]:8443/t", "/t?key=1"),
            ("https://a:443", "a", 443, "https://a/", "/"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host.as_str(), url.port, url.to_string()), (host, port, shown.to_owned()));
            assert_eq!(url.target, target);
        }
        for text in [
            "login.example",
            "ftp://a",
            "https://",
            "https:///t",
            "https://a b/",
            "https://a:0/",
            "https://a:x/",
            "https://user@a/",
            "https://a/\r\nX: y",
            "https://[::1/",
            "https://[a]/",
            "https://é/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(*form_encoded("a b&c=ž/*-._"), "a+b%26c%3D%C5%BE%2F*-._");
    }

    #[test]
    fn a_request_is_one_post_of_a_form() {
        let url = Url::parse("https://login.example:8443/t?a=b").unwrap();
        let request = post_form(&url, "Basic eA==", "grant_type=client_credentials");
        let text = std::str::from_utf8(&request).unwrap();
        assert!(text.starts_with(
            "POST /t?a=b HTTP/1.1\r\nHost: login.example:8443\r\nAuthorization: Basic eA==\r\n"
        ));
        assert!(text.ends_with("\r\nContent-Length: 29\r\n\r\ngrant_type=client_credentials"));
        assert_eq!(request.len(), request.capacity());
    }
}
