//! `hearth cancel`: asks for a job run's end.

use super::arguments::JobRef;
use super::emr::Emr;
use super::error::CliError;
use super::screen;

/// Cancels the job run, or says that it has ended already.
pub(super) async fn cancel(emr: &Emr, job: &JobRef) -> Result<(), CliError> {
    let run = emr.find_job_run(job.application.as_deref(), &job.job).await?;
    if run.state.is_final() {
        return screen::line(&format!("{} has ended already: {}", run.job_run_id, run.state));
    }
    emr.cancel_job_run(run.application_id.as_str(), run.job_run_id.as_str()).await?;
    screen::line(&format!("{} is being cancelled", run.job_run_id))
}
