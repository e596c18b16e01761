//! [`Secret`]: a password, key or token that no log, error or debug output shows.

use std::fmt;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// A password, key or token. `Debug` and `Display` write `***`, it cannot be serialised, clones share the one copy in
/// memory, and that copy is overwritten with zeros when the last of them is dropped.
///
/// ```
/// use ottla::config::Secret;
///
/// let password = Secret::from("alice-secret");
/// assert_eq!(format!("{password} {password:?}"), "*** ***");
/// assert_eq!(password.expose(), "alice-secret");
/// ```
pub struct Secret<T: Zeroize = String>(Arc<Zeroizing<T>>);

impl<T: Zeroize> Secret<T> {
    /// Takes the value over. Copies that were made of it before are not this type's to erase.
    pub fn new(value: T) -> Secret<T> {
        Secret(Arc::new(Zeroizing::new(value)))
    }

    /// The value itself: the one way to it, so that every use can be found by this name.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Secret {
        Secret::new(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Secret {
        Secret::new(value.to_owned())
    }
}

impl From<Vec<u8>> for Secret<Vec<u8>> {
    fn from(value: Vec<u8>) -> Secret<Vec<u8>> {
        Secret::new(value)
    }
}

impl<T: Zeroize> Clone for Secret<T> {
    fn clone(&self) -> Secret<T> {
        Secret(Arc::clone(&self.0))
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_display_shows_it_nor_its_length() {
        let text = Secret::from("marker");
        let bytes = Secret::from(vec![1_u8, 2, 3]);
        assert_eq!(format!("{text} {text:?} {text:#?} {text:>10}"), "*** *** *** ***");
        assert_eq!(format!("{bytes} {bytes:?} {:?}", Some(&bytes)), "*** *** Some(***)");
    }

    #[test]
    fn clones_share_one_copy() {
        let one = Secret::from("marker");
        let two = one.clone();
        assert!(std::ptr::eq(one.expose(), two.expose()));
    }
}
