//! Identity's documents, kept in the coordinator's store.

use async_trait::async_trait;
use hearth_identity::{Document, DocumentError, Documents};
use hearth_store::{Store, StoreError};
use serde_json::Value;

/// The store as identity sees it.
pub(super) struct StoredDocuments(pub(super) Store);

fn failed(source: StoreError) -> DocumentError {
    DocumentError::Store { source: Box::new(source) }
}

#[async_trait]
impl Documents for StoredDocuments {
    async fn list(&self, kind: &str) -> Result<Vec<Document>, DocumentError> {
        let stored = self.0.documents(kind).await.map_err(failed)?;
        Ok(stored.into_iter().map(|d| Document { id: d.id, revision: d.revision, body: d.body }).collect())
    }

    async fn put(&self, kind: &str, id: &str, revision: u64, body: Value) -> Result<u64, DocumentError> {
        let document = hearth_store::Document { kind: kind.to_owned(), id: id.to_owned(), revision, body };
        self.0.put_document(document).await.map_err(failed)?.map_err(|_| DocumentError::Conflict)
    }

    async fn delete(&self, kind: &str, id: &str, revision: u64) -> Result<(), DocumentError> {
        self.0.delete_document(kind, id, revision).await.map_err(failed)?.map_err(|_| DocumentError::Conflict)
    }
}
