//! What the coordinator leaves open in arguments, settings and environment, because only the host knows it.
//!
//! The names carry hearth's own prefix, so that a user's argument is never taken for one by chance.

use crate::view::View;

/// The values of one worker's placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholders {
    values: [(&'static str, String); 8],
}

impl Placeholders {
    /// `host` is the address at which other workers reach this one, and `python` the chosen interpreter.
    pub fn new(view: &View, host: &str, python: &str) -> Self {
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        Self {
            values: [
                ("{hearth:host}", host.to_owned()),
                ("{hearth:conf}", text(&view.conf())),
                ("{hearth:logs}", text(&view.logs)),
                ("{hearth:home}", text(&view.home)),
                ("{hearth:spark_home}", text(&view.spark_home)),
                ("{hearth:python_path}", text(&view.python_packages)),
                ("{hearth:python}", python.to_owned()),
                // Job runs submitted to a coordinator before 0.1 name their host's services so. What names them now holds
                // on every host that the setting travels to.
                ("{hearth:service}", "${env.HEARTH_SERVICE}".to_owned()),
            ],
        }
    }

    /// Fills in every placeholder of `text` in one pass: what a value holds is not looked at again, and braces that name
    /// none are left alone.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (head, tail) = rest.split_at(at);
            filled.push_str(head);
            match self.values.iter().find(|(name, _)| tail.starts_with(name)) {
                Some((name, value)) => {
                    filled.push_str(value);
                    rest = &tail[name.len()..];
                }
                None => {
                    filled.push('{');
                    rest = &tail[1..];
                }
            }
        }
        filled + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{HostPaths, Isolation};

    #[test]
    fn known_names_are_filled_in_and_others_left() {
        let host = HostPaths { worker: "/w".into(), bundle: "/b".into(), jvm: "/j".into(), archives: None };
        let view = View::new(Isolation::Shared, &host);
        let placeholders = Placeholders::new(&view, "{hearth:logs}", "/usr/bin/python3");
        for (text, filled) in [
            ("file:{hearth:logs}/sparklogs", "file:/w/logs/sparklogs"),
            ("{hearth:python}{hearth:python_path}", "/usr/bin/python3/b/python"),
            ("${env.HEARTH_SERVICE}", "${env.HEARTH_SERVICE}"),
            ("{hearth:service}", "${env.HEARTH_SERVICE}"),
            ("-Dx={hearth:conf}/y", "-Dx=/w/run/conf/y"),
            ("{hearth:host}", "{hearth:logs}"),
            ("{\"json\": {hearth:home}} {{APP_ID}}", "{\"json\": /w/work} {{APP_ID}}"),
            ("{", "{"),
        ] {
            assert_eq!(placeholders.fill(text), filled);
        }
    }
}
