//! Reads `sparkSubmitParameters` as SparkSubmit 3.5.3 reads its command line (`SparkSubmitOptionParser`,
//! `SparkSubmitArguments`), except that what would take the job off hearth's workers is refused.

use super::tokens::split;
use super::{Fault, Faults, Reserved};
use std::collections::{BTreeMap, BTreeSet};

/// What an option with a value does.
#[derive(Clone, Copy)]
enum Effect {
    /// It is another way to write this setting, and wins over `--conf` (`loadEnvironmentArguments`).
    Setting(&'static str),
    /// It is a `key=value` pair.
    Conf,
    /// The main class.
    Class,
    /// The user to impersonate.
    ProxyUser,
    /// It is hearth's own.
    Reserved(Reserved),
}

/// What an option without a value does.
#[derive(Clone, Copy)]
enum SwitchEffect {
    /// More output.
    Verbose,
    /// Nothing on hearth: Spark too heeds it only for drivers that a standalone cluster starts.
    Supervise,
    /// It is refused.
    Reserved(Reserved),
}

/// Every option with a value, by name and alias.
const OPTIONS: [(&str, Effect); 30] = [
    ("--archives", Effect::Setting("spark.archives")),
    ("--class", Effect::Class),
    ("--conf", Effect::Conf),
    ("-c", Effect::Conf),
    ("--deploy-mode", Effect::Reserved(Reserved::DeployMode)),
    ("--driver-class-path", Effect::Setting("spark.driver.extraClassPath")),
    ("--driver-cores", Effect::Setting("spark.driver.cores")),
    ("--driver-java-options", Effect::Setting("spark.driver.extraJavaOptions")),
    ("--driver-library-path", Effect::Setting("spark.driver.extraLibraryPath")),
    ("--driver-memory", Effect::Setting("spark.driver.memory")),
    ("--exclude-packages", Effect::Setting("spark.jars.excludes")),
    ("--executor-cores", Effect::Setting("spark.executor.cores")),
    ("--executor-memory", Effect::Setting("spark.executor.memory")),
    ("--files", Effect::Setting("spark.files")),
    ("--jars", Effect::Setting("spark.jars")),
    ("--keytab", Effect::Setting("spark.kerberos.keytab")),
    ("--kill", Effect::Reserved(Reserved::StandaloneControl)),
    ("--master", Effect::Reserved(Reserved::Master)),
    ("--name", Effect::Setting("spark.app.name")),
    ("--num-executors", Effect::Setting("spark.executor.instances")),
    ("--packages", Effect::Setting("spark.jars.packages")),
    ("--principal", Effect::Setting("spark.kerberos.principal")),
    ("--properties-file", Effect::Reserved(Reserved::PropertiesFile)),
    ("--proxy-user", Effect::ProxyUser),
    ("--py-files", Effect::Setting("spark.submit.pyFiles")),
    ("--queue", Effect::Setting("spark.yarn.queue")),
    ("--remote", Effect::Reserved(Reserved::Remote)),
    ("--repositories", Effect::Setting("spark.jars.repositories")),
    ("--status", Effect::Reserved(Reserved::StandaloneControl)),
    ("--total-executor-cores", Effect::Setting("spark.cores.max")),
];

/// Every option without a value, by name and alias.
const SWITCHES: [(&str, SwitchEffect); 7] = [
    ("--help", SwitchEffect::Reserved(Reserved::PrintsOnly)),
    ("-h", SwitchEffect::Reserved(Reserved::PrintsOnly)),
    ("--supervise", SwitchEffect::Supervise),
    ("--usage-error", SwitchEffect::Reserved(Reserved::PrintsOnly)),
    ("--verbose", SwitchEffect::Verbose),
    ("-v", SwitchEffect::Verbose),
    ("--version", SwitchEffect::Reserved(Reserved::PrintsOnly)),
];

/// Settings that no job may give, in parameters or classifications.
const RESERVED_SETTINGS: [(&str, Reserved); 3] = [
    ("spark.master", Reserved::Master),
    ("spark.submit.deployMode", Reserved::DeployMode),
    ("spark.remote", Reserved::Remote),
];

/// The refusal of `key`, when it is hearth's own setting.
pub fn reserved_setting(key: &str) -> Option<Fault> {
    let (_, reason) = RESERVED_SETTINGS.into_iter().find(|(name, _)| *name == key)?;
    Some(Fault::Reserved { name: key.to_owned(), reason })
}

/// What `sparkSubmitParameters` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubmitOptions {
    /// `--class`.
    pub class: Option<String>,
    /// `--proxy-user`.
    pub proxy_user: Option<String>,
    /// `--verbose`.
    pub verbose: bool,
    /// Settings from `--conf` and from options that are another way to write one. An option wins over `--conf`, and
    /// the last of several wins.
    pub settings: BTreeMap<String, String>,
    /// Names given with `--conf` that do not start with `spark.`: Spark drops them with a warning, so do we.
    pub ignored: BTreeSet<String>,
}

impl SubmitOptions {
    /// Splits and reads `sparkSubmitParameters`; all faults are found, unless the text cannot be split. The options come
    /// without what is faulty.
    pub fn read(text: &str) -> (Self, Vec<Fault>) {
        let tokens = match split(text) {
            Ok(tokens) => tokens,
            Err(fault) => return (Self::default(), vec![fault]),
        };
        let mut reader = Reader::default();
        let mut tokens = tokens.iter();
        while let Some(token) = tokens.next() {
            reader.read(token, &mut tokens);
        }
        reader.finish()
    }

    /// The same where anything faulty is refused.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        match Self::read(text) {
            (options, faults) if faults.is_empty() => Ok(options),
            (_, faults) => Err(Faults(faults)),
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    options: SubmitOptions,
    /// Settings written as options, kept apart because they win whatever the order.
    flags: BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl Reader {
    fn read<'a>(&mut self, token: &'a str, rest: &mut impl Iterator<Item = &'a String>) {
        let (name, attached) = split_at_equals(token);
        if let Some((name, effect)) = SWITCHES.into_iter().find(|(known, _)| *known == name) {
            // As in Spark, a value attached to a switch is passed over.
            self.switch(name, effect);
        } else if let Some((name, effect)) = OPTIONS.into_iter().find(|(known, _)| *known == name) {
            match attached.or_else(|| rest.next().map(String::as_str)) {
                Some(value) => self.option(name, effect, value),
                None => self.faults.push(Fault::MissingValue(name)),
            }
        } else if name.starts_with('-') {
            self.faults.push(Fault::UnknownOption(name.to_owned()));
        } else {
            self.faults.push(Fault::UnexpectedArgument(name.to_owned()));
        }
    }

    fn switch(&mut self, name: &str, effect: SwitchEffect) {
        match effect {
            SwitchEffect::Verbose => self.options.verbose = true,
            SwitchEffect::Supervise => {}
            SwitchEffect::Reserved(reason) => {
                self.faults.push(Fault::Reserved { name: name.to_owned(), reason })
            }
        }
    }

    fn option(&mut self, name: &str, effect: Effect, value: &str) {
        match effect {
            Effect::Setting(key) => {
                self.flags.insert(key.to_owned(), value.to_owned());
            }
            Effect::Class => self.options.class = Some(value.to_owned()),
            Effect::ProxyUser => self.options.proxy_user = Some(value.to_owned()),
            Effect::Reserved(reason) => self.faults.push(Fault::Reserved { name: name.to_owned(), reason }),
            Effect::Conf => self.conf(value),
        }
    }

    fn conf(&mut self, pair: &str) {
        let Some((key, value)) = pair.split_once('=') else {
            self.faults.push(Fault::ConfWithoutEquals(pair.to_owned()));
            return;
        };
        if let Some(fault) = reserved_setting(key) {
            self.faults.push(fault);
        } else if key.starts_with("spark.") {
            self.options.settings.insert(key.to_owned(), value.to_owned());
        } else {
            self.options.ignored.insert(key.to_owned());
        }
    }

    fn finish(mut self) -> (SubmitOptions, Vec<Fault>) {
        if self.options.proxy_user.is_some() && self.flags.contains_key("spark.kerberos.principal") {
            self.faults.push(Fault::Conflict("--proxy-user", "--principal"));
        }
        self.options.settings.append(&mut self.flags);
        (self.options, self.faults)
    }
}

/// `--name=value` as name and value; a token of another form has no value attached.
///
/// Follows Spark's pattern `(--[^=]+)=(.+)` over the whole token, in which a dot is no line end.
fn split_at_equals(token: &str) -> (&str, Option<&str>) {
    let line_end = |c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    match token.split_once('=') {
        Some((name, value))
            if name.len() > 2 && name.starts_with("--") && !value.is_empty() && !value.contains(line_end) =>
        {
            (name, Some(value))
        }
        _ => (token, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(text: &str, key: &str) -> Option<String> {
        SubmitOptions::parse(text).expect(text).settings.get(key).cloned()
    }

    #[test]
    fn an_option_is_another_way_to_write_its_setting() {
        for (text, key, value) in [
            ("--num-executors 5", "spark.executor.instances", "5"),
            ("--driver-memory=2g", "spark.driver.memory", "2g"),
            ("--conf spark.x=a=b", "spark.x", "a=b"),
            ("-c spark.x=", "spark.x", ""),
            ("--conf=spark.x=1", "spark.x", "1"),
            ("--driver-java-options '-Da=b -Dc=d'", "spark.driver.extraJavaOptions", "-Da=b -Dc=d"),
            ("--jars s3://b/a.jar,s3://b/c.jar", "spark.jars", "s3://b/a.jar,s3://b/c.jar"),
            ("--name --class", "spark.app.name", "--class"),
            ("--conf spark.x=1 --conf spark.x=2", "spark.x", "2"),
        ] {
            assert_eq!(setting(text, key).as_deref(), Some(value), "{text}");
        }
    }

    #[test]
    fn an_option_wins_over_conf_whatever_the_order() {
        for text in [
            "--driver-memory 2g --conf spark.driver.memory=9g",
            "--conf spark.driver.memory=9g --driver-memory 2g",
        ] {
            assert_eq!(setting(text, "spark.driver.memory").as_deref(), Some("2g"), "{text}");
        }
    }

    #[test]
    fn class_switches_and_foreign_names_are_read() {
        let options = SubmitOptions::parse("--class a.B -v --supervise --conf hive.x=1").expect("valid");
        assert_eq!(options.class.as_deref(), Some("a.B"));
        assert!(options.verbose);
        assert!(options.settings.is_empty());
        assert_eq!(options.ignored.into_iter().collect::<Vec<_>>(), ["hive.x"]);
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let text = "--conf spark.x --frobnicate=1 stray --master yarn --conf spark.submit.deployMode=client --name= --jars";
        let faults = SubmitOptions::parse(text).expect_err("faulty");
        assert_eq!(
            faults.0,
            [
                Fault::ConfWithoutEquals("spark.x".into()),
                Fault::UnknownOption("--frobnicate".into()),
                Fault::UnexpectedArgument("stray".into()),
                Fault::Reserved { name: "--master".into(), reason: Reserved::Master },
                Fault::Reserved { name: "spark.submit.deployMode".into(), reason: Reserved::DeployMode },
                Fault::UnknownOption("--name=".into()),
                Fault::MissingValue("--jars"),
            ]
        );
        assert!(faults.to_string().contains("'--frobnicate'; unexpected argument 'stray'"));
    }

    #[test]
    fn what_would_leave_hearths_workers_is_refused_with_its_reason() {
        for (text, reason) in [
            ("--master local", Reserved::Master),
            ("--conf spark.master=local", Reserved::Master),
            ("--deploy-mode cluster", Reserved::DeployMode),
            ("--kill driver-1", Reserved::StandaloneControl),
            ("--status=driver-1", Reserved::StandaloneControl),
            ("--remote sc://x", Reserved::Remote),
            ("--version", Reserved::PrintsOnly),
            ("-h", Reserved::PrintsOnly),
            ("--properties-file /x", Reserved::PropertiesFile),
        ] {
            let faults = SubmitOptions::parse(text).expect_err(text).0;
            assert!(
                matches!(&faults[..], [Fault::Reserved { reason: found, .. }] if *found == reason),
                "{text}"
            );
        }
        assert!(SubmitOptions::parse("--proxy-user a --principal b").is_err());
    }
}
