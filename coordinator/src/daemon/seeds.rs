//! What a new cluster begins with: buckets, the sample data, the administrator, the default runtime role.

use super::Parts;
use super::builds::RELEASES_BUCKET;
use crate::config::CoordinatorConfig;
use anyhow::Context;
use hearth_agents::MANAGED_BUCKET;
use hearth_engine::now;
use hearth_identity::{IdentityPolicy, NewAccessKey, NewRole, TrustPolicy};
use hearth_objects::{Attributes, BucketAccess, ObjectStore};
use std::path::Path;

/// The administrator's user name.
const ADMINISTRATOR: &str = "admin";
/// The default runtime role's name.
pub(super) const DEFAULT_ROLE: &str = "hearth-job";
/// The default bucket.
pub(super) const DEFAULT_BUCKET: &str = "hearth";
/// The role behind credentials for managed storage.
pub(super) const MANAGED_LOGS_ROLE: &str = "hearth-managed-logs";
/// The read-only bucket of samples, under the name that the guide's walk-throughs use (guide:824, guide:1000).
const SAMPLE_BUCKET: &str = "us-east-1.elasticmapreduce";
/// Where in it the word count is.
const SAMPLE_PREFIX: &str = "emr-containers/samples/wordcount";

/// What the seeds gave.
pub(super) struct Planted {
    pub(super) administrator: NewAccessKey,
}

/// Makes what is missing; what is there is left as it is.
pub(super) async fn plant(parts: &Parts, config: &CoordinatorConfig) -> anyhow::Result<Planted> {
    for (bucket, access) in [
        (DEFAULT_BUCKET, BucketAccess::ReadWrite),
        (MANAGED_BUCKET, BucketAccess::ReadWrite),
        (RELEASES_BUCKET, BucketAccess::ReadWrite),
        (SAMPLE_BUCKET, BucketAccess::ReadOnly),
    ] {
        parts
            .objects
            .create_bucket(bucket, access)
            .await
            .with_context(|| format!("creating bucket {bucket}"))?;
    }
    let samples = config.share()?.join("samples/wordcount");
    plant_samples(&parts.objects, &samples).await?;
    plant_role(
        parts,
        DEFAULT_ROLE,
        "Default runtime role for job runs",
        &serde_json::json!([
            {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:*", "Resource": [
                format!("arn:aws:s3:::{MANAGED_BUCKET}"), format!("arn:aws:s3:::{MANAGED_BUCKET}/*"),
                format!("arn:aws:s3:::{RELEASES_BUCKET}"), format!("arn:aws:s3:::{RELEASES_BUCKET}/*"),
            ]},
        ]),
    )
    .await?;
    plant_role(
        parts,
        MANAGED_LOGS_ROLE,
        "Writes logs to managed storage",
        &serde_json::json!([{"Effect": "Allow", "Action": "s3:*", "Resource": format!("arn:aws:s3:::{MANAGED_BUCKET}/*")}]),
    )
    .await?;
    let administrator = parts
        .identity
        .ensure_administrator(ADMINISTRATOR, now())
        .await
        .with_context(|| format!("making the administrator of account {}", config.account_id))?;
    Ok(Planted { administrator })
}

async fn plant_role(
    parts: &Parts,
    name: &str,
    description: &str,
    statements: &serde_json::Value,
) -> anyhow::Result<()> {
    if parts.identity.role(name).is_ok() {
        return Ok(());
    }
    let trust = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "emr-serverless.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }]
    });
    let role = NewRole {
        name: name.to_owned(),
        path: "/".to_owned(),
        description: Some(description.to_owned()),
        max_session_seconds: 3600,
        trust: TrustPolicy::parse(trust.to_string())?,
        tags: Default::default(),
    };
    parts.identity.create_role(role, now()).await?;
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": statements});
    parts.identity.put_role_policy(name, "default", IdentityPolicy::parse(policy.to_string())?).await?;
    Ok(())
}

/// Puts the sample script and its input into the sample bucket, at the keys that the guide names.
async fn plant_samples(objects: &ObjectStore, dir: &Path) -> anyhow::Result<()> {
    let mut found = Vec::new();
    for (place, sub) in [("scripts", "scripts"), ("input", "data")] {
        let sub_dir = dir.join(sub);
        let entries =
            std::fs::read_dir(&sub_dir).with_context(|| format!("reading {}", sub_dir.display()))?;
        for entry in entries {
            let entry = entry?;
            found.push((
                format!("{SAMPLE_PREFIX}/{place}/{}", entry.file_name().to_string_lossy()),
                entry.path(),
            ));
        }
    }
    for (key, path) in found {
        let content = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let stored = match objects.get(SAMPLE_BUCKET, &key, None).await {
            Ok(reader) => reader.bytes().await.is_ok_and(|bytes| bytes == content),
            Err(_) => false,
        };
        if !stored {
            objects
                .put_bytes(SAMPLE_BUCKET, &key, content.into(), Attributes::default())
                .await
                .with_context(|| format!("storing the sample {key}"))?;
        }
    }
    Ok(())
}
