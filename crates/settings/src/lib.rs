//! Settings: read from every source, checked all at once, and never changed afterwards.
//!
//! Defaults, config file, `.env`, environment, command line: the later wins. Each setting is declared once, in
//! `sections`, and its documentation is generated from there. [`Config::load`] sees only its arguments and the files of
//! secrets that they name; [`Sources::of_process`] and [`Machine::of_process`] gather them at the edge.

mod choice;
mod document;
mod fault;
mod kind;
mod layer;
mod machine;
mod reader;
mod runtime;
mod secret;
mod sections;
mod sources;
#[cfg(test)]
mod tests;
mod unread;
mod web;

pub use choice::{LlmProvider, LogFormat, LogLevel};
pub use fault::{ConfigFaults, Fault};
pub use machine::Machine;
pub use runtime::runtime_dirs;
pub use secret::{REDACTED, Secret, SecretUrl, redact_url};
pub use sections::*;
pub use sources::{ConfigFile, Sources, parse_override};
pub use unread::Unread;
pub use web::{Authority, HostRule, Origin, host_of_setting};

use document::Document;
use reader::Reader;

/// Exit code of a process whose settings are faulty (`EX_CONFIG` of BSD's `sysexits.h`).
pub const EXIT_CONFIG: u8 = 78;

impl Config {
    /// Reads and checks every setting.
    ///
    /// # Errors
    /// All faults of all sources together; nothing is left to be found at a second try.
    pub fn load(sources: &Sources, machine: &Machine) -> Result<Self, ConfigFaults> {
        let (layers, faults) = sources.layers();
        let mut reader = Reader::new(&layers, machine, faults);
        let config = Self::read(&mut reader);
        config.require_consistency(&mut reader);
        reader.finish()?;
        Ok(config)
    }

    fn require_consistency(&self, reader: &mut Reader<'_>) {
        let Self { chunking, queue, schedule, index, .. } = self;
        reader.require(chunking.overlap <= chunking.size / 2, "chunking.overlap", "at most half of", "chunking.size");
        let twice_the_heartbeat = queue.heartbeat * 2;
        reader.require(twice_the_heartbeat < queue.lease, "queue.heartbeat_ms", "less than half of", "queue.lease_ms");
        reader.require(
            queue.backoff_base <= queue.backoff_max,
            "queue.backoff_base_ms",
            "at most",
            "queue.backoff_max_ms",
        );
        let two_ticks = schedule.tick * 2;
        reader.require(two_ticks < schedule.lease, "schedule.tick_ms", "less than half of", "schedule.lease_ms");
        reader.require(
            schedule.lease <= schedule.missed_grace,
            "schedule.lease_ms",
            "no longer than",
            "schedule.missed_grace_s",
        );
        // pgvector refuses such an index, but only when the first one is built.
        reader.require(
            index.hnsw_ef_construction >= 2 * index.hnsw_m,
            "index.hnsw_ef_construction",
            "at least twice",
            "index.hnsw_m",
        );
    }

    /// What an operator looks for in the log after a start, by name; secrets are redacted.
    pub fn summary(&self) -> Vec<(&'static str, String)> {
        let or = |value: Option<String>, otherwise: &str| value.unwrap_or_else(|| otherwise.to_owned());
        let database = or(self.database.url.as_ref().map(ToString::to_string), "embedded");
        let pool = format!("{}+{}", self.database.pool_size, self.database.pool_overflow);
        let object_store = or(self.object_store.url.as_ref().map(ToString::to_string), "none");
        let filter = or(self.log.filter.clone(), &self.log.level.to_string());
        vec![
            ("http", format!("{}:{}", self.http.host, self.http.port)),
            ("data_dir", self.data_dir.display().to_string()),
            ("database", database),
            ("pool", pool),
            ("object_store", object_store),
            ("embedding_threads", self.embedding.threads.to_string()),
            ("llm", or(self.llm.provider.map(|provider| provider.to_string()), "none")),
            ("provider_keys", self.provider_keys().join(",")),
            ("workers", self.queue.workers.to_string()),
            ("log", format!("{filter} {}", self.log.format)),
        ]
    }

    /// Tells the log, once at start, what this process was set to do and what it therefore cannot do.
    pub fn log_summary(&self) {
        let parts: Vec<_> = self.summary().iter().map(|(name, value)| format!("{name}={value}")).collect();
        tracing::info!(settings = parts.join(" "), "settings read");
        if !self.unread.keys().is_empty() {
            let unread = self.unread.keys().join(" ");
            tracing::warn!(unread, "settings were given that nothing reads yet: their features have not landed");
        }
        if self.llm.provider.is_none() {
            tracing::warn!("generation disabled: no LLM is configured");
        }
        if self.object_store.url.is_none() {
            tracing::info!("no object store is configured: originals stay in PostgreSQL");
        }
    }

    /// The names of the providers that have a key.
    fn provider_keys(&self) -> Vec<&'static str> {
        let ProvidersSettings { openai, anthropic, cohere, voyage, google } = &self.providers;
        let keys = [
            ("openai", &openai.api_key),
            ("anthropic", &anthropic.api_key),
            ("cohere", &cohere.api_key),
            ("voyage", &voyage.api_key),
            ("google", &google.api_key),
        ];
        keys.into_iter().filter(|(_, key)| key.is_some()).map(|(name, _)| name).collect()
    }

    /// The text of `.env.example`: every setting with its default, unit and reason.
    pub fn env_example() -> String {
        document::env_example(&documents())
    }

    /// Every setting as a Markdown table, for `docs/settings.md`.
    pub fn markdown_table() -> String {
        document::markdown_table(&documents())
    }
}

/// Reading is what declares the settings, so reading nothing documents them all.
fn documents() -> Vec<Document> {
    let nowhere = Machine { cores: 1, root: true, home: None, xdg_data_home: None };
    let mut reader = Reader::new(&[], &nowhere, Vec::new());
    Config::read(&mut reader);
    reader.documents
}
