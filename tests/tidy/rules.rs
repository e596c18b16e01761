//! What may be called where, and how files look.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::Violation;
use crate::source::{Token, closing};
use crate::tree::{Module, Tree};

/// Lines of a source file, tests in it included.
const LONGEST_FILE: usize = 800;

/// A call or import that is at home in few places.
struct Ban {
    /// Paths that begin with this, or end with it when it begins with `::`.
    path: &'static str,
    /// Modules in which it is at home; all others may not use it.
    home: &'static [&'static str],
    /// When given, the ban holds in these modules only.
    only: &'static [&'static str],
    reason: &'static str,
}

/// Layers without I/O: bytes, `now` and a seeded generator go in; bytes, events and the next deadline come out.
const SANS_IO: &[&str] = &["wire", "messages", "records", "engine", "broker::api"];

const BANS: &[Ban] = &[
    Ban { path: "tokio::net", home: &["net"], only: &[], reason: "sockets live in net/" },
    Ban { path: "std::net::TcpStream", home: &["net"], only: &[], reason: "sockets live in net/" },
    Ban { path: "::Instant::now", home: &["task"], only: &[], reason: "task::now() is the one clock" },
    Ban { path: "::SystemTime::now", home: &["task"], only: &[], reason: "task.rs is where clocks are read" },
    Ban {
        path: "::elapsed",
        home: &["task"],
        only: &[],
        reason: "it reads the clock: subtract from task::now()",
    },
    Ban { path: "tokio::spawn", home: &["task"], only: &[], reason: "task::spawn is the one spawn" },
    Ban { path: "tokio::task::spawn", home: &["task"], only: &[], reason: "task::spawn is the one spawn" },
    Ban { path: "::spawn_blocking", home: &["task"], only: &[], reason: "task::blocking is the one" },
    Ban { path: "::block_on", home: &["task"], only: &[], reason: "the library never starts a runtime" },
    Ban { path: "tokio", home: &[], only: SANS_IO, reason: "no I/O and no runtime in this layer" },
    Ban { path: "std::thread", home: &[], only: SANS_IO, reason: "this layer spawns nothing" },
    Ban { path: "std::fs", home: &[], only: SANS_IO, reason: "no I/O in this layer" },
    Ban { path: "std::env", home: &[], only: SANS_IO, reason: "no I/O in this layer" },
    Ban { path: "getrandom", home: &[], only: SANS_IO, reason: "chance comes in as a seeded generator" },
    Ban { path: "::Rng::new", home: &["task"], only: &[], reason: "chance comes from a seed (see task.rs)" },
];

/// Calls outside their homes. Code for tests is free.
pub(crate) fn calls(tree: &Tree) -> Vec<Violation> {
    tree.modules.iter().flat_map(|module| BANS.iter().flat_map(|ban| banned(module, ban))).collect()
}

fn banned(module: &Module, ban: &Ban) -> Vec<Violation> {
    let lies_in = |homes: &[&str]| homes.iter().any(|home| lies_in(&module.path, home));
    if lies_in(ban.home) || !(ban.only.is_empty() || lies_in(ban.only)) {
        return Vec::new();
    }
    let found = module.paths().into_iter().filter(|path| !path.test && names(&path.segments, ban.path));
    let say =
        |line| format!("{}:{line}: `{}` is banned here: {}", module.file.display(), ban.path, ban.reason);
    found.map(|path| say(path.line)).collect()
}

fn lies_in(module: &[String], home: &str) -> bool {
    home.split("::").enumerate().all(|(at, name)| module.get(at).is_some_and(|module| module == name))
}

fn names(path: &[String], ban: &str) -> bool {
    let path = path.join("::");
    match ban.strip_prefix("::") {
        Some(end) => path == end || path.ends_with(ban),
        None => path == ban || path.strip_prefix(ban).is_some_and(|rest| rest.starts_with("::")),
    }
}

/// `instant.elapsed()`, which reads the clock and looks as if it did not.
pub(crate) fn elapsed(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for module in tree.modules.iter().filter(|module| !module.test) {
        for call in module.tokens.windows(3).filter(|call| !call[1].test) {
            if call[0].text == "." && call[1].text == "elapsed" && call[2].text == "(" {
                let (at, line) = (module.file.display(), call[1].line);
                found.push(format!("{at}:{line}: `elapsed()` reads the clock: subtract from `task::now()`"));
            }
        }
    }
    found
}

/// Every `select!` whose first word is not `biased`: chance decides there, and no seed reaches it.
pub(crate) fn selects(tree: &Tree) -> Vec<Violation> {
    let unbiased = |window: &[Token]| {
        let text = |at: usize| window[at].text.as_str();
        text(0) == "select" && text(1) == "!" && text(2) == "{" && text(3) != "biased"
    };
    let mut found = Vec::new();
    for module in &tree.modules {
        for window in module.tokens.windows(4).filter(|window| unbiased(window)) {
            found.push(format!(
                "{}:{}: a `select!` is `biased`, here too",
                module.file.display(),
                window[0].line
            ));
        }
    }
    found
}

/// Lines of a `message!` table that hold two rows, or two halves of rows.
pub(crate) fn tables(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for module in &tree.modules {
        for at in 2..module.tokens.len() {
            let text = |back: usize| module.tokens[at - back].text.as_str();
            if text(2) == "message" && text(1) == "!" && text(0) == "{" {
                found.extend(crowded(module, at));
            }
        }
    }
    found
}

fn crowded(module: &Module, open: usize) -> Vec<Violation> {
    let rows = |token: &&Token| token.text == "=>" || token.text == ";";
    let table: Vec<_> = module.tokens[open..closing(&module.tokens, open)].iter().filter(rows).collect();
    let same = |pair: &&[&Token]| pair[0].text == ";" && pair[0].line == pair[1].line;
    let say =
        |pair: &[&Token]| format!("{}:{}: one field a line, please", module.file.display(), pair[0].line);
    table.windows(2).filter(same).map(say).collect()
}

/// Source files beyond the limit.
pub(crate) fn lengths(root: &Path) -> Vec<Violation> {
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "protocol-specs", "fuzz"] {
        for file in rust_files(&root.join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            found.extend(too_long(file.strip_prefix(root).unwrap(), &text));
        }
    }
    found
}

fn too_long(file: &Path, text: &str) -> Option<Violation> {
    let lines = text.lines().count();
    (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines, {LONGEST_FILE} at most", file.display()))
}

/// Files under `folder` that no module declares.
pub(crate) fn dead(root: &Path, folder: &str, reached: &BTreeSet<PathBuf>) -> Vec<Violation> {
    let files =
        rust_files(&root.join(folder)).into_iter().map(|file| file.strip_prefix(root).unwrap().to_owned());
    files
        .filter(|file| !reached.contains(file))
        .map(|file| format!("{}: no `mod` leads here: nobody compiles it", file.display()))
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banned(module: &str, source: &str) -> usize {
        calls(&Tree::of(&[(module, source)])).len()
    }

    #[test]
    fn what_is_banned_is_found_outside_its_home_only() {
        for (source, home) in [
            ("use tokio::{io, net::TcpStream};", "net::dial"),
            ("fn f() { tokio::net::TcpStream::connect() }", "net"),
            ("fn f() { std::time::Instant::now() }", "task"),
            ("fn f() { Instant::now() }", "task"),
            ("fn f() { tokio::spawn(async {}) }", "task"),
            ("use tokio::task::spawn_blocking;", "task"),
        ] {
            assert!(banned("cluster::call", source) > 0, "{source}");
            assert_eq!(banned(home, source), 0, "{source}");
        }
        assert_eq!(banned("cluster::tests", "fn f() { Instant::now() }"), 0);
    }

    #[test]
    fn layers_without_io_have_none() {
        for source in
            ["use tokio::time;", "use std::thread;", "fn f() { std::env::var() }", "use getrandom::fill;"]
        {
            for layer in ["engine::retry", "wire", "broker::api::fetch"] {
                assert_eq!(banned(layer, source), 1, "{layer}: {source}");
            }
            assert_eq!(banned("net", source), 0, "{source}");
        }
        assert_eq!(banned("engine", "use std::time::Instant; fn f(now: Instant) {}"), 0);
    }

    #[test]
    fn a_clock_that_is_read_by_the_way_is_found() {
        let tree = |source| Tree::of(&[("net", source)]);
        assert_eq!(elapsed(&tree("fn f() { start.elapsed() }")).len(), 1);
        assert_eq!(
            elapsed(&tree("fn f() { self.elapsed; #[cfg(test)] mod t { fn g() { start.elapsed() } } }"))
                .len(),
            0
        );
    }

    #[test]
    fn a_select_by_chance_is_found() {
        let tree = |source| Tree::of(&[("net", source)]);
        assert_eq!(selects(&tree("fn f() { tokio::select! { a = b => {} } }")).len(), 1);
        assert_eq!(selects(&tree("fn f() { select! { biased; a = b => {} } }")).len(), 0);
    }

    #[test]
    fn two_rows_in_a_line_are_found() {
        let tree = |rows| Tree::of(&[("messages", &format!("message! {{ pub struct A {{\n{rows}\n}} }}"))]);
        assert_eq!(tables(&tree("0.. => a: i32; 1.. => b: i32;")).len(), 1);
        assert_eq!(tables(&tree("0.. => a: i32 = 7, ignorable; // ; =>\n1.. => b: i32;")).len(), 0);
        assert_eq!(
            tables(&Tree::of(&[("wire", "fn f() { match a { b => c, }; match d { e => f } }")])).len(),
            0
        );
    }

    #[test]
    fn a_long_file_is_found() {
        let file = Path::new("src/long.rs");
        assert!(too_long(file, &"\n".repeat(LONGEST_FILE + 1)).is_some());
        assert!(too_long(file, &"\n".repeat(LONGEST_FILE)).is_none());
    }

    #[test]
    fn a_file_that_nobody_declares_is_found() {
        let reached = crate::library().files();
        let mut without = reached.clone();
        without.remove(Path::new("src/wire/reader.rs"));
        let found = |reached| dead(&crate::root(), "src/wire", reached);
        assert_eq!((found(&reached).len(), found(&without).len()), (0, 1));
    }
}
