//! Rust source as tokens, and the paths in it. As much of the language as the rules need: comments and literals are told
//! apart, `use` trees are unfolded, and what is compiled for tests only is marked.

/// A word or a mark of the source. Literals are one token each, without their content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    /// Whether it is compiled for tests only, by a `#[cfg(test)]` in this file.
    pub(crate) test: bool,
}

/// A path such as `crate::wire::Text`, unfolded from its `use` or as it stands in the code.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PathUse {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) test: bool,
    /// The modules that this file opens around it: `mod tests { .. }`.
    pub(crate) inside: Vec<String>,
}

/// A `mod name;`: where it says so, and the file that a `#[path]` names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModuleLine {
    pub(crate) name: String,
    pub(crate) path: Option<String>,
    pub(crate) test: bool,
}

/// What stands in place of a string's content.
const STRING: &str = "\"\"";

pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Lexer { rest: source, line: 1, tokens: Vec::new() }.run();
    mark_tests(&mut tokens);
    tokens
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn run(mut self) -> Vec<Token> {
        while let Some(first) = self.rest.chars().next() {
            if self.rest.starts_with("//") {
                self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.skip(block_comment(self.rest));
            } else if let Some(len) = string_len(self.rest) {
                // A string that `#[path = ".."]` needs keeps its content, after a quote.
                let content = self.rest[..len].trim_matches('"').to_owned();
                let path = self.tokens.iter().rev().take(3).map(|t| t.text.as_str()).eq(["=", "path", "["]);
                self.push(if path { format!("\"{content}") } else { STRING.into() });
                self.skip(len);
            } else if first == '\'' {
                let len = quote_len(self.rest);
                if len > 0 {
                    self.push("''".into());
                }
                self.skip(len.max(1));
            } else if first.is_alphanumeric() || first == '_' {
                let len =
                    self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
                self.push(self.rest[..len].into());
                self.skip(len);
            } else if self.rest.starts_with("::") || self.rest.starts_with("=>") {
                self.push(self.rest[..2].into());
                self.skip(2);
            } else {
                if !first.is_whitespace() {
                    self.push(first.into());
                }
                self.skip(first.len_utf8());
            }
        }
        self.tokens
    }

    fn push(&mut self, text: String) {
        self.tokens.push(Token { text, line: self.line, test: false });
    }

    fn skip(&mut self, len: usize) {
        self.line += self.rest[..len].matches('\n').count();
        self.rest = &self.rest[len..];
    }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the string literal that `text` begins with: plain, byte or C strings, raw ones too.
fn string_len(text: &str) -> Option<usize> {
    let prefix = text.find(|c| !matches!(c, 'b' | 'c' | 'r')).filter(|len| *len <= 2)?;
    let raw = text[..prefix].contains('r');
    let hashes = text[prefix..].find(|c| c != '#')?;
    let body = prefix + hashes + 1;
    if !text[prefix + hashes..].starts_with('"') || (hashes > 0 && !raw) {
        return None;
    }
    if raw {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(text[body..].find(&end).map_or(text.len(), |at| body + at + end.len()));
    }
    let mut escaped = false;
    for (at, c) in text[body..].char_indices() {
        match c {
            '"' if !escaped => return Some(body + at + 1),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    Some(text.len())
}

/// The length of a character literal, or 0 for a lifetime or label.
fn quote_len(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next(); // what is escaped, which may be a quote
            text[3..].find('\'').map_or(text.len(), |at| at + 4)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// Marks the items behind `#[cfg(test)]`.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at + 4 < tokens.len() {
        let attribute: Vec<_> = tokens[at..at + 4].iter().map(|t| t.text.as_str()).collect();
        if attribute != ["#", "[", "cfg", "("] {
            at += 1;
            continue;
        }
        let close = closing(tokens, at + 1);
        let for_tests = tokens[at..close].iter().any(|t| t.text == "test")
            && !tokens[at..close].iter().any(|t| t.text == "not" || t.text == "any");
        let end = if for_tests { item_end(tokens, close + 1) } else { close };
        if for_tests {
            tokens[at..=end].iter_mut().for_each(|token| token.test = true);
        }
        at = end + 1;
    }
}

/// Where the item that begins at `at` ends: at its `;` or the end of its block.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            ";" => return at,
            "{" => return closing(tokens, at),
            "(" | "[" => at = closing(tokens, at),
            _ => {}
        }
        at += 1;
    }
    tokens.len() - 1
}

/// The index of the bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len() - 1
}

/// All paths of a file, those of `use` trees unfolded.
pub(crate) fn paths(tokens: &[Token]) -> Vec<PathUse> {
    let mut found = Vec::new();
    let mut open: Vec<Option<String>> = Vec::new(); // of each open brace, the module that it is
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let inside: Vec<_> = open.iter().flatten().cloned().collect();
        match token.text.as_str() {
            "{" => {
                let named = at >= 2 && tokens[at - 2].text == "mod";
                open.push(named.then(|| tokens[at - 1].text.clone()));
            }
            "}" => drop(open.pop()),
            // Not `-> impl Trait + use<'a>`.
            "use"
                if tokens
                    .get(at + 1)
                    .is_some_and(|next| is_word(&next.text) || next.text == "::" || next.text == "{") =>
            {
                let mut leaves = Vec::new();
                at = unfold(tokens, at + 1, &[], &mut leaves);
                found.extend(leaves.into_iter().map(|(segments, line)| PathUse {
                    segments,
                    line,
                    test: token.test,
                    inside: inside.clone(),
                }));
                continue;
            }
            text if is_word(text) && tokens.get(at + 1).is_some_and(|next| next.text == "::") => {
                let mut segments = vec![token.text.clone()];
                while tokens.get(at + 1).is_some_and(|next| next.text == "::")
                    && tokens.get(at + 2).is_some_and(|next| is_word(&next.text))
                {
                    segments.push(tokens[at + 2].text.clone());
                    at += 2;
                }
                found.push(PathUse { segments, line: token.line, test: token.test, inside });
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Unfolds the `use` tree at `at` into `leaves`; returns the index behind it.
fn unfold(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    leaves: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let mut path = prefix.to_vec();
    while at < tokens.len() {
        let token = &tokens[at];
        match token.text.as_str() {
            "::" => {}
            "{" => {
                let end = closing(tokens, at);
                at += 1;
                while at < end {
                    let next = unfold(tokens, at, &path, leaves);
                    let comma = tokens.get(next).is_some_and(|token| token.text == ",");
                    at = (next + usize::from(comma)).max(at + 1);
                }
                return end + 1;
            }
            "as" => at += 1,
            "," | "}" | ";" => {
                leaves.push((path, token.line));
                return at;
            }
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    at
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The modules that a file declares in files of their own.
pub(crate) fn module_lines(tokens: &[Token]) -> Vec<ModuleLine> {
    let mut found = Vec::new();
    let mut path = None;
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "path" if at >= 2 && tokens[at - 2].text == "#" && tokens[at + 1].text == "=" => {
                path = Some(tokens[at + 2].text.trim_start_matches('"').to_owned());
            }
            "mod" if tokens.get(at + 2).is_some_and(|end| end.text == ";") => {
                let name = tokens[at + 1].text.clone();
                found.push(ModuleLine { name, path: path.take(), test: token.test });
            }
            ";" | "}" => path = None,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    fn spelled(source: &str) -> Vec<String> {
        paths(&tokens(source)).into_iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn comments_and_literals_hide_what_is_in_them() {
        let source = "a /* crate::x /* y */ */ b // crate::z\n\"crate::\\\" q\" r#\"crate::\"w\"# b\"x\" 'c' '\\'' 'life fn";
        assert_eq!(words(source), ["a", "b", "\"\"", "\"\"", "\"\"", "''", "''", "life", "fn"]);
        assert_eq!(tokens("a\n\nb")[1].line, 3);
    }

    #[test]
    fn use_trees_unfold() {
        let source = "use crate::{a::{self, B as C}, d::*}; fn f() { std::time::Instant::now(); x::<T>::y(); } use super::super::e;";
        let all =
            ["crate::a", "crate::a::B", "crate::d::*", "std::time::Instant::now", "x", "super::super::e"];
        assert_eq!(spelled(source), all);
    }

    #[test]
    fn a_use_that_is_none_is_passed_over() {
        assert_eq!(
            spelled("fn f<'a>() -> impl Iterator + use<'a> { a::b() } fn g() { c::d() }"),
            ["a::b", "c::d"]
        );
    }

    #[test]
    fn what_is_for_tests_is_marked() {
        let source = "use a::b; #[cfg(test)] use c::d; #[cfg(not(test))] use e::f;
            #[cfg(test)] mod tests { use super::g; } #[cfg(feature = \"x\")] fn h() { i::j() }";
        let marked: Vec<_> =
            paths(&tokens(source)).into_iter().map(|p| (p.segments.join("::"), p.test)).collect();
        let all = [("a::b", false), ("c::d", true), ("e::f", false), ("super::g", true), ("i::j", false)];
        assert_eq!(marked, all.map(|(path, test)| (path.to_owned(), test)));
        assert_eq!(paths(&tokens(source))[3].inside, ["tests"]);
    }

    #[test]
    fn modules_in_files_of_their_own_are_found() {
        let source = "mod a; pub mod b { mod c; } #[cfg(test)] mod tests; #[path = \"x/y.rs\"] mod d; mod e;";
        let found = module_lines(&tokens(source));
        assert_eq!(found.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["a", "c", "tests", "d", "e"]);
        assert_eq!(found[3].path.as_deref(), Some("x/y.rs"));
        assert!(found[2].test && found[4].path.is_none());
    }
}
