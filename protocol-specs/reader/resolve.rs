//! From rows to fields: names are looked up, versions cut to those around them, and what cannot be is refused.

use super::Value;
use super::model::{Entity, Field, Struct, Type, Versions};
use super::parse::{Mistake, Row};
use std::cell::Cell;

/// What the rows of one API are read in: its versions, and the structs that its messages share.
pub struct Scope {
    versions: Versions,
    flexible: Versions,
    shared: Vec<Shared>,
}

struct Shared {
    line: usize,
    name: String,
    rows: Vec<Row>,
    used: Cell<bool>,
    open: Cell<bool>,
}

impl Scope {
    /// A scope without shared structs.
    pub fn new(versions: Versions, flexible: Versions) -> Scope {
        Scope { versions, flexible, shared: Vec::new() }
    }

    /// Adds a struct that rows can name.
    pub fn share(&mut self, line: usize, name: &str, rows: Vec<Row>) -> Result<(), Mistake> {
        if self.shared.iter().any(|shared| shared.name == name) {
            return Err((line, format!("a second struct {name}")));
        }
        let (used, open) = (Cell::new(false), Cell::new(false));
        self.shared.push(Shared { line, name: name.to_owned(), rows, used, open });
        Ok(())
    }

    /// Fails when a shared struct was named by no row.
    pub fn all_used(&self) -> Result<(), Mistake> {
        match self.shared.iter().find(|shared| !shared.used.get()) {
            Some(shared) => Err((shared.line, format!("no field has the struct {}", shared.name))),
            None => Ok(()),
        }
    }

    /// A message of these rows.
    pub fn message(&self, name: String, rows: &[Row]) -> Result<Struct, Mistake> {
        self.body(name, rows, self.versions)
    }

    fn body(&self, name: String, rows: &[Row], versions: Versions) -> Result<Struct, Mistake> {
        let mut fields: Vec<Field> = Vec::new();
        for row in rows {
            let field = self.field(row, versions)?;
            let before = fields.last().and_then(|last| last.tag);
            if fields.iter().any(|other| other.name == field.name) {
                return Err((row.line, format!("a second `{}` in {name}", field.name)));
            }
            if before.is_some() && before >= field.tag {
                return Err((row.line, "tagged fields come last, and their tags rise".into()));
            }
            fields.push(field);
        }
        Ok(Struct { name, fields })
    }

    fn field(&self, row: &Row, around: Versions) -> Result<Field, Mistake> {
        let fail = |what: String| (row.line, what);
        let versions = row.versions.within(around);
        if versions.is_empty() {
            return Err(fail(format!(
                "versions {} lie outside {around}, those around the field",
                row.versions
            )));
        }
        let entity = entity(row)?;
        let ty = self.ty(row, versions)?;
        let nullable = row.null.map_or(Versions::NONE, |null| null.within(versions));
        if row.null.is_some() && (nullable.is_empty() || !ty.has_null()) {
            return Err(fail(format!("{ty} in versions {versions} has no null")));
        }
        if row.tag.is_some() && versions.within(self.flexible) != versions {
            return Err(fail(format!(
                "a tagged field in versions {versions}, not all of which are flexible"
            )));
        }
        let default = match &row.default {
            Some(text) => {
                default(&ty, text, nullable).ok_or_else(|| fail(format!("`{text}` is no value of {ty}")))?
            }
            None => Value::default_of(&ty),
        };
        Ok(Field {
            name: row.name.clone(),
            versions,
            nullable,
            entity,
            ty,
            default,
            tag: row.tag,
            ignorable: row.ignorable,
            key: row.key,
            never_flexible: row.never_flexible,
            about: row.about.clone(),
        })
    }

    fn ty(&self, row: &Row, versions: Versions) -> Result<Type, Mistake> {
        let is_struct = row.ty.starts_with(|c: char| c.is_ascii_uppercase());
        if !is_struct && !row.rows.is_empty() {
            return Err((
                row.line,
                format!("rows below a field of type `{}`, which is not a struct", row.ty),
            ));
        }
        let ty = match (is_struct, Type::PRIMITIVES.iter().find(|(name, _)| *name == row.ty)) {
            (true, _) => Type::Struct(self.inner(row, versions)?),
            (false, Some((_, ty))) => ty.clone(),
            (false, None) => {
                let names: Vec<_> = Type::PRIMITIVES.iter().map(|(name, _)| *name).collect();
                return Err((row.line, format!("no type `{}`: {}, or a struct", row.ty, names.join(", "))));
            }
        };
        Ok(if row.list { Type::List(Box::new(ty)) } else { ty })
    }

    fn inner(&self, row: &Row, versions: Versions) -> Result<Struct, Mistake> {
        let shared = self.shared.iter().find(|shared| shared.name == row.ty);
        let Some(shared) = shared else {
            if row.rows.is_empty() {
                return Err((row.line, format!("{} has no rows below and no `struct` of its own", row.ty)));
            }
            return self.body(row.ty.clone(), &row.rows, versions);
        };
        if !row.rows.is_empty() {
            return Err((row.line, format!("{} has rows here and a `struct` of its own", row.ty)));
        }
        shared.used.set(true);
        if shared.open.replace(true) {
            return Err((row.line, format!("{} contains itself", row.ty)));
        }
        let body = self.body(shared.name.clone(), &shared.rows, versions);
        shared.open.set(false);
        body
    }
}

fn entity(row: &Row) -> Result<Option<Entity>, Mistake> {
    let Some(word) = &row.entity else { return Ok(None) };
    match Entity::ALL.iter().find(|(name, _, _)| name == word) {
        Some((_, entity, ty)) if *ty == row.ty => Ok(Some(*entity)),
        Some((_, _, ty)) => Err((row.line, format!("a {word} is of type {ty}, not {}", row.ty))),
        None => {
            let words: Vec<_> = Entity::ALL.iter().map(|(name, _, _)| *name).collect();
            Err((row.line, format!("`{word}` is none of {}", words.join(", "))))
        }
    }
}

fn default(ty: &Type, text: &str, nullable: Versions) -> Option<Value> {
    match (ty, text) {
        (_, "null") => (!nullable.is_empty()).then_some(Value::Null),
        (Type::Bool, "true") => Some(Value::Bool(true)),
        (Type::Bool, "false") => Some(Value::Bool(false)),
        (Type::String, "\"\"") => Some(Value::Text(String::new())),
        (Type::Int { .. }, _) => {
            let (min, max) = ty.range()?;
            let number = match text.split_once('.') {
                Some((name, "min")) if name == ty.to_string() => min,
                Some((name, "max")) if name == ty.to_string() => max,
                _ => text.parse().ok()?,
            };
            (min..=max).contains(&number).then(|| i64::try_from(number).ok().map(Value::Int))?
        }
        (Type::Float64, _) => text.parse::<f64>().ok().map(|number| Value::Float(number.to_bits())),
        _ => None,
    }
}
