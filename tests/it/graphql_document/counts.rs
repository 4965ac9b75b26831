//! The count before expansion equals what expansion gives, and our parser reads what the engine's reads.

use std::sync::LazyLock;

use async_graphql::Variables;
use async_graphql::parser::parse_query;
use proptest::prelude::*;
use vectorforge::graphql::document::{Census, Gate};

/// A selection of a random document.
#[derive(Debug, Clone)]
enum Pick {
    Field {
        is_alias: bool,
        arguments: usize,
        is_directed: bool,
        set: Vec<Pick>,
    },
    Inline {
        is_directed: bool,
        set: Vec<Pick>,
    },
    /// Of a fragment further on, if there is one.
    Spread {
        to: usize,
        is_directed: bool,
    },
}

fn picks() -> impl Strategy<Value = Vec<Pick>> {
    let field = |set: BoxedStrategy<Vec<Pick>>| {
        (any::<bool>(), 0..4_usize, any::<bool>(), set)
            .prop_map(|(is_alias, arguments, is_directed, set)| Pick::Field { is_alias, arguments, is_directed, set })
    };
    let spread = (0..9_usize, any::<bool>()).prop_map(|(to, is_directed)| Pick::Spread { to, is_directed });
    let leaf = prop_oneof![field(Just(Vec::new()).boxed()), spread];
    let pick = leaf.prop_recursive(4, 12, 3, move |inner| {
        let set = prop::collection::vec(inner, 1..4).boxed();
        let inline = (any::<bool>(), set.clone()).prop_map(|(is_directed, set)| Pick::Inline { is_directed, set });
        prop_oneof![field(set), inline]
    });
    prop::collection::vec(pick, 1..4)
}

/// Selection sets: those of operations, and those of fragments.
#[derive(Debug, Clone)]
struct Sets {
    operations: Vec<Vec<Pick>>,
    fragments: Vec<Vec<Pick>>,
}

fn sets() -> impl Strategy<Value = Sets> {
    let (operations, fragments) = (prop::collection::vec(picks(), 1..3), prop::collection::vec(picks(), 0..5));
    (operations, fragments).prop_map(|(operations, fragments)| Sets { operations, fragments })
}

impl Sets {
    /// The fragment that a spread within fragments up to `from` means: a later one, so that there are no circles.
    fn target(&self, from: usize, to: usize) -> Option<usize> {
        (from < self.fragments.len()).then(|| from + to % (self.fragments.len() - from))
    }

    fn text(&self) -> String {
        let operations = self.operations.iter().enumerate();
        let operations = operations.map(|(at, set)| format!("query Q{at}($v: Int @d) {}", self.set_text(set, 0)));
        let fragments = self.fragments.iter().enumerate();
        let fragments = fragments.map(|(at, set)| format!("fragment F{at} on Query {}", self.set_text(set, at + 1)));
        operations.chain(fragments).collect::<Vec<_>>().join("\n")
    }

    fn set_text(&self, set: &[Pick], from: usize) -> String {
        let directive = |is_directed: bool| if is_directed { " @include(if: true)" } else { "" };
        let picks = set.iter().map(|pick| match pick {
            Pick::Field { is_alias, arguments, is_directed, set } => {
                let alias = if *is_alias { "other: " } else { "" };
                let arguments: String = (0..*arguments).map(|at| format!("a{at}: [{at}, {{b: $v}}] ")).collect();
                let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
                let set = if set.is_empty() { String::new() } else { self.set_text(set, from) };
                format!("{alias}field{arguments}{} {set}", directive(*is_directed))
            }
            Pick::Inline { is_directed, set } => format!("...{} {}", directive(*is_directed), self.set_text(set, from)),
            Pick::Spread { to, is_directed } => match self.target(from, *to) {
                Some(to) => format!("...F{to}{}", directive(*is_directed)),
                None => "last".to_owned(),
            },
        });
        format!("{{ {} }}", picks.collect::<Vec<_>>().join(" "))
    }
}

/// What expansion gives, one by one.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    fields: usize,
    aliases: usize,
    spreads: usize,
    directives: usize,
    values: usize,
    uses: usize,
    depth: usize,
    nesting: usize,
    roots: usize,
    comparisons: usize,
}

impl Counted {
    /// Walks a set with every fragment in its place.
    fn walk(&mut self, sets: &Sets, set: &[Pick], from: usize, (depth, nesting): (usize, usize), is_root: bool) {
        self.nesting = self.nesting.max(nesting);
        for pick in set {
            let is_directed = match pick {
                Pick::Field { is_directed, .. } | Pick::Inline { is_directed, .. } => *is_directed,
                Pick::Spread { to, is_directed } => *is_directed && sets.target(from, *to).is_some(),
            };
            (self.directives, self.values) =
                (self.directives + usize::from(is_directed), self.values + 2 * usize::from(is_directed));
            match pick {
                Pick::Field { is_alias, arguments, set, .. } => {
                    self.field(depth + 1, is_root);
                    self.aliases += usize::from(*is_alias);
                    (self.values, self.uses) = (self.values + 5 * arguments, self.uses + arguments);
                    if !set.is_empty() {
                        self.walk(sets, set, from, (depth + 1, nesting + 1), false);
                    }
                }
                Pick::Inline { set, .. } => {
                    self.spreads += 1;
                    self.walk(sets, set, from, (depth, nesting + 1), is_root);
                }
                Pick::Spread { to, .. } => match sets.target(from, *to) {
                    Some(to) => {
                        self.spreads += 1;
                        self.walk(sets, &sets.fragments[to], to + 1, (depth, nesting + 1), is_root);
                    }
                    None => self.field(depth + 1, is_root),
                },
            }
        }
    }

    fn field(&mut self, depth: usize, is_root: bool) {
        self.fields += 1;
        self.roots += usize::from(is_root);
        self.depth = self.depth.max(depth);
    }

    /// What each set that is written compares: all that it comes to without going down.
    fn compare(&mut self, sets: &Sets, set: &[Pick], from: usize) {
        self.comparisons += level(sets, set, from);
        for pick in set {
            if let Pick::Field { set, .. } | Pick::Inline { set, .. } = pick
                && !set.is_empty()
            {
                self.compare(sets, set, from);
            }
        }
    }
}

fn level(sets: &Sets, set: &[Pick], from: usize) -> usize {
    let weights = set.iter().map(|pick| match pick {
        Pick::Field { arguments, .. } => 1 + arguments * arguments + 5 * arguments,
        Pick::Inline { set, .. } => 1 + level(sets, set, from),
        Pick::Spread { to, .. } => 1 + sets.target(from, *to).map_or(0, |to| level(sets, &sets.fragments[to], to + 1)),
    });
    weights.sum()
}

fn expanded(sets: &Sets) -> Counted {
    let mut total = Counted::default();
    for (at, set) in sets.fragments.iter().enumerate() {
        total.walk(sets, set, at + 1, (0, 1), false);
        total.compare(sets, set, at + 1);
    }
    let mut roots = 0;
    for set in &sets.operations {
        let uses = std::mem::take(&mut total.uses);
        total.walk(sets, set, 0, (0, 1), true);
        total.compare(sets, set, 0);
        // One variable is declared, with a directive.
        (total.comparisons, total.directives) = (total.comparisons + total.uses, total.directives + 1);
        total.uses += uses;
        roots = roots.max(std::mem::take(&mut total.roots));
    }
    Counted { roots, ..total }
}

proptest! {
    #[test]
    fn the_count_before_expansion_equals_what_expansion_gives(sets in sets()) {
        let document = parse_query(sets.text()).expect("a document");
        let census = Census::of(&document, &Variables::default()).expect("no circles");
        let Census { fields, aliases, spreads, directives, values, uses, depth, nesting, roots, comparisons, .. } = census;
        let counted = Counted { fields, aliases, spreads, directives, values, uses, depth, nesting, roots, comparisons };
        prop_assert_eq!(counted, expanded(&sets), "{}", sets.text());
    }

    #[test]
    fn our_parser_reads_what_the_engines_reads(sets in sets()) {
        static GATE: LazyLock<Gate> = LazyLock::new(|| super::gate(&[]));
        let ours = GATE.parse(&sets.text()).expect("a document");
        let theirs = parse_query(sets.text()).expect("a document");
        prop_assert_eq!(serde_json::to_value(ours).expect("JSON"), serde_json::to_value(theirs).expect("JSON"));
    }
}

#[test]
fn a_count_beyond_every_number_stays_at_the_greatest() {
    let document = parse_query(super::chain("{ ...F0 }", "Query", "...# ...# ...#", 60)).expect("a document");
    let census = Census::of(&document, &Variables::default()).expect("no circles");
    assert_eq!((census.spreads, census.fields, census.steps()), (usize::MAX, usize::MAX, usize::MAX));
}
