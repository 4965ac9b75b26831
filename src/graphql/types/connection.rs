//! A page of a list: `…Connection`, `…Edge`, `PageInfo`. <https://relay.dev/graphql/connections.htm>

use std::borrow::Cow;

use async_graphql::{Object, ObjectType, OutputType, SimpleObject, TypeName};

/// A page of a list, each item with its cursor.
pub struct Connection<Node: OutputType, Total> {
    edges: Vec<Edge<Node>>,
    total: Total,
    has_previous: bool,
    has_next: bool,
}

impl<Node: OutputType, Total> Connection<Node, Total> {
    /// Of items with their cursors, and whether there are others before and after them.
    pub fn new(items: impl Iterator<Item = (String, Node)>, total: Total, has_previous: bool, has_next: bool) -> Self {
        let edges = items.map(|(cursor, node)| Edge { cursor, node }).collect();
        Self { edges, total, has_previous, has_next }
    }
}

/// A page of a list, in the list's order.
#[Object(name_type)]
impl<Node: OutputType, Total: ObjectType> Connection<Node, Total> {
    /// Where the page lies in the list.
    async fn page_info(&self) -> PageInfo {
        let cursor = |edge: &Edge<Node>| edge.cursor.clone();
        PageInfo {
            has_previous_page: self.has_previous,
            has_next_page: self.has_next,
            start_cursor: self.edges.first().map(cursor),
            end_cursor: self.edges.last().map(cursor),
        }
    }

    /// The page's items, each with its cursor.
    async fn edges(&self) -> &[Edge<Node>] {
        &self.edges
    }

    /// The page's items alone.
    async fn nodes(&self) -> Vec<&Node> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }

    #[graphql(flatten)]
    async fn total(&self) -> &Total {
        &self.total
    }
}

impl<Node: OutputType, Total: ObjectType> TypeName for Connection<Node, Total> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", Node::type_name()).into()
    }
}

/// An item of a page with its cursor.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub struct Edge<Node: OutputType> {
    /// The item's place in the list: give it as `after`, and the items behind it come.
    cursor: String,
    /// The item.
    node: Node,
}

impl<Node: OutputType> TypeName for Edge<Node> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", Node::type_name()).into()
    }
}

/// Where a page lies in its list.
#[derive(SimpleObject)]
pub struct PageInfo {
    /// Whether the list has items before the page, as far as the caller told: true where `after` was given.
    has_previous_page: bool,
    /// Whether the list has items behind the page.
    has_next_page: bool,
    /// The first item's cursor; null on an empty page.
    start_cursor: Option<String>,
    /// The last item's cursor, which as `after` gives the next page; null on an empty page.
    end_cursor: Option<String>,
}
