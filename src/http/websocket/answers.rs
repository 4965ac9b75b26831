//! What an operation answers: results and one end.

use std::panic::AssertUnwindSafe;

use async_graphql::{Response, ServerError};
use futures_util::stream::{self, BoxStream, Stream};
use futures_util::{FutureExt, StreamExt};

use crate::error::Error;
use crate::graphql::server_error;
use crate::http::operation::is_refusal;

/// One message about an operation.
#[derive(Debug)]
pub enum Answer {
    /// A result.
    Next(Response),
    /// It could not be run; nothing follows.
    Error(Vec<ServerError>),
    /// It has ended; nothing follows.
    Complete,
}

impl Answer {
    /// Whether nothing follows.
    pub fn is_last(&self) -> bool {
        !matches!(self, Self::Next(_))
    }
}

enum Progress {
    First(BoxStream<'static, Response>),
    Later(BoxStream<'static, Response>),
    Over,
}

/// The answers of an operation from the engine's responses. One that panics takes no other with it.
pub fn answers(responses: BoxStream<'static, Response>) -> impl Stream<Item = Answer> + Send {
    stream::unfold(Progress::First(responses), |progress| async {
        let (mut responses, is_first) = match progress {
            Progress::First(responses) => (responses, true),
            Progress::Later(responses) => (responses, false),
            Progress::Over => return None,
        };
        let next = AssertUnwindSafe(responses.next()).catch_unwind().await;
        let last = match next {
            Ok(Some(response)) if is_first && is_refusal(&response) => Answer::Error(response.errors),
            Ok(Some(response)) => return Some((Answer::Next(response), Progress::Later(responses))),
            Ok(None) => Answer::Complete,
            Err(_) => {
                let panic = Error::internal("run the operation", anyhow::anyhow!("it panicked"));
                Answer::Error(vec![server_error(&panic, None)])
            }
        };
        Some((last, Progress::Over))
    })
}

#[cfg(test)]
mod tests {
    use async_graphql::{PathSegment, Value};

    use super::*;

    async fn told(responses: impl Stream<Item = Response> + Send + 'static) -> Vec<&'static str> {
        let name = |answer: Answer| match answer {
            Answer::Next(_) => "next",
            Answer::Error(_) => "error",
            Answer::Complete => "complete",
        };
        answers(responses.boxed()).map(name).collect().await
    }

    fn refused() -> Response {
        Response::from_errors(vec![ServerError::new("no such field", None)])
    }

    fn failed() -> Response {
        let mut error = ServerError::new("no such run", None);
        error.path.push(PathSegment::Field("ingestProgress".to_owned()));
        Response::from_errors(vec![error])
    }

    #[tokio::test]
    async fn what_cannot_be_run_is_one_error_and_what_ran_is_results_and_an_end() {
        let result = || Response::new(Value::Null);
        assert_eq!(told(stream::iter([refused()])).await, ["error"]);
        assert_eq!(told(stream::iter([result(), result()])).await, ["next", "next", "complete"]);
        assert_eq!(told(stream::iter([failed()])).await, ["next", "complete"]);
        assert_eq!(told(stream::iter([result(), refused()])).await, ["next", "next", "complete"]);
        assert_eq!(told(stream::empty()).await, ["complete"]);
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let broken = stream::iter([0, 1]).map(|turn| if turn == 0 { Response::default() } else { panic!("broken") });
        assert_eq!(told(broken).await, ["next", "error"]);
    }
}
