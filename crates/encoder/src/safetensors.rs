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

/// How a file writes its numbers. All become 32-bit floats, which hold each of them exactly.
#[derive(Debug, Clone, Copy)]
enum Format {
    F32,
    F16,
    Bf16,
}

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

    /// Takes a tensor out of the file: exactly this name, floats, exactly this shape, every number finite.
    pub(crate) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let expected = format!("tensor {name} of F32, F16 or BF16 {shape:?}");
        let Some(entry) = self.entries.remove(name) else {
            return Err(self.unexpected(format!("no tensor {name}"), expected));
        };
        let Some(format) = Format::of(&entry.dtype).filter(|_| entry.shape == shape) else {
            let found = format!("tensor {name} of {} {:?}", entry.dtype, entry.shape);
            return Err(self.unexpected(found, expected));
        };
        let (begin, end) = entry.data_offsets;
        let bytes_needed = format.byte_len(shape);
        if end > self.data_len || end.checked_sub(begin) != bytes_needed {
            let found = format!("tensor {name} at bytes {begin}..{end} of {}", self.data_len);
            let needed =
                bytes_needed.map_or("a size that exists".to_owned(), |bytes| format!("{bytes} bytes within the file"));
            return Err(self.unexpected(found, needed));
        }
        self.read_floats(name, format, begin, end)
    }

    /// Checks that nothing is left but tensors we know and do not use. A left-over layer means that the file and
    /// `config.json` are of two models, and vectors made without it would be quietly wrong.
    pub(crate) fn finish(self, unused: impl Fn(&str) -> bool) -> Result<(), LoadError> {
        match self.entries.keys().find(|name| !unused(name)) {
            Some(name) => Err(self.unexpected(format!("tensor {name}"), "only the tensors that config.json asks for")),
            None => Ok(()),
        }
    }

    fn read_floats(&mut self, name: &str, format: Format, begin: u64, end: u64) -> Result<Vec<f32>, LoadError> {
        let start = SeekFrom::Start(self.data_start + begin);
        self.file.seek(start).map_err(LoadError::unreadable(&self.path))?;
        let bytes = read_bytes(&self.path, &mut self.file, end - begin)?;
        let floats = format.floats(&bytes);
        match floats.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(self.unexpected(format!("{value} in tensor {name}"), "finite numbers")),
            None => Ok(floats),
        }
    }

    fn unexpected(&self, found: impl Into<String>, expected: impl Into<String>) -> LoadError {
        LoadError::unexpected(&self.path, found, expected)
    }
}

impl Format {
    fn of(dtype: &str) -> Option<Self> {
        match dtype {
            "F32" => Some(Self::F32),
            "F16" => Some(Self::F16),
            "BF16" => Some(Self::Bf16),
            _ => None,
        }
    }

    /// Bytes of a tensor, `None` where the number does not fit.
    fn byte_len(self, shape: &[usize]) -> Option<u64> {
        let number = match self {
            Self::F32 => size_of::<f32>(),
            Self::F16 | Self::Bf16 => size_of::<u16>(),
        };
        let bytes = shape.iter().try_fold(number, |product, &size| product.checked_mul(size))?;
        u64::try_from(bytes).ok()
    }

    fn floats(self, bytes: &[u8]) -> Vec<f32> {
        let halves =
            |float: fn(u16) -> f32| bytes.as_chunks().0.iter().map(|bytes| float(u16::from_le_bytes(*bytes))).collect();
        match self {
            Self::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Self::F16 => halves(float_of_f16),
            Self::Bf16 => halves(float_of_bf16),
        }
    }
}

/// The upper half of a 32-bit float.
fn float_of_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// IEEE 754 binary16: a sign, five bits of exponent that count from -15, ten bits of fraction.
fn float_of_f16(bits: u16) -> f32 {
    let bits = u32::from(bits);
    let (sign, exponent, fraction) = ((bits & 0x8000) << 16, (bits >> 10) & 0x1f, bits & 0x3ff);
    let size = match exponent {
        // Subnormal: the fraction counts in steps of the smallest number, 2 to the power of -24.
        0 => (fraction as f32 / 16_777_216.0).to_bits(),
        // Infinite or not a number, as in 32 bits with all bits of the exponent set.
        31 => 0x7f80_0000 | fraction << 13,
        // The exponent of 32 bits counts from -127.
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | size)
}

fn read_header_len(path: &Path, file: &mut File, file_len: u64) -> Result<u64, LoadError> {
    if file_len < LENGTH_BYTES {
        let found = format!("{file_len} bytes");
        return Err(LoadError::unexpected(path, found, "a safetensors file, which has at least 8"));
    }
    let mut length = [0; size_of::<u64>()];
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
    fn floats_of_two_bytes_become_the_same_numbers() {
        // The largest, the smallest normal and the smallest number of binary16; the same bits as bfloat16.
        let bits = [0x3c00_u16, 0xc000, 0x7bff, 0x0400, 0x0001];
        let power = |exponent| 2_f32.powi(exponent);
        for (dtype, expected) in [
            ("F16", [1.0, -2.0, 65504.0, power(-14), power(-24)]),
            ("BF16", [power(-7), -2.0, 255.0 * power(113), power(-119), power(-126) / 128.0]),
        ] {
            let header = format!(r#"{{"a":{{"dtype":"{dtype}","shape":[5],"data_offsets":[0,10]}}}}"#);
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.extend(bits.iter().flat_map(|bits| bits.to_le_bytes()));
            let found = open(&bytes).and_then(|mut file| file.take("a", &[5])).expect("well formed");
            assert_eq!(found, expected, "{dtype}");
        }
    }

    /// By the definition of the format, in arithmetic of 64 bits.
    #[test]
    fn every_number_of_binary16_is_what_its_bits_say() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
            let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
            let expected = match exponent {
                0 => sign * fraction * 2_f64.powi(-14),
                31 if fraction == 0.0 => sign * f64::INFINITY,
                31 => f64::NAN,
                _ => sign * (1.0 + fraction) * 2_f64.powi(exponent - 15),
            };
            let found = f64::from(float_of_f16(bits));
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{bits:#x}: {found}, {expected}");
            assert_eq!(found.is_sign_negative(), bits >> 15 == 1, "{bits:#x}");
        }
    }

    #[test]
    fn a_tensor_that_differs_is_told_with_name_type_and_shape() {
        let file = || open(&safetensors(&[("a", &[2], vec![1.0, f32::NAN])])).expect("well formed");
        for (name, shape, told) in [
            ("b", [2], "found no tensor b, expected tensor b of F32, F16 or BF16 [2]"),
            ("a", [3], "found tensor a of F32 [2], expected tensor a of F32, F16 or BF16 [3]"),
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
            (r#"{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}}"#.to_owned(), "found tensor a of F64 [2]"),
            (
                r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}}"#.to_owned(),
                "expected 4 bytes within the file",
            ),
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
