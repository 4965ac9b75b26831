//! Any text before the pass over documents: it never panics, what it counts is what writing the fragments out gives, and
//! what it admits is validated by the engine within the time limit of the fuzzer.

#![no_main]

use std::sync::LazyLock;

use async_graphql::futures_util::FutureExt;
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Request, Variables};
use libfuzzer_sys::fuzz_target;
use settings::{Config, Machine, Sources};
use vectorforge::graphql::document::{Census, Gate};
use vectorforge::graphql::{AppSchema, builder};

static SCHEMA: LazyLock<AppSchema> = LazyLock::new(|| builder().finish());

static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let machine = Machine { cores: 2, root: true, home: None, xdg_data_home: None };
    let config = Config::load(&Sources::default(), &machine).expect("the defaults are valid");
    Gate::new(config.graphql, &*SCHEMA)
});

fuzz_target!(|text: &str| {
    let Ok(document) = GATE.read(text, &Variables::default()) else { return };
    let census = Census::of(&document, &Variables::default()).expect("it was admitted");
    assert_eq!(census.fields, written_out(&document), "{text}");
    // No operation has this name: the engine validates all of them and runs none.
    let mut request = Request::new(text).operation_name("no name of an operation");
    request.set_parsed_query(document);
    let answer = SCHEMA.execute(request).now_or_never().expect("validation waits for nothing");
    assert!(answer.is_err(), "{text}");
});

/// Fields of all definitions, each fragment walked wherever it is spread.
fn written_out(document: &ExecutableDocument) -> usize {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    operations.chain(fragments).map(|set| fields(document, set)).sum()
}

fn fields(document: &ExecutableDocument, set: &SelectionSet) -> usize {
    let counts = set.items.iter().map(|selection| match &selection.node {
        Selection::Field(field) => 1 + fields(document, &field.node.selection_set.node),
        Selection::InlineFragment(fragment) => fields(document, &fragment.node.selection_set.node),
        Selection::FragmentSpread(spread) => {
            let fragment = document.fragments.get(&spread.node.fragment_name.node);
            fragment.map_or(0, |fragment| fields(document, &fragment.node.selection_set.node))
        }
    });
    counts.sum()
}
