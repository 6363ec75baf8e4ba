//! The client tokens used last: what a request that is repeated soon, or twice at once, is recognised by (promise P2).

use crate::command::ClientToken;
use rpds::{QueueSync as Queue, RedBlackTreeMapSync as Map};

/// How many uses are kept in mind: more than the commands of one turn, which must see each other's. Older ones are the store's
/// alone, and brought back to mind when a command comes with their token.
pub const TOKENS_IN_MIND: usize = 1024;

/// What a client token made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUse {
    /// Digest of the payload it came with.
    pub digest: String,
    /// Identifier of what was made.
    pub resource: String,
}

type Key = (String, String);

/// The latest uses, at most [`TOKENS_IN_MIND`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Tokens {
    uses: Map<Key, TokenUse>,
    /// Their keys, the oldest first.
    order: Queue<Key>,
}

impl Tokens {
    pub(crate) fn get(&self, token: &ClientToken) -> Option<&TokenUse> {
        self.uses.get(&(token.scope.clone(), token.token.clone()))
    }

    /// Remembers a use. The oldest makes room.
    pub(crate) fn insert(&mut self, token: &ClientToken, resource: &str) {
        let key = (token.scope.clone(), token.token.clone());
        let made = TokenUse { digest: token.digest.clone(), resource: resource.to_owned() };
        if !self.uses.contains_key(&key) {
            self.order.enqueue_mut(key.clone());
        }
        self.uses.insert_mut(key, made);
        while self.uses.size() > TOKENS_IN_MIND
            && let Some(oldest) = self.order.peek().cloned()
        {
            self.order.dequeue_mut();
            self.uses.remove_mut(&oldest);
        }
    }

    /// Forgets the use that made something.
    pub(crate) fn forget(&mut self, resource: &str) {
        let made_it = |(key, made): (&Key, &TokenUse)| (made.resource == resource).then(|| key.clone());
        let Some(key) = self.uses.iter().find_map(made_it) else { return };
        self.uses.remove_mut(&key);
        // A token that is used anew is as young as that use.
        self.order = self.order.iter().filter(|other| **other != key).cloned().collect();
    }
}

/// What is known counts, not in which order it was learned.
impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.uses == other.uses
    }
}
