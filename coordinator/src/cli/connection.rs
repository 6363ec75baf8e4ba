//! Where the endpoint is and with which keys: the environment, or the file that `hearth up` left in its data directory.

use super::error::CliError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a client needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Connection {
    /// Scheme, host and port, without a slash at the end.
    pub endpoint: String,
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
    /// Region to sign for.
    pub region: String,
    /// Runtime role of jobs, if one is named.
    pub role_arn: Option<String>,
    /// Bucket for what is uploaded, if one is named.
    pub bucket: Option<String>,
    /// Certificates to trust (PEM) instead of the system's, if a file is named.
    pub ca_bundle: Option<PathBuf>,
}

/// The data directory: what was given, or `~/.local/share/hearth`.
pub(super) fn data_dir(given: Option<&Path>) -> PathBuf {
    match given {
        Some(dir) => dir.to_owned(),
        None => std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")).join(".local/share/hearth"),
    }
}

impl Connection {
    /// From `data_dir` if it is given, else from the environment if that names an endpoint, else from the default
    /// data directory. Never from both: keys of one endpoint are not sent to another.
    pub(super) fn find(given_data_dir: Option<&Path>) -> Result<Self, CliError> {
        let exported = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if given_data_dir.is_none() && exported("AWS_ENDPOINT_URL").is_some() {
            return Self::from_settings("the environment", exported);
        }
        let env_file = data_dir(given_data_dir).join("env");
        let text = std::fs::read_to_string(&env_file)
            .map_err(|source| CliError::NoConnection { env_file: env_file.clone(), source })?;
        let settings = parse_env_file(&text);
        Self::from_settings(&env_file.display().to_string(), |name| settings.get(name).cloned())
    }

    fn from_settings(from: &str, get: impl Fn(&str) -> Option<String>) -> Result<Self, CliError> {
        let need =
            |name: &'static str| get(name).ok_or(CliError::MissingSetting { from: from.to_owned(), name });
        Ok(Self {
            endpoint: need("AWS_ENDPOINT_URL")?.trim_end_matches('/').to_owned(),
            access_key_id: need("AWS_ACCESS_KEY_ID")?,
            secret_access_key: need("AWS_SECRET_ACCESS_KEY")?,
            session_token: get("AWS_SESSION_TOKEN"),
            region: get("AWS_REGION")
                .or_else(|| get("AWS_DEFAULT_REGION"))
                .unwrap_or_else(|| "us-east-1".to_owned()),
            role_arn: get("HEARTH_ROLE_ARN"),
            bucket: get("HEARTH_BUCKET"),
            ca_bundle: get("AWS_CA_BUNDLE").map(PathBuf::from),
        })
    }

    /// The runtime role, or how to name one.
    pub(super) fn need_role(&self) -> Result<String, CliError> {
        self.role_arn.clone().ok_or_else(|| {
            CliError::Usage("name the runtime role: --role, or export HEARTH_ROLE_ARN".to_owned())
        })
    }

    /// The bucket for uploads, or how to name one.
    pub(super) fn need_bucket(&self) -> Result<&str, CliError> {
        self.bucket
            .as_deref()
            .ok_or_else(|| CliError::Usage("name a bucket for uploads: export HEARTH_BUCKET".to_owned()))
    }
}

/// Reads `NAME=value` lines, with or without `export` and quotes: the subset of shell that `hearth up` writes.
fn parse_env_file(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='))
        .map(|(name, value)| {
            let unquoted = ['\'', '"']
                .iter()
                .find_map(|quote| value.strip_prefix(*quote).and_then(|rest| rest.strip_suffix(*quote)));
            // A quote within quotes is written '\\''.
            (name.trim().to_owned(), unquoted.unwrap_or(value).replace(r"'\''", "'"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_env_file_is_read_as_a_shell_reads_it() {
        let settings = parse_env_file(
            "# keys\nexport A=1\nB='two words'\n\nC=\"x=y\"\nnonsense\nD='/it'\\''s/ca.pem'\n",
        );
        let expected = [("A", "1"), ("B", "two words"), ("C", "x=y"), ("D", "/it's/ca.pem")];
        assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn a_data_directory_names_the_endpoint() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("env"),
            "AWS_ENDPOINT_URL=http://127.0.0.1:1/\nAWS_ACCESS_KEY_ID=k\nAWS_SECRET_ACCESS_KEY=s\n",
        )
        .unwrap();
        let connection = Connection::find(Some(dir.path())).unwrap();
        assert_eq!(connection.endpoint, "http://127.0.0.1:1");
        assert_eq!(connection.region, "us-east-1");
        std::fs::write(dir.path().join("env"), "AWS_ENDPOINT_URL=http://127.0.0.1:1\n").unwrap();
        let error = Connection::find(Some(dir.path())).unwrap_err();
        assert!(matches!(error, CliError::MissingSetting { name: "AWS_ACCESS_KEY_ID", .. }), "{error}");
    }
}
