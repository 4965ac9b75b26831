//! What the API and the workers share. It knows neither: whoever serves, takes documents in or searches is given it.

use chrono::{DateTime, Utc};
use models::Embedders;
use settings::Config;

use crate::store::Store;
use crate::store::disk;
use crate::store::listen::Signals;

/// Everything a request or a job may use.
pub struct App {
    /// Settings.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Wake-ups from the database.
    pub signals: Signals,
    /// The models.
    pub embedders: Embedders,
}

impl App {
    /// The time: one place, so that rows of one process agree.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    /// Bytes that are free in the data directory, where the database lies in it.
    pub fn free_bytes(&self) -> Option<u64> {
        let is_ours = self.config.database.url.is_none();
        is_ours.then(|| disk::free_bytes(&self.config.data_dir)).flatten()
    }
}
