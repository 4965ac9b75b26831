//! The part `map`: which file goes to which places of the variables. `{"0": ["variables.input.documents.0.source.upload"]}`

use async_graphql::{Name, UploadValue, Value, Variables};

use super::super::json::{self, Root};
use super::{FormLimits, too_many};
use crate::error::{Error, Result};

/// The files that the map names, in its order.
pub struct Map {
    files: Vec<MappedFile>,
    received: Vec<Option<UploadValue>>,
}

/// A file by the name of its part, and where it goes.
pub struct MappedFile {
    pub name: String,
    places: Vec<String>,
}

/// A file that the map names.
pub enum Mapped<'a> {
    /// It goes here.
    Missing(&'a mut Option<UploadValue>),
    /// It came before.
    Received,
}

const ROOT: Root = Root { name: "map", prefix: "map." };

impl Map {
    /// Of a part's bytes.
    pub fn read(text: &[u8], limits: FormLimits) -> Result<Self> {
        let limit = limits.files;
        let value = match json::value(ROOT, text, limits.values)? {
            Value::Object(files) => files,
            other => return Err(Error::input("map", json::kind(&other), "an object of lists of paths, by part")),
        };
        if value.len() > limit {
            return Err(too_many("files", limit));
        }
        let files: Vec<_> = value.into_iter().map(|(name, places)| mapped(&name, places)).collect::<Result<_>>()?;
        if files.iter().map(|file| file.places.len()).sum::<usize>() > limit {
            return Err(too_many("places", limit));
        }
        let received = files.iter().map(|_| None).collect();
        Ok(Self { files, received })
    }

    pub fn files(&self) -> &[MappedFile] {
        &self.files
    }

    /// The file of that name; `None` where the map has none.
    pub fn file(&mut self, name: &str) -> Option<Mapped<'_>> {
        let index = self.files.iter().position(|file| file.name == name)?;
        let place = &mut self.received[index];
        Some(if place.is_some() { Mapped::Received } else { Mapped::Missing(place) })
    }

    /// All files, in the map's order.
    pub fn received(self) -> Result<Vec<UploadValue>> {
        let missing = |file: MappedFile| Error::input(file.name, "no part of this name", "the file that the map names");
        let files = self.files.into_iter().zip(self.received);
        files.map(|(file, upload)| upload.ok_or_else(|| missing(file))).collect()
    }
}

fn mapped(name: &Name, places: Value) -> Result<MappedFile> {
    let wrong = |got: &str| Error::input(ROOT.field(name), got, "a list of paths, one at least");
    let Value::List(places) = places else { return Err(wrong(json::kind(&places))) };
    if places.is_empty() {
        return Err(wrong("an empty list"));
    }
    let path = |place| match place {
        Value::String(path) => Ok(path),
        other => Err(wrong(&format!("a list with {}", json::kind(&other)))),
    };
    Ok(MappedFile { name: name.to_string(), places: places.into_iter().map(path).collect::<Result<_>>()? })
}

/// Puts what stands for a file at each of its places. The same file may stand at several.
pub fn put(variables: &mut Variables, file: &MappedFile, placeholder: &Value) -> Result<()> {
    for path in &file.places {
        let wrong = |got: &str| Error::input(ROOT.field(&file.name), got, "paths of nulls, such as variables.file");
        let place = find(variables, path).ok_or_else(|| wrong(&format!("{path}, which is not there")))?;
        if *place != Value::Null {
            return Err(wrong(&format!("{path}, where {} stands", json::kind(place))));
        }
        *place = placeholder.clone();
    }
    Ok(())
}

/// The value at a path from `variables.` on.
fn find<'a>(variables: &'a mut Variables, path: &str) -> Option<&'a mut Value> {
    let mut names = path.strip_prefix("variables.")?.split('.');
    let first = variables.get_mut(names.next()?)?;
    names.try_fold(first, |value, name| match value {
        Value::List(items) => items.get_mut(index(name)?),
        Value::Object(fields) => fields.get_mut(name),
        _ => None,
    })
}

/// Digits only: the parser of numbers would take a sign.
fn index(name: &str) -> Option<usize> {
    name.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.parse().ok())?
}
