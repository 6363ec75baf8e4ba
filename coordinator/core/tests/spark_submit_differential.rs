//! Compares the reading of `sparkSubmitParameters` with Spark's own, on random texts.
//!
//! Needs a JDK and `HEARTH_SPARK_HOME`, a directory with Spark 3.5's `jars`; without it the test says so and ends.
//! `HEARTH_SPARK_TEXTS` sets the number of texts.

use hearth_coordinator_core::spark_submit::{SubmitOptions, tokens};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Options whose values may be any word; Spark checks the others' values and rewrites paths.
const FREE: [&str; 13] = [
    "--class",
    "--driver-class-path",
    "--driver-java-options",
    "--driver-library-path",
    "--exclude-packages",
    "--keytab",
    "--name",
    "--packages",
    "--principal",
    "--proxy-user",
    "--queue",
    "--repositories",
    "--frobnicate",
];

/// One option with its value, as words before quoting.
fn options() -> impl Strategy<Value = Vec<String>> {
    let words = |name: String, value: String, attached: bool| {
        if attached { vec![format!("{name}={value}")] } else { vec![name, value] }
    };
    let own = |names: &[&'static str], values: &[&'static str]| {
        (select(names.to_vec()), select(values.to_vec()))
            .prop_map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let settings =
        &["spark.x", "spark.driver.memory", "spark.app.name", "spark.jars", "spark.executor.cores", "hive.y"];
    let conf = (select(settings.to_vec()), "[1-9]g?").prop_map(|(key, value)| {
        // Cores are whole numbers to Spark, so no suffix there.
        let value = if key.ends_with("cores") { value.trim_end_matches('g').to_owned() } else { value };
        (
            "--conf".to_owned(),
            format!("{key}={}", if key == "spark.jars" { "s3://b/c.jar".to_owned() } else { value }),
        )
    });
    let free = (select(FREE.to_vec()), "[a-z0-9=.:$ '\"\\\\\u{e9}-]{0,12}")
        .prop_map(|(name, value)| (name.to_owned(), value));
    let option = prop_oneof![
        4 => own(&["--archives", "--files", "--jars", "--py-files"], &["s3://b/a.zip", "s3://b/a.jar,s3://b/c.py", "s3://b/x#y"]),
        4 => own(&["--driver-memory", "--executor-memory"], &["4g", "512m", "1G", "2048"]),
        4 => own(&["--driver-cores", "--executor-cores", "--num-executors", "--total-executor-cores"], &["1", "4", "16"]),
        4 => conf,
        6 => free,
    ];
    prop_oneof![
        30 => (option, any::<bool>()).prop_map(move |((name, value), attached)| words(name, value, attached)),
        2 => select(vec!["-v", "--verbose", "--supervise", "--verbose=1"]).prop_map(|word| vec![word.to_owned()]),
        1 => select(vec!["-c", "--conf", "--name=", "--class", "-", "--", "-x=1", "--=a"]).prop_map(|word| vec![word.to_owned()]),
    ]
}

/// A word as it may be written: quoted in one of three ways, now and then wrongly.
fn written(word: &str, style: u8) -> String {
    match style {
        0..=3 => format!("'{}'", word.replace('\'', r"'\''")),
        4..=7 => format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\"")),
        8..=11 => word
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\{c}") })
            .collect(),
        _ => word.to_owned(),
    }
}

fn texts() -> impl Strategy<Value = String> {
    let words = prop::collection::vec(options(), 0..7).prop_map(|options| options.concat());
    let styled = words.prop_flat_map(|words| {
        let count = words.len();
        (Just(words), prop::collection::vec(0u8..16, count), prop::collection::vec("[ \t\n]{1,2}", count))
    });
    styled.prop_map(|(words, styles, gaps)| {
        words.iter().zip(styles).zip(gaps).map(|((word, style), gap)| written(word, style) + &gap).collect()
    })
}

/// Spark's answers, one for each text.
fn ask_spark(home: &Path, texts: &[String]) -> Vec<Value> {
    let probe = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spark_submit_probe/Probe.java");
    let mut java = Command::new("java")
        .arg("-cp")
        .arg(home.join("jars").join("*"))
        .arg(probe)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("java starts");
    let mut input = java.stdin.take().expect("piped");
    let lines: String = texts.iter().map(|text| Value::from(text.as_str()).to_string() + "\n").collect();
    let feeder = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = java.wait_with_output().expect("java ends");
    feeder.join().expect("feeder ends").expect("java reads everything");
    assert!(output.status.success(), "the probe failed");
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Our reading in the probe's words; `None` for a refusal.
fn our_fields(text: &str) -> Option<BTreeMap<String, String>> {
    let options = SubmitOptions::parse(text).ok()?;
    let mut fields = options.settings;
    fields.insert("verbose".to_owned(), options.verbose.to_string());
    for (name, value) in [("class", options.class), ("proxyUser", options.proxy_user)] {
        fields.extend(value.map(|value| (name.to_owned(), value)));
    }
    Some(fields)
}

/// Spark's reading without what it adds by itself; `None` for a refusal, or when a word was taken for the program.
fn spark_fields(answer: &Value, ours: Option<&BTreeMap<String, String>>) -> Option<BTreeMap<String, String>> {
    let fields = answer["fields"].as_object()?;
    let mut fields: BTreeMap<String, String> =
        fields.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    if fields.remove("primary").as_deref() != Some("s3://b/program.jar") {
        return None;
    }
    // Spark falls back to the class or the program for a name.
    if ours.is_some_and(|ours| !ours.contains_key("spark.app.name")) {
        fields.remove("spark.app.name");
    }
    Some(fields)
}

#[test]
fn parameters_are_read_as_spark_reads_them() {
    let Some(home) = std::env::var_os("HEARTH_SPARK_HOME") else {
        eprintln!("skipped: HEARTH_SPARK_HOME names no Spark to compare with");
        return;
    };
    let count = std::env::var("HEARTH_SPARK_TEXTS").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    let mut runner = TestRunner::deterministic();
    let strategy = texts();
    let texts: Vec<String> =
        (0..count).map(|_| strategy.new_tree(&mut runner).expect("a text").current()).collect();
    let answers = ask_spark(Path::new(&home), &texts);
    assert_eq!(answers.len(), texts.len());
    let (mut read, mut refused) = (0, 0);
    for (text, answer) in texts.iter().zip(&answers) {
        let our_tokens = tokens::split(text).ok().map(Value::from).unwrap_or(Value::Null);
        assert_eq!(our_tokens, answer["tokens"], "words of {text:?}");
        let ours = our_fields(text);
        assert_eq!(ours, spark_fields(answer, ours.as_ref()), "options of {text:?}");
        if ours.is_some() { read += 1 } else { refused += 1 }
    }
    eprintln!("{count} texts compared: {read} read alike, {refused} refused by both");
    assert!(
        read > count / 4 && refused > count / 50,
        "the texts are too much alike: {read} read, {refused} refused"
    );
}
