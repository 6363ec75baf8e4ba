//! What `hearth run` submits: which local files are uploaded where, and the parameters that name them.

use super::arguments::Run;
use super::error::CliError;
use super::objects::file_sha256;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Workers of `hearth run` unless `--conf` says otherwise: as small as they come.
const SMALL_WORKERS: [(&str, &str); 4] = [
    ("spark.driver.cores", "1"),
    ("spark.driver.memory", "2g"),
    ("spark.executor.cores", "1"),
    ("spark.executor.memory", "2g"),
];
/// How many executors, unless `--conf` says anything about their number.
const FEW_EXECUTORS: [(&str, &str); 2] =
    [("spark.dynamicAllocation.initialExecutors", "1"), ("spark.dynamicAllocation.maxExecutors", "2")];

/// A local file and the object it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    /// The file.
    pub path: PathBuf,
    /// The object's key.
    pub key: String,
    /// The file's digest.
    pub sha256: String,
}

/// What is to be uploaded, and `StartJobRun`'s driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submission {
    /// Name of the job run.
    pub name: String,
    /// Script, jar or SQL file, as workers find it.
    pub entry_point: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// In `spark-submit` form.
    pub parameters: String,
    /// What has to be there first.
    pub uploads: Vec<Upload>,
    /// Whether all sizes are the small ones.
    pub has_small_workers: bool,
}

impl Submission {
    /// From what was typed; local files are read for their digests.
    pub(super) fn plan(run: &Run, bucket: impl Fn() -> Result<String, CliError>) -> Result<Self, CliError> {
        let [script, args @ ..] = run.command.as_slice() else {
            return Err(CliError::Usage("name the script to run".to_owned()));
        };
        if script.starts_with('-') {
            return Err(CliError::Usage(format!(
                "{script} is no option of `hearth run`; see `hearth run --help`"
            )));
        }
        let mut uploads = Vec::new();
        let mut place = |name: &str| place(name, &bucket, &mut uploads);
        let entry_point = place(script)?;
        let mut words: Vec<String> = Vec::new();
        let lists = [
            ("--class", &run.class, false),
            ("--py-files", &run.py_files, true),
            ("--jars", &run.jars, true),
            ("--files", &run.files, true),
            ("--archives", &run.archives, true),
            ("--packages", &run.packages, false),
        ];
        for (option, value, names_files) in lists {
            let Some(value) = value else { continue };
            let value = if names_files {
                let placed: Result<Vec<String>, CliError> = value.split(',').map(&mut place).collect();
                placed?.join(",")
            } else {
                value.clone()
            };
            words.extend([option.to_owned(), value]);
        }
        let is_given = |key: &str| run.conf.iter().any(|(given, _)| given == key);
        let counts_executors = run
            .conf
            .iter()
            .any(|(key, _)| key == "spark.executor.instances" || key.starts_with("spark.dynamicAllocation."));
        let few = FEW_EXECUTORS.iter().filter(|_| !counts_executors);
        let defaults = SMALL_WORKERS.iter().chain(few).filter(|(key, _)| !is_given(key));
        for (key, value) in defaults.copied().chain(run.conf.iter().map(|(key, value)| (&**key, &**value))) {
            words.extend(["--conf".to_owned(), format!("{key}={value}")]);
        }
        let name = run.name.clone().unwrap_or_else(|| file_name(script).to_owned());
        let parameters = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let has_small_workers = !counts_executors && !SMALL_WORKERS.iter().any(|(key, _)| is_given(key));
        Ok(Self { name, entry_point, args: args.to_vec(), parameters, uploads, has_small_workers })
    }

    /// The body of `StartJobRun`.
    pub(super) fn request(&self, role_arn: &str, log_uri: Option<&str>, token: &str) -> Value {
        let mut body = json!({
            "clientToken": token,
            "executionRoleArn": role_arn,
            "name": self.name,
            "jobDriver": {"sparkSubmit": {
                "entryPoint": self.entry_point,
                "sparkSubmitParameters": self.parameters,
            }},
        });
        if !self.args.is_empty() {
            body["jobDriver"]["sparkSubmit"]["entryPointArguments"] = json!(self.args);
        }
        if let Some(log_uri) = log_uri {
            body["configurationOverrides"] =
                json!({"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": log_uri}}});
        }
        body
    }
}

/// The name by which workers find a file: itself if it has a scheme or lies in a release, else where it is uploaded to.
/// What follows `#` is the name it gets there.
fn place(
    name: &str,
    bucket: &impl Fn() -> Result<String, CliError>,
    uploads: &mut Vec<Upload>,
) -> Result<String, CliError> {
    let (file, alias) = match name.split_once('#') {
        Some((file, alias)) if !Path::new(name).exists() => (file, format!("#{alias}")),
        _ => (name, String::new()),
    };
    if file.contains("://") || file.starts_with("/usr/lib/spark/") {
        return Ok(name.to_owned());
    }
    let sha256 = file_sha256(Path::new(file))?;
    let key = format!("scripts/{sha256}/{}", file_name(file));
    let location = format!("s3://{}/{key}{alias}", bucket()?);
    uploads.push(Upload { path: file.into(), key, sha256 });
    Ok(location)
}

fn file_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// A word as the splitter of `sparkSubmitParameters` reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '\'' | '"' | '\\');
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::super::arguments::{Cli, Verb};
    use super::*;
    use clap::Parser;
    use hearth_coordinator_core::spark_submit::tokens::split;

    fn plan(words: &[&str]) -> Submission {
        let line = ["hearth", "run"].iter().chain(words);
        let Verb::Run(run) = Cli::try_parse_from(line).unwrap().verb else { panic!("not run") };
        Submission::plan(&run, || Ok("bucket".to_owned())).unwrap()
    }

    #[test]
    fn local_files_are_uploaded_under_their_digest_and_others_are_left() {
        let dir = tempfile::tempdir().unwrap();
        let (script, archive) = (dir.path().join("job.py"), dir.path().join("env.tar.gz"));
        std::fs::write(&script, "print(1)").unwrap();
        std::fs::write(&archive, "").unwrap();
        let archives = format!("{}#environment,s3://b/other.zip#other", archive.display());
        let plan = plan(&["--archives", &archives, script.to_str().unwrap()]);
        assert_eq!(plan.uploads.len(), 2);
        assert_eq!(plan.entry_point, format!("s3://bucket/{}", plan.uploads[0].key));
        assert!(plan.uploads[0].key.ends_with("/job.py"));
        let expected =
            format!("--archives s3://bucket/{}#environment,s3://b/other.zip#other ", plan.uploads[1].key);
        assert!(plan.parameters.starts_with(&expected), "{}", plan.parameters);
        assert_eq!(plan.name, "job.py");
    }

    #[test]
    fn workers_are_small_unless_their_size_or_number_is_given() {
        let jar = "/usr/lib/spark/examples/jars/spark-examples.jar";
        let small = plan(&["--class", "a.B", jar]);
        assert!(small.has_small_workers && small.uploads.is_empty());
        assert!(small.parameters.contains("spark.executor.memory=2g"));
        assert!(small.parameters.contains("spark.dynamicAllocation.maxExecutors=2"));
        let own = plan(&["--conf", "spark.executor.instances=5", "--conf", "spark.executor.memory=4g", jar]);
        assert!(!own.has_small_workers && !own.parameters.contains("maxExecutors"));
        assert!(!own.parameters.contains("spark.executor.memory=2g"));
    }

    #[test]
    fn quoted_words_are_split_back_into_themselves() {
        for word in ["plain", "", "two words", r"back\slash", "it's", "\"double\"", "tab\there", "a'b \"c\\'"]
        {
            assert_eq!(split(&quoted(word)).unwrap(), [word], "{word:?}");
        }
    }
}
