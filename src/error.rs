//! One error type for the whole house: whose fault it is, a stable code, and what was being done.
//!
//! The caller of the API sees `message`, `code`, and the field; never the cause. The cause goes to the log.

use std::fmt;
use std::time::Duration;

/// Stable codes, the same in GraphQL `extensions.code`, logs and metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The caller's value has the wrong shape or range; the field is named.
    BadUserInput,
    /// No such thing for this tenant.
    NotFound,
    /// A thing of that name is there already.
    AlreadyExists,
    /// A vector's length differs from the collection's dimensions.
    DimensionMismatch,
    /// More bytes or items than the limit allows.
    PayloadTooLarge,
    /// The format is not one that can be loaded.
    UnsupportedContentType,
    /// Something we depend on (database, model, provider) does not answer now; trying again may help.
    Unavailable,
    /// A provider does not answer, or with a fault of its own; trying again may help.
    ProviderUnavailable,
    /// A provider wants to be asked less often.
    RateLimited,
    /// It took longer than its limit.
    Timeout,
    /// A job's worker was killed, cut off or stalled; another one goes on.
    WorkerLost,
    /// A job's lease went to another worker; its work is given up.
    LeaseLost,
    /// The process is stopping; the work goes on elsewhere or later.
    Interrupted,
    /// Our fault.
    Internal,
}

impl Code {
    /// The code as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::DimensionMismatch => "DIMENSION_MISMATCH",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::UnsupportedContentType => "UNSUPPORTED_CONTENT_TYPE",
            Self::Unavailable => "UNAVAILABLE",
            Self::ProviderUnavailable => "PROVIDER_UNAVAILABLE",
            Self::RateLimited => "RATE_LIMITED",
            Self::Timeout => "TIMEOUT",
            Self::WorkerLost => "WORKER_LOST",
            Self::LeaseLost => "LEASE_LOST",
            Self::Interrupted => "INTERRUPTED",
            Self::Internal => "INTERNAL",
        }
    }

    /// Whether doing the same again later may succeed. Decides between retry and fail for a job.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::Timeout | Self::WorkerLost | Self::Internal) || self.is_providers()
    }

    /// Whether a provider is at fault: then its circuit counts it.
    pub fn is_providers(self) -> bool {
        matches!(self, Self::ProviderUnavailable | Self::RateLimited)
    }

    /// Whether the caller can mend it. Such errors are not logged as faults of ours.
    pub fn is_callers(self) -> bool {
        matches!(
            self,
            Self::BadUserInput
                | Self::NotFound
                | Self::AlreadyExists
                | Self::DimensionMismatch
                | Self::PayloadTooLarge
                | Self::UnsupportedContentType
        )
    }
}

/// What went wrong.
#[derive(Debug)]
pub struct Error {
    /// Stable code.
    pub code: Code,
    /// One sentence for the caller.
    pub message: String,
    /// The input field, as a dotted path from the operation's argument: `input.documents.3.title`.
    pub field: Option<String>,
    /// What came, shortened.
    pub got: Option<String>,
    /// What was expected.
    pub expected: Option<Box<str>>,
    /// How long the provider wants to be left alone.
    pub retry_after: Option<Duration>,
    /// For the log only.
    pub cause: Option<anyhow::Error>,
}

/// Result with our error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Longest echo of a caller's value in an error, in characters: enough to recognise it, too short to fill a log.
const GOT_LIMIT: usize = 80;

impl Error {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, got: None, expected: None, retry_after: None, cause: None }
    }

    /// A caller's value is wrong: names the field, what came and what was expected.
    pub fn input(field: impl Into<String>, got: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self::refused(Code::BadUserInput, field, got, expected)
    }

    /// As [`Error::input`], with a code of its own.
    pub fn refused(code: Code, field: impl Into<String>, got: impl fmt::Display, expected: impl Into<String>) -> Self {
        let (field, got, expected) = (field.into(), shorten(&got.to_string()), expected.into());
        let mut error = Self::new(code, format!("{field}: got {got}, expected {expected}"));
        error.field = Some(field);
        error.got = Some(got);
        error.expected = Some(expected.into());
        error
    }

    /// Nothing of that id is there for this tenant.
    pub fn not_found(field: impl Into<String>, what: &str, id: impl fmt::Display) -> Self {
        let field = field.into();
        let mut error = Self::new(Code::NotFound, format!("{field}: no {what} with id {id}"));
        error.field = Some(field);
        error.got = Some(id.to_string());
        error
    }

    /// Something we depend on does not answer now. `doing` ends the sentence "could not …".
    pub fn unavailable(doing: &str, cause: impl Into<anyhow::Error>) -> Self {
        let mut error = Self::new(Code::Unavailable, format!("could not {doing}; try again later"));
        error.cause = Some(cause.into());
        error
    }

    /// Our fault. `doing` ends the sentence "could not …".
    pub fn internal(doing: &str, cause: impl Into<anyhow::Error>) -> Self {
        let mut error = Self::new(Code::Internal, format!("could not {doing}: internal error"));
        error.cause = Some(cause.into());
        error
    }

    /// A provider does not answer, or with a fault of its own.
    pub fn provider_unavailable(provider: &str, cause: impl Into<anyhow::Error>) -> Self {
        let mut error = Self::new(Code::ProviderUnavailable, format!("the provider {provider} does not answer now"));
        error.cause = Some(cause.into());
        error
    }

    /// A provider wants to be asked less often.
    pub fn rate_limited(provider: &str, retry_after: Option<Duration>) -> Self {
        let mut error = Self::new(Code::RateLimited, format!("the provider {provider} wants to be asked less often"));
        error.retry_after = retry_after;
        error
    }

    /// `what` took longer than `limit`.
    pub fn timeout(what: &str, limit: Duration) -> Self {
        Self::new(Code::Timeout, format!("{what} took longer than its limit of {} ms", limit.as_millis()))
    }

    /// Nobody renewed the job's lease in time.
    pub fn worker_lost() -> Self {
        Self::new(Code::WorkerLost, "its worker was lost")
    }

    /// The job's lease is held by somebody else now.
    pub fn lease_lost() -> Self {
        Self::new(Code::LeaseLost, "the job's lease was lost to another worker")
    }

    /// The process stops.
    pub fn interrupted() -> Self {
        Self::new(Code::Interrupted, "the process is stopping")
    }
}

/// The value in quotes, cut to [`GOT_LIMIT`] characters, control characters escaped.
fn shorten(value: &str) -> String {
    let mut short: String = value.chars().take(GOT_LIMIT).flat_map(char::escape_debug).collect();
    if value.chars().nth(GOT_LIMIT).is_some() {
        short.push('…');
    }
    short
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn std::error::Error + 'static))
    }
}
