//! The modules of a crate, as its root file reaches them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::source::{self, PathUse, Token};

/// A crate.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) modules: Vec<Module>,
}

/// One of its files.
#[derive(Debug)]
pub(crate) struct Module {
    /// Its path in the crate, empty for the root.
    pub(crate) path: Vec<String>,
    /// Relative to the project's folder.
    pub(crate) file: PathBuf,
    /// Whether it is compiled for tests only.
    pub(crate) test: bool,
    pub(crate) tokens: Vec<Token>,
}

impl Tree {
    /// Follows `mod name;` from the file `entry` under `root`.
    pub(crate) fn walk(root: &Path, entry: &Path) -> Tree {
        let mut tree = Tree { modules: Vec::new() };
        tree.add(root, entry.to_owned(), Vec::new(), false);
        tree
    }

    /// A crate made of texts: (path, text), for tests of the rules.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Tree {
        let module = |(path, text): &(&str, &str)| {
            let path: Vec<_> = path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
            let file = Path::new("src").join(path.join("/")).with_extension("rs");
            let test = path.last().is_some_and(|name| name == "tests");
            Module { path, file, test, tokens: source::tokens(text) }
        };
        Tree { modules: files.iter().map(module).collect() }
    }

    fn add(&mut self, root: &Path, file: PathBuf, path: Vec<String>, test: bool) {
        let text = std::fs::read_to_string(root.join(&file))
            .unwrap_or_else(|error| panic!("module {} in {}: {error}", path.join("::"), file.display()));
        let tokens = source::tokens(&text);
        let children = source::module_lines(&tokens);
        let folder = file.parent().unwrap().to_owned();
        let stem = file.file_stem().unwrap().to_str().unwrap();
        // `a/mod.rs`, `lib.rs` and `main.rs` have their children beside them, `a.rs` has them in `a/`.
        let beside = path.is_empty() || stem == "mod";
        let home = if beside { folder.clone() } else { folder.join(stem) };
        self.modules.push(Module { path: path.clone(), file, test, tokens });
        for child in children {
            let name = [path.as_slice(), std::slice::from_ref(&child.name)].concat();
            let test = test || child.test;
            match child.path {
                Some(elsewhere) => self.add(root, folder.join(elsewhere), name, test),
                None => {
                    let flat = home.join(&child.name).with_extension("rs");
                    let nested = home.join(&child.name).join("mod.rs");
                    let file = if root.join(&flat).exists() { flat } else { nested };
                    self.add(root, file, name, test);
                }
            }
        }
    }

    /// Its files, relative to the project's folder.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        self.modules.iter().map(|module| module.file.clone()).collect()
    }
}

impl Module {
    /// The layer, or top-level module, that this belongs to; the empty word for the root.
    pub(crate) fn layer(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// The paths in it, those into this crate as `crate::..` whatever they were written as.
    pub(crate) fn paths(&self) -> Vec<PathUse> {
        let mut paths = source::paths(&self.tokens);
        for path in &mut paths {
            let here = [self.path.as_slice(), &path.inside].concat();
            path.segments = absolute(&here, &path.segments);
            path.test |= self.test;
        }
        paths
    }
}

fn absolute(here: &[String], segments: &[String]) -> Vec<String> {
    let supers = segments.iter().take_while(|segment| *segment == "super").count();
    let base = match segments.first().map(String::as_str) {
        Some("super") => here.get(..here.len().saturating_sub(supers)).unwrap_or_default(),
        Some("self") => here,
        _ => return segments.to_vec(),
    };
    let rest = segments.iter().skip(supers.max(1));
    std::iter::once("crate".to_owned()).chain(base.iter().cloned()).chain(rest.cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute() {
        let tree = Tree::of(&[(
            "net::tls",
            "use super::dial; use super::super::wire::Text; mod tests { use super::x; use self::y; }",
        )]);
        let spelled: Vec<_> =
            tree.modules[0].paths().into_iter().map(|path| path.segments.join("::")).collect();
        assert_eq!(
            spelled,
            ["crate::net::dial", "crate::wire::Text", "crate::net::tls::x", "crate::net::tls::tests::y"]
        );
    }

    #[test]
    fn the_library_is_reached_from_its_root() {
        let files = crate::library().files();
        assert!(files.contains(Path::new("src/wire/reader.rs")), "{files:?}");
        assert!(files.len() > 50, "{}", files.len());
    }
}
