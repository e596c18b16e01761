//! Layers that only look down: the table of ARCHITECTURE.md, and the check of every path against it.

use std::collections::BTreeMap;

use crate::Violation;
use crate::tree::{Module, Tree};

/// What each layer may name, besides itself. `a::b` allows a part of a layer.
const TABLE: &[(&str, &[&str])] = &[
    ("task", &[]),
    ("histogram", &[]),
    ("wire", &[]),
    ("messages", &["wire"]),
    ("records", &["wire"]),
    ("error", &["wire", "messages"]),
    ("config", &["error"]),
    // Limits come as plain structs, never as settings.
    ("engine", &["wire", "messages", "records", "error"]),
    ("net", &["engine", "messages", "wire", "config", "error", "task"]),
    ("cluster", &["net", "engine", "messages", "wire", "config", "error", "task"]),
    // Clients never reach for a connection, nor for each other.
    (
        "producer",
        &["cluster", "engine", "records", "messages", "wire", "config", "error", "histogram", "task"],
    ),
    (
        "consumer",
        &["cluster", "engine", "records", "messages", "wire", "config", "error", "histogram", "task"],
    ),
    ("admin", &["cluster", "engine", "records", "messages", "wire", "config", "error", "task"]),
    // The embedded broker is a peer of the client, not a user of it.
    (
        "broker",
        &[
            "engine",
            "messages",
            "records",
            "wire",
            "error",
            "task",
            "net::listen",
            "net::mem",
            "net::tls",
            "net::self_signed",
        ],
    ),
    // `Client` puts it all together.
    ("client", &["admin", "producer", "consumer", "cluster", "net", "engine", "config", "error", "task"]),
];

/// What tests of any layer may name on top: the clock, for a `now` to start from.
const TESTS: &[&str] = &["task"];

/// What tests of one layer may name on top of that: those that reach deeper than `tests/` can, and play against a broker.
const PLAYS: &[(&str, &[&str])] = &[
    ("cluster", &["broker"]),
    ("admin", &["client", "broker", "net::mem"]),
    ("producer", &["client", "broker", "net::mem"]),
    ("consumer", &["client", "producer", "broker", "net::mem", "net::scripted"]),
];

/// Modules outside semver: the tool is a user, and does without.
const HIDDEN: &[&str] = &["wire", "messages", "records", "engine", "net"];

/// Every path into the crate that points where its layer may not look.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let homes = Homes::of(tree);
    tree.modules
        .iter()
        .filter(|module| !module.path.is_empty())
        .flat_map(|module| check_module(module, &homes))
        .collect()
}

fn check_module(module: &Module, homes: &Homes) -> Vec<Violation> {
    let layer = module.layer();
    let at = module.file.display();
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == layer) else {
        return vec![format!("{at}: the layer `{layer}` is not in the table of tests/tidy/layers.rs")];
    };
    let plays = PLAYS.iter().find(|(name, _)| *name == layer).map_or(&[][..], |(_, plays)| plays);
    let mut found = Vec::new();
    for path in module.paths() {
        if path.segments.first().is_none_or(|first| first != "crate") {
            continue;
        }
        let line = path.line;
        let Some(target) = homes.resolve(&path.segments[1..]) else {
            found.push(format!("{at}:{line}: `{}` is nothing that lib.rs has", path.segments.join("::")));
            continue;
        };
        let for_tests = TESTS.iter().chain(plays).filter(|_| path.test);
        let allowed = allowed.iter().chain(for_tests);
        if target[0] != layer && !allowed.into_iter().any(|allowed| within(&target, allowed)) {
            let target = target.join("::");
            found.push(format!(
                "{at}:{line}: `{layer}` may not look at `{target}` (table in tests/tidy/layers.rs)"
            ));
        }
    }
    found
}

fn within(target: &[String], allowed: &str) -> bool {
    allowed
        .split("::")
        .enumerate()
        .all(|(at, segment)| target.get(at).is_some_and(|target| target == segment))
}

/// What the tool names of the library that its users cannot count on.
pub(crate) fn check_tool(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for module in &tree.modules {
        for path in module.paths().into_iter().filter(|path| path.segments[0] == "ottla") {
            if path.segments.get(1).is_some_and(|name| HIDDEN.contains(&name.as_str())) {
                let (at, path, line) = (module.file.display(), path.segments.join("::"), path.line);
                found.push(format!(
                    "{at}:{line}: `{path}` is not public API: the tool is to do without, as its users do"
                ));
            }
        }
    }
    found
}

/// Where the names at the crate's root come from: modules, re-exports, exported macros.
struct Homes(BTreeMap<String, Vec<String>>);

impl Homes {
    fn of(tree: &Tree) -> Homes {
        let mut homes = BTreeMap::new();
        for module in &tree.modules {
            match module.path.as_slice() {
                [] => {
                    for path in module.paths().into_iter().filter(|path| path.segments.len() > 1) {
                        let from =
                            path.segments.iter().filter(|segment| *segment != "crate").cloned().collect();
                        homes.insert(path.segments.last().unwrap().clone(), from);
                    }
                }
                [layer, ..] => {
                    homes.insert(layer.clone(), vec![layer.clone()]);
                    for name in exported_macros(module) {
                        homes.insert(name, vec![layer.clone()]);
                    }
                }
            }
        }
        Homes(homes)
    }

    /// The home of a path (without its `crate`), beginning with its layer.
    fn resolve(&self, segments: &[String]) -> Option<Vec<String>> {
        let home = self.0.get(segments.first()?)?;
        Some(home.iter().chain(&segments[1..]).cloned().collect())
    }
}

fn exported_macros(module: &Module) -> Vec<String> {
    let texts: Vec<_> = module.tokens.iter().map(|token| token.text.as_str()).collect();
    let defines = |window: &&[&str]| window[0] == "macro_rules" && window[1] == "!";
    let exports = texts.contains(&"macro_export");
    texts.windows(3).filter(defines).filter(|_| exports).map(|window| window[2].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: (&str, &str) =
        ("", "pub mod wire; pub mod net; mod error; pub use error::Error; pub use net::auth::Token;");

    fn broken(files: &[(&str, &str)]) -> Vec<Violation> {
        let all = ["wire", "net", "error", "config", "task"].map(|name| (name, ""));
        check(&Tree::of(&[&[LIB], all.as_slice(), files].concat()))
    }

    #[test]
    fn an_arrow_that_points_up_is_found_however_it_is_written() {
        for source in [
            "use crate::net::dial;",
            "use crate::{wire::Text, net::{self}};",
            "use super::net;",
            "fn f() { crate::net::dial::tcp() }",
            "use crate::Token;", // a re-export of net's
            "mod inner { use super::super::net::dial; }",
            "macro_rules! m { () => { $crate::net::x() } }",
        ] {
            let found = broken(&[("engine", source)]);
            assert_eq!(found.len(), 1, "{source}: {found:?}");
            assert!(found[0].contains("`engine` may not look at `net"), "{found:?}");
        }
    }

    #[test]
    fn arrows_that_point_down_and_words_about_others_are_not() {
        let source = "//! [`net`](crate::net)\nuse crate::wire::Text; use crate::Error; use super::error; // crate::net\n";
        assert_eq!(broken(&[("engine", source)]), Vec::<String>::new());
        assert_eq!(broken(&[("broker", "use crate::net::{listen, tls::Server};")]), Vec::<String>::new());
    }

    #[test]
    fn a_part_of_a_layer_is_no_more_than_that() {
        assert_eq!(broken(&[("broker", "use crate::net::dial;")]).len(), 1);
    }

    #[test]
    fn tests_may_read_the_clock_and_nothing_else_may() {
        assert_eq!(broken(&[("engine::tests", "use crate::task;")]).len(), 0);
        assert_eq!(
            broken(&[("engine", "use crate::task; #[cfg(test)] mod tests { use crate::task; }")]).len(),
            1
        );
    }

    #[test]
    fn a_layer_outside_the_table_is_refused() {
        assert!(broken(&[("extras", "")])[0].contains("not in the table"));
    }

    #[test]
    fn the_tool_may_not_reach_behind_the_public_face() {
        let tool = |source| check_tool(&Tree::of(&[("", source)]));
        assert_eq!(tool("use ottla::{Client, wire::Text};").len(), 1);
        assert_eq!(tool("fn f() { ottla::net::dial() }").len(), 1);
        assert_eq!(tool("use ottla::{Client, admin::NewTopic};").len(), 0);
    }
}
