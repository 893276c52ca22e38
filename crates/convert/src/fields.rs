//! The members of a settings file, read one by one and by type. None of them is ever a path, a name to import or code.

use std::path::Path;

use serde_json::{Map, Value};
use tlora_checkpoint::read_json_object;

use crate::ConvertError;

/// The settings of one JSON file.
#[derive(Debug)]
pub(crate) struct Fields {
    file: &'static str,
    members: Map<String, Value>,
}

impl Fields {
    /// Reads a file of a directory, if it is there.
    pub(crate) fn read(dir: &Path, file: &'static str) -> Result<Option<Self>, ConvertError> {
        let members = read_json_object(dir, file).map_err(ConvertError::Source)?;
        Ok(members.map(|members| Self { file, members }))
    }

    /// The members of a member that is an object.
    pub(crate) fn object(&self, field: &str) -> Result<Option<Self>, ConvertError> {
        let members = self.optional(field)?;
        Ok(members.map(|members| Self {
            file: self.file,
            members,
        }))
    }

    /// A member that has to be there.
    pub(crate) fn required<T: FromJson>(&self, field: &str) -> Result<T, ConvertError> {
        match self.members.get(field) {
            Some(value) => self.typed(field, value),
            None => Err(ConvertError::MissingField {
                file: self.file,
                field: field.to_owned(),
                wanted: T::WANTED,
            }),
        }
    }

    /// A member that may be missing or null.
    pub(crate) fn optional<T: FromJson>(&self, field: &str) -> Result<Option<T>, ConvertError> {
        match self.members.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => self.typed(field, value).map(Some),
        }
    }

    /// A member as it stands.
    pub(crate) fn raw(&self, field: &str) -> Option<&Value> {
        self.members.get(field)
    }

    fn typed<T: FromJson>(&self, field: &str, value: &Value) -> Result<T, ConvertError> {
        T::from_json(value).ok_or_else(|| self.wrong(field, value, T::WANTED))
    }

    /// The error of a member that is something else.
    pub(crate) fn wrong(&self, field: &str, value: &Value, wanted: &'static str) -> ConvertError {
        ConvertError::FieldType {
            file: self.file,
            field: field.to_owned(),
            found: shown(value),
            wanted,
        }
    }
}

/// A short description of a value.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => {
            format!("the string {:?}", text.chars().take(40).collect::<String>())
        }
        other => other.to_string(),
    }
}

/// A type that a member may have.
pub(crate) trait FromJson: Sized {
    /// What to call it.
    const WANTED: &'static str;

    /// The value, if it is of this type.
    fn from_json(value: &Value) -> Option<Self>;
}

impl FromJson for u64 {
    const WANTED: &'static str = "a whole number";

    fn from_json(value: &Value) -> Option<Self> {
        value.as_u64()
    }
}

impl FromJson for f64 {
    const WANTED: &'static str = "a number";

    fn from_json(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl FromJson for bool {
    const WANTED: &'static str = "true or false";

    fn from_json(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromJson for String {
    const WANTED: &'static str = "a string";

    fn from_json(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromJson for Vec<String> {
    const WANTED: &'static str = "a list of strings";

    fn from_json(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(String::from_json).collect()
    }
}

impl FromJson for Map<String, Value> {
    const WANTED: &'static str = "an object";

    fn from_json(value: &Value) -> Option<Self> {
        value.as_object().cloned()
    }
}

/// A seed as torch takes it: negative ones count from 2⁶⁴ down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seed(pub(crate) u64);

impl FromJson for Seed {
    const WANTED: &'static str = "a whole number of 64 bits";

    fn from_json(value: &Value) -> Option<Self> {
        let negative = || value.as_i64().map(i64::cast_unsigned);
        value.as_u64().or_else(negative).map(Self)
    }
}
