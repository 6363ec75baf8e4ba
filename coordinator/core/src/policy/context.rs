//! What is known about a request besides caller, action and resource.

use std::collections::BTreeMap;

/// Condition keys and their values. Keys are compared without regard to case, as IAM does; values are not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// A context that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to one value, replacing what it had.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.set_all(key, [value.into()]);
    }

    /// Sets `key` to several values; none at all makes the key absent.
    pub fn set_all(&mut self, key: &str, values: impl IntoIterator<Item = String>) {
        let values: Vec<_> = values.into_iter().collect();
        let key = key.to_ascii_lowercase();
        if values.is_empty() {
            self.0.remove(&key);
        } else {
            self.0.insert(key, values);
        }
    }

    /// Makes all keys absent that begin so.
    pub(super) fn forget_all(&mut self, prefix: &str) {
        let prefix = prefix.to_ascii_lowercase();
        self.0.retain(|key, _| !key.starts_with(&prefix));
    }

    /// Tells the tags of the resource that is asked for, as `aws:ResourceTag/…` and as the service's own key.
    pub fn describe_resource(&mut self, service: &str, tags: &BTreeMap<String, String>) {
        for (key, value) in tags {
            self.set(&format!("aws:ResourceTag/{key}"), value);
            self.set(&format!("{service}:ResourceTag/{key}"), value);
        }
    }

    /// [`Self::set`], for building one in an expression.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.set(key, value);
        self
    }

    /// The values of `key`; empty when it is absent.
    pub fn values(&self, key: &str) -> &[String] {
        self.0.get(&key.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// The only value of `key`; `None` when there is none or more than one.
    pub(super) fn single(&self, key: &str) -> Option<&str> {
        match self.values(key) {
            [value] => Some(value),
            _ => None,
        }
    }
}
