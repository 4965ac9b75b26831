//! One error type for the whole house: whose fault it is, a stable code, and what was being done.
//!
//! The caller of the API sees `message`, `code`, and the field; never the cause. The cause goes to the log.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use models::ModelFault;

use crate::causes::chain;

/// Stable codes, the same in GraphQL `extensions.code`, logs and metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The caller's value has the wrong shape or range; the field is named. So for what variables are, and for numbers
    /// beyond their range wherever they stand.
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
    /// Some documents of a source could not be taken in, or none.
    SourceIncomplete,
    /// A web page of another origin asks, which the settings do not allow.
    ForeignOrigin,
    /// The request is for a host that this server does not answer for.
    HostNotAllowed,
    /// A multipart request without the header that makes browsers ask before they send it.
    PreflightRequired,
    /// Only the hash of a query came; the message is the one that clients look for.
    PersistedQueryNotSupported,
    /// More connections are open than the limit allows.
    TooManyConnections,
    /// More operations run over WebSockets than the limit allows.
    TooManySubscriptions,
    /// The GraphQL document does not parse or does not fit the schema: whichever rule of validation it breaks.
    InvalidDocument,
    /// The text of the GraphQL document is longer than the limit; so for each of the following.
    QueryTooLong,
    /// Words and signs of its text.
    TooManyTokens,
    /// A name in it.
    NameTooLong,
    /// Brackets, or fields, nest deeper.
    QueryTooDeep,
    /// Operations beside each other.
    TooManyOperations,
    /// Definitions of fragments.
    TooManyFragments,
    /// Declared variables.
    TooManyVariables,
    /// Fields, with fragments written out; so for each of the following.
    TooManyFields,
    /// Places of fragments.
    TooManySpreads,
    /// Renamed fields.
    TooManyAliases,
    /// Fields of an operation itself.
    TooManyRootFields,
    /// Directives.
    TooManyDirectives,
    /// Values that introspection gives.
    IntrospectionTooLarge,
    /// Steps that validation takes.
    ValidationTooCostly,
    /// Fields times the rows asked for.
    QueryTooComplex,
    /// The answer is larger than the limit; the operation was executed.
    AnswerTooLarge,
    /// Further errors were left out of the answer.
    TooManyErrors,
    /// Something we depend on (database, model, provider) does not answer now; trying again may help.
    Unavailable,
    /// The disk under the database, or under this process, is full: nothing can be written until somebody makes room.
    StorageFull,
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
    /// Every code: what a metric's label may be.
    pub const ALL: [Self; 40] = [
        Self::BadUserInput,
        Self::NotFound,
        Self::AlreadyExists,
        Self::DimensionMismatch,
        Self::PayloadTooLarge,
        Self::UnsupportedContentType,
        Self::SourceIncomplete,
        Self::ForeignOrigin,
        Self::HostNotAllowed,
        Self::PreflightRequired,
        Self::PersistedQueryNotSupported,
        Self::TooManyConnections,
        Self::TooManySubscriptions,
        Self::InvalidDocument,
        Self::QueryTooLong,
        Self::TooManyTokens,
        Self::NameTooLong,
        Self::QueryTooDeep,
        Self::TooManyOperations,
        Self::TooManyFragments,
        Self::TooManyVariables,
        Self::TooManyFields,
        Self::TooManySpreads,
        Self::TooManyAliases,
        Self::TooManyRootFields,
        Self::TooManyDirectives,
        Self::IntrospectionTooLarge,
        Self::ValidationTooCostly,
        Self::QueryTooComplex,
        Self::AnswerTooLarge,
        Self::TooManyErrors,
        Self::Unavailable,
        Self::StorageFull,
        Self::ProviderUnavailable,
        Self::RateLimited,
        Self::Timeout,
        Self::WorkerLost,
        Self::LeaseLost,
        Self::Interrupted,
        Self::Internal,
    ];

    /// The code as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::DimensionMismatch => "DIMENSION_MISMATCH",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::UnsupportedContentType => "UNSUPPORTED_CONTENT_TYPE",
            Self::SourceIncomplete => "SOURCE_INCOMPLETE",
            Self::ForeignOrigin => "FOREIGN_ORIGIN",
            Self::HostNotAllowed => "HOST_NOT_ALLOWED",
            Self::PreflightRequired => "PREFLIGHT_REQUIRED",
            Self::PersistedQueryNotSupported => "PERSISTED_QUERY_NOT_SUPPORTED",
            Self::TooManyConnections => "TOO_MANY_CONNECTIONS",
            Self::TooManySubscriptions => "TOO_MANY_SUBSCRIPTIONS",
            Self::InvalidDocument => "GRAPHQL_VALIDATION_FAILED",
            Self::QueryTooLong => "QUERY_TOO_LONG",
            Self::TooManyTokens => "TOO_MANY_TOKENS",
            Self::NameTooLong => "NAME_TOO_LONG",
            Self::QueryTooDeep => "QUERY_TOO_DEEP",
            Self::TooManyOperations => "TOO_MANY_OPERATIONS",
            Self::TooManyFragments => "TOO_MANY_FRAGMENTS",
            Self::TooManyVariables => "TOO_MANY_VARIABLES",
            Self::TooManyFields => "TOO_MANY_FIELDS",
            Self::TooManySpreads => "TOO_MANY_SPREADS",
            Self::TooManyAliases => "TOO_MANY_ALIASES",
            Self::TooManyRootFields => "TOO_MANY_ROOT_FIELDS",
            Self::TooManyDirectives => "TOO_MANY_DIRECTIVES",
            Self::IntrospectionTooLarge => "INTROSPECTION_TOO_LARGE",
            Self::ValidationTooCostly => "VALIDATION_TOO_COSTLY",
            Self::QueryTooComplex => "QUERY_TOO_COMPLEX",
            Self::AnswerTooLarge => "ANSWER_TOO_LARGE",
            Self::TooManyErrors => "TOO_MANY_ERRORS",
            Self::Unavailable => "UNAVAILABLE",
            Self::StorageFull => "STORAGE_FULL",
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
        matches!(self, Self::Timeout | Self::WorkerLost | Self::Internal) || self.is_outage() || self.is_providers()
    }

    /// Whether what all work stands on is missing: then no single piece of it is at fault.
    pub fn is_outage(self) -> bool {
        matches!(self, Self::Unavailable | Self::StorageFull)
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
                | Self::SourceIncomplete
                | Self::ForeignOrigin
                | Self::HostNotAllowed
                | Self::PreflightRequired
                | Self::PersistedQueryNotSupported
                | Self::TooManyConnections
                | Self::TooManySubscriptions
                | Self::InvalidDocument
                | Self::QueryTooLong
                | Self::TooManyTokens
                | Self::NameTooLong
                | Self::QueryTooDeep
                | Self::TooManyOperations
                | Self::TooManyFragments
                | Self::TooManyVariables
                | Self::TooManyFields
                | Self::TooManySpreads
                | Self::TooManyAliases
                | Self::TooManyRootFields
                | Self::TooManyDirectives
                | Self::IntrospectionTooLarge
                | Self::ValidationTooCostly
                | Self::QueryTooComplex
                | Self::AnswerTooLarge
                | Self::TooManyErrors
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
    is_logged: AtomicBool,
}

/// Result with our error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Longest echo of a caller's value in an error, in characters: enough to recognise it, too short to fill a log.
const GOT_LIMIT: usize = 80;

impl Error {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            field: None,
            got: None,
            expected: None,
            retry_after: None,
            cause: None,
            is_logged: AtomicBool::new(false),
        }
    }

    /// A caller's value is wrong: names the field, what came and what was expected.
    pub fn input(field: impl Into<String>, got: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self::refused(Code::BadUserInput, field, got, expected)
    }

    /// As [`Error::input`], where `fault` says in one sentence itself what came and what was expected.
    pub fn fault(field: impl Into<String>, fault: impl fmt::Display) -> Self {
        let field = field.into();
        let mut error = Self::new(Code::BadUserInput, format!("{field}: {fault}"));
        error.field = Some(field);
        error
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

    /// Only the hash of a query came. The message is the one by which Apollo's clients know to send the text.
    pub fn persisted_query_not_supported() -> Self {
        Self::new(Code::PersistedQueryNotSupported, "PersistedQueryNotSupported")
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

    /// The disk is full. `doing` ends the sentence "could not …". Told by who watches the disk ([`crate::store::disk`]),
    /// once, and not by everyone who meets it.
    pub fn storage_full(doing: &str, cause: impl Into<anyhow::Error>) -> Self {
        let sentence = format!("could not {doing}: the disk of the database is full; it goes on when there is room");
        let mut error = Self::new(Code::StorageFull, sentence);
        error.cause = Some(cause.into());
        error.is_logged = AtomicBool::new(true);
        error
    }

    /// Our fault. `doing` ends the sentence "could not …".
    pub fn internal(doing: &str, cause: impl Into<anyhow::Error>) -> Self {
        let mut error = Self::new(Code::Internal, format!("could not {doing}: internal error"));
        error.cause = Some(cause.into());
        error
    }

    /// Part of a source, or all of it, could not be taken in; `message` is one sentence.
    pub fn source_incomplete(message: String) -> Self {
        Self::new(Code::SourceIncomplete, message)
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

    /// Whether the caller is the first to ask, and so the one who logs it.
    pub fn claim_log(&self) -> bool {
        !self.is_logged.swap(true, Ordering::Relaxed)
    }

    /// Its causes as one line.
    pub fn causes(&self) -> Option<String> {
        self.cause.as_ref().map(|cause| chain(cause.as_ref()))
    }

    /// The process stops.
    pub fn interrupted() -> Self {
        Self::new(Code::Interrupted, "the process is stopping")
    }
}

/// The value cut to [`GOT_LIMIT`] characters, control characters escaped.
pub(crate) fn shorten(value: &str) -> String {
    let mut short = String::new();
    for (count, character) in value.chars().enumerate() {
        match character {
            _ if count == GOT_LIMIT => {
                short.push('…');
                break;
            }
            character if character.is_control() => short.extend(character.escape_debug()),
            character => short.push(character),
        }
    }
    short
}

impl From<ModelFault> for Error {
    fn from(fault: ModelFault) -> Self {
        match fault {
            ModelFault::Unavailable(cause) => Self::unavailable("embed the text", cause),
            ModelFault::ProviderUnavailable { provider, cause } => Self::provider_unavailable(&provider, cause),
            ModelFault::RateLimited { provider, retry_after } => Self::rate_limited(&provider, retry_after),
        }
    }
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
