//! [`TokenFile`]: a token that somebody else keeps fresh in a file, as Kubernetes does for its service accounts
//! (`sasl.oauthbearer.token.endpoint.url=file:///path`, KIP-768).

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::token::{BoxFuture, Token, TokenProvider};
use crate::error::{Error, ErrorKind, Result};
use crate::task;

/// Far above any token's size.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Reads the file each time that a token is asked for.
pub(super) struct TokenFile(PathBuf);

impl TokenFile {
    /// The file of a `file:` URL.
    ///
    /// # Errors
    /// `Config` when the URL does not name an absolute path of this machine.
    pub(super) fn new(url: &str) -> Result<TokenFile> {
        let path = url.get("file://".len()..).unwrap_or_default();
        let path = path.strip_prefix("localhost").unwrap_or(path);
        let path = Path::new(path);
        if !path.is_absolute() {
            return Err(Error::config(
                "sasl.oauthbearer.token.endpoint.url: a file is named as file:///absolute/path",
            ));
        }
        Ok(TokenFile(path.to_owned()))
    }

    async fn read(&self) -> Result<Token> {
        let attempt = || format!("read the OAUTHBEARER token in {}", self.0.display());
        let path = self.0.clone();
        let read = task::blocking(move || read(&path)).await;
        let read = read.ok_or_else(|| Error::new(ErrorKind::Closed, attempt()))?;
        // It may be about to be written.
        let text = read.map_err(|error| Error::new(ErrorKind::Connect, attempt()).with_source(error))?;
        let refused = |error| Error::new(ErrorKind::Authentication, attempt()).with_source(error);
        with_lifetime(text.trim()).map_err(refused)
    }
}

impl TokenProvider for TokenFile {
    fn token(&self) -> BoxFuture<'_, Result<Token>> {
        Box::pin(self.read())
    }
}

fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!("{bytes} bytes are more than a token has")));
    }
    std::fs::read_to_string(path).map(Zeroizing::new)
}

/// As long as the token says of itself; without JSON the file is read for each authentication.
#[cfg(feature = "json")]
fn with_lifetime(text: &str) -> Result<Token> {
    let token = Token::new(text)?;
    match super::endpoint::lifetime_of(text, task::wall_ms()) {
        Ok(Some(lifetime)) => Ok(token.lifetime(lifetime)),
        Ok(None) => Ok(token),
        Err(why) => Err(Error::new(ErrorKind::Authentication, why)),
    }
}

#[cfg(not(feature = "json"))]
fn with_lifetime(text: &str) -> Result<Token> {
    Token::new(text)
}
