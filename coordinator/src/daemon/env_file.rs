//! `DIR/env`: what a person needs to use the endpoint, in shell syntax.

use super::seeds::{DEFAULT_BUCKET, DEFAULT_ROLE};
use super::{Coordinator, kept};
use crate::config::{CoordinatorConfig, EndpointTls};
use std::path::Path;

impl Coordinator {
    /// Writes `dir/env`, the endpoint and the administrator's key, for its owner alone (design §6.1); with a certificate
    /// of our own authority, `dir/ca.pem` too.
    pub fn write_env(&self, dir: &Path, config: &CoordinatorConfig) -> anyhow::Result<()> {
        let key = &self.administrator;
        let trust = match config.endpoint_tls()? {
            EndpointTls::Off | EndpointTls::Site { .. } => String::new(),
            EndpointTls::OwnAuthority => {
                let ca = dir.join("ca.pem");
                kept::write_private(&ca, self.ca_certificate.as_bytes())?;
                format!("AWS_CA_BUNDLE={}\n", shell_word(&ca))
            }
        };
        let text = format!(
            "AWS_ENDPOINT_URL={}\n{trust}AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\nAWS_DEFAULT_REGION={}\n\
             HEARTH_ROLE_ARN=arn:aws:iam::{}:role/{DEFAULT_ROLE}\nHEARTH_BUCKET={DEFAULT_BUCKET}\n",
            self.endpoint_url, key.key.id, key.secret_access_key, config.region, config.account_id
        );
        kept::write_private(&dir.join("env"), text.as_bytes())
    }
}

/// A path as one word of a shell's.
fn shell_word(path: &Path) -> String {
    let path = path.to_string_lossy();
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&byte));
    if is_plain { path.into_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_for_a_shell() {
        for (path, word) in [
            ("/srv/hearth-1/ca.pem", "/srv/hearth-1/ca.pem"),
            ("/my data/ca.pem", "'/my data/ca.pem'"),
            ("/it's/$HOME/ca.pem", r"'/it'\''s/$HOME/ca.pem'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
