//! What a job run used, laid over its document: the sums over its workers' records (guide:9130).

use super::Control;
use hearth_api::emr::control_plane::ControlError;
use hearth_api::emr::wire;
use hearth_coordinator_core::usage::{Usage, of_worker};
use hearth_engine::now;

impl Control {
    /// Sums up the workers of one attempt, or of all of them where none is named. What still runs counts until now.
    pub(super) async fn lay_over_usage(
        &self,
        run: &mut wire::JobRun,
        attempt: Option<u32>,
    ) -> Result<(), ControlError> {
        let workers = self.store.workers_of(&run.job_run_id).await.map_err(ControlError::internal)?;
        let is_asked_for = |launched: u32| attempt.is_none_or(|attempt| attempt == launched);
        let at = now();
        let Usage { total, billed } = workers
            .iter()
            .filter(|worker| is_asked_for(worker.launch.attempt))
            .map(|worker| of_worker(worker, at))
            .sum();
        run.total_resource_utilization = Some(wire::TotalResourceUtilization {
            vcpu_hour: Some(total.vcpu_hours()),
            memory_gb_hour: Some(total.memory_gb_hours()),
            storage_gb_hour: Some(total.storage_gb_hours()),
        });
        run.billed_resource_utilization = Some(wire::ResourceUtilization {
            vcpu_hour: Some(billed.vcpu_hours()),
            memory_gb_hour: Some(billed.memory_gb_hours()),
            storage_gb_hour: Some(billed.storage_gb_hours()),
        });
        Ok(())
    }
}
