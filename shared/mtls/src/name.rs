//! Names of machines and workers as SPIFFE URIs.

use hearth_types::{AgentId, ApplicationId, JobRunId, WorkerId};
use std::fmt;
use x509_parser::extensions::GeneralName;

/// The host name in every coordinator's certificate: what clients ask for, whatever address they dialled.
///
/// Addresses change (`hearth up` may listen on another port and host each time); the authority's word does not.
pub const COORDINATOR_HOST: &str = "coordinator.hearth.internal";

/// What a certificate's holder is within its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PeerName {
    /// `spiffe://<cluster>/agent/<id>`
    Agent(AgentId),
    /// `spiffe://<cluster>/app/<app>/job/<job>/worker/<id>`
    Worker {
        /// The worker's application.
        application: ApplicationId,
        /// The worker's job run.
        job_run: JobRunId,
        /// The worker itself.
        worker: WorkerId,
    },
    /// `spiffe://<cluster>/coordinator`
    Coordinator,
}

/// Why a certificate names nobody of this cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The bytes are not an X.509 certificate.
    #[error("certificate cannot be parsed")]
    Malformed,
    /// There must be exactly one URI among the subject alternative names.
    #[error("certificate has {0} URI names instead of one")]
    UriCount(usize),
    /// The URI belongs to another cluster or has no known form.
    #[error("certificate's name {0:?} is not one of this cluster")]
    Unknown(String),
}

impl PeerName {
    /// The name as the URI that stands in its certificate.
    pub fn to_uri(&self, cluster: &str) -> String {
        match self {
            Self::Agent(id) => format!("spiffe://{cluster}/agent/{id}"),
            Self::Worker { application, job_run, worker } => {
                format!("spiffe://{cluster}/app/{application}/job/{job_run}/worker/{worker}")
            }
            Self::Coordinator => format!("spiffe://{cluster}/coordinator"),
        }
    }

    /// Reads a URI of `cluster`; `None` for one of another cluster or of no known form.
    pub fn from_uri(uri: &str, cluster: &str) -> Option<Self> {
        let path = uri.strip_prefix("spiffe://")?.strip_prefix(cluster)?.strip_prefix('/')?;
        let segments: Vec<&str> = path.split('/').collect();
        match segments.as_slice() {
            ["coordinator"] => Some(Self::Coordinator),
            ["agent", id] => Some(Self::Agent(id.parse().ok()?)),
            ["app", application, "job", job_run, "worker", worker] => Some(Self::Worker {
                application: application.parse().ok()?,
                job_run: job_run.parse().ok()?,
                worker: worker.parse().ok()?,
            }),
            _ => None,
        }
    }

    /// Reads the name from a certificate in DER. Says nothing about who signed it.
    ///
    /// # Errors
    /// When the certificate is malformed, has not exactly one URI name, or names nobody of `cluster`.
    pub fn of_certificate(der: &[u8], cluster: &str) -> Result<Self, NameError> {
        let uri = only_uri(der)?;
        Self::from_uri(&uri, cluster).ok_or(NameError::Unknown(uri))
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(id) => write!(formatter, "agent {id}"),
            Self::Worker { worker, job_run, .. } => write!(formatter, "worker {worker} of job run {job_run}"),
            Self::Coordinator => formatter.write_str("the coordinator"),
        }
    }
}

/// The single URI among the subject alternative names of a certificate in DER.
pub(crate) fn only_uri(der: &[u8]) -> Result<String, NameError> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|_| NameError::Malformed)?;
    let names = certificate.subject_alternative_name().map_err(|_| NameError::Malformed)?;
    let uris: Vec<&str> = names
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect();
    match uris.as_slice() {
        [uri] => Ok((*uri).to_owned()),
        others => Err(NameError::UriCount(others.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let worker = PeerName::Worker {
            application: "a1".parse().unwrap(),
            job_run: "j1".parse().unwrap(),
            worker: "w1".parse().unwrap(),
        };
        for name in [PeerName::Agent("h1".parse().unwrap()), worker, PeerName::Coordinator] {
            assert_eq!(PeerName::from_uri(&name.to_uri("home"), "home"), Some(name));
        }
    }

    #[test]
    fn what_is_nearly_a_name_is_none() {
        for uri in [
            "spiffe://home2/agent/a",
            "spiffe://home/agent/",
            "spiffe://home/agent/a/b",
            "spiffe://home/agent/../coordinator",
            "spiffe://home/coordinator/",
            "https://home/agent/a",
            "spiffe://home/app/a/job/j",
            "spiffe://homecoordinator",
        ] {
            assert_eq!(PeerName::from_uri(uri, "home"), None, "{uri}");
        }
    }
}
