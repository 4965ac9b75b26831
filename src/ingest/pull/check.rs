//! Whether a source may be read at all.

use std::collections::HashSet;
use std::path::PathBuf;

use fetch::{Directory, FetchFault, FetchFaultKind, Reach, Roots, Source};
use settings::SourceSettings;

use crate::error::{Code, Error, Result};

/// Longest URL as it is written, in characters: that of a document's source.
const URL_LIMIT: usize = 2_048;

/// Refuses a source that may not be read; `field` is its path in the input. Gives it with its URLs in their usual
/// form, each once.
pub async fn check(settings: &SourceSettings, field: &str, source: &Source) -> Result<Source> {
    match source {
        Source::Directory { path } => {
            open(settings, &format!("{field}.directory"), path.clone()).await?;
            Ok(source.clone())
        }
        Source::Urls { urls } => check_urls(settings, &format!("{field}.urls"), urls),
    }
}

fn check_urls(settings: &SourceSettings, field: &str, urls: &[String]) -> Result<Source> {
    let most = settings.documents_limit;
    if urls.is_empty() {
        return Err(Error::input(field, "none", format!("1 to {most} URLs")));
    }
    if urls.len() > most {
        let got = format!("{} URLs", urls.len());
        return Err(Error::refused(Code::PayloadTooLarge, field, got, format!("at most {most}")));
    }
    let reach = Reach::new(settings.allow_private_addresses);
    let mut checked = Vec::with_capacity(urls.len());
    let mut seen = HashSet::new();
    for (index, url) in urls.iter().enumerate() {
        let refused = |why: &str| Error::input(format!("{field}.{index}"), url, format!("a URL to fetch: {why}"));
        if url.chars().count() > URL_LIMIT {
            return Err(refused(&format!("at most {URL_LIMIT} characters")));
        }
        let url: String = reach.check(url).map_err(|fault| refused(&fault.message))?.into();
        if seen.insert(url.clone()) {
            checked.push(url);
        }
    }
    Ok(Source::Urls { urls: checked })
}

/// Opens a directory on a thread that may block.
pub(super) async fn open(settings: &SourceSettings, field: &str, path: PathBuf) -> Result<Directory> {
    let roots = Roots::new(settings.directories.clone());
    let shown = path.display().to_string();
    let opened = blocking(move || roots.open(&path)).await?;
    opened.map_err(|fault| refusal(field, &shown, &fault))
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| Error::internal("read the source", panic))
}

/// A source as a whole that cannot be read.
pub(super) fn refusal(field: &str, got: &str, fault: &FetchFault) -> Error {
    match fault.kind {
        FetchFaultKind::Transient { .. } => Error::unavailable("read the source", fault.clone()),
        FetchFaultKind::NotAllowed => Error::input(
            field,
            got,
            "an absolute path under a directory that the operator allows (`source.directories`)",
        ),
        _ => Error::input(field, got, format!("a directory to read: {}", fault.message)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn urls_are_kept_once_each_and_one_that_may_not_be_fetched_is_named() {
        let settings = SourceSettings {
            directories: Vec::new(),
            allow_private_addresses: false,
            timeout: Duration::from_secs(1),
            documents_limit: 3,
        };
        let check = |urls: &[&str]| {
            let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
            check_urls(&settings, "urls", &urls)
        };
        let kept = check(&["http://a.org#x", "HTTP://A.org/"]).expect("fetched");
        assert_eq!(kept, Source::Urls { urls: vec!["http://a.org/".to_owned()] });
        for (urls, field) in [
            (&[][..], "urls"),
            (&["http://a.org"; 4], "urls"),
            (&["http://a.org", "ftp://a.org"], "urls.1"),
            (&["http://127.0.0.1/"], "urls.0"),
            (&["a.org"], "urls.0"),
        ] {
            let refused = check(urls).expect_err("refused");
            assert_eq!(refused.field.as_deref(), Some(field), "{urls:?}");
        }
    }
}
