//! A schema with a field for each way to fail, to be slow, and to take a value.

use std::sync::atomic::{AtomicI32, Ordering};

use async_graphql::{
    Context, Enum, InputObject, Interface, Object, OneofObject, Result, Schema, SchemaBuilder, Subscription, Union,
};
use futures_util::stream::{self, Stream};

pub type TestSchema = Schema<Query, Mutation, Ticks>;

/// With a counter of its own that mutations change.
pub fn builder() -> SchemaBuilder<Query, Mutation, Ticks> {
    Schema::build(Query, Mutation, Ticks).data(AtomicI32::new(0)).register_output_type::<Named>()
}

/// Any object of a tree.
pub struct Tree {
    depth: i32,
}

#[Object]
impl Tree {
    async fn depth(&self) -> i32 {
        self.depth
    }
    async fn sure(&self) -> Result<i32> {
        fail()
    }
    async fn maybe(&self) -> Result<Option<i32>> {
        fail()
    }
    async fn not_a_number(&self) -> f64 {
        f64::NAN
    }
    async fn child(&self) -> Option<Tree> {
        Some(Tree { depth: self.depth + 1 })
    }
    async fn must(&self) -> Tree {
        Tree { depth: self.depth + 1 }
    }
    async fn absent(&self) -> Option<Tree> {
        None
    }
    /// Each second one fails where `half` is asked.
    async fn list(&self) -> Option<Vec<Tree>> {
        Some(twigs())
    }
    async fn must_list(&self) -> Vec<Tree> {
        twigs()
    }
    async fn loose(&self) -> Vec<Option<Tree>> {
        twigs().into_iter().map(Some).chain([None]).collect()
    }
    async fn half(&self) -> Result<i32> {
        if self.depth % 2 == 0 { Ok(self.depth) } else { fail() }
    }
    /// Done later than those after it.
    async fn slow(&self) -> i32 {
        late().await
    }
}

fn twigs() -> Vec<Tree> {
    (0..3).map(|depth| Tree { depth }).collect()
}

fn fail<T>() -> Result<T> {
    Err("failed".into())
}

async fn late() -> i32 {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    1
}

pub struct Cat;

#[Object]
impl Cat {
    async fn name(&self) -> String {
        "cat".to_owned()
    }
    async fn lives(&self) -> Result<i32> {
        Ok(9)
    }
}

pub struct Dog;

#[Object]
impl Dog {
    async fn name(&self) -> String {
        late().await;
        "dog".to_owned()
    }
    async fn lives(&self) -> Result<i32> {
        fail()
    }
    async fn barks(&self) -> bool {
        true
    }
    async fn friend(&self) -> Named {
        Named::Cat(Cat)
    }
}

#[derive(Interface)]
#[graphql(field(name = "name", ty = "String"), field(name = "lives", ty = "i32"))]
pub enum Named {
    Cat(Cat),
    Dog(Dog),
}

#[derive(Union)]
pub enum Pet {
    Cat(Cat),
    Dog(Dog),
}

#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    Red,
    Blue,
}

#[derive(InputObject, Debug)]
pub struct PaintInput {
    #[graphql(default_with = "Colour::Blue")]
    colour: Colour,
    #[graphql(default = 3)]
    coats: Option<i32>,
    #[graphql(default = 4)]
    layers: i32,
    inner: Option<Box<PaintInput>>,
    name: Option<String>,
}

#[derive(OneofObject, Debug)]
pub enum ChoiceInput {
    Number(i32),
    Text(String),
}

pub struct Query;

#[Object]
impl Query {
    async fn tree(&self) -> Option<Tree> {
        Some(Tree { depth: 0 })
    }
    async fn must_tree(&self) -> Tree {
        Tree { depth: 0 }
    }
    async fn first(&self) -> i32 {
        late().await
    }
    async fn second(&self) -> i32 {
        2
    }
    async fn pets(&self) -> Vec<Pet> {
        vec![Pet::Cat(Cat), Pet::Dog(Dog)]
    }
    async fn named(&self) -> Vec<Option<Named>> {
        vec![Some(Named::Dog(Dog)), None, Some(Named::Cat(Cat))]
    }
    async fn nullable(&self, #[graphql(default = 5)] n: Option<i32>) -> String {
        format!("{n:?}")
    }
    async fn defaulted(&self, #[graphql(default = 7)] n: i32) -> String {
        n.to_string()
    }
    async fn loosely(&self, #[graphql(default = 7)] n: i32) -> Option<String> {
        Some(n.to_string())
    }
    async fn required(&self, n: i32) -> String {
        n.to_string()
    }
    async fn numbers(&self, list: Vec<Option<i32>>) -> String {
        format!("{list:?}")
    }
    async fn strict(&self, list: Vec<i32>) -> String {
        format!("{list:?}")
    }
    async fn paint(&self, input: PaintInput) -> String {
        input.shown()
    }
    async fn choose(&self, input: ChoiceInput) -> String {
        format!("{input:?}")
    }
    async fn colour(&self, colour: Colour) -> String {
        format!("{colour:?}")
    }
}

impl PaintInput {
    fn shown(&self) -> String {
        let inner = self.inner.as_ref().map_or(String::new(), |inner| inner.shown());
        format!("{:?} {:?} {} {:?} [{inner}]", self.colour, self.coats, self.layers, self.name)
    }
}

pub struct Mutation;

#[Object]
impl Mutation {
    /// The counter after it.
    async fn add(&self, ctx: &Context<'_>, n: i32) -> Result<i32> {
        let counter = ctx.data::<AtomicI32>()?;
        Ok(counter.fetch_add(n, Ordering::SeqCst) + n)
    }
    async fn slow_add(&self, ctx: &Context<'_>, n: i32) -> Result<i32> {
        late().await;
        self.add(ctx, n).await
    }
    async fn fail(&self) -> Result<i32> {
        fail()
    }
    async fn fail_softly(&self) -> Result<Option<i32>> {
        fail()
    }
}

/// The subscription's root.
pub struct Ticks;

#[Subscription(name = "Ticks")]
impl Ticks {
    async fn ticks(&self, #[graphql(default = 2)] times: i32) -> impl Stream<Item = Tree> {
        stream::iter((0..times).map(|depth| Tree { depth }))
    }
    async fn others(&self) -> impl Stream<Item = i32> {
        stream::iter([1])
    }
}
