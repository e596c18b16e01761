//! Words that no file of the project may hold: paths of the machine that it was made on, and hosts of package registries,
//! which a user's own settings name.

use std::path::Path;

use crate::Violation;

/// In halves, so that this file does not hold them.
const WORDS: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("registry.npmjs", ".org"),
    ("proxy.golang", ".org"),
    ("index.crates", ".io"),
    ("static.crates", ".io"),
    ("repo1.maven", ".org"),
    ("repo.maven.apache", ".org"),
    ("deb.debian", ".org"),
];

/// Not looked into: what cargo and git write, and what is not text.
const SKIPPED: &[&str] = &[".git", "target", "Cargo.lock", "corpus", "artifacts", ".env"];

/// Every line that holds one of the words.
pub(crate) fn check(root: &Path) -> Vec<Violation> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if SKIPPED.iter().any(|skipped| path.ends_with(skipped)) {
            continue;
        } else if path.is_dir() {
            found.extend(check(&path));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            found.extend(
                lines_with(&text)
                    .into_iter()
                    .map(|(line, word)| format!("{}:{line}: {word}", path.display())),
            );
        }
    }
    found
}

fn lines_with(text: &str) -> Vec<(usize, String)> {
    let words: Vec<_> = WORDS.iter().map(|(front, back)| format!("{front}{back}")).collect();
    let has = |(at, line): (usize, &str)| {
        words.iter().find(|word| line.contains(word.as_str())).map(|word| (at + 1, word.clone()))
    };
    text.lines().enumerate().filter_map(has).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_with_its_line() {
        let text = format!("fine\nsee {}{}x\n", WORDS[0].0, WORDS[0].1);
        assert_eq!(lines_with(&text).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2]);
        assert!(lines_with("see the root/ of the project").is_empty());
    }
}
