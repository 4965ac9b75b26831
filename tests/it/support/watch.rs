//! What a test's own thread does: the SQL statements it runs and the errors it logs.
//!
//! Works in tests of `#[tokio::test]`'s default flavour, whose every task runs on the test's thread; so tests beside it
//! are not counted. Statements need the setting `database.statement_log=true`.

use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// The driver's target for statements.
const STATEMENTS: &str = "sqlx::query";

/// What the driver asks by itself, once per connection: the number of the type `vector`.
const OF_DRIVER: &str = "SELECT pg_type.oid";

/// Watches from its making until it is dropped.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    _guard: DefaultGuard,
}

#[derive(Default)]
struct Seen {
    statements: Vec<String>,
    errors: Vec<String>,
}

impl Watch {
    /// Watches this thread.
    pub fn this_thread() -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let subscriber = tracing_subscriber::registry().with(Listener(seen.clone()));
        Self { seen, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// The statements since the last call.
    pub fn take_statements(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().expect("no listener panics").statements)
    }

    /// What was logged at level ERROR since the last call.
    pub fn take_errors(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().expect("no listener panics").errors)
    }
}

struct Listener(Arc<Mutex<Seen>>);

impl<S: Subscriber> Layer<S> for Listener {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        !metadata.is_span() && (metadata.target() == STATEMENTS || *metadata.level() == Level::ERROR)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let mut seen = self.0.lock().expect("no listener panics");
        if event.metadata().target() == STATEMENTS {
            let is_ours = !text.0.contains(OF_DRIVER);
            seen.statements.extend(is_ours.then_some(text.0));
        } else {
            seen.errors.push(text.0);
        }
    }
}

/// The event's fields in one line.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}
