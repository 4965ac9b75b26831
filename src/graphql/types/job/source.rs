//! `SourceReport`

use async_graphql::{Context, Description, Enum, Object, SimpleObject};

use crate::graphql::check;
use crate::graphql::context::ContextExt;
use crate::graphql::fault::{OrFault, Result};
use crate::graphql::loader::RunById;
use crate::graphql::types::collection::page_cost;
use crate::graphql::types::run::Run;
use crate::id::Kind;
use crate::ingest::pull::{self, FAILURES_TOLD, Outcome, Report};
use crate::queue::steps::StepRow;
use crate::store::entity::job::Model;

/// What a job of the kind `ingest_source` came to; while it is tried again, what its last attempt did.
#[derive(Description)]
pub struct SourceReport(Report);

impl SourceReport {
    /// The report of a job that has one, from what is stored of its steps.
    pub fn of(job: &Model, steps: &[StepRow]) -> Option<Self> {
        let step = steps.iter().find(|step| job.kind == pull::KIND.name && step.name == pull::SUBMIT)?;
        Report::of(step.result.as_ref()?).map(Self)
    }
}

#[Object(use_type_description)]
impl SourceReport {
    /// How much of the source was taken in.
    async fn outcome(&self) -> SourceOutcome {
        self.0.outcome().into()
    }

    /// Files or URLs that there were to read.
    async fn found(&self) -> usize {
        self.0.found
    }

    /// Documents that are new, or are tried again after a failure.
    async fn accepted(&self) -> usize {
        self.0.accepted
    }

    /// Documents with new content.
    async fn replaced(&self) -> usize {
        self.0.replaced
    }

    /// Documents with the content that they had.
    async fn unchanged(&self) -> usize {
        self.0.unchanged
    }

    /// Documents that were deleted, because they have gone from the source; 0 unless the schedule says `prune`.
    async fn pruned(&self) -> usize {
        self.0.pruned
    }

    /// Files, directories and URLs that could not be taken in.
    async fn failed(&self) -> usize {
        self.0.failed
    }

    /// Which, and why; the first of them.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn failures(
        &self,
        #[graphql(default = 100, desc = "How many, 1-1,000; no more are kept.")] first: i32,
    ) -> Result<Vec<SourceFailure>> {
        let first = check::page_size("first", first, FAILURES_TOLD).or_fault()?;
        Ok(self.0.failures.iter().take(first as usize).cloned().map(Into::into).collect())
    }

    /// The runs that index what is new; those that are removed are left out.
    #[graphql(complexity = "10 * child_complexity + 1")]
    async fn runs(&self, ctx: &Context<'_>) -> Result<Vec<Run>> {
        let ids: Vec<_> = self.0.runs.iter().filter_map(|id| Kind::Run.decode("runs", id).ok()).collect();
        let mut found = ctx.loader().load_many(ids.iter().copied().map(RunById)).await.or_fault()?;
        Ok(ids.into_iter().filter_map(|id| found.remove(&RunById(id))).map(Run).collect())
    }
}

/// How much of a source was taken in.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Outcome")]
pub enum SourceOutcome {
    /// All that there was.
    Complete,
    /// Something; the rest is told in `failures`.
    Partial,
    /// Nothing: the job is `DEAD`, or is tried again.
    Failed,
}

/// Something of a source that could not be taken in.
#[derive(SimpleObject)]
pub struct SourceFailure {
    /// The URL or the path.
    uri: String,
    /// Stable code, such as `NOT_FOUND` or `UNSUPPORTED_CONTENT_TYPE`.
    code: String,
    /// One sentence.
    message: String,
}

impl From<pull::Failure> for SourceFailure {
    fn from(failure: pull::Failure) -> Self {
        let pull::Failure { uri, code, message } = failure;
        Self { uri, code, message }
    }
}
