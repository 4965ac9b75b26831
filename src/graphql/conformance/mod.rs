//! What async-graphql 7.2.1 gets wrong of the specification (<https://spec.graphql.org/September2025/>), and nothing else.
//! A file per fault, with the section that it breaks: where an upgrade mends one, its file goes.
//!
//! Before: which operation runs ([`operation`]), what its variables are ([`variables`]), whether values are of their
//! types ([`literals`], [`values`]), whether variables may stand where they do ([`usages`]), what stands at [`typename`]
//! and at a subscription's root ([`subscription`]), which numbers there are ([`numbers`]). The library validates the
//! document as it was written, without running it ([`validator`]), and what it finds is told as ours ([`rules`]). What
//! runs is the operation [rewritten](rewrite): fields [collected](collect), [arguments] without absent variables. After:
//! the answer [completed](complete) to its [shape]. Errors of the library's are put into [words].
//!
//! Documents come here parsed and bounded.

mod arguments;
mod collect;
mod complete;
mod literals;
mod numbers;
mod operation;
mod rewrite;
mod rules;
mod shape;
mod subscription;
mod typename;
mod types;
mod usages;
mod validator;
mod values;
mod variables;
mod walk;
mod words;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType};
use async_graphql::{Executor, Name, Positioned, Request, Response, ServerError, Variables};

pub use types::Types;
pub use validator::ValidateOnly;
pub use words::in_our_words;

use collect::Collector;
use rewrite::Rewriter;
use shape::Shape;
use usages::Usages;

/// An operation that may run.
pub struct Prepared {
    /// What to run.
    pub request: Request,
    /// Its kind.
    pub operation: OperationType,
    shape: Shape,
}

impl Prepared {
    /// Takes the request out, and leaves what completes its answers.
    pub fn split(self) -> (Request, impl Fn(Response) -> Response + Send + 'static) {
        let shape = self.shape;
        (self.request, move |response| complete::complete(&shape, response))
    }
}

/// Makes a parsed document one that the library runs rightly, or says why it cannot run. `validator` is a schema of
/// these types with [`ValidateOnly`].
pub async fn prepare<S: Executor>(
    types: &Types,
    validator: &S,
    document: ExecutableDocument,
    mut request: Request,
) -> Result<Prepared, Vec<ServerError>> {
    let (name, operation) = operation::select(&document, &mut request).map_err(|fault| vec![fault])?;
    none(literals::faults(types, &document))?;
    let usages = Usages::of(types, &document);
    none(usages.faults())?;
    none(subscription::faults(types, &document))?;
    none(variables::coerce(types, &operation.node, &mut request.variables))?;
    let filled = usages.filled(&operation.node, &request.variables);
    let visible = numbers::rounded(typename::visible(&document)?);
    validator::validate(validator, visible, name, filled).await?;
    let (rewritten, shape) =
        rewrite_operation(types, &document, operation, &request.variables).map_err(|fault| vec![fault])?;
    let (kind, name) = (operation.node.ty, name.cloned());
    request.operation_name = name.as_ref().map(ToString::to_string);
    request.set_parsed_query(document_of(name, rewritten));
    Ok(Prepared { request, operation: kind, shape })
}

fn none(faults: Vec<ServerError>) -> Result<(), Vec<ServerError>> {
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn rewrite_operation(
    types: &Types,
    document: &ExecutableDocument,
    operation: &Positioned<OperationDefinition>,
    variables: &Variables,
) -> Result<(Positioned<OperationDefinition>, Shape), ServerError> {
    let collector = Collector { types, fragments: &document.fragments, variables };
    let node = &operation.node;
    let (selection_set, shape) = Rewriter::new(collector).root(node.ty, &node.selection_set)?;
    let rewritten = OperationDefinition {
        ty: node.ty,
        variable_definitions: node.variable_definitions.clone(),
        directives: Vec::new(),
        selection_set,
    };
    Ok((operation.position_node(rewritten), shape))
}

fn document_of(name: Option<Name>, operation: Positioned<OperationDefinition>) -> ExecutableDocument {
    let operations = match name {
        Some(name) => DocumentOperations::Multiple([(name, operation)].into()),
        None => DocumentOperations::Single(operation),
    };
    ExecutableDocument { operations, fragments: Default::default() }
}
