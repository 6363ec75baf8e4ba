//! `hearth up`: hands over to the daemon in this process.

use super::arguments::{Capacity, Up};
use super::connection::data_dir;
use super::error::CliError;
use crate::up::{UpOptions, run};
use std::path::Path;

/// Runs until stopped.
pub(super) async fn up(given_data_dir: Option<&Path>, options: &Up) -> Result<(), CliError> {
    run(UpOptions {
        data_dir: data_dir(given_data_dir),
        listen: options.listen,
        capacity_real: options.capacity == Capacity::Real,
        service_quotas: options.service_quotas,
        insecure_http: options.insecure_http,
        tls: options.tls,
        tls_names: options.tls_names.clone(),
        ui_listen: options.ui_listen,
        ui_url: options.ui_url.clone(),
        tls_certificate: options.tls_certificate.clone(),
        tls_key: options.tls_key.clone(),
    })
    .await
    .map_err(CliError::Daemon)
}
