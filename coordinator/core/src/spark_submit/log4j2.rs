//! The `log4j2.properties` of a job's driver or executors, as the classifications of that name want it (guide:5099-5109).

use std::collections::BTreeMap;
use std::fmt::Write;

/// Spark's own configuration (`log4j2-defaults.properties` of 3.5): what a classification leaves unsaid stays as it is
/// without one.
const SPARKS_OWN: [(&str, &str); 25] = [
    ("appender.console.layout.pattern", "%d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex"),
    ("appender.console.layout.type", "PatternLayout"),
    ("appender.console.name", "console"),
    ("appender.console.target", "SYSTEM_ERR"),
    ("appender.console.type", "Console"),
    ("logger.hive_functionregistry.level", "error"),
    ("logger.hive_functionregistry.name", "org.apache.hadoop.hive.ql.exec.FunctionRegistry"),
    ("logger.jetty.level", "warn"),
    ("logger.jetty.name", "org.sparkproject.jetty"),
    ("logger.jetty2.level", "error"),
    ("logger.jetty2.name", "org.sparkproject.jetty.util.component.AbstractLifeCycle"),
    ("logger.metastore.level", "fatal"),
    ("logger.metastore.name", "org.apache.hadoop.hive.metastore.RetryingHMSHandler"),
    ("logger.parquet.level", "error"),
    ("logger.parquet.name", "org.apache.parquet.CorruptStatistics"),
    ("logger.parquet2.level", "error"),
    ("logger.parquet2.name", "parquet.CorruptStatistics"),
    ("logger.repl.level", "warn"),
    ("logger.repl.name", "org.apache.spark.repl.Main"),
    ("logger.repl1.level", "info"),
    ("logger.repl1.name", "org.apache.spark.repl.SparkIMain$exprTyper"),
    ("logger.repl2.level", "info"),
    ("logger.repl2.name", "org.apache.spark.repl.SparkILoop$SparkILoopInterpreter"),
    ("rootLogger.appenderRef.stdout.ref", "console"),
    ("rootLogger.level", "info"),
];

/// Whether a job's word on this property has no effect (guide:5261-5270): logs go where they are collected, in a form
/// that can be read.
pub(super) fn is_fixed(property: &str) -> bool {
    property == "rootLogger.appenderRef.stdout.ref"
        || matches!(
            property.strip_prefix("appender.console."),
            Some("layout.pattern" | "layout.type" | "name" | "target" | "type")
        )
}

/// The text of the file for a job's own properties; `None` for a job without any, which Spark configures by itself.
pub(super) fn file(own: &BTreeMap<String, String>) -> Option<String> {
    if own.is_empty() {
        return None;
    }
    // `rootLogger = error, console` says the level too, but Log4j prefers the property that says nothing else.
    let is_said_elsewhere =
        |property: &str| property.strip_suffix(".level").is_some_and(|logger| own.contains_key(logger));
    let mut properties: BTreeMap<&str, &str> =
        SPARKS_OWN.into_iter().filter(|(property, _)| !is_said_elsewhere(property)).collect();
    let chosen = own.iter().filter(|(property, _)| !is_fixed(property));
    properties.extend(chosen.map(|(property, value)| (property.as_str(), value.as_str())));
    let line = |(property, value)| format!("{}={}\n", escaped(property), escaped(value));
    Some(properties.into_iter().map(line).collect())
}

/// Writes a name or a value so that `java.util.Properties` reads it back, whatever it holds.
fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some(' ' | '=' | ':' | '#' | '!' | '\\') => {
                written.push('\\');
                written.push(char::from_u32(u32::from(unit)).expect("an ASCII character"));
            }
            Some(plain) if plain.is_ascii_graphic() => written.push(plain),
            _ => write!(written, "\\u{unit:04x}").expect("writing to a string"),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(own: &[(&str, &str)]) -> String {
        file(&own.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()).expect("properties")
    }

    fn value<'a>(file: &'a str, property: &str) -> Option<&'a str> {
        file.lines().find_map(|line| line.strip_prefix(property)?.strip_prefix('='))
    }

    #[test]
    fn what_a_job_leaves_unsaid_is_sparks_own() {
        assert_eq!(file(&BTreeMap::new()), None);
        let file = file_of(&[("logger.app.level", "debug"), ("logger.app.name", "app")]);
        assert_eq!(file.lines().count(), SPARKS_OWN.len() + 2);
        assert_eq!(value(&file, "logger.app.level"), Some("debug"));
        assert_eq!(value(&file, "rootLogger.level"), Some("info"));
        assert_eq!(value(&file_of(&[("rootLogger.level", "error")]), "rootLogger.level"), Some("error"));
        assert_eq!(value(&file_of(&[("rootLogger", "error,console")]), "rootLogger.level"), None);
    }

    #[test]
    fn where_logs_go_is_not_a_jobs_to_say() {
        let file = file_of(&[("appender.console.target", "SYSTEM_OUT"), ("appender.console.x", "y")]);
        assert_eq!(value(&file, "appender.console.target"), Some("SYSTEM_ERR"));
        assert_eq!(value(&file, "appender.console.x"), Some("y"));
        assert_eq!(SPARKS_OWN.into_iter().filter(|(property, _)| is_fixed(property)).count(), 6);
    }

    #[test]
    fn names_and_values_cannot_break_out_of_their_line() {
        let file = file_of(&[("a b", "x\ny=z\\é\u{1f525} ")]);
        assert!(file.starts_with("a\\ b=x\\u000ay\\=z\\\\\\u00e9\\ud83d\\udd25\\ \n"), "{file}");
    }
}
