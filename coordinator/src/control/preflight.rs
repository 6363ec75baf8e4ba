//! Asks, while a job run is submitted, after what it will need: of the embedded store's index and of identity's memory alone.

use super::Control;
use hearth_coordinator_core::job_run::RunSpec;
use hearth_coordinator_core::preflight::{Found, Input, doubt_of_bundle};
use hearth_engine::now;
use hearth_identity::{Circumstances, IdentityPolicy, Principal, Role, SessionPolicies};
use hearth_types::JobRunId;

impl Control {
    /// What to tell of a job's release and files, each as the rest of a sentence.
    ///
    /// What only a worker's request will show, such as its address, no condition of a policy finds here; what the store cannot
    /// tell just now is passed over.
    pub(super) async fn doubts(
        &self,
        id: &JobRunId,
        role: &Role,
        spec: &RunSpec,
        inputs: &[Input],
    ) -> Vec<String> {
        let Some(job) = self.imagined_job(id, role, spec) else { return Vec::new() };
        // An architecture that workers cannot have makes no bundles either.
        let made_for = std::env::consts::ARCH.parse().ok();
        let mut doubts: Vec<String> =
            made_for.and_then(|made_for| doubt_of_bundle(spec, made_for)).into_iter().collect();
        for input in inputs {
            let found = match self.may_read(&job, input) {
                false => Found::Forbidden,
                true => match self.objects.exists(&input.bucket, &input.key).await {
                    Ok(false) => Found::Nothing,
                    Ok(true) | Err(_) => Found::Readable,
                },
            };
            doubts.extend(input.doubt(found));
        }
        doubts
    }

    /// The session that the job's workers will have.
    fn imagined_job(&self, id: &JobRunId, role: &Role, spec: &RunSpec) -> Option<Principal> {
        let inline =
            spec.session_policies.first().map(|text| IdentityPolicy::parse(text.clone())).transpose();
        let policies = SessionPolicies { inline: inline.ok()?, arns: spec.session_policy_arns.clone() };
        self.identity.imagined_session(role, id.as_str(), policies, now())
    }

    fn may_read(&self, job: &Principal, input: &Input) -> bool {
        let region = &self.site.region;
        let circumstances = Circumstances { at: now(), source_ip: None, is_tls: false, region };
        let resource = format!("arn:aws:s3:::{}/{}", input.bucket, input.key);
        self.identity.authorize(job, "s3:GetObject", &resource, &circumstances.context()).is_ok()
    }
}
