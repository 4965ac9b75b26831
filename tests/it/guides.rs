//! The pages for people: what they list is what there is, and their links lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use vectorforge::error::Code;

const METRICS: &str = include_str!("../../src/telemetry/metrics.rs");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

/// What stands in backquotes at the begin of the table rows under a heading.
fn rows(page: &str, heading: &str) -> BTreeSet<String> {
    let text = read(&root().join(page));
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names.map(str::to_owned).collect()
}

#[test]
fn the_api_guide_lists_exactly_the_error_codes_that_there_are() {
    let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(rows("docs/api.md", "Error codes"), codes);
}

#[test]
fn the_operations_guide_lists_exactly_the_metrics_that_are_described() {
    let described = METRICS.split("describe_").skip(1).filter_map(|rest| rest.split('"').nth(1));
    let described: BTreeSet<_> = described.filter(|name| name.starts_with("vectorforge_")).map(str::to_owned).collect();
    assert!(described.len() > 20, "{described:?}");
    assert_eq!(rows("docs/operations.md", "Metrics"), described);
}

/// The pages at the root and in `docs/`.
fn pages() -> Vec<PathBuf> {
    let files = [root().to_owned(), root().join("docs")].map(|dir| fs::read_dir(dir).expect("a directory"));
    let paths = files.into_iter().flatten().map(|file| file.expect("a file").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// The anchors of a page's headings: small letters and digits, spaces as hyphens, nothing else.
fn anchors(page: &str) -> BTreeSet<String> {
    let kept = |c: char| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || matches!(c, '-' | '_') => Some(c.to_ascii_lowercase()),
        _ => None,
    };
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(|heading| heading.chars().filter_map(kept).collect()).collect()
}

#[test]
fn every_link_between_the_pages_leads_to_a_file_and_a_heading() {
    let pages = pages();
    assert!(pages.len() > 8, "{pages:?}");
    for page in &pages {
        let text = read(page);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { page.clone() } else { page.with_file_name(path) };
            assert!(file.exists(), "{}: {target}", page.display());
            assert!(anchor.is_empty() || anchors(&read(&file)).contains(anchor), "{}: {target}", page.display());
        }
    }
}
