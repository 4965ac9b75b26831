//! Sources as a caller of the API would name them, the hostile one too.

mod directory;
mod url;

use serde_json::json;

use super::*;

#[test]
fn a_source_is_tagged_json_and_nothing_unknown_is_read_over() {
    let directory = Source::Directory { path: "/srv/notes".into() };
    let urls = Source::Urls { urls: vec!["https://example.org/".to_owned()] };
    for (source, written) in [
        (directory, json!({"kind": "directory", "path": "/srv/notes"})),
        (urls, json!({"kind": "urls", "urls": ["https://example.org/"]})),
    ] {
        assert_eq!(serde_json::to_value(&source).unwrap(), written);
        assert_eq!(serde_json::from_value::<Source>(written.clone()).unwrap(), source);
        let mut with_more = written;
        with_more["recursive"] = json!(false);
        assert!(serde_json::from_value::<Source>(with_more).is_err());
    }
    for text in [json!({"kind": "bucket"}), json!({"kind": "urls"}), json!({"path": "/"})] {
        assert!(serde_json::from_value::<Source>(text).is_err());
    }
}
