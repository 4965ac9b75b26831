//! Services over the network, and how to reach them.

use crate::kind::secret;
use crate::reader::{Reader, settings};
use crate::secret::Secret;

settings! {
    /// Services outside; a key is used only where its provider is chosen.
    pub struct ProvidersSettings["providers"] {}
    with {
        /// `providers.openai.*`
        pub openai: OpenAiSettings,
        /// `providers.anthropic.*`
        pub anthropic: AnthropicSettings,
        /// `providers.cohere.*`
        pub cohere: CohereSettings,
        /// `providers.voyage.*`
        pub voyage: VoyageSettings,
        /// `providers.google.*`
        pub google: GoogleSettings,
    }
}

settings! {
    /// OpenAI.
    pub struct OpenAiSettings["providers.openai"] {
        /// API key, used when OpenAI embeds or generates.
        pub api_key: Option<Secret> = secret().alias(&["OPENAI_API_KEY"]).optional(),
    }
}

settings! {
    /// Anthropic.
    pub struct AnthropicSettings["providers.anthropic"] {
        /// API key, used when Anthropic generates.
        pub api_key: Option<Secret> = secret().alias(&["ANTHROPIC_API_KEY"]).optional(),
    }
}

settings! {
    /// Cohere.
    pub struct CohereSettings["providers.cohere"] {
        /// API key, used when Cohere embeds or generates.
        pub api_key: Option<Secret> = secret().alias(&["COHERE_API_KEY", "CO_API_KEY"]).optional(),
    }
}

settings! {
    /// Voyage.
    pub struct VoyageSettings["providers.voyage"] {
        /// API key, used when Voyage embeds.
        pub api_key: Option<Secret> = secret().alias(&["VOYAGE_API_KEY"]).optional(),
    }
}

settings! {
    /// Google.
    pub struct GoogleSettings["providers.google"] {
        /// API key, used when Google embeds or generates.
        pub api_key: Option<Secret> = secret().alias(&["GOOGLE_API_KEY", "GEMINI_API_KEY"]).optional(),
    }
}
