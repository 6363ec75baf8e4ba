//! What the service model allows in classification objects (API version 2021-07-13, shapes `ConfigurationList`,
//! `Configuration`, `SensitivePropertiesMap`), and what it cannot state: depth and duplicates.

use super::Configuration;
use std::collections::BTreeSet;

/// Most objects in one list.
const OBJECTS_MAXIMUM: usize = 100;
/// Most properties in one object.
const PROPERTIES_MAXIMUM: usize = 100;
/// Most characters in a classification or a property's name.
const NAME_MAXIMUM: usize = 1024;
/// Objects may hold objects, and those hold no more.
const DEPTH_MAXIMUM: usize = 2;

/// One rule that a list of classification objects breaks. `path` leads to the place, as in `spark-env/export`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationFault {
    /// More objects in one list than allowed.
    #[error("{path} holds {count} configurations, the maximum is {OBJECTS_MAXIMUM}")]
    TooManyObjects {
        /// Where.
        path: String,
        /// How many there are.
        count: usize,
    },
    /// More properties in one object than allowed.
    #[error("classification {path} holds {count} properties, the maximum is {PROPERTIES_MAXIMUM}")]
    TooManyProperties {
        /// Where.
        path: String,
        /// How many there are.
        count: usize,
    },
    /// A classification or property name that is blank or too long.
    #[error("a name in {path} is blank or longer than {NAME_MAXIMUM} characters")]
    Name {
        /// Where.
        path: String,
    },
    /// Objects nested too deeply.
    #[error("classification {path} is nested deeper than {DEPTH_MAXIMUM} levels")]
    TooDeep {
        /// Where.
        path: String,
    },
    /// The same classification twice in one list.
    #[error("classification {path} is given more than once")]
    Duplicate {
        /// Where.
        path: String,
    },
}

/// Every rule that `configurations` breaks, in order of appearance; `Ok` when there is none.
pub fn check(configurations: &[Configuration]) -> Result<(), Vec<ConfigurationFault>> {
    let mut faults = Vec::new();
    check_list(configurations, "", 1, &mut faults);
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn check_list(list: &[Configuration], parent: &str, depth: usize, faults: &mut Vec<ConfigurationFault>) {
    if list.len() > OBJECTS_MAXIMUM {
        let path = if parent.is_empty() { "the list" } else { parent };
        faults.push(ConfigurationFault::TooManyObjects { path: path.to_owned(), count: list.len() });
    }
    let mut seen = BTreeSet::new();
    for object in list {
        let path = match parent {
            "" => object.classification.clone(),
            parent => format!("{parent}/{}", object.classification),
        };
        if depth > DEPTH_MAXIMUM {
            // One fault says it: what lies deeper is not looked at, so recursion is bounded too.
            faults.push(ConfigurationFault::TooDeep { path });
            return;
        }
        if !seen.insert(object.classification.as_str()) {
            faults.push(ConfigurationFault::Duplicate { path: path.clone() });
        }
        if !is_name(&object.classification) || !object.properties.keys().all(|key| is_name(key)) {
            faults.push(ConfigurationFault::Name { path: path.chars().take(NAME_MAXIMUM).collect() });
        }
        if object.properties.len() > PROPERTIES_MAXIMUM {
            faults.push(ConfigurationFault::TooManyProperties {
                path: path.clone(),
                count: object.properties.len(),
            });
        }
        check_list(&object.configurations, &path, depth + 1, faults);
    }
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= NAME_MAXIMUM
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(classification: &str) -> Configuration {
        Configuration { classification: classification.to_owned(), ..Configuration::default() }
    }

    #[test]
    fn each_limit_is_found_and_all_at_once() {
        let mut nested = object("a");
        nested.configurations = vec![object("b")];
        nested.configurations[0].configurations = vec![object("c")];
        let mut crowded = object("d");
        crowded.properties = (0..101).map(|n| (format!("k{n}"), String::new())).collect();
        let faults = check(&[nested, crowded, object("d"), object(" ")]).expect_err("faulty");
        assert_eq!(
            faults,
            [
                ConfigurationFault::TooDeep { path: "a/b/c".into() },
                ConfigurationFault::TooManyProperties { path: "d".into(), count: 101 },
                ConfigurationFault::Duplicate { path: "d".into() },
                ConfigurationFault::Name { path: " ".into() },
            ]
        );
    }

    #[test]
    fn the_limits_themselves_are_allowed() {
        let mut list: Vec<_> = (0..100).map(|n| object(&format!("c{n}"))).collect();
        list[0].properties = (0..100).map(|n| (format!("k{n}"), String::new())).collect();
        list[0].configurations = vec![object("c0")];
        assert_eq!(check(&list), Ok(()));
        list.push(object("one-more"));
        assert_eq!(
            check(&list),
            Err(vec![ConfigurationFault::TooManyObjects { path: "the list".into(), count: 101 }])
        );
    }
}
