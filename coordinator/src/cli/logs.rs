//! `hearth logs`: what a job run's driver or executors wrote.

use super::arguments::Logs;
use super::emr::Emr;
use super::error::CliError;
use super::log_stream::{LogPlace, LogReader, Stream, Writer};
use super::objects::Objects;
use super::screen;
use std::time::Duration;

/// Between two looks while following; logs arrive every few seconds.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(2);

/// Prints the log that was asked for; with `--follow`, until the job run has ended.
pub(super) async fn logs(emr: &Emr, objects: Objects, options: &Logs) -> Result<(), CliError> {
    let run = emr.find_job_run(options.job.application.as_deref(), &options.job.job).await?;
    let application = emr.get_application(run.application_id.as_str()).await?;
    let place = LogPlace::of(&run, Some(&application), options.attempt);
    let writer = options.executor.map_or(Writer::Driver, Writer::Executor);
    let stream = if options.stderr { Stream::Stderr } else { Stream::Stdout };
    let mut reader = LogReader::new(objects, place, writer, stream);
    let mut has_ended = run.state.is_final();
    loop {
        // In this order: what was written before the end is there when the end is seen.
        screen::write(&reader.more().await?)?;
        if has_ended || !options.follow {
            break;
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
        let run = emr.get_job_run(run.application_id.as_str(), run.job_run_id.as_str(), None).await?;
        has_ended = run.state.is_final();
    }
    if reader.is_there() { Ok(()) } else { Err(CliError::NoLogs(reader.uri())) }
}
