//! Which of our media types to answer in.

use axum::http::{HeaderMap, header};

use super::header::{Item, split};

/// The answer's media type under the current draft.
pub const RESPONSE_TYPE: &str = "application/graphql-response+json";
/// The older one, which every client reads.
pub const JSON_TYPE: &str = "application/json";

/// One media range that the caller takes.
struct Range {
    name: String,
    /// From 0, which is "not this one", to 1.
    quality: f32,
}

/// The media type to answer in: the one that the caller likes best, then the one that it names, then the one that it names
/// first. `None` where it takes none of ours.
pub fn answer_type(headers: &HeaderMap) -> Option<&'static str> {
    let ranges: Vec<Range> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split(value, ','))
        .map(Range::parse)
        .collect();
    if ranges.is_empty() {
        return Some(JSON_TYPE);
    }
    // The last of equals wins, and where nothing is named, what every client reads.
    let liked = [RESPONSE_TYPE, JSON_TYPE].into_iter().filter_map(|ours| Some((rank(&ranges, ours)?, ours)));
    liked.max_by(|(one, _), (two, _)| one.partial_cmp(two).expect("qualities are numbers")).map(|(_, ours)| ours)
}

/// As [`answer_type`], for refusals that must be said somehow.
pub fn answer_type_or_json(headers: &HeaderMap) -> &'static str {
    answer_type(headers).unwrap_or(JSON_TYPE)
}

/// The value of `Content-Type`.
pub fn content_type(answer_type: &'static str) -> String {
    format!("{answer_type}; charset=utf-8")
}

/// How much a type is liked: quality, how closely it is named, and how early. `None` where it is not taken. The closest
/// range decides, as RFC 9110 says (12.5.1): `*/*, application/json;q=0` takes anything but JSON.
fn rank(ranges: &[Range], ours: &str) -> Option<(f32, usize, isize)> {
    let named = |closeness: usize| {
        let name = [ours, "application/*", "*/*"][closeness];
        let place = ranges.iter().position(|range| range.name == name)?;
        let earliness = if closeness == 0 { -place.cast_signed() } else { 0 };
        Some((ranges[place].quality, 2 - closeness, earliness))
    };
    (0..3).find_map(named).filter(|(quality, ..)| *quality > 0.0)
}

impl Range {
    fn parse(text: &str) -> Self {
        let item = Item::parse(text);
        let quality = item.all("q").first().and_then(|q| q.parse::<f32>().ok()).filter(|q| (0.0..=1.0).contains(q));
        Self { name: item.name, quality: quality.unwrap_or(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_decides_then_closeness_then_order() {
        for (accept, expected) in [
            ("", Some(JSON_TYPE)),
            ("*/*", Some(JSON_TYPE)),
            ("application/*;q=0.1", Some(JSON_TYPE)),
            ("application/graphql-response+json, application/json;q=0.9", Some(RESPONSE_TYPE)),
            ("application/json;q=0.9, application/graphql-response+json", Some(RESPONSE_TYPE)),
            ("application/json, application/graphql-response+json;q=0.9", Some(JSON_TYPE)),
            ("application/json, application/graphql-response+json", Some(JSON_TYPE)),
            ("application/graphql-response+json, application/json", Some(RESPONSE_TYPE)),
            ("application/graphql-response+json, */*", Some(RESPONSE_TYPE)),
            ("*/*, application/graphql-response+json", Some(RESPONSE_TYPE)),
            ("application/graphql-response+json;q=0, application/json", Some(JSON_TYPE)),
            ("application/json;q=0, */*", Some(RESPONSE_TYPE)),
            ("application/json; Q=\"0\" , */*", Some(RESPONSE_TYPE)),
            ("application/json;q=0.0", None),
            ("*/*;q=0", None),
            ("text/html", None),
            ("text/html, Application/JSON;charset=utf-8;q=0.5", Some(JSON_TYPE)),
            ("text/x;a=\", application/json\"", None),
            ("application/json;q=high", Some(JSON_TYPE)),
            (",", Some(JSON_TYPE)),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a value"))]);
            assert_eq!(answer_type(&headers), expected, "{accept}");
        }
        assert_eq!(answer_type(&HeaderMap::new()), Some(JSON_TYPE));
    }
}
