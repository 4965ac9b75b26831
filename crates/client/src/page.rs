//! Pages of a list, as the server gives them.

use serde::Deserialize;

/// How many are asked for at once: what a server gives by default.
pub(super) const PAGE: usize = 100;

/// A page of a connection.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    edges: Vec<Edge<T>>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
struct Edge<T> {
    node: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl<T> Page<T> {
    /// What is on it, and after which cursor the next one begins, where there is one.
    pub fn open(self) -> (impl Iterator<Item = T>, Option<String>) {
        let PageInfo { has_next_page, end_cursor } = self.page_info;
        (self.edges.into_iter().map(|edge| edge.node), end_cursor.filter(|_| has_next_page))
    }
}
