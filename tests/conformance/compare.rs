//! What differs between two descriptions of a message.

use crate::support::reader::{Field, Message, Struct, Type};

/// How names are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Letter for letter, those of structs too.
    Exact,
    /// `snake_case` with `CamelCase`, and fields only: what a struct is called is not on the wire.
    Apache,
}

/// Every difference of a spec to another description of the message, each with the path of its field.
pub fn messages(ours: &Message, theirs: &Message, names: Names) -> Vec<String> {
    let mut found = Differences { found: Vec::new(), names };
    found.check(&ours.body.name, "versions", ours.versions, theirs.versions);
    found.check(&ours.body.name, "flexible versions", ours.flexible, theirs.flexible);
    found.bodies(&ours.body.name, &ours.body, &theirs.body);
    found.found
}

struct Differences {
    found: Vec<String>,
    names: Names,
}

impl Differences {
    fn check<T: PartialEq + std::fmt::Debug>(&mut self, path: &str, what: &str, ours: T, theirs: T) {
        if ours != theirs {
            self.found.push(format!("{path}: {what} {ours:?}, theirs {theirs:?}"));
        }
    }

    fn bodies(&mut self, path: &str, ours: &Struct, theirs: &Struct) {
        if self.names == Names::Exact {
            self.check(path, "struct", &ours.name, &theirs.name);
        }
        let how = self.names;
        let name = |field: &Field| match how {
            Names::Exact => field.name.clone(),
            Names::Apache => field.name.replace('_', "").to_lowercase(),
        };
        let names = |body: &Struct| body.fields.iter().map(name).collect::<Vec<_>>();
        self.check(path, "fields in order", names(ours), names(theirs));
        for field in &ours.fields {
            if let Some(other) = theirs.fields.iter().find(|other| name(other) == name(field)) {
                self.fields(&format!("{path}.{}", field.name), field, other);
            }
        }
    }

    fn fields(&mut self, path: &str, ours: &Field, theirs: &Field) {
        self.check(path, "versions", ours.versions, theirs.versions);
        self.check(path, "null in versions", ours.nullable, theirs.nullable);
        self.check(path, "tag", ours.tag, theirs.tag);
        self.check(path, "default", &ours.default, &theirs.default);
        self.check(path, "ignorable", ours.ignorable, theirs.ignorable);
        self.check(path, "key", ours.key, theirs.key);
        self.check(path, "never flexible", ours.never_flexible, theirs.never_flexible);
        self.check(path, "entity", ours.entity, theirs.entity);
        self.types(path, &ours.ty, &theirs.ty);
    }

    fn types(&mut self, path: &str, ours: &Type, theirs: &Type) {
        match (ours, theirs) {
            (Type::List(ours), Type::List(theirs)) => self.types(&format!("{path}[]"), ours, theirs),
            (Type::Struct(ours), Type::Struct(theirs)) => self.bodies(path, ours, theirs),
            _ => self.check(path, "type", ours, theirs),
        }
    }
}
