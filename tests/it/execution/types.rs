//! What the engine knows of introspection, which the printed schema leaves out.

use async_graphql::{Executor, Request};
use serde_json::{Value as Json, json};

use super::engine;

const INTROSPECTION: &str = include_str!("../../../src/graphql/conformance/introspection.graphql");

#[tokio::test]
async fn introspection_has_the_fields_that_the_library_serves() {
    let ty = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
    let query = format!(
        "{{ __schema {{ types {{ kind name enumValues {{ name }}
            fields {{ name type {{ {ty} }} args {{ name defaultValue type {{ {ty} }} }} }} }} }} }}"
    );
    let response = engine().execute(Request::new(query)).await;
    let data = serde_json::to_value(&response.data).expect("JSON");
    let types = data["__schema"]["types"].as_array().expect("types");
    let own = types.iter().filter(|it| it["name"].as_str().is_some_and(|name| name.starts_with("__")));
    let mut shown: Vec<String> = own.map(show).collect();
    shown.sort();
    assert!(shown.len() >= 8, "{shown:?}");
    let mut known = declared();
    known.sort();
    assert_eq!(known, shown);
}

/// A type of introspection on one line.
fn show(it: &Json) -> String {
    let list = |key: &str| it[key].as_array().cloned().unwrap_or_default();
    let mut members: Vec<String> = list("enumValues").iter().map(|value| text(&value["name"])).collect();
    members.extend(list("fields").iter().map(|field| {
        let arguments = field["args"].as_array().expect("arguments").iter();
        let arguments: Vec<String> = arguments
            .map(|it| format!("{}: {} = {}", text(&it["name"]), show_type(&it["type"]), text(&it["defaultValue"])))
            .collect();
        let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        format!("{}{arguments}: {}", text(&field["name"]), show_type(&field["type"]))
    }));
    members.sort();
    format!("{}: {}", text(&it["name"]), members.join(" | "))
}

fn show_type(ty: &Json) -> String {
    match ty["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", show_type(&ty["ofType"])),
        Some("LIST") => format!("[{}]", show_type(&ty["ofType"])),
        _ => text(&ty["name"]),
    }
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

/// The same of the file.
fn declared() -> Vec<String> {
    let body = |block: &str| block.rsplit_once('}').map(|(inner, _)| inner.to_owned()).unwrap_or_default();
    let lines: String =
        INTROSPECTION.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let objects = lines.split("type ").skip(1).map(|block| {
        let (name, rest) = block.split_once(" {").expect("a body");
        let rest = body(rest.split("enum ").next().expect("a part"));
        let mut members: Vec<String> =
            rest.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
        members.sort();
        format!("{name}: {}", members.join(" | "))
    });
    let enums = lines.split("enum ").skip(1).map(|block| {
        let (name, rest) = block.split_once(" {").expect("a body");
        let mut members: Vec<String> = body(rest).split_whitespace().map(str::to_owned).collect();
        members.sort();
        format!("{name}: {}", members.join(" | "))
    });
    objects.chain(enums).collect()
}

#[test]
fn the_file_of_introspection_is_read() {
    assert!(declared().iter().any(|it| it.starts_with("__Type: ")), "{:?}", json!(declared()));
}
