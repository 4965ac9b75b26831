//! A deterministic embedder, for tests only: texts that share words are near each other.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use models::{Embedded, Embedder, ModelFault, Purpose, Readiness, Tokenize};

use super::holder::{Holder, Words};

/// Its name.
pub const MODEL: &str = "test/words";
/// Its dimensions.
pub const DIMENSIONS: u8 = 64;

/// Counts what it embeds, and can be told to hang or to fail.
#[derive(Default)]
pub struct WordEmbedder {
    /// Each text of a document is noted here, one line of hexadecimal SHA-256 each: survives a killed process.
    pub log: Option<PathBuf>,
    /// After so many calls it hangs for ever: a process that is to be killed in the middle.
    pub hang_after: Option<usize>,
    /// So many calls fail first, as a provider does that is down.
    pub failures: AtomicUsize,
    /// The next calls for documents fail so, one each.
    pub faults: Mutex<VecDeque<ModelFault>>,
    /// While it is set, every call for documents fails, as those of a provider that is down do.
    pub is_down: AtomicBool,
    /// Calls so far.
    pub calls: AtomicUsize,
    /// Most tokens of a chunk that it reads; none: any number. More are cut off, as a real model does.
    pub longest: Option<u32>,
    /// A call with a text that has this word in it panics, as a faulty library does.
    pub panics_at: Option<String>,
    /// While it is shut, documents wait to be embedded; queries pass.
    pub gate: Gate,
    /// Holds threads that cut documents.
    pub holder: Arc<Holder>,
}

/// Holds what comes while it is shut. Open at first.
pub struct Gate {
    is_shut: tokio::sync::watch::Sender<bool>,
    /// Who may pass while it is shut.
    tickets: tokio::sync::Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self { is_shut: tokio::sync::watch::Sender::default(), tickets: tokio::sync::Semaphore::new(0) }
    }
}

impl Gate {
    /// Whatever comes now waits.
    pub fn shut(&self) {
        self.is_shut.send_replace(true);
    }

    /// Whatever waits goes on.
    pub fn open(&self) {
        self.is_shut.send_replace(false);
    }

    /// One of those that wait goes on, or the next to come.
    pub fn pass_one(&self) {
        self.tickets.add_permits(1);
    }

    async fn pass(&self) {
        let mut is_shut = self.is_shut.subscribe();
        tokio::select! {
            biased;
            open = is_shut.wait_for(|is_shut| !is_shut) => drop(open.expect("the gate outlives who waits at it")),
            ticket = self.tickets.acquire() => ticket.expect("the gate outlives who waits at it").forget(),
        }
    }
}

#[async_trait]
impl Embedder for WordEmbedder {
    fn model(&self) -> &str {
        MODEL
    }

    fn dimensions(&self) -> u32 {
        DIMENSIONS.into()
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Embedded>, ModelFault> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.hang_after.is_some_and(|limit| call >= limit) {
            std::future::pending::<()>().await;
        }
        if purpose == Purpose::Document {
            self.gate.pass().await;
        }
        if purpose == Purpose::Document {
            if self.is_down.load(Ordering::SeqCst) {
                let cause = anyhow::anyhow!("told to be down");
                return Err(ModelFault::ProviderUnavailable { provider: "test".to_owned(), cause });
            }
            let fault = self.faults.lock().expect("nobody panics here").pop_front();
            if let Some(error) = fault {
                return Err(error);
            }
        }
        let is_poison = |text: &String| self.panics_at.as_ref().is_some_and(|word| text.contains(word));
        assert!(!texts.iter().any(is_poison), "told to panic");
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(ModelFault::Unavailable(anyhow::anyhow!("told to fail")));
        }
        if let (Some(log), Purpose::Document) = (&self.log, purpose) {
            note(log, &texts);
        }
        Ok(texts.iter().map(|text| embed(text)).collect())
    }

    async fn tokenizer(&self) -> Result<Arc<dyn Tokenize>, ModelFault> {
        Ok(Arc::new(Words::new(self.holder.clone())))
    }

    fn longest_chunk(&self) -> Option<u32> {
        self.longest
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }
}

/// One write per call, so that lines of two processes do not mix.
fn note(log: &PathBuf, texts: &[String]) {
    use sha2::{Digest, Sha256};
    let lines: String = texts.iter().map(|text| format!("{}\n", hex::encode(Sha256::digest(text)))).collect();
    let mut file = OpenOptions::new().create(true).append(true).open(log).expect("the log opens");
    file.write_all(lines.as_bytes()).expect("the log is written");
}

/// The vector of a text: a count of its words by hash, of length one.
pub fn embed(text: &str) -> Embedded {
    let mut vector = vec![0.0_f32; DIMENSIONS.into()];
    let mut tokens = 0;
    for word in text.split_whitespace() {
        let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
        });
        let place = u8::try_from(hash % u64::from(DIMENSIONS)).expect("below it");
        vector[usize::from(place)] += 1.0;
        tokens += 1;
    }
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|x| *x /= norm);
    Embedded { vector, tokens, truncated: false }
}
