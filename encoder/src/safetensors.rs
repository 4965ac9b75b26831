//! Reads tensors from a safetensors file, and believes nothing in it unchecked.
//!
//! The format: eight bytes with the length of the header (little endian), the header (a JSON object from tensor name to
//! type, shape and byte range), then the bytes of all tensors (<https://github.com/huggingface/safetensors>).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::error::LoadError;

/// Longest header in bytes we read, the same limit that the format's own library sets. A BERT model's has about 11,000.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Bytes of the header's length at the start of the file.
const LENGTH_BYTES: u64 = 8;

/// Bytes of one 32-bit float.
const FLOAT_BYTES: usize = size_of::<f32>();

/// An open safetensors file with the tensors not taken yet.
#[derive(Debug)]
pub(crate) struct TensorFile {
    path: PathBuf,
    file: File,
    data_start: u64,
    data_len: u64,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    /// First byte and the one after the last, counted from the end of the header.
    data_offsets: (u64, u64),
}

impl TensorFile {
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let mut file = File::open(path).map_err(LoadError::unreadable(path))?;
        let file_len = file.metadata().map_err(LoadError::unreadable(path))?.len();
        let header_len = read_header_len(path, &mut file, file_len)?;
        let header = read_bytes(path, &mut file, header_len)?;
        let data_start = LENGTH_BYTES + header_len;
        Ok(Self {
            path: path.to_owned(),
            file,
            data_start,
            data_len: file_len - data_start,
            entries: parse_header(path, &header)?,
        })
    }

    /// Whether there is a tensor of that name that was not taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Takes a tensor out of the file: exactly this name, 32-bit floats, exactly this shape, every number finite.
    pub(crate) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let expected = format!("tensor {name} of F32 {shape:?}");
        let Some(entry) = self.entries.remove(name) else {
            return Err(self.unexpected(format!("no tensor {name}"), expected));
        };
        if entry.dtype != "F32" || entry.shape != shape {
            let found = format!("tensor {name} of {} {:?}", entry.dtype, entry.shape);
            return Err(self.unexpected(found, expected));
        }
        let (begin, end) = entry.data_offsets;
        let bytes_needed = byte_len(shape);
        if end > self.data_len || end.checked_sub(begin) != bytes_needed {
            let found = format!("tensor {name} at bytes {begin}..{end} of {}", self.data_len);
            let needed =
                bytes_needed.map_or("a size that exists".to_owned(), |bytes| format!("{bytes} bytes within the file"));
            return Err(self.unexpected(found, needed));
        }
        self.read_floats(name, begin, end)
    }

    /// Checks that nothing is left but tensors we know and do not use. A left-over layer means that the file and
    /// `config.json` are of two models, and vectors made without it would be quietly wrong.
    pub(crate) fn finish(self, unused: impl Fn(&str) -> bool) -> Result<(), LoadError> {
        match self.entries.keys().find(|name| !unused(name)) {
            Some(name) => Err(self.unexpected(format!("tensor {name}"), "only the tensors that config.json asks for")),
            None => Ok(()),
        }
    }

    fn read_floats(&mut self, name: &str, begin: u64, end: u64) -> Result<Vec<f32>, LoadError> {
        let start = SeekFrom::Start(self.data_start + begin);
        self.file.seek(start).map_err(LoadError::unreadable(&self.path))?;
        let bytes = read_bytes(&self.path, &mut self.file, end - begin)?;
        let (floats, _) = bytes.as_chunks::<FLOAT_BYTES>();
        let floats: Vec<f32> = floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        match floats.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(self.unexpected(format!("{value} in tensor {name}"), "finite numbers")),
            None => Ok(floats),
        }
    }

    fn unexpected(&self, found: impl Into<String>, expected: impl Into<String>) -> LoadError {
        LoadError::unexpected(&self.path, found, expected)
    }
}

/// Bytes of a tensor, `None` where the number does not fit.
fn byte_len(shape: &[usize]) -> Option<u64> {
    let bytes = shape.iter().try_fold(FLOAT_BYTES, |product, &size| product.checked_mul(size))?;
    u64::try_from(bytes).ok()
}

fn read_header_len(path: &Path, file: &mut File, file_len: u64) -> Result<u64, LoadError> {
    if file_len < LENGTH_BYTES {
        let found = format!("{file_len} bytes");
        return Err(LoadError::unexpected(path, found, "a safetensors file, which has at least 8"));
    }
    let mut length = [0; LENGTH_BYTES as usize];
    file.read_exact(&mut length).map_err(LoadError::unreadable(path))?;
    let header_len = u64::from_le_bytes(length);
    let longest = MAX_HEADER_BYTES.min(file_len - LENGTH_BYTES);
    if header_len > longest {
        let found = format!("a header of {header_len} bytes in a file of {file_len}");
        return Err(LoadError::unexpected(path, found, format!("at most {longest}")));
    }
    Ok(header_len)
}

fn read_bytes(path: &Path, file: &mut File, len: u64) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    let read = file.take(len).read_to_end(&mut bytes).map_err(LoadError::unreadable(path))?;
    if read as u64 == len {
        return Ok(bytes);
    }
    Err(LoadError::unexpected(path, format!("the end of the file after {read} bytes"), format!("{len} bytes")))
}

fn parse_header(path: &Path, header: &[u8]) -> Result<BTreeMap<String, Entry>, LoadError> {
    let not_a_header = |cause: serde_json::Error| {
        LoadError::unexpected(path, format!("a malformed header ({cause})"), "a safetensors header")
    };
    let mut tensors: BTreeMap<String, Value> = serde_json::from_slice(header).map_err(not_a_header)?;
    tensors.remove("__metadata__");
    tensors.into_iter().map(|(name, value)| Ok((name, serde_json::from_value(value).map_err(not_a_header)?))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{TempDir, safetensors};

    fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("the system has a temporary directory");
        let path = dir.path().join("model.safetensors");
        std::fs::write(&path, bytes).expect("the temporary directory takes files");
        (dir, path)
    }

    fn open(bytes: &[u8]) -> Result<TensorFile, LoadError> {
        let (_dir, path) = written(bytes);
        TensorFile::open(&path)
    }

    #[test]
    fn a_tensor_comes_back_as_it_was_written() {
        let mut file =
            open(&safetensors(&[("a", &[2], vec![1.0, -2.5]), ("b", &[1, 1], vec![3.0])])).expect("well formed");
        assert_eq!(file.take("b", &[1, 1]).expect("b is there"), [3.0]);
        assert_eq!(file.take("a", &[2]).expect("a is there"), [1.0, -2.5]);
        file.finish(|_| false).expect("both were taken");
    }

    #[test]
    fn a_tensor_that_differs_is_told_with_name_type_and_shape() {
        let file = || open(&safetensors(&[("a", &[2], vec![1.0, f32::NAN])])).expect("well formed");
        for (name, shape, told) in [
            ("b", [2], "found no tensor b, expected tensor b of F32 [2]"),
            ("a", [3], "found tensor a of F32 [2], expected tensor a of F32 [3]"),
            ("a", [2], "found NaN in tensor a, expected finite numbers"),
        ] {
            let sentence = file().take(name, &shape).expect_err("the tensor differs").to_string();
            assert!(sentence.ends_with(told), "{sentence}");
        }
        let sentence = file().finish(|_| false).expect_err("a is left").to_string();
        assert!(
            sentence.ends_with("found tensor a, expected only the tensors that config.json asks for"),
            "{sentence}"
        );
    }

    #[test]
    fn headers_that_lie_about_their_tensors_are_refused() {
        let huge = usize::MAX;
        for (header, told) in [
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,12]}}"#.to_owned(), "tensor a at bytes 0..12 of 8"),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#.to_owned(), "tensor a at bytes 8..0 of 8"),
            (
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#.to_owned(),
                "expected 8 bytes within the file",
            ),
            (r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#.to_owned(), "found tensor a of F16 [2]"),
            (
                format!(r#"{{"a":{{"dtype":"F32","shape":[{huge},2],"data_offsets":[0,8]}}}}"#),
                "found tensor a of F32 [",
            ),
            (r#"{"a":{"dtype":"F32"}}"#.to_owned(), "a malformed header"),
            ("[]".to_owned(), "a malformed header"),
            ("{".to_owned(), "a malformed header"),
        ] {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.extend([0; 8]);
            let sentence =
                open(&bytes).and_then(|mut file| file.take("a", &[2])).expect_err("the header lies").to_string();
            assert!(sentence.contains(told), "{header}: {sentence}");
        }
    }

    #[test]
    fn a_file_too_short_for_its_header_is_refused() {
        for bytes in [&b""[..], b"1234567", b"\x09\0\0\0\0\0\0\0{}", &[0xff; 64]] {
            let sentence = open(bytes).expect_err("the file is too short").to_string();
            assert!(
                sentence.contains("expected a safetensors file") || sentence.contains("expected at most"),
                "{sentence}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_damage_to_a_file_makes_the_reader_panic(cut in 0_usize..200, at in 0_usize..200, byte: u8) {
            let mut bytes = safetensors(&[("a", &[2], vec![1.0, 2.0])]);
            bytes.truncate(bytes.len().saturating_sub(cut % bytes.len()));
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = open(&bytes).and_then(|mut file| file.take("a", &[2]));
        }
    }
}
