//! The notation, line by line: from text to blocks and rows. What the rows mean together is [`resolve`](super::resolve)'s.

use super::Book;
use super::model::{Api, Change, Layout, Message, Versions};
use super::resolve::Scope;
use std::fmt;

/// A mistake in a spec.
#[derive(Debug, PartialEq, Eq)]
pub struct SpecError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "protocol-specs/{}:{}: {}", self.file, self.line, self.what)
    }
}

impl std::error::Error for SpecError {}

/// A mistake in a line; the file is added on top.
pub type Mistake = (usize, String);

/// A row of a message or struct, before its names are looked up.
#[derive(Debug, Clone)]
pub struct Row {
    pub line: usize,
    pub versions: Versions,
    pub name: String,
    pub list: bool,
    pub ty: String,
    pub entity: Option<String>,
    pub default: Option<String>,
    pub null: Option<Versions>,
    pub tag: Option<u32>,
    pub ignorable: bool,
    pub key: bool,
    pub never_flexible: bool,
    pub about: String,
    pub rows: Vec<Row>,
}

/// Parses one file into `book`.
///
/// # Errors
/// The first mistake.
pub fn parse(file: &str, text: &str, book: &mut Book) -> Result<(), SpecError> {
    let add = |(line, what)| SpecError { file: file.to_owned(), line, what };
    let lines = lines(text).map_err(add)?;
    parse_file(&lines, book).map_err(add)
}

/// A line that says something.
struct Line<'a> {
    number: usize,
    indent: usize,
    text: &'a str,
}

fn lines(text: &str) -> Result<Vec<Line<'_>>, Mistake> {
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let (number, text) = (at + 1, line.trim_start_matches(' '));
        if text.starts_with('\t') {
            return Err((number, "a tab; indentation is two spaces a level".into()));
        }
        if !text.trim().is_empty() && !line.starts_with('#') {
            lines.push(Line { number, indent: line.len() - text.len(), text: text.trim_end() });
        }
    }
    Ok(lines)
}

/// A block: the line that opens it, and the lines below it.
type Block<'a> = (&'a Line<'a>, &'a [Line<'a>]);

fn parse_file(lines: &[Line<'_>], book: &mut Book) -> Result<(), Mistake> {
    let blocks = blocks(lines)?;
    let mut rest = blocks.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        let opens = |(head, _): &Block<'_>| matches!(word(head.text).0, "api" | "header" | "data");
        let own = tail.iter().take_while(|block| !opens(block)).count();
        let (parts, next) = tail.split_at(own);
        match word(first.0.text) {
            ("api", head) => book.apis.push(api(first, head, parts)?),
            ("header", head) => book.headers.push(layout(first, head, parts)?),
            ("data", head) => book.data.push(layout(first, head, parts)?),
            (other, _) => {
                let what = format!("`{other}` where `api`, `header` or `data` should stand");
                return Err((first.0.number, what));
            }
        }
        rest = next;
    }
    Ok(())
}

fn blocks<'a>(lines: &'a [Line<'a>]) -> Result<Vec<Block<'a>>, Mistake> {
    let mut blocks = Vec::new();
    let mut rest = lines;
    while let Some((head, tail)) = rest.split_first() {
        if head.indent != 0 {
            return Err((head.number, "an indented line below nothing".into()));
        }
        let (below, next) = tail.split_at(tail.iter().take_while(|line| line.indent > 0).count());
        blocks.push((head, below));
        rest = next;
    }
    Ok(blocks)
}

fn api(block: &Block<'_>, head: &str, parts: &[Block<'_>]) -> Result<Api, Mistake> {
    let line = block.0.number;
    let (key, head) = word(head);
    let key = key.parse().map_err(|_| (line, format!("`{key}` is not an API key")))?;
    let head = Head::parse(line, head)?;
    let mut about = prose(block.1);
    let (mut answered_by, mut changes, mut messages) = (Vec::new(), Vec::new(), [None, None]);
    let mut scope = Scope::new(head.versions, head.flexible);
    for part in parts.iter().filter(|part| word(part.0.text).0 == "struct") {
        scope.share(part.0.number, word(part.0.text).1, rows(part.1)?)?;
    }
    for (opening, below) in parts {
        match word(opening.text) {
            ("answered", by) => {
                answered_by = by.trim_start_matches("by ").split(", ").map(str::to_owned).collect();
                about.push_str(&prose(below));
            }
            ("version", text) => changes.push(change(opening.number, text, below)?),
            (side @ ("request" | "response"), _) => {
                let suffix = if side == "request" { "Request" } else { "Response" };
                let body = scope.message(format!("{}{suffix}", head.name), &rows(below)?)?;
                let slot = &mut messages[usize::from(side == "response")];
                if slot.replace(Message { versions: head.versions, flexible: head.flexible, body }).is_some()
                {
                    return Err((opening.number, format!("a second `{side}`")));
                }
            }
            ("struct", _) => {}
            (other, _) => return Err((opening.number, format!("`{other}` opens nothing"))),
        }
    }
    scope.all_used()?;
    every_version_told(line, head.versions, &changes)?;
    let [Some(request), Some(response)] = messages else {
        return Err((line, "an API needs a `request` and a `response`".into()));
    };
    if about.is_empty() || answered_by.is_empty() {
        return Err((line, "an API says what it is for and who answers it".into()));
    }
    let Head { name, versions, unstable, .. } = head;
    Ok(Api { key, name, versions, unstable, answered_by, about, changes, request, response })
}

fn layout(block: &Block<'_>, head: &str, parts: &[Block<'_>]) -> Result<Layout, Mistake> {
    let line = block.0.number;
    let head = Head::parse(line, head)?;
    let (mut changes, mut message) = (Vec::new(), None);
    for (opening, below) in parts {
        match word(opening.text) {
            ("version", text) => changes.push(change(opening.number, text, below)?),
            ("fields", _) => {
                let scope = Scope::new(head.versions, head.flexible);
                let body = scope.message(head.name.clone(), &rows(below)?)?;
                message = Some(Message { versions: head.versions, flexible: head.flexible, body });
            }
            (other, _) => {
                return Err((opening.number, format!("`{other}` opens nothing below `header` or `data`")));
            }
        }
    }
    every_version_told(line, head.versions, &changes)?;
    let message = message.ok_or((line, "`header` and `data` need `fields`".to_owned()))?;
    Ok(Layout { about: prose(block.1), changes, message })
}

/// `NAME VERSIONS, flexible VERSIONS, unstable VERSIONS`
struct Head {
    name: String,
    versions: Versions,
    flexible: Versions,
    unstable: Versions,
}

impl Head {
    fn parse(line: usize, text: &str) -> Result<Head, Mistake> {
        let mut parts = text.split(", ");
        let (name, range) = word(parts.next().unwrap_or_default());
        let versions = versions(line, range)?;
        let (mut flexible, mut unstable) = (None, Versions::NONE);
        for part in parts {
            match word(part) {
                ("never", "flexible") => flexible = Some(Versions::NONE),
                ("flexible", range) => flexible = Some(self::versions(line, range)?.within(versions)),
                ("unstable", range) => unstable = self::versions(line, range)?.within(versions),
                _ => return Err((line, format!("`{part}` is neither `flexible` nor `unstable` versions"))),
            }
        }
        let flexible = flexible.ok_or((line, "say `flexible VERSIONS` or `never flexible`".to_owned()))?;
        Ok(Head { name: name.to_owned(), versions, flexible, unstable })
    }
}

fn change(line: usize, text: &str, below: &[Line<'_>]) -> Result<Change, Mistake> {
    let (range, text) = word(text);
    let text = format!("{text} {}", prose(below)).trim_end().to_owned();
    Ok(Change { versions: versions(line, range)?, text })
}

/// Each version has its line, and they rise.
fn every_version_told(line: usize, all: Versions, changes: &[Change]) -> Result<(), Mistake> {
    let told: Vec<i16> = changes.iter().flat_map(|change| change.versions.iter()).collect();
    if told.iter().copied().eq(all.iter()) {
        return Ok(());
    }
    Err((line, format!("`version` lines tell of {told:?}, not of each of {all} in turn")))
}

/// The rows of a message or struct, nested by their indentation.
fn rows(lines: &[Line<'_>]) -> Result<Vec<Row>, Mistake> {
    let mut taken = 0;
    let rows = rows_at(lines, 2, &mut taken)?;
    match lines.get(taken) {
        Some(line) => Err((line.number, "indented by neither the level above nor two spaces more".into())),
        None => Ok(rows),
    }
}

fn rows_at(lines: &[Line<'_>], indent: usize, taken: &mut usize) -> Result<Vec<Row>, Mistake> {
    let mut rows: Vec<Row> = Vec::new();
    while let Some(line) = lines.get(*taken) {
        match (line.text.strip_prefix("--"), rows.last_mut()) {
            (Some(more), Some(row)) => {
                row.about = format!("{} {}", row.about, more.trim());
                *taken += 1;
            }
            _ if line.indent == indent => {
                rows.push(row(line)?);
                *taken += 1;
            }
            (_, Some(row)) if line.indent == indent + 2 => row.rows = rows_at(lines, indent + 2, taken)?,
            _ => break,
        }
    }
    Ok(rows)
}

/// `VERSIONS  name: TYPE [ENTITY] [= DEFAULT] [, FLAG].. [-- text]`
fn row(line: &Line<'_>) -> Result<Row, Mistake> {
    let fail = |what: String| (line.number, what);
    let (said, about) = line.text.split_once(" -- ").unwrap_or((line.text, ""));
    let (range, rest) = word(said.trim_end());
    let mut parts = rest.split(", ");
    let declared = parts.next().unwrap_or_default();
    let (name, ty) =
        declared.split_once(": ").ok_or_else(|| fail(format!("`{declared}` is not `name: type`")))?;
    let (ty, default) =
        ty.split_once(" = ").map_or((ty, None), |(ty, default)| (ty, Some(default.to_owned())));
    let element = ty.trim().strip_prefix('[').and_then(|ty| ty.strip_suffix(']'));
    let (ty, entity) = word(element.unwrap_or(ty.trim()));
    let mut row = Row {
        line: line.number,
        versions: versions(line.number, range)?,
        name: name.to_owned(),
        list: element.is_some(),
        ty: ty.to_owned(),
        entity: (!entity.is_empty()).then(|| entity.to_owned()),
        default,
        null: None,
        tag: None,
        ignorable: false,
        key: false,
        never_flexible: false,
        about: about.trim().to_owned(),
        rows: Vec::new(),
    };
    for flag in parts {
        match word(flag.trim()) {
            ("null", range) => row.null = Some(versions(line.number, range)?),
            ("tag", tag) => row.tag = Some(tag.parse().map_err(|_| fail(format!("`{tag}` is not a tag")))?),
            ("ignorable", "") => row.ignorable = true,
            ("key", "") => row.key = true,
            ("never", "flexible") => row.never_flexible = true,
            _ => return Err(fail(format!("no flag `{flag}`: null, tag, ignorable, key, never flexible"))),
        }
    }
    Ok(row)
}

fn versions(line: usize, text: &str) -> Result<Versions, Mistake> {
    Versions::parse(text)
        .ok_or_else(|| (line, format!("`{text}` is not a range of versions such as 3+, 8-10 or 7")))
}

/// The first word, and what follows it.
fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').map_or((text, ""), |(first, rest)| (first, rest.trim()))
}

fn prose(lines: &[Line<'_>]) -> String {
    lines.iter().map(|line| line.text).collect::<Vec<_>>().join(" ")
}
