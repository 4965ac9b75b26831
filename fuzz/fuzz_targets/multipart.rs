//! Any bytes as a multipart form: its reader never panics, gives each fault to the user as one of theirs, and reads the
//! same however the network cuts the bytes.

#![no_main]

use std::io::Read;
use std::sync::LazyLock;

use async_graphql::futures_util::stream;
use async_graphql::{Request, UploadValue};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use vectorforge::error::{Code, Error};
use vectorforge::http::{FormLimits, read_form};

const BOUNDARY: &str = "X";
const LIMITS: FormLimits = FormLimits { files: 4, values: 64 };

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|form: &[u8]| {
    let whole = read(form, form.len().max(1));
    let piece = 1 + form.len() % 7;
    assert_eq!(read(form, piece), whole, "in pieces of {piece}");
});

/// What a client is told, or what is run.
fn read(form: &[u8], piece: usize) -> Result<String, String> {
    let pieces = form.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece)));
    let read = RUNTIME.block_on(read_form(BOUNDARY, stream::iter(pieces.collect::<Vec<_>>()), LIMITS));
    read.map(told).map_err(refused)
}

fn told(request: Request) -> String {
    let Request { query, operation_name, variables, uploads, .. } = request;
    let uploads: Vec<_> = uploads.into_iter().map(upload).collect();
    format!("{query:?} {operation_name:?} {variables:?} {uploads:?}")
}

fn upload(upload: UploadValue) -> (String, Option<String>, Vec<u8>) {
    let UploadValue { filename, content_type, mut content } = upload;
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes).expect("a temporary file");
    (filename, content_type, bytes)
}

fn refused(error: Error) -> String {
    assert!(matches!(error.code, Code::BadUserInput | Code::PayloadTooLarge), "{error:?}");
    format!("{:?} {error}", error.code)
}
