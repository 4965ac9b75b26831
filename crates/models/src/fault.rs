//! Why a model gave no vectors. The texts are never at fault: any string has one.

use std::time::Duration;

use crate::local::EmbedError;

/// Why texts could not be embedded. Each may be another time.
#[derive(Debug, thiserror::Error)]
pub enum ModelFault {
    /// The model cannot work now, or is not there.
    #[error("the model cannot work now")]
    Unavailable(#[source] anyhow::Error),
    /// A provider does not answer, or with a fault of its own.
    #[error("the provider {provider} does not answer now")]
    ProviderUnavailable {
        /// Its name, as [`crate::provider_of`] has it.
        provider: String,
        /// What became of the call.
        #[source]
        cause: anyhow::Error,
    },
    /// A provider wants to be asked less often.
    #[error("the provider {provider} wants to be asked less often")]
    RateLimited {
        /// Its name, as [`crate::provider_of`] has it.
        provider: String,
        /// How long it wants to be left alone, where it says so.
        retry_after: Option<Duration>,
    },
}

impl From<EmbedError> for ModelFault {
    fn from(error: EmbedError) -> Self {
        Self::Unavailable(error.into())
    }
}
