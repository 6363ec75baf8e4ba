//! Looks ahead at what a job run will need. The service accepts job runs whose files are missing, or whose workers fit nowhere,
//! and lets them fail or wait; hearth accepts them too, for either may be mended in the meantime, and says so in
//! `stateDetails` from the first moment.

use crate::job_run::{ExecutorProfile, JobRun, RunSpec};
use crate::rules::places::split_location;
use crate::schedule::{executor_size, first_executors, serving, wanted_executors};
use crate::spark_submit::DriverLaunch;
use crate::world::World;
use hearth_types::{Architecture, WorkerSize};

/// Files of a job that are looked at, at the most: submitting stays cheap however long its lists are.
const LOOKED_AT: usize = 16;

/// Where Spark is told of a job's files, and the API's or SparkSubmit's name for it.
const LISTS: [(&str, &str); 4] = [
    ("spark.submit.pyFiles", "--py-files"),
    ("spark.jars", "--jars"),
    ("spark.files", "--files"),
    ("spark.archives", "--archives"),
];

/// A file in the object store that a job begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// What names it: `entryPoint`, or an option such as `--jars`.
    pub named_by: &'static str,
    /// As it is named, without the fragment that says where to unpack it.
    pub uri: String,
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
}

/// What was found where a job's file should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The file, and the job may read it.
    Readable,
    /// Nothing.
    Nothing,
    /// It may be there, but the job has no right to read it.
    Forbidden,
}

impl Input {
    /// What to tell of it; nothing where all is well. Goes on a sentence that begins with "When it was submitted, ".
    pub fn doubt(&self, found: Found) -> Option<String> {
        let Self { named_by, uri, .. } = self;
        match found {
            Found::Readable => None,
            Found::Nothing => Some(format!("{named_by} {uri} did not exist")),
            Found::Forbidden => Some(format!("its role was not allowed s3:GetObject on {named_by} {uri}")),
        }
    }
}

/// What to tell of a release's bundle, which is made on the coordinator's host and for machines like it; nothing where the job's
/// workers are such.
pub fn doubt_of_bundle(spec: &RunSpec, made_for: Architecture) -> Option<String> {
    let (release, wanted) = (&spec.release, spec.architecture);
    (wanted != made_for).then(|| {
        let (made_for, wanted) = (made_for.as_str(), wanted.as_str());
        format!("release {release} was made for {made_for}, and its Python packages do not run on {wanted}")
    })
}

/// The files in the object store that a job begins with, the first of them at least. Files of the worker, other schemes, patterns and
/// whole directories are passed over.
pub fn inputs(launch: &DriverLaunch) -> Vec<Input> {
    let lists = LISTS.iter().flat_map(|(key, option)| {
        let list = launch.spark_conf.get(*key).map_or("", String::as_str);
        list.split(',').map(move |uri| (*option, uri.trim()))
    });
    [("entryPoint", launch.entry.uri.as_str())]
        .into_iter()
        .chain(lists)
        .filter_map(|(named_by, uri)| input(named_by, uri))
        .take(LOOKED_AT)
        .collect()
}

fn input(named_by: &'static str, uri: &str) -> Option<Input> {
    // An entry point has no fragment: `#` is part of its name.
    let uri = if named_by == "entryPoint" { uri } else { uri.split('#').next()? };
    let (bucket, key) = split_location(uri)?;
    let is_one_file = !key.is_empty() && !key.ends_with('/') && !key.contains(['*', '?', '[', '{']);
    is_one_file.then(|| Input {
        named_by,
        uri: uri.to_owned(),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    })
}

/// Why a job run that wants executors will never have one, as the world is; nothing while it has some, or can.
pub fn no_executor_ever(world: &World, run: &JobRun) -> Option<String> {
    let profile = wanted(run)?;
    if !serving(world, run, profile.profile_id).is_empty() {
        return None;
    }
    let application = world.application(&run.application)?;
    let (driver, executor) = (run.spec.driver.size, executor_size(run, &profile));
    let both = driver.plus(&executor);
    let quotas = world.quotas();
    if let Some(limit) = application.maximum_capacity.filter(|limit| !both.fits(limit)) {
        return Some(format!(
            "No executor ({executor}) fits beside the driver: the application's maximum capacity is {limit}."
        ));
    }
    if let Some(limit) = quotas.vcpus.filter(|_| !quotas.allow(both.cpu_millis)) {
        return Some(format!(
            "No executor ({executor}) fits beside the driver: the account's quota is {limit} vCPU."
        ));
    }
    let offered: Vec<WorkerSize> = world
        .agents()
        .filter(|agent| agent.takes_workers() && agent.architecture == run.spec.architecture)
        .map(|agent| agent.offered)
        .collect();
    // Without hosts, or none for the driver, that is what it waits for.
    if !offered.iter().any(|host| driver.fits(host)) || have_room(&offered, &driver, &executor) {
        return None;
    }
    Some(format!("No executor ({executor}) fits on any host beside the driver."))
}

/// The executors that a job run wants of one profile, the first that it wants any of.
fn wanted(run: &JobRun) -> Option<ExecutorProfile> {
    let profiles = match run.waits_for_driver() {
        true => vec![first_executors(run)],
        false => wanted_executors(run),
    };
    profiles.into_iter().find(|profile| profile.count > 0)
}

/// Whether a driver and an executor have room on hosts that are empty but for them.
fn have_room(offered: &[WorkerSize], driver: &WorkerSize, executor: &WorkerSize) -> bool {
    let both = driver.plus(executor);
    offered.iter().enumerate().any(|(place, host)| {
        let beside = |(other, another): (usize, &WorkerSize)| other != place && executor.fits(another);
        both.fits(host) || driver.fits(host) && offered.iter().enumerate().any(beside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files_in_the_object_store_are_looked_at_and_nothing_else() {
        for (named_by, uri, location) in [
            ("entryPoint", "s3://b/k/job.py", Some(("b", "k/job.py"))),
            ("entryPoint", "s3a://b/a#b.py", Some(("b", "a#b.py"))),
            ("--archives", "s3://b/env.tar.gz#environment", Some(("b", "env.tar.gz"))),
            ("--jars", "s3://b/libs/*.jar", None),
            ("--jars", "s3://b/libs/", None),
            ("--jars", "s3://b", None),
            ("--files", "local:///etc/hosts", None),
            ("--files", "https://example.org/x", None),
            ("--files", "", None),
        ] {
            let found = input(named_by, uri);
            let found = found.as_ref().map(|input| (input.bucket.as_str(), input.key.as_str()));
            assert_eq!(found, location, "{named_by} {uri}");
        }
    }

    #[test]
    fn a_doubt_names_the_file_and_what_is_wrong() {
        let jar = input("--jars", "s3://b/x.jar").expect("a file");
        assert_eq!(jar.doubt(Found::Readable), None);
        assert_eq!(jar.doubt(Found::Nothing).as_deref(), Some("--jars s3://b/x.jar did not exist"));
        let forbidden = jar.doubt(Found::Forbidden).expect("a doubt");
        assert_eq!(forbidden, "its role was not allowed s3:GetObject on --jars s3://b/x.jar");
    }

    proptest! {
        /// The same, obviously: try every pair of places.
        #[test]
        fn there_is_room_if_some_pair_of_places_has_it(
            hosts in prop::collection::vec((1..6_u64, 1..6_u64), 0..4),
            driver in (1..4_u64, 1..4_u64),
            executor in (1..4_u64, 1..4_u64),
        ) {
            let size = |(vcpu, gib): (u64, u64)| WorkerSize::new(vcpu, gib * 1024, 20);
            let hosts: Vec<WorkerSize> =
                hosts.into_iter().map(|host| WorkerSize { disk_gib: 40, ..size(host) }).collect();
            let (driver, executor) = (size(driver), size(executor));
            let mut is_possible = false;
            for first in 0..hosts.len() {
                for second in 0..hosts.len() {
                    is_possible |= match first == second {
                        true => driver.plus(&executor).fits(&hosts[first]),
                        false => driver.fits(&hosts[first]) && executor.fits(&hosts[second]),
                    };
                }
            }
            prop_assert_eq!(have_room(&hosts, &driver, &executor), is_possible);
        }
    }
}
