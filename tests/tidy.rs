//! House rules that a machine can check. Each failure says which file breaks which rule, and why the rule is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of this many lines holds more than one idea.
const LONGEST_FILE: usize = 600;

/// Which crates may depend on which: a crate may only use those of the same or a lower layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    /// Values alone.
    Types,
    /// Pure decisions.
    Core,
    /// One part of the outside world each.
    Adapter,
    /// Wiring.
    Daemon,
}

fn layer(package: &str) -> Layer {
    match package {
        "hearth-types" => Layer::Types,
        "hearth-coordinator-core" | "hearth-agent-core" | "hearth-lease" => Layer::Core,
        "hearth-coordinator" | "hearth-agent" | "hearth-tests" | "hearth-simulation" => Layer::Daemon,
        _ => Layer::Adapter,
    }
}

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests lie in the checkout").to_owned()
}

/// Files that belong to the project: committed, or new and not ignored; as paths from the root.
fn files() -> Vec<String> {
    let list = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(list.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&list.stderr));
    let text = String::from_utf8(list.stdout).expect("file names are UTF-8");
    let names = text.split('\0').filter(|name| !name.is_empty());
    names.filter(|name| root().join(name).is_file()).map(str::to_owned).collect()
}

fn files_ending_in(suffix: &str) -> Vec<(String, String)> {
    let read = |name: String| {
        let text = fs::read_to_string(root().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, text)
    };
    let found: Vec<_> = files().into_iter().filter(|name| name.ends_with(suffix)).map(read).collect();
    assert!(!found.is_empty(), "no *{suffix} file at all: the rule looks in the wrong place");
    found
}

/// Every package's manifest by the folder it is in.
fn manifests() -> BTreeMap<String, toml::Table> {
    files_ending_in("Cargo.toml")
        .into_iter()
        .filter_map(|(name, text)| {
            let table: toml::Table = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let folder = name.trim_end_matches("Cargo.toml").trim_end_matches('/').to_owned();
            table.contains_key("package").then_some((folder, table))
        })
        .collect()
}

fn package_name(manifest: &toml::Table) -> &str {
    manifest["package"]["name"].as_str().expect("a package has a name")
}

/// Fails with all broken rules at once, each with the reason for the rule.
fn report(broken: &[String], reason: &str) {
    assert!(broken.is_empty(), "\n{}\n  why: {reason}\n", broken.join("\n"));
}

/// Lines of a Rust file before its own tests, with their numbers from 1; comments are left out.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
}

/// Whether a Rust file is a test as a whole.
fn is_test_file(name: &str, text: &str) -> bool {
    name.starts_with("tests/")
        || name.contains("/tests/")
        || name.ends_with("tests.rs")
        || text.contains("#![cfg(test)]")
}

#[test]
fn dependencies_point_one_way() {
    let mut broken = Vec::new();
    for manifest in manifests().values() {
        let name = package_name(manifest);
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        for dependency in dependencies.into_iter().flat_map(toml::Table::keys) {
            if dependency.starts_with("hearth-") && layer(dependency) > layer(name) {
                broken.push(format!(
                    "{name} ({:?}) depends on {dependency} ({:?})",
                    layer(name),
                    layer(dependency)
                ));
            }
            if layer(name) == Layer::Daemon && layer(dependency) == Layer::Daemon && name != "hearth-tests" {
                broken.push(format!("{name} depends on {dependency}: the daemons speak over the wire"));
            }
        }
    }
    report(&broken, "types ← core ← adapters ← daemon: what decides must not know who carries it out");
}

#[test]
fn cores_know_no_runtime_file_socket_clock_or_random_source() {
    const DEPENDENCIES: [&str; 12] = [
        "tokio",
        "tonic",
        "async-trait",
        "futures",
        "axum",
        "hyper",
        "reqwest",
        "sqlx",
        "nix",
        "rustix",
        "rand",
        "object_store",
    ];
    const WORDS: [&str; 12] = [
        "std::fs",
        "UdpSocket",
        "std::process",
        "std::thread",
        "std::env",
        "SystemTime",
        "Instant::now",
        "now_utc",
        "File::open",
        "TcpStream",
        "HashMap",
        "HashSet",
    ];
    let mut broken = Vec::new();
    for (folder, manifest) in manifests() {
        if layer(package_name(&manifest)) > Layer::Core {
            continue;
        }
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        for dependency in dependencies.into_iter().flat_map(toml::Table::keys) {
            if DEPENDENCIES.contains(&dependency.as_str()) {
                broken.push(format!("{folder}/Cargo.toml depends on {dependency}"));
            }
        }
        for (name, text) in files_ending_in(".rs") {
            if !name.starts_with(&format!("{folder}/src/")) {
                continue;
            }
            for (number, line) in code_lines(&text) {
                for word in WORDS.iter().filter(|word| line.contains(**word)) {
                    broken.push(format!("{name}:{number} uses {word}"));
                }
            }
        }
    }
    report(
        &broken,
        "a core decides alike whenever and wherever it is asked: time and randomness are arguments, maps are ordered",
    );
}

#[test]
fn every_rust_file_says_what_it_is() {
    let broken: Vec<String> = files_ending_in(".rs")
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(name, _)| format!("{name} does not begin with `//! `"))
        .collect();
    report(&broken, "a newcomer reads the first line of a file to know whether to read on");
}

#[test]
fn nothing_unwraps_outside_tests() {
    let mut broken = Vec::new();
    for (name, text) in files_ending_in(".rs") {
        if is_test_file(&name, &text) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if line.contains(".unwrap()") {
                broken.push(format!("{name}:{number}"));
            }
        }
    }
    report(
        &broken,
        "`expect` states the invariant that makes it true; a malformed input never panics a daemon",
    );
}

#[test]
fn a_file_holds_one_idea() {
    let mut broken = Vec::new();
    for suffix in [".rs", ".java", ".py"] {
        for (name, text) in files_ending_in(suffix) {
            let lines = text.lines().count();
            if lines > LONGEST_FILE && !is_test_file(&name, &text) {
                broken.push(format!("{name} has {lines} lines, more than {LONGEST_FILE}"));
            }
        }
    }
    report(&broken, "a file that long holds two ideas; find the seam");
}

#[test]
fn every_package_carries_the_licence_and_the_lints() {
    let mut broken = Vec::new();
    for (folder, manifest) in manifests() {
        let inherits =
            |key: &str| manifest["package"].get(key).and_then(|value| value.get("workspace")).is_some();
        for key in ["license", "version", "edition", "rust-version"] {
            if !inherits(key) {
                broken.push(format!("{folder}/Cargo.toml: {key}.workspace = true is missing"));
            }
        }
        if manifest.get("lints").and_then(|lints| lints.get("workspace")).is_none() {
            broken.push(format!("{folder}/Cargo.toml: [lints] workspace = true is missing"));
        }
    }
    report(&broken, "licence, version and lints stand once, in the workspace");
}

#[test]
fn every_package_is_a_member_of_the_workspace() {
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace has a manifest");
    let workspace: toml::Table = toml::from_str(&text).expect("the workspace's manifest is TOML");
    let members: Vec<&str> = workspace["workspace"]["members"]
        .as_array()
        .expect("members are a list")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    let broken: Vec<String> =
        manifests().into_keys().filter(|folder| !members.contains(&folder.as_str())).collect();
    report(&broken, "a package that is no member is never built or tested");
}

#[test]
fn no_test_file_is_forgotten() {
    let mut broken = Vec::new();
    let manifests = manifests();
    for (name, text) in files_ending_in(".rs") {
        let Some((folder, file)) =
            name.split_once("/tests/").filter(|(folder, _)| manifests.contains_key(*folder))
        else {
            continue;
        };
        // A file in a folder below tests/ is a module of one that lies there.
        if let Some((module, _)) = file.split_once('/') {
            let is_used = files_ending_in(".rs").iter().any(|(other, text)| {
                other.starts_with(&format!("{folder}/tests/")) && text.contains(&format!("mod {module};"))
            });
            let is_path = text.is_empty() || file.ends_with("main.rs");
            if !is_used && !is_path {
                broken.push(format!("{name} is no module of any test"));
            }
        } else if manifests[folder].get("package").and_then(|package| package.get("autotests")).is_some() {
            broken.push(format!("{folder} switches autotests off, so {name} may never run"));
        }
    }
    let listed =
        manifests["tests"].get("test").and_then(toml::Value::as_array).expect("tests/Cargo.toml lists tests");
    let paths: Vec<&str> = listed.iter().filter_map(|test| test.get("path")?.as_str()).collect();
    for name in files() {
        let own = name.strip_prefix("tests/").filter(|rest| rest.ends_with(".rs") && !rest.contains('/'));
        if own.is_some_and(|rest| !paths.contains(&rest)) {
            broken.push(format!("{name} is not listed in tests/Cargo.toml"));
        }
        let python = name.strip_prefix("tests/end_to_end/").filter(|rest| rest.ends_with(".py"));
        let is_collected =
            |rest: &str| rest.starts_with("test_") || ["conftest.py", "lab.py"].contains(&rest);
        if python.is_some_and(|rest| !is_collected(rest)) {
            broken.push(format!("{name} is not collected: its name does not begin with test_"));
        }
    }
    report(&broken, "a test that nothing runs proves nothing");
}

#[test]
fn no_test_is_switched_off_without_a_reason() {
    let mut broken = Vec::new();
    for (name, text) in files_ending_in(".rs") {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line == concat!("#[ign", "ore]") {
                broken.push(format!("{name}:{} ignores a test and does not say why", number + 1));
            }
        }
    }
    for (name, text) in files_ending_in(".py") {
        for (number, line) in text.lines().enumerate() {
            let is_skip = line.contains("pytest.mark.skip(") || line.contains("pytest.mark.skipif(");
            if is_skip && !line.contains("reason=") {
                broken.push(format!("{name}:{} skips a test and does not say why", number + 1));
            }
        }
    }
    report(&broken, "whoever finds it switched off must know when it may be switched on again");
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    let machine =
        [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/home/", "runner"), concat!("/Us", "ers/")];
    let mut broken = Vec::new();
    for name in files() {
        // A picture or an archive has no lines.
        let Ok(text) = fs::read_to_string(root().join(&name)) else { continue };
        for (number, line) in text.lines().enumerate() {
            for path in machine {
                if let Some(position) = line.find(path) {
                    let before = line[..position].chars().next_back();
                    if !before.is_some_and(|c| {
                        c.is_ascii_alphanumeric() || matches!(c, '/' | '>' | '}' | '.' | '_' | '-')
                    }) {
                        broken.push(format!("{name}:{} names {path}", number + 1));
                    }
                }
            }
        }
    }
    report(&broken, "what works only where it was written does not work");
}

#[test]
fn scripts_stop_at_the_first_error() {
    let mut broken = Vec::new();
    for name in files() {
        let Ok(text) = fs::read_to_string(root().join(&name)) else { continue };
        let is_script =
            text.starts_with("#!") && text.lines().next().is_some_and(|line| line.contains("bash"));
        if is_script && !text.contains("set -euo pipefail") {
            broken.push(format!("{name} lacks `set -euo pipefail`"));
        }
    }
    report(&broken, "a script that goes on after an error reports the wrong one, or none");
}

#[test]
fn every_fault_point_has_one_place_in_the_code_and_a_case_in_the_test_that_goes_through_them() {
    let table = fs::read_to_string(root().join("shared/faults/src/points.rs")).expect("the table of points");
    let cases = fs::read_to_string(root().join("tests/endurance/fault_points.py")).expect("the cases");
    let points: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.trim().strip_suffix("\",")?.split_once(" = \""))
        .filter(|(point, _)| point.chars().all(char::is_alphanumeric))
        .collect();
    assert!(points.len() > 50, "the rule does not understand the table");
    let code: Vec<(String, String)> =
        files_ending_in(".rs").into_iter().filter(|(name, text)| !is_test_file(name, text)).collect();
    let mut broken = Vec::new();
    for (point, name) in points {
        let call = format!("reach(Point::{point});");
        let places = code.iter().map(|(_, text)| text.matches(&call).count()).sum::<usize>();
        if places != 1 {
            broken.push(format!("{point} has {places} places in the code"));
        }
        if !cases.contains(&format!("\"{name}\": Case(")) {
            broken.push(format!("{name} has no case in tests/endurance/fault_points.py"));
        }
    }
    report(&broken, "a boundary at which nothing was ever killed is one that nobody knows to be safe");
}
