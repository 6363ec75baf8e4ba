//! Sessions: temporary credentials whose whole content is sealed into their token.

use crate::names::{check_name, random_id};
use crate::{CredentialError, Identity, IdentityError, IdentityPolicy, Principal, Standing};
use hearth_types::{JobRunId, Timestamp, WorkerId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Whose rights a session has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A role's, as it is now: changes to its policies count at once.
    Role {
        /// Name.
        name: String,
        /// Unique id, so that a role made anew under the name is another one.
        id: String,
        /// The session's name.
        session_name: String,
    },
    /// A user's.
    User {
        /// Name.
        name: String,
        /// Unique id.
        id: String,
    },
}

/// Which worker of which launch a job's credentials were made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobClaim {
    /// The job run.
    pub job_run_id: JobRunId,
    /// Attempt, counted from 1.
    pub attempt: u32,
    /// Launch within the attempt, counted from 1.
    pub launch: u32,
    /// The worker.
    pub worker_id: WorkerId,
    /// ARNs of its own log directories, each with a slash at the end: what it may write to as long as it is not gone.
    #[serde(default)]
    pub logs: Vec<String>,
}

/// What bounds a session beyond its subject's policies. Nothing at all is no bound.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionPolicies {
    /// A policy of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline: Option<IdentityPolicy>,
    /// ARNs of managed policies, at most 10; read at each use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arns: Vec<String>,
}

impl SessionPolicies {
    /// Whether they bound nothing.
    pub fn is_empty(&self) -> bool {
        self.inline.is_none() && self.arns.is_empty()
    }
}

/// What a session token says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionClaims {
    /// The temporary access key it goes with, `ASIA…`.
    pub access_key_id: String,
    /// Whose rights it has.
    pub subject: Subject,
    /// What bounds it.
    #[serde(default, skip_serializing_if = "SessionPolicies::is_empty")]
    pub policies: SessionPolicies,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// The worker it was made for, if a job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobClaim>,
}

/// What is asked of [`Identity::issue_session`].
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRequest {
    /// The role's name.
    pub role: String,
    /// The session's name, 2 to 64 characters of IAM's alphabet.
    pub session_name: String,
    /// What bounds it.
    pub policies: SessionPolicies,
    /// How long it lasts.
    pub ttl: Duration,
    /// The worker it is for, if a job's.
    pub job: Option<JobClaim>,
}

/// Temporary credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct TemporaryCredentials {
    /// `ASIA…`.
    pub access_key_id: String,
    /// 40 characters.
    pub secret_access_key: String,
    /// The sealed claims, base64.
    pub session_token: String,
    /// When they run out.
    pub expires_at: Timestamp,
}

impl fmt::Debug for TemporaryCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemporaryCredentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes credentials for a session of a role. Whether somebody may have them was decided before.
    pub fn issue_session(
        &self,
        request: SessionRequest,
        now: Timestamp,
    ) -> Result<TemporaryCredentials, IdentityError> {
        check_name("roleSessionName", &request.session_name, 64)?;
        let role = self.role(&request.role)?;
        let subject = Subject::Role { name: role.name, id: role.id, session_name: request.session_name };
        self.issue(subject, request.policies, request.ttl, request.job, now)
    }

    /// Makes temporary credentials with a user's own rights.
    pub fn issue_user_session(
        &self,
        user: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<TemporaryCredentials, IdentityError> {
        let user = self.user(user)?;
        let subject = Subject::User { name: user.name, id: user.id };
        self.issue(subject, SessionPolicies::default(), ttl, None, now)
    }

    fn issue(
        &self,
        subject: Subject,
        policies: SessionPolicies,
        ttl: Duration,
        job: Option<JobClaim>,
        now: Timestamp,
    ) -> Result<TemporaryCredentials, IdentityError> {
        if policies.arns.len() > 10 {
            return Err(IdentityError::Invalid("At most 10 policy ARNs may bound a session.".to_owned()));
        }
        for arn in &policies.arns {
            self.managed_policy(arn)?;
        }
        let access_key_id = random_id("ASIA", 20);
        let expires_at = now.plus(ttl);
        let claims = SessionClaims {
            access_key_id: access_key_id.clone(),
            subject,
            policies,
            issued_at: now,
            expires_at,
            job,
        };
        let plain = serde_json::to_vec(&claims).expect("claims are JSON");
        Ok(TemporaryCredentials {
            secret_access_key: self.vault.session_secret(&access_key_id),
            session_token: self.vault.seal_token(&access_key_id, &plain),
            access_key_id,
            expires_at,
        })
    }

    /// Reads a session token: it must be ours, belong to this access key, not have run out, and, if a job's, be of the
    /// current launch.
    pub fn verify_session(
        &self,
        token: &str,
        access_key_id: &str,
        now: Timestamp,
    ) -> Result<SessionClaims, CredentialError> {
        let claims = self.open_session(token, access_key_id, now)?;
        match claims.job.as_ref().map(|job| self.standing(job)) {
            None | Some(Standing::Current) => Ok(claims),
            Some(Standing::LogsOnly | Standing::Over) => Err(CredentialError::Superseded),
        }
    }

    fn open_session(
        &self,
        token: &str,
        access_key_id: &str,
        now: Timestamp,
    ) -> Result<SessionClaims, CredentialError> {
        let plain = self.vault.open_token(access_key_id, token).map_err(|_| CredentialError::Unknown)?;
        let claims: SessionClaims = serde_json::from_slice(&plain).map_err(|_| CredentialError::Unknown)?;
        if claims.access_key_id != access_key_id {
            return Err(CredentialError::Unknown);
        }
        if claims.expires_at <= now {
            return Err(CredentialError::Expired);
        }
        Ok(claims)
    }

    /// Who presents these credentials, if they are a superseded worker's and the resource (an ARN) is among that worker's
    /// own logs, which it may still deliver. What the role may do counts as ever.
    pub fn log_writer(
        &self,
        token: &str,
        access_key_id: &str,
        resource: &str,
        now: Timestamp,
    ) -> Option<Principal> {
        let claims = self.open_session(token, access_key_id, now).ok()?;
        let job = claims.job.as_ref()?;
        let is_own_log = job.logs.iter().any(|directory| resource.starts_with(directory.as_str()));
        if !is_own_log || self.standing(job) != Standing::LogsOnly {
            return None;
        }
        let arn = self.subject(&self.directory(), &claims)?.arn();
        Some(Principal::Session { claims, arn })
    }
}
