//! Why something went wrong, as one line of a log: never a stack, never without end, nothing said twice.

use std::error::Error;

/// Longest line, in characters: room for a database's sentence with its hint, too short to fill a log.
const LIMIT: usize = 1_000;

/// `a: b: c`, the outermost first. A cause that was told by the error above it is left out: libraries differ in that.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        source = cause.source();
    }
    if let Some((end, _)) = told.char_indices().nth(LIMIT) {
        told.truncate(end);
        told.push('…');
    }
    told
}

/// Warns of an error of ours with its code and cause, after fields of the caller's, unless somebody has logged it before.
macro_rules! warn_of {
    ($error:expr $(, $($fields:tt)+)?) => {
        if $error.claim_log() {
            let (code, cause) = ($error.code.as_str(), $error.causes());
            tracing::warn!($($($fields)+,)? code, cause, "{}", $error);
        }
    };
}
pub(crate) use warn_of;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_stand_in_one_line_without_what_was_told_already_and_without_a_stack() {
        let telling = anyhow::anyhow!("no route").context("connect: no route").context("ask the model");
        assert_eq!(chain(telling.as_ref()), "ask the model: connect: no route");
        let endless = anyhow::anyhow!("é".repeat(2 * LIMIT));
        assert_eq!(chain(endless.as_ref()).chars().count(), LIMIT + 1);
    }
}
