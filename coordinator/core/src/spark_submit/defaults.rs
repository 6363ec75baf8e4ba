//! What a Spark job gets when nobody says otherwise: the service's defaults (guide:2893-2990) and the settings that
//! make the engine work well on hearth. Every layer above wins over them (guide:2854-2865).

use crate::rules::releases::emr_series;
use std::collections::BTreeMap;

/// Executors a job starts with (guide:2909, guide:2921).
const EXECUTORS: u64 = 3;
/// Most executors under dynamic allocation up to release 6.9 (guide:2910); none later.
const MAXIMUM_EXECUTORS_UNTIL_6_9: &str = "100";

/// Defaults of every release. Sizes and counts are the guide's; the rest is what hearth's engine needs.
const DEFAULTS: [(&str, &str); 20] = [
    ("spark.authenticate", "true"),
    ("spark.driver.cores", "4"),
    ("spark.driver.memory", "14G"),
    ("spark.dynamicAllocation.enabled", "true"),
    ("spark.dynamicAllocation.executorIdleTimeout", "60s"),
    ("spark.dynamicAllocation.minExecutors", "0"),
    // Without an external shuffle service this is what lets executors go.
    ("spark.dynamicAllocation.shuffleTracking.enabled", "true"),
    ("spark.emr-serverless.allocation.batch.size", "20"),
    ("spark.emr-serverless.driver.disk", "20G"),
    ("spark.emr-serverless.driver.disk.type", "Standard"),
    ("spark.emr-serverless.executor.disk", "20G"),
    ("spark.emr-serverless.executor.disk.type", "Standard"),
    ("spark.emr-serverless.memoryOverheadFactor", "0.1"),
    ("spark.executor.cores", "4"),
    ("spark.executor.memory", "14G"),
    ("spark.network.crypto.enabled", "false"),
    // Both schemes are the same store: users write `s3://`, Hadoop's client is called `s3a`.
    // Else a job that commits would abort what others are writing below the same path, and its role would have to be
    // allowed to list uploads (up to Hadoop 3.3.1), which the guide's is not (guide:721-730).
    ("spark.hadoop.fs.s3a.committer.abort.pending.uploads", "false"),
    ("spark.hadoop.fs.s3.impl", S3A),
    ("spark.hadoop.fs.s3a.impl", S3A),
    ("spark.hadoop.fs.s3n.impl", S3A),
];
const S3A: &str = "org.apache.hadoop.fs.s3a.S3AFileSystem";
const S3A_COMMITTERS: &str = "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory";

/// Commits output to the object store by completing uploads instead of renaming (Hadoop's magic committer).
///
/// The six belong together; see [`committer_applies`].
const COMMITTER: [(&str, &str); 6] = [
    ("spark.hadoop.fs.s3a.committer.magic.enabled", "true"),
    ("spark.hadoop.fs.s3a.committer.name", "magic"),
    ("spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3", S3A_COMMITTERS),
    ("spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a", S3A_COMMITTERS),
    (
        "spark.sql.parquet.output.committer.class",
        "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
    ),
    // Ours: Spark's cloud protocol, but for writes that replace only the partitions they touch.
    ("spark.sql.sources.commitProtocolClass", "org.apache.spark.hearth.HearthCommitProtocol"),
];

/// The settings that say with how many executors a job begins: Spark takes the larger.
const INITIAL_EXECUTORS: [&str; 2] = ["spark.dynamicAllocation.initialExecutors", "spark.executor.instances"];

/// The setting that bounds the number of executors.
const MAXIMUM_EXECUTORS: &str = "spark.dynamicAllocation.maxExecutors";

/// The default settings of `release_label` for a job whose own settings, all layers merged, are `chosen`.
///
/// Depends on `chosen` in two places: the committer (see [`committer_applies`]), and the initial number of executors
/// (see [`default_executors`]). `optimize_allocation` is the `spark` classification's
/// `dynamicAllocationOptimization` (guide:2867-2889).
pub fn for_release(
    release_label: &str,
    chosen: &BTreeMap<String, String>,
    optimize_allocation: bool,
) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = owned(&DEFAULTS).collect();
    if committer_applies(chosen) {
        settings.extend(owned(&COMMITTER));
    }
    if has_executor_limit(release_label) {
        settings.insert(MAXIMUM_EXECUTORS.to_owned(), MAXIMUM_EXECUTORS_UNTIL_6_9.to_owned());
    }
    let executors = default_executors(chosen).to_string();
    for key in INITIAL_EXECUTORS {
        settings.insert(key.to_owned(), executors.clone());
    }
    if optimize_allocation {
        // Spark doubles its request every second by default; a worker starts in a few. Asking again only after
        // workers had time to arrive keeps it from requesting executors that the running stage no longer needs.
        settings
            .insert("spark.dynamicAllocation.sustainedSchedulerBacklogTimeout".to_owned(), "5s".to_owned());
    }
    settings
}

/// Whether the object-store committer can be the default for a job with these settings.
///
/// Not when the job sets any of the committer's settings to something else: with Spark's own commit protocol the magic
/// committer would write straight into the destination, so a mixture loses data. Then none of the settings is given,
/// which leaves Spark's and Hadoop's own (renaming) committers. Writes with dynamic partition overwrite, which a job
/// chooses at run time, are told apart by the commit protocol itself.
pub fn committer_applies(chosen: &BTreeMap<String, String>) -> bool {
    let own = COMMITTER.iter().any(|(key, ours)| chosen.get(*key).is_some_and(|theirs| theirs != ours));
    !own
}

/// The default of both [`INITIAL_EXECUTORS`]: within a chosen maximum, and no more than the job chose for the other of
/// the two, or the default of one would overrule what the job says in the other.
fn default_executors(chosen: &BTreeMap<String, String>) -> u64 {
    INITIAL_EXECUTORS
        .iter()
        .chain(&[MAXIMUM_EXECUTORS])
        .filter_map(|key| chosen.get(*key)?.parse().ok())
        .fold(EXECUTORS, u64::min)
}

/// Whether `label` is an EMR release up to 6.9 (guide:2910).
fn has_executor_limit(label: &str) -> bool {
    emr_series(label).is_some_and(|series| series <= (6, 9))
}

fn owned<'a>(pairs: &'a [(&str, &str)]) -> impl Iterator<Item = (String, String)> + 'a {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        owned(pairs).collect()
    }

    #[test]
    fn the_guides_defaults_hold() {
        let settings = for_release("emr-7.6.0", &chosen(&[]), false);
        for (key, value) in [
            ("spark.driver.cores", "4"),
            ("spark.driver.memory", "14G"),
            ("spark.executor.instances", "3"),
            ("spark.dynamicAllocation.initialExecutors", "3"),
            ("spark.dynamicAllocation.executorIdleTimeout", "60s"),
            ("spark.authenticate", "true"),
        ] {
            assert_eq!(settings.get(key).map(String::as_str), Some(value), "{key}");
        }
    }

    #[test]
    fn old_releases_have_an_executor_limit() {
        for (label, limited) in [
            ("emr-6.9.0", true),
            ("emr-5.36.0", true),
            ("emr-6.10.0", false),
            ("emr-7.6.0", false),
            ("spark-3.5.3", false),
        ] {
            assert_eq!(
                for_release(label, &chosen(&[]), false).contains_key(MAXIMUM_EXECUTORS),
                limited,
                "{label}"
            );
        }
    }

    #[test]
    fn a_chosen_maximum_bounds_the_default_number() {
        let settings = for_release("emr-7.6.0", &chosen(&[(MAXIMUM_EXECUTORS, "1")]), false);
        assert_eq!(settings["spark.executor.instances"], "1");
        assert_eq!(settings["spark.dynamicAllocation.initialExecutors"], "1");
    }

    #[test]
    fn the_default_number_does_not_overrule_a_smaller_one_chosen_in_the_other_setting() {
        for [one, other] in [INITIAL_EXECUTORS, [INITIAL_EXECUTORS[1], INITIAL_EXECUTORS[0]]] {
            for (number, default) in [("1", "1"), ("8", "3"), ("many", "3")] {
                let settings = for_release("emr-7.6.0", &chosen(&[(one, number)]), false);
                assert_eq!(settings[other], default, "{one}={number}");
            }
        }
    }

    #[test]
    fn the_committer_is_given_whole_or_not_at_all() {
        for (pairs, applies) in [
            (&[][..], true),
            (&[("spark.sql.sources.partitionOverwriteMode", "dynamic")], true),
            (&[("spark.sql.sources.commitProtocolClass", "my.Own")], false),
            (&[("spark.hadoop.fs.s3a.committer.name", "directory")], false),
            (&[("spark.hadoop.fs.s3a.committer.name", "magic")], true),
        ] {
            let settings = for_release("emr-7.6.0", &chosen(pairs), false);
            let given = COMMITTER.iter().filter(|(key, _)| settings.contains_key(*key)).count();
            assert_eq!(given, if applies { COMMITTER.len() } else { 0 }, "{pairs:?}");
        }
    }
}
