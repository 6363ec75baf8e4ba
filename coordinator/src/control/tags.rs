//! Tags of applications and job runs (guide:5735-5800).
//!
//! What a resource was made with is part of its own document; once edited, all its tags are a document apart. The engine
//! knows none of them, since nothing that it decides depends on them; a revision keeps edits at the same time from
//! undoing each other.

use super::Control;
use hearth_api::emr::control_plane::{ControlError, TaggedResource};
use hearth_store::Document;
use std::collections::BTreeMap;

type Tags = BTreeMap<String, String>;

/// The kind of document that holds a resource's edited tags.
const KIND: &str = "tags";
/// Most tags of a resource (guide:5757).
const MOST: usize = 50;
/// Edits of the same tags that one may lose against: each time somebody else's came through.
const TRIES: usize = 32;

impl Control {
    /// The tags of a resource that exists; cheap, for it is asked before every authorisation that depends on them.
    pub(super) async fn tags_of(&self, resource: &TaggedResource) -> Result<Tags, ControlError> {
        let tags = match resource {
            TaggedResource::Application(id) => self.show_application(id).await?.tags,
            TaggedResource::JobRun(application, id) => self.show_job_run(application, id, None).await?.tags,
        };
        Ok(tags.unwrap_or_default())
    }

    /// Puts edited tags in the place of those that a resource was made with.
    pub(super) async fn lay_over_tags(
        &self,
        resource: TaggedResource,
        tags: &mut Option<Tags>,
    ) -> Result<(), ControlError> {
        if let Some(document) = self.document(&resource).await? {
            *tags = Some(serde_json::from_value(document.body).map_err(ControlError::internal)?);
        }
        Ok(())
    }

    /// Makes an edit that may have to be made several times.
    pub(super) async fn edit_tags(
        &self,
        resource: &TaggedResource,
        edit: impl Fn(&mut Tags) + Send + Sync,
    ) -> Result<(), ControlError> {
        for _ in 0..TRIES {
            // The revision first: tags that are read later are never older than it.
            let revision = self.document(resource).await?.map_or(0, |document| document.revision);
            let mut tags = self.tags_of(resource).await?;
            edit(&mut tags);
            check(&tags)?;
            let body = serde_json::to_value(&tags).map_err(ControlError::internal)?;
            let document = Document { kind: KIND.to_owned(), id: name(resource), revision, body };
            if self.store.put_document(document).await.map_err(ControlError::internal)?.is_ok() {
                return Ok(());
            }
        }
        let message = "The tags of this resource are being changed by others. Try again.".to_owned();
        Err(ControlError::Conflict { message })
    }

    async fn document(&self, resource: &TaggedResource) -> Result<Option<Document>, ControlError> {
        self.store.document(KIND, &name(resource)).await.map_err(ControlError::internal)
    }
}

/// Checks all tags of one resource for what the model does not state.
pub(super) fn check(tags: &Tags) -> Result<(), ControlError> {
    if tags.len() > MOST {
        let message = format!("A resource can have at most {MOST} tags, these would be {}.", tags.len());
        return Err(ControlError::Validation { message });
    }
    let is_reserved = |text: &&String| text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    match tags.iter().flat_map(|(key, value)| [key, value]).find(is_reserved) {
        Some(text) => Err(ControlError::Validation {
            message: format!("Tag {text:?} is not valid: keys and values must not begin with \"aws:\"."),
        }),
        None => Ok(()),
    }
}

fn name(resource: &TaggedResource) -> String {
    match resource {
        TaggedResource::Application(id) => id.to_string(),
        TaggedResource::JobRun(application, id) => format!("{application}/{id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn tags_are_fifty_at_most_and_none_is_the_services_own() {
        let many = |count: usize| (0..count).map(|number| (number.to_string(), String::new())).collect();
        assert!(check(&many(MOST)).is_ok());
        assert!(check(&many(MOST + 1)).is_err());
        assert!(check(&tags(&[("team", "aws"), ("é", "ééaws:")])).is_ok());
        assert!(check(&tags(&[("aws:team", "x")])).is_err());
        assert!(check(&tags(&[("team", "AWS:x")])).is_err());
    }
}
