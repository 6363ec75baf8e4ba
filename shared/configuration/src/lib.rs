//! How both daemons read their configuration: one TOML file, and above it variables of the environment.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("reading {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML, has an unknown key or a value of the wrong kind.
    #[error("parsing {path}, with what the environment overrides")]
    Content {
        /// The file.
        path: PathBuf,
        /// Which, and why.
        #[source]
        source: Box<toml::de::Error>,
    },
}

/// Reads `path`. A variable of this process's environment whose name begins with `prefix` overrides the key that the rest
/// of its name says, as [`parse`] tells.
///
/// # Errors
/// A file that cannot be read or does not fit `T`.
pub fn read<T: DeserializeOwned>(path: &Path, prefix: &str) -> Result<T, ReadError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ReadError::File { path: path.to_owned(), source })?;
    let overrides = std::env::vars()
        .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_ascii_lowercase(), value)));
    parse(&text, overrides)
        .map_err(|source| ReadError::Content { path: path.to_owned(), source: Box::new(source) })
}

/// Parses `text` with `overrides`: pairs of a key, with `__` between levels, and a value as it would stand in the file. A
/// value that is no TOML by itself, such as a path, is taken as a string.
///
/// # Errors
/// What is not TOML or does not fit `T`.
pub fn parse<T: DeserializeOwned>(
    text: &str,
    overrides: impl Iterator<Item = (String, String)>,
) -> Result<T, toml::de::Error> {
    let mut table: toml::Table = toml::from_str(text)?;
    for (name, value) in overrides {
        let value = toml::from_str::<toml::Table>(&format!("value = {value}"))
            .ok()
            .and_then(|mut parsed| parsed.remove("value"))
            .unwrap_or(toml::Value::String(value));
        set(&mut table, &name, value);
    }
    table.try_into()
}

fn set(table: &mut toml::Table, name: &str, value: toml::Value) {
    match name.split_once("__") {
        None => {
            table.insert(name.to_owned(), value);
        }
        Some((level, rest)) => {
            let below = table.entry(level).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(below) = below {
                set(below, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        name: String,
        hosts: Vec<String>,
        #[serde(default)]
        limits: Limits,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limits {
        vcpu: Option<u64>,
    }

    fn overridden(overrides: &[(&str, &str)]) -> Result<Example, toml::de::Error> {
        let overrides = overrides.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        parse("name = \"file\"\nhosts = [\"a\"]", overrides)
    }

    #[test]
    fn the_environment_overrides_at_every_level() {
        let read = overridden(&[("name", "/no/toml"), ("hosts", "[\"b\", \"c\"]"), ("limits__vcpu", "8")]);
        let limits = Limits { vcpu: Some(8) };
        assert_eq!(
            read.unwrap(),
            Example { name: "/no/toml".into(), hosts: vec!["b".into(), "c".into()], limits }
        );
    }

    #[test]
    fn an_unknown_key_and_a_value_of_the_wrong_kind_are_refused() {
        assert!(overridden(&[("nome", "x")]).is_err());
        assert!(overridden(&[("limits__vcpu", "many")]).is_err());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.toml");
        let error = read::<Example>(&missing, "HEARTH_EXAMPLE_").unwrap_err();
        assert!(error.to_string().contains("missing.toml"), "{error}");
    }
}
