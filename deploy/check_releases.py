"""Asks the registries for every artifact that the release manifests name: is it there, and with the digest as stated?

    ~/.cache/hearth/venv/bin/python3 deploy/check_releases.py [--download] [LABEL …]

It asks through this Python's own pip and the host's Maven, under their own settings, so that a site's index and mirror
answer. What is compared is what they publish, for next to nothing is downloaded: the index of each project with the digests
of its files, and the digest beside each jar. A jar that was published with a SHA-1 only is compared by that of the file in
hearth's download cache, if it is there. `--download` fetches the jars that are left (up to a gigabyte) and digests them.
Exits 1 if something is not as stated; what could not be compared is listed and is no failure.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

RELEASES = Path(__file__).resolve().parent / "releases"
CACHE = Path(os.environ.get("HEARTH_CACHE") or Path.home() / ".cache/hearth") / "artifacts"
# The one that the build uses.
RESOLVE = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:resolve"
POM = '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>{}</project>\n'


def manifests(labels):
    """The manifests by label: all, or those behind these labels."""
    known = {}
    for path in sorted(RELEASES.glob("*.toml")):
        if path.name != "labels.toml":
            known[path.stem] = tomllib.loads(path.read_text())
    listed = tomllib.loads((RELEASES / "labels.toml").read_text())["label"]
    behind = {label["label"]: label.get("bundle") for label in listed} | {label: label for label in known}
    unknown = [label for label in labels if label not in behind]
    if unknown:
        sys.exit(f"unknown labels: {', '.join(unknown)}")
    wanted = {behind[label] for label in labels or behind} - {None}
    return {label: known[label] for label in sorted(wanted)}


def published_by_index(projects):
    """What the index says of each project's files: SHA-256 by file name."""
    # pip has no command that tells digests without downloading, and its insides are nobody's promise.
    try:
        from pip._internal.commands.download import DownloadCommand
        from pip._internal.index.collector import parse_links
        from pip._internal.models.link import Link
        command = DownloadCommand("download", "asks for digests")
        files = {}
        with command.main_context():
            options, _ = command.parse_args([])
            collector = command._build_package_finder(
                options=options, session=command.get_default_session(options))._link_collector
            for project in projects:
                for index in collector.search_scope.get_index_urls_locations(project):
                    page = collector.fetch_response(Link(index))
                    for link in parse_links(page) if page else ():
                        files.setdefault(link.filename, set()).update(
                            [link.hash] if link.hash_name == "sha256" else [])
        return files
    except (ImportError, AttributeError, TypeError) as error:
        sys.exit(f"this Python's pip is not one that this check can ask ({error}); it was written for pip 23")


def resolve(jars, kind, folder):
    """Has Maven bring one kind of file of each jar; the path of each that came. One run, a module each."""
    folder.mkdir()
    parent = "<groupId>hearth</groupId><artifactId>check</artifactId><version>1</version>"
    for number, (group, artifact, version) in enumerate(jars):
        module = folder / f"m{number}"
        module.mkdir()
        module.joinpath("pom.xml").write_text(POM.format(
            f"<parent>{parent}</parent><artifactId>m{number}</artifactId><packaging>pom</packaging><dependencies>"
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
            f"<type>{kind}</type><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>"
            "</exclusions></dependency></dependencies>"))
    modules = "".join(f"<module>m{number}</module>" for number in range(len(jars)))
    folder.joinpath("pom.xml").write_text(POM.format(f"{parent}<packaging>pom</packaging><modules>{modules}</modules>"))
    repository = folder.parent / "repository"
    # Modules that cannot be resolved are what is being asked.
    ran = subprocess.run(["mvn", "-B", "-ntp", "-fn", "-Dstyle.color=never", f"-Dmaven.repo.local={repository}", RESOLVE],
                         cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ran.returncode != 0:
        sys.exit(f"mvn failed with {ran.returncode}:\n{ran.stdout[-2000:]}")
    found = {}
    for group, artifact, version in jars:
        path = repository / group.replace(".", "/") / artifact / version / f"{artifact}-{version}.{kind}"
        if path.is_file():
            found[group, artifact, version] = path
    return found


def digest(path, name):
    with path.open("rb") as file:
        return hashlib.file_digest(file, name).hexdigest()


def check_jars(stated, download):
    """Compares each jar's digest with what is published; answers (wrong, not compared)."""
    wrong, open_ones = [], {}
    with tempfile.TemporaryDirectory(prefix="hearth-check-") as scratch:
        scratch = Path(scratch)
        strong = resolve(list(stated), "jar.sha256", scratch / "sha256")
        weak = resolve([jar for jar in stated if jar not in strong], "jar.sha1", scratch / "sha1")
        for jar, sha256 in stated.items():
            name, cached = ":".join(jar), CACHE / sha256
            if jar in strong:
                published = strong[jar].read_text().split()[0]
                if published != sha256:
                    wrong.append(f"maven:{name} has SHA-256 {published}, not {sha256}")
            elif jar not in weak:
                wrong.append(f"maven:{name} is not there")
            elif not cached.is_file():
                open_ones[jar] = sha256
            elif digest(cached, "sha256") != sha256 or digest(cached, "sha1") != weak[jar].read_text().split()[0]:
                wrong.append(f"maven:{name} is another file than the one in the cache")
        if download and open_ones:
            brought = resolve(list(open_ones), "jar", scratch / "jar")
            for jar, path in brought.items():
                if digest(path, "sha256") != open_ones.pop(jar):
                    wrong.append(f"maven:{':'.join(jar)} has SHA-256 {digest(path, 'sha256')}")
    return wrong, [f"maven:{':'.join(jar)} is there, without a published SHA-256" for jar in open_ones]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--download", action="store_true", help="fetch jars whose digest cannot be compared otherwise")
    parser.add_argument("labels", nargs="*", metavar="LABEL")
    options = parser.parse_args()
    chosen = manifests(options.labels)
    files, jars = {}, {}
    for manifest in chosen.values():
        for sdist in manifest.get("sdist", []):
            files[sdist["file"]] = (sdist["project"], sdist["sha256"])
        for wheel in manifest.get("wheel", []):
            files.update({file["file"]: (wheel["project"], file["sha256"]) for file in wheel["file"]})
        for jar in manifest.get("maven", []):
            jars[jar["group"], jar["artifact"], jar["version"]] = jar["sha256"]
    published = published_by_index(sorted({project for project, _ in files.values()}))
    wrong, unsure = [], []
    for name, (project, sha256) in files.items():
        if name not in published:
            wrong.append(f"pypi:{project} has no {name}")
        elif not published[name]:
            unsure.append(f"pypi:{name} is there, without a published SHA-256")
        elif sha256 not in published[name]:
            wrong.append(f"pypi:{name} has SHA-256 {', '.join(published[name])}, not {sha256}")
    wrong_jars, unsure_jars = check_jars(jars, options.download)
    for line in unsure + unsure_jars:
        print(f"not compared: {line}")
    for line in wrong + wrong_jars:
        print(f"WRONG: {line}")
    count = len(files) + len(jars)
    print(f"{count} artifacts of {len(chosen)} manifests: {count - len(unsure + unsure_jars) - len(wrong + wrong_jars)} as stated")
    sys.exit(1 if wrong or wrong_jars else 0)


if __name__ == "__main__":
    main()
