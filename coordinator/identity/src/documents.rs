//! Where identity keeps what it knows: small JSON documents with revisions.

use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A stored document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Name within its kind.
    pub id: String,
    /// How often it was written, from 1.
    pub revision: u64,
    /// Content.
    pub body: Value,
}

/// Why a document could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The stored revision is not the one the change rests on.
    #[error("the document was changed by somebody else")]
    Conflict,
    /// The store failed; whether a write took place is unknown.
    #[error("reaching the document store")]
    Store {
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Persistence of documents. An answered write survives a crash.
#[async_trait]
pub trait Documents: Send + Sync + 'static {
    /// All documents of a kind.
    async fn list(&self, kind: &str) -> Result<Vec<Document>, DocumentError>;

    /// Writes a document if its stored revision is `revision` (0: it must not exist), and returns the new one.
    async fn put(&self, kind: &str, id: &str, revision: u64, body: Value) -> Result<u64, DocumentError>;

    /// Deletes a document if its stored revision is `revision`.
    async fn delete(&self, kind: &str, id: &str, revision: u64) -> Result<(), DocumentError>;
}

/// Documents in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryDocuments(Mutex<BTreeMap<(String, String), (u64, Value)>>);

impl MemoryDocuments {
    fn guarded(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), (u64, Value)>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl Documents for MemoryDocuments {
    async fn list(&self, kind: &str) -> Result<Vec<Document>, DocumentError> {
        Ok(self
            .guarded()
            .iter()
            .filter(|((of, _), _)| of == kind)
            .map(|((_, id), (revision, body))| Document {
                id: id.clone(),
                revision: *revision,
                body: body.clone(),
            })
            .collect())
    }

    async fn put(&self, kind: &str, id: &str, revision: u64, body: Value) -> Result<u64, DocumentError> {
        let mut documents = self.guarded();
        let key = (kind.to_owned(), id.to_owned());
        if documents.get(&key).map_or(0, |(stored, _)| *stored) != revision {
            return Err(DocumentError::Conflict);
        }
        documents.insert(key, (revision + 1, body));
        Ok(revision + 1)
    }

    async fn delete(&self, kind: &str, id: &str, revision: u64) -> Result<(), DocumentError> {
        let mut documents = self.guarded();
        let key = (kind.to_owned(), id.to_owned());
        match documents.get(&key) {
            Some((stored, _)) if *stored == revision => {
                documents.remove(&key);
                Ok(())
            }
            _ => Err(DocumentError::Conflict),
        }
    }
}
