//! Writes and reads messages as the spec says, slowly and plainly.
//!
//! The two directions share nothing but the spec; `tests/vectors` holds both to what Kafka's own classes write.

use super::{Field, Message, Struct, Type, Value};

/// Some bytes of an encoded message, and what they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The first byte behind them.
    pub end: usize,
    /// The struct and the field, from the outermost inwards. The number and size of tagged fields have the field
    /// [`TAGS`].
    pub path: Vec<(String, String)>,
}

/// The name of the place where the tagged fields of a struct are counted and numbered.
pub const TAGS: &str = "tagged fields";

/// The bytes of a message in one version.
pub fn encode(message: &Message, version: i16, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let flexible = message.flexible.has(version);
    Writer { out: &mut out, version, flexible }.body(&message.body, value);
    out
}

/// The message in some bytes, and what each byte belongs to. Unknown tagged fields are skipped.
///
/// # Errors
/// What is wrong with them.
pub fn decode(message: &Message, version: i16, bytes: &[u8]) -> Result<(Value, Vec<Mark>), String> {
    let flexible = message.flexible.has(version);
    let mut reader = Reader { bytes, at: 0, version, flexible, path: Vec::new(), marks: Vec::new() };
    let value = reader.body(&message.body)?;
    if reader.at != bytes.len() {
        return Err(format!("{} bytes are left over", bytes.len() - reader.at));
    }
    Ok((value, reader.marks))
}

/// One field on its own, as [`encode`] would have written it.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode_field(field: &Field, version: i16, flexible: bool, bytes: &[u8]) -> Result<Value, String> {
    let mut reader = Reader { bytes, at: 0, version, flexible, path: Vec::new(), marks: Vec::new() };
    let value = reader.field(field)?;
    if reader.at == bytes.len() { Ok(value) } else { Err(format!("bytes left over behind {}", reader.at)) }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    version: i16,
    flexible: bool,
}

impl Writer<'_> {
    fn body(&mut self, body: &Struct, value: &Value) {
        let Value::Struct(values) = value else { panic!("{value:?} for the struct {}", body.name) };
        assert_eq!(values.len(), body.fields.len(), "a value for each field of {}", body.name);
        let present = || body.fields.iter().zip(values).filter(|(field, _)| field.versions.has(self.version));
        let tagged: Vec<_> = present()
            .filter_map(|(field, value)| (*value != field.default).then_some((field.tag?, field, value)))
            .collect();
        for (field, value) in present().filter(|(field, _)| field.tag.is_none()).collect::<Vec<_>>() {
            self.field(field, value);
        }
        if !self.flexible {
            return;
        }
        self.varint(tagged.len());
        for (tag, field, value) in tagged {
            let mut bytes = Vec::new();
            Writer { out: &mut bytes, version: self.version, flexible: true }.field(field, value);
            self.varint(tag as usize);
            self.varint(bytes.len());
            self.out.extend(bytes);
        }
    }

    fn field(&mut self, field: &Field, value: &Value) {
        let flexible = self.flexible && !field.never_flexible;
        let flexible = std::mem::replace(&mut self.flexible, flexible);
        match (&field.ty, value) {
            (Type::Struct(_), Value::Null) => self.out.push(0xff),
            (Type::Struct(body), value) => {
                if field.nullable.has(self.version) {
                    self.out.push(1);
                }
                self.body(body, value);
            }
            (ty, value) => self.value(ty, value),
        }
        self.flexible = flexible;
    }

    fn value(&mut self, ty: &Type, value: &Value) {
        match (ty, value) {
            (Type::Bool, Value::Bool(yes)) => self.out.push(u8::from(*yes)),
            (Type::Int { bytes, .. }, Value::Int(number)) => {
                self.out.extend(&number.to_be_bytes()[8 - usize::from(*bytes)..]);
            }
            (Type::Float64, Value::Float(bits)) => self.out.extend(bits.to_be_bytes()),
            (Type::Uuid, Value::Uuid(bytes)) => self.out.extend(bytes),
            (_, Value::Null) => self.length(ty, None),
            (Type::String, Value::Text(text)) => {
                self.length(ty, Some(text.len()));
                self.out.extend(text.as_bytes());
            }
            (Type::Bytes | Type::Records, Value::Bytes(bytes)) => {
                self.length(ty, Some(bytes.len()));
                self.out.extend(bytes);
            }
            (Type::List(element), Value::List(list)) => {
                self.length(ty, Some(list.len()));
                list.iter().for_each(|value| self.value(element, value));
            }
            (Type::Struct(body), value) => self.body(body, value),
            _ => panic!("{value:?} for {ty}"),
        }
    }

    /// A length or count: 16 bits for strings, else 32; one more as a varint in flexible versions.
    fn length(&mut self, ty: &Type, length: Option<usize>) {
        match (self.flexible, ty) {
            (true, _) => self.varint(length.map_or(0, |n| n + 1)),
            (false, Type::String) => self.out.extend(length.map_or(-1, |n| n as i16).to_be_bytes()),
            (false, _) => self.out.extend(length.map_or(-1, |n| n as i32).to_be_bytes()),
        }
    }

    fn varint(&mut self, mut number: usize) {
        while number > 0x7f {
            self.out.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    version: i16,
    flexible: bool,
    path: Vec<(String, String)>,
    marks: Vec<Mark>,
}

impl<'a> Reader<'a> {
    fn body(&mut self, body: &Struct) -> Result<Value, String> {
        let mut values: Vec<Value> = body.fields.iter().map(|field| field.default.clone()).collect();
        for (field, value) in body.fields.iter().zip(&mut values) {
            if field.tag.is_none() && field.versions.has(self.version) {
                self.path.push((body.name.clone(), field.name.clone()));
                *value = self.field(field)?;
                self.path.pop();
            }
        }
        if !self.flexible {
            return Ok(Value::Struct(values));
        }
        self.path.push((body.name.clone(), TAGS.to_owned()));
        for _ in 0..self.varint()? {
            let (tag, size) = (self.varint()?, self.varint()?);
            let end = self.at + size;
            let known = |field: &Field| {
                field.tag.map(|tag| tag as usize) == Some(tag) && field.versions.has(self.version)
            };
            match body.fields.iter().position(known) {
                Some(at) => {
                    self.path.push((body.name.clone(), body.fields[at].name.clone()));
                    values[at] = self.field(&body.fields[at])?;
                    self.path.pop();
                }
                None => drop(self.take(size)?),
            }
            if self.at != end {
                return Err(format!("tagged field {tag} ends at {}, its size says {end}", self.at));
            }
        }
        self.path.pop();
        Ok(Value::Struct(values))
    }

    fn field(&mut self, field: &Field) -> Result<Value, String> {
        let flexible = self.flexible && !field.never_flexible;
        let flexible = std::mem::replace(&mut self.flexible, flexible);
        let nullable = field.nullable.has(self.version);
        let value = match &field.ty {
            Type::Struct(_) if nullable && self.take(1)? == [0xff] => Value::Null,
            ty => self.value(ty)?,
        };
        self.flexible = flexible;
        if value == Value::Null && !nullable {
            return Err(format!("null for {}", field.name));
        }
        Ok(value)
    }

    fn value(&mut self, ty: &Type) -> Result<Value, String> {
        Ok(match ty {
            Type::Bool => Value::Bool(self.take(1)? != [0]),
            Type::Int { bytes, signed } => Value::Int(self.int(usize::from(*bytes), *signed)?),
            Type::Float64 => Value::Float(self.int(8, true)? as u64),
            Type::Uuid => Value::Uuid(self.take(16)?.try_into().unwrap_or_default()),
            Type::Struct(body) => self.body(body)?,
            Type::String | Type::Bytes | Type::Records | Type::List(_) => {
                let Some(length) = self.length(ty)? else { return Ok(Value::Null) };
                match ty {
                    Type::List(element) => {
                        Value::List((0..length).map(|_| self.value(element)).collect::<Result<_, _>>()?)
                    }
                    Type::String => Value::Text(
                        String::from_utf8(self.take(length)?.to_vec()).map_err(|error| error.to_string())?,
                    ),
                    _ => Value::Bytes(self.take(length)?.to_vec()),
                }
            }
        })
    }

    fn length(&mut self, ty: &Type) -> Result<Option<usize>, String> {
        let length = match (self.flexible, ty) {
            (true, _) => self.varint()? as i64 - 1,
            (false, Type::String) => self.int(2, true)?,
            (false, _) => self.int(4, true)?,
        };
        Ok(usize::try_from(length).ok())
    }

    fn int(&mut self, bytes: usize, signed: bool) -> Result<i64, String> {
        let mut number = 0i64;
        for byte in self.take(bytes)? {
            number = number << 8 | i64::from(*byte);
        }
        let shift = 64 - 8 * bytes;
        Ok(if signed { number << shift >> shift } else { number })
    }

    fn varint(&mut self) -> Result<usize, String> {
        let rest = &self.bytes[self.at..];
        let long = rest.iter().take_while(|byte| **byte > 0x7f).count() + 1;
        let bytes = self.take(long)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f)))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at + count;
        let bytes = self
            .bytes
            .get(self.at..end)
            .ok_or_else(|| format!("{count} bytes at {} end too early", self.at))?;
        self.at = end;
        if count > 0 {
            self.marks.push(Mark { end, path: self.path.clone() });
        }
        Ok(bytes)
    }
}
