//! Tags of users, roles and managed policies: IAM compares their keys without regard to case.

use crate::IdentityError;
use std::collections::{BTreeMap, BTreeSet};

/// Tags that one user, role or policy may have.
const MAX_TAGS: usize = 50;

/// Checks the tags of something new.
pub(crate) fn check(tags: &BTreeMap<String, String>) -> Result<(), IdentityError> {
    add(&mut BTreeMap::new(), tags)
}

/// Adds tags to those that are there; one of the same key replaces the one before.
pub(crate) fn add(
    tags: &mut BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Result<(), IdentityError> {
    let mut keys = BTreeSet::new();
    for (key, value) in new {
        check_one(key, value)?;
        if !keys.insert(key.to_lowercase()) {
            return Err(IdentityError::InvalidInput(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.".to_owned(),
            ));
        }
    }
    tags.retain(|key, _| !keys.contains(&key.to_lowercase()));
    tags.extend(new.clone());
    if tags.len() > MAX_TAGS {
        return Err(IdentityError::Limit(format!(
            "The number of tags has reached the maximum limit: {MAX_TAGS}"
        )));
    }
    Ok(())
}

/// Takes tags away by their keys; those that are not there are no error.
pub(crate) fn remove(tags: &mut BTreeMap<String, String>, keys: &BTreeSet<String>) {
    let keys: BTreeSet<_> = keys.iter().map(|key| key.to_lowercase()).collect();
    tags.retain(|key, _| !keys.contains(&key.to_lowercase()));
}

fn check_one(key: &str, value: &str) -> Result<(), IdentityError> {
    let is_allowed = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
    let fault = if !(1..=128).contains(&key.chars().count()) || !key.chars().all(is_allowed) {
        "have 1 to 128 letters, digits, blanks and _.:/=+-@"
    } else if key.to_lowercase().starts_with("aws:") {
        "not begin with aws:"
    } else if value.chars().count() > 256 || !value.chars().all(is_allowed) {
        "have a value of at most 256 letters, digits, blanks and _.:/=+-@"
    } else {
        return Ok(());
    };
    Err(IdentityError::InvalidInput(format!("The tag {key} must {fault}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
        tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_key_in_another_case_is_the_same_key() {
        let mut tags = map(&[("Team", "data"), ("cost", "1")]);
        add(&mut tags, &map(&[("TEAM", "web")])).expect("fits");
        assert_eq!(tags, map(&[("TEAM", "web"), ("cost", "1")]));
        remove(&mut tags, &BTreeSet::from(["team".to_owned(), "absent".to_owned()]));
        assert_eq!(tags, map(&[("cost", "1")]));
        assert!(matches!(check(&map(&[("a", "1"), ("A", "2")])), Err(IdentityError::InvalidInput(_))));
    }

    #[test]
    fn tags_have_bounds() {
        let long = |length| "x".repeat(length);
        for (key, value, fits) in [
            (long(128), long(256), true),
            (long(129), String::new(), false),
            ("k".to_owned(), long(257), false),
            (String::new(), String::new(), false),
            ("AWS:x".to_owned(), String::new(), false),
            ("a*b".to_owned(), String::new(), false),
            ("à la carte".to_owned(), "x@y".to_owned(), true),
        ] {
            assert_eq!(check(&map(&[(&key, &value)])).is_ok(), fits, "{key} {value}");
        }
        let mut many: BTreeMap<_, _> = (0..MAX_TAGS).map(|n| (format!("k{n}"), String::new())).collect();
        add(&mut many, &map(&[("k1", "again")])).expect("no more than before");
        assert!(matches!(add(&mut many, &map(&[("more", "")])), Err(IdentityError::Limit(_))));
    }
}
