//! Messages of the control channel.

use hearth_agent_core::life::Finished;
use hearth_proto::v1;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Version of the control channel's protocol.
pub(crate) const PROTOCOL: u32 = 1;

/// A message to the JVM, without its number.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Order {
    /// What the JVM is to be; comes once, before any other.
    Run(RunOrder),
    /// An executor of this driver was started.
    ExecutorLaunched { id: String, host: String },
    /// An executor of this driver has ended.
    ExecutorExited { id: String, exit_code: i32, caused_by_app: bool, reason: String },
    /// An executor cannot be had for now.
    LaunchFailed { rp_id: u32, reason: String },
    /// The job is to stop.
    Cancel { grace_ms: u32 },
}

/// Arguments, settings, environment and secret of a job; never logged.
#[derive(Clone, PartialEq, Serialize)]
pub(crate) struct RunOrder {
    pub(crate) kind: &'static str,
    pub(crate) args: Vec<String>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) secret: String,
    pub(crate) unpack: Vec<String>,
}

impl std::fmt::Debug for RunOrder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RunOrder").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The first line of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: u32,
    pub(crate) worker_id: String,
    pub(crate) session: String,
    pub(crate) last_received: u64,
}

/// A message from the JVM.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Report {
    /// The launcher is up.
    Ready,
    /// The job was accepted.
    Started,
    RegisterApp(v1::RegisterApp),
    SetTarget(v1::SetTarget),
    KillExecutors(Vec<String>),
    UnregisterApp,
    /// The figures as JSON.
    Progress(String),
    Finished(Finished),
}

/// A line from the JVM.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Line {
    Ack {
        seq: u64,
    },
    /// Unreliable: it has no number.
    Latest(Report),
    /// Reliable; `None` for a kind that a newer launcher knows.
    Numbered {
        seq: u64,
        report: Option<Report>,
    },
}

/// Reads one line after the greeting.
pub(crate) fn parse(line: &str) -> Result<Line, serde_json::Error> {
    let Envelope { kind, seq, members } = serde_json::from_str(line)?;
    if kind == "ack" {
        return Ok(Line::Ack { seq: seq.unwrap_or(0) });
    }
    if kind == "progress" {
        return Ok(Line::Latest(Report::Progress(Value::Object(members).to_string())));
    }
    let members = Value::Object(members);
    let report = match kind.as_str() {
        "ready" => Some(Report::Ready),
        "started" => Some(Report::Started),
        "register_app" => Some(Report::RegisterApp(serde_json::from_value::<RegisterApp>(members)?.into())),
        "set_target" => Some(Report::SetTarget(serde_json::from_value::<SetTarget>(members)?.into())),
        "kill_executors" => {
            Some(Report::KillExecutors(serde_json::from_value::<KillExecutors>(members)?.ids))
        }
        "unregister_app" => Some(Report::UnregisterApp),
        "finished" => Some(Report::Finished(serde_json::from_value(members)?)),
        _ => None,
    };
    Ok(Line::Numbered { seq: seq.unwrap_or(0), report })
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    seq: Option<u64>,
    #[serde(flatten)]
    members: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct RegisterApp {
    app_id: String,
    driver_url: String,
    ui_port: Option<u32>,
    executor: ExecutorStart,
}

#[derive(Deserialize)]
struct ExecutorStart {
    java_opts: Vec<String>,
    env: HashMap<String, String>,
    properties: HashMap<String, String>,
    /// A driver that is adopted may be of an older version, which never said.
    #[serde(default)]
    class_path: Vec<String>,
}

impl From<RegisterApp> for v1::RegisterApp {
    fn from(message: RegisterApp) -> Self {
        Self {
            app_id: message.app_id,
            driver_url: message.driver_url,
            ui_port: message.ui_port.unwrap_or(0),
            executor_java_opts: message.executor.java_opts,
            executor_env: message.executor.env,
            executor_properties: message.executor.properties,
            executor_class_path: message.executor.class_path,
        }
    }
}

#[derive(Deserialize)]
struct SetTarget {
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    rp_id: u32,
    count: u32,
    cores: u32,
    memory_mib: u64,
    total_mib: u64,
}

impl From<SetTarget> for v1::SetTarget {
    fn from(message: SetTarget) -> Self {
        let profile = |profile: Profile| v1::ExecutorProfile {
            profile_id: profile.rp_id,
            count: profile.count,
            cores: profile.cores,
            heap_mib: profile.memory_mib,
            total_mib: profile.total_mib,
        };
        Self { profiles: message.profiles.into_iter().map(profile).collect() }
    }
}

#[derive(Deserialize)]
struct KillExecutors {
    ids: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_report_is_read() {
        let target = r#"{"type":"set_target","seq":3,"profiles":[{"rp_id":0,"count":2,"cores":4,"memory_mib":1024,
            "overhead_mib":384,"offheap_mib":0,"pyspark_mib":0,"total_mib":1408}]}"#;
        let Line::Numbered { seq: 3, report: Some(Report::SetTarget(target)) } = parse(target).unwrap()
        else {
            panic!("no target")
        };
        assert_eq!((target.profiles[0].heap_mib, target.profiles[0].total_mib), (1024, 1408));
        let app = r#"{"type":"register_app","seq":2,"app_id":"a","driver_url":"u","ui_port":null,
            "executor":{"java_opts":["-Xss2m"],"env":{},"properties":{"spark.port":"1"},
            "class_path":["a.jar"]}}"#;
        assert!(matches!(parse(app), Ok(Line::Numbered { seq: 2, report: Some(Report::RegisterApp(app)) })
            if app.ui_port == 0 && app.executor_properties["spark.port"] == "1" && app.executor_class_path == ["a.jar"]));
        let finished = r#"{"type":"finished","seq":9,"exit_code":1,"error_class":"E","error_message":null}"#;
        assert!(matches!(
            parse(finished),
            Ok(Line::Numbered { report: Some(Report::Finished(Finished { exit_code: 1, .. })), .. })
        ));
        assert_eq!(parse(r#"{"type":"ack","seq":4}"#).unwrap(), Line::Ack { seq: 4 });
        assert_eq!(
            parse(r#"{"type":"progress","jobs":{"active":1},"executors":2}"#).unwrap(),
            Line::Latest(Report::Progress(r#"{"jobs":{"active":1},"executors":2}"#.to_owned()))
        );
        assert_eq!(
            parse(r#"{"type":"from_the_future","seq":5}"#).unwrap(),
            Line::Numbered { seq: 5, report: None }
        );
    }

    #[test]
    fn orders_have_the_contracts_form() {
        let order = Order::ExecutorExited {
            id: "1".into(),
            exit_code: 137,
            caused_by_app: false,
            reason: "x".into(),
        };
        assert_eq!(
            serde_json::to_string(&order).unwrap(),
            r#"{"type":"executor_exited","id":"1","exit_code":137,"caused_by_app":false,"reason":"x"}"#
        );
    }
}
