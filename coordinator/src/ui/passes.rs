//! Secrets that open something for an hour: links, which open it once, and logins.

use hearth_types::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a pass is good (model: `GetDashboardForJobRun`).
pub const GOOD_FOR: Duration = Duration::from_secs(60 * 60);
/// Passes of one kind that may be out at once; beyond, the one that ends first makes room.
const MOST_OUT: usize = 1000;

/// Passes that were given out and are still good. A restart forgets them: others are had for the asking.
#[derive(Debug)]
pub struct Passes<T> {
    out: Mutex<BTreeMap<String, Pass<T>>>,
}

#[derive(Debug)]
struct Pass<T> {
    opens: T,
    until: Timestamp,
}

impl<T> Default for Passes<T> {
    fn default() -> Self {
        Self { out: Mutex::default() }
    }
}

impl<T: Clone> Passes<T> {
    fn out(&self) -> MutexGuard<'_, BTreeMap<String, Pass<T>>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a pass: 256 random bits in hex.
    pub(crate) fn make(&self, opens: T, now: Timestamp) -> String {
        let secret = hex::encode(rand::random::<[u8; 32]>());
        let mut out = self.out();
        out.retain(|_, pass| pass.until > now);
        if out.len() >= MOST_OUT
            && let Some(first) =
                out.iter().min_by_key(|(_, pass)| pass.until).map(|(secret, _)| secret.clone())
        {
            out.remove(&first);
        }
        out.insert(secret.clone(), Pass { opens, until: now.plus(GOOD_FOR) });
        secret
    }

    /// What a pass opens.
    pub(crate) fn look_up(&self, secret: &str, now: Timestamp) -> Option<T> {
        self.out().get(secret).filter(|pass| pass.until > now).map(|pass| pass.opens.clone())
    }

    /// What a pass opens; from then on it opens nothing.
    pub(crate) fn use_up(&self, secret: &str, now: Timestamp) -> Option<T> {
        self.out().remove(secret).filter(|pass| pass.until > now).map(|pass| pass.opens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_pass_is_good_for_an_hour_and_a_used_one_no_more() {
        let passes = Passes::default();
        let last_moment = AT.plus(GOOD_FOR - Duration::from_millis(1));
        let first = passes.make("one", AT);
        assert_eq!(passes.look_up(&first, last_moment), Some("one"));
        assert_eq!(passes.look_up(&first, AT.plus(GOOD_FOR)), None);
        assert_eq!(passes.use_up(&first, last_moment), Some("one"));
        assert_eq!((passes.use_up(&first, AT), passes.look_up(&first, AT)), (None, None));
        let second = passes.make("two", AT);
        assert_eq!(passes.use_up(&second, AT.plus(GOOD_FOR)), None);
        assert_eq!(passes.use_up("", AT), None);
    }

    #[test]
    fn passes_are_bounded_and_the_oldest_goes_first() {
        let passes = Passes::default();
        let first = passes.make("first", AT);
        let later = AT.plus(Duration::from_secs(1));
        let second = passes.make("second", later);
        (2..=MOST_OUT).for_each(|_| drop(passes.make("", later)));
        assert_eq!(passes.out().len(), MOST_OUT);
        assert_eq!(passes.use_up(&first, later), None);
        assert_eq!(passes.use_up(&second, later), Some("second"));
        passes.make("", later.plus(GOOD_FOR));
        assert_eq!(passes.out().len(), 1, "what is over is forgotten");
    }
}
