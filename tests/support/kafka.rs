//! Apache Kafka's own client library, as a file: where it lies and what is in it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use super::skip::skip;

/// The version that the specs describe.
pub const VERSION: &str = "4.3.1";

/// The folder of Kafka's jars: `OTTLA_KAFKA_LIB`, else where `tests/kafka/fetch` puts them.
pub fn lib_folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("OTTLA_KAFKA_LIB") {
        return folder;
    }
    let caches =
        || set("XDG_CACHE_HOME").unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(".cache"));
    set("OTTLA_CACHE").unwrap_or_else(|| caches().join("ottla")).join(format!("kafka-{VERSION}/lib"))
}

/// The files of the client's jar whose name starts with `prefix`, by the rest of their name.
///
/// Without the jar there is nothing to compare with: that is said loudly, and fails when `CI` is true.
pub fn files_of_clients_jar(prefix: &str) -> Option<BTreeMap<String, Vec<u8>>> {
    let path = lib_folder().join(format!("kafka-clients-{VERSION}.jar"));
    match std::fs::read(&path) {
        Ok(jar) => Some(unzip(&jar, prefix).unwrap_or_else(|| panic!("{} is no jar", path.display()))),
        Err(error) => {
            skip(&format!("{}: {error} (tests/kafka/fetch brings it)", path.display()));
            None
        }
    }
}

/// The files of a zip archive under a prefix. Just enough of the format for a jar: no zip64, no encryption.
fn unzip(zip: &[u8], prefix: &str) -> Option<BTreeMap<String, Vec<u8>>> {
    let number = |at: usize, len: usize| -> Option<usize> {
        Some(zip.get(at..at + len)?.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let end = zip.windows(4).rposition(|signature| signature == b"PK\x05\x06")?;
    let mut at = number(end + 16, 4)?;
    let mut files = BTreeMap::new();
    for _ in 0..number(end + 10, 2)? {
        let (method, packed, size) = (number(at + 10, 2)?, number(at + 20, 4)?, number(at + 24, 4)?);
        let name_len = number(at + 28, 2)?;
        let local = number(at + 42, 4)?;
        let name = std::str::from_utf8(zip.get(at + 46..at + 46 + name_len)?).ok()?;
        if let Some(name) = name.strip_prefix(prefix).filter(|name| !name.is_empty()) {
            let start = local + 30 + number(local + 26, 2)? + number(local + 28, 2)?;
            let mut bytes = zip.get(start..start + packed)?.to_vec();
            if method == 8 {
                let packed = std::mem::take(&mut bytes);
                flate2::read::DeflateDecoder::new(&packed[..]).read_to_end(&mut bytes).ok()?;
            }
            (bytes.len() == size).then(|| files.insert(name.to_owned(), bytes))?;
        }
        at += 46 + name_len + number(at + 30, 2)? + number(at + 32, 2)?;
    }
    Some(files)
}
