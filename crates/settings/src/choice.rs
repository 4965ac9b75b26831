//! Settings that are one name of a fixed list.

use std::fmt;

/// A value that is one of a fixed list of names.
pub(super) trait Choice: Copy + fmt::Display + 'static {
    /// Every choice, in the order in which documentation lists them.
    const ALL: &'static [Self];

    /// The name as it is written in settings.
    fn name(self) -> &'static str;
}

/// The choice of this name, in any case.
pub(super) fn by_name<C: Choice>(name: &str) -> Option<C> {
    C::ALL.iter().copied().find(|choice| choice.name().eq_ignore_ascii_case(name))
}

/// Declares an enum whose variants have names, each said once.
macro_rules! choices {
    ($(#[$outer:meta])* pub enum $type:ident { $($(#[$inner:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($(#[$inner])* $variant,)+ }

        impl Choice for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

choices! {
    /// The least severe level that is logged.
    pub enum LogLevel {
        /// Everything, every poll and frame.
        Trace = "trace",
        /// What a developer needs to follow one request.
        Debug = "debug",
        /// What an operator wants to know.
        Info = "info",
        /// What works, but not as it should.
        Warn = "warn",
        /// What failed.
        Error = "error",
    }
}

choices! {
    /// How a log line is written.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line, for log collectors.
        Json = "json",
    }
}

choices! {
    /// The services that can generate answers.
    pub enum LlmProvider {
        /// OpenAI, and whatever speaks its API.
        OpenAi = "openai",
        /// Anthropic.
        Anthropic = "anthropic",
        /// Google Gemini.
        Google = "google",
        /// Cohere.
        Cohere = "cohere",
        /// A local Ollama server, which needs no key.
        Ollama = "ollama",
    }
}
