//! What kind of program an entry point is.

use super::Fault;

/// How Spark runs the entry point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A Python file.
    Python,
    /// A jar; its class is `--class` or the manifest's, as in Spark.
    Jar,
    /// A SQL script, run by Spark's SQL command line.
    Sql,
}

/// A program that Spark can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPoint {
    /// Its kind, by the end of its name.
    pub kind: EntryKind,
    /// Where it is, as given: an object (`s3://…`), or a path of the worker (`/usr/lib/spark/…`, `local:///…`).
    pub uri: String,
}

impl EntryPoint {
    /// Classifies `uri`; fails for other languages (R among them) and for paths that are not absolute.
    pub fn parse(uri: &str) -> Result<Self, Fault> {
        let refused = |rule| Fault::EntryPoint { uri: uri.to_owned(), rule };
        let kind = if uri.ends_with(".py") {
            EntryKind::Python
        } else if uri.ends_with(".jar") {
            EntryKind::Jar
        } else if uri.ends_with(".sql") {
            EntryKind::Sql
        } else {
            return Err(refused("it must be a .py, .jar or .sql file"));
        };
        if !uri.starts_with('/') && !has_scheme(uri) {
            return Err(refused(
                "it must be a URI such as s3://bucket/key or an absolute path of the worker",
            ));
        }
        Ok(Self { kind, uri: uri.to_owned() })
    }

    /// The worker's own path, when the entry point is a file of the worker rather than an object.
    pub fn local_path(&self) -> Option<&str> {
        if self.uri.starts_with('/') {
            return Some(&self.uri);
        }
        let path = self.uri.strip_prefix("local:").or_else(|| self.uri.strip_prefix("file:"))?;
        // `file:///x` and `file:/x` are the same path; an authority between the slashes is empty.
        Some(path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path))
    }
}

fn has_scheme(uri: &str) -> bool {
    uri.split_once(":/").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_name_decides() {
        for (uri, kind) in [
            ("s3://b/k/job.py", EntryKind::Python),
            ("/usr/lib/spark/examples/jars/spark-examples.jar", EntryKind::Jar),
            ("local:///usr/lib/spark/examples/src/main/python/pi.py", EntryKind::Python),
            ("s3a://b/q.sql", EntryKind::Sql),
        ] {
            assert_eq!(EntryPoint::parse(uri).map(|entry| entry.kind), Ok(kind), "{uri}");
        }
    }

    #[test]
    fn what_spark_cannot_run_is_refused() {
        for uri in ["s3://b/job.R", "s3://b/job", "job.py", "spark-internal", "", ".py", "1s:/x.py"] {
            assert!(matches!(EntryPoint::parse(uri), Err(Fault::EntryPoint { .. })), "{uri}");
        }
    }

    #[test]
    fn files_of_the_worker_are_told_from_objects() {
        for (uri, path) in [
            ("local:///a/b.py", Some("/a/b.py")),
            ("file:/a/b.py", Some("/a/b.py")),
            ("/a/b.py", Some("/a/b.py")),
            ("s3://a/b.py", None),
        ] {
            assert_eq!(EntryPoint::parse(uri).expect(uri).local_path(), path, "{uri}");
        }
    }
}
