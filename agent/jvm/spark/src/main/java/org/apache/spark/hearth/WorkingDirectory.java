package org.apache.spark.hearth;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.util.DependencyUtils;
import org.apache.spark.util.Utils$;

/**
 * Puts files and archives into the driver's working directory, as Spark does for executors.
 *
 * <p>In client mode SparkSubmit leaves them to the Spark context, which unpacks them into a temporary directory once the
 * program runs: too late for a Python interpreter that comes out of an archive (guide:6023). A name after {@code #} is
 * the name in the directory. Sources are whatever Hadoop's file systems, or HTTP, can read.
 */
final class WorkingDirectory {
    private static final Pattern ARCHIVE = Pattern.compile(".*\\.(zip|jar|tar|tar\\.gz|tgz)", Pattern.CASE_INSENSITIVE);

    private final SparkConf conf;
    private final Configuration hadoop;
    private final Path directory = Path.of("").toAbsolutePath();
    private final Set<String> placed = new HashSet<>();

    WorkingDirectory(SparkConf conf, Configuration hadoop) {
        this.conf = conf;
        this.hadoop = hadoop;
    }

    /** Copies every file of a comma-separated list that may hold patterns; null is an empty list. */
    void placeFiles(String list) throws IOException {
        for (URI file : resolve(list)) {
            placeFile(file);
        }
    }

    /** Unpacks every archive of a comma-separated list that may hold patterns; null is an empty list. */
    void unpackArchives(String list) throws IOException {
        for (URI archive : resolve(list)) {
            unpackArchive(archive);
        }
    }

    /** Unpacks what is an archive by its name, and copies the rest. */
    void placeOrUnpack(List<String> sources) throws IOException {
        for (String source : sources) {
            URI uri = Utils$.MODULE$.resolveURI(source);
            if (ARCHIVE.matcher(uri.getPath()).matches()) {
                unpackArchive(uri);
            } else {
                placeFile(uri);
            }
        }
    }

    private List<URI> resolve(String list) {
        if (list == null || list.isBlank()) {
            return List.of();
        }
        String resolved = DependencyUtils.resolveGlobPaths(list, hadoop);
        return Pattern.compile(",").splitAsStream(resolved)
                .map(String::trim).filter(uri -> !uri.isEmpty()).map(Utils$.MODULE$::resolveURI).toList();
    }

    private void placeFile(URI uri) throws IOException {
        String name = nameOf(uri);
        if (!placed.add(name)) {
            return;
        }
        Path target = directory.resolve(name);
        withLocalCopy(uri, source -> {
            if (Files.isDirectory(source) || Files.exists(target) && Files.isSameFile(source, target)) {
                return; // A directory is what spark.files forbids anyway, and Spark says so better.
            }
            Files.copy(source, target, StandardCopyOption.REPLACE_EXISTING);
        });
    }

    private void unpackArchive(URI uri) throws IOException {
        String name = nameOf(uri);
        if (!placed.add(name)) {
            return;
        }
        Path target = directory.resolve(name);
        withLocalCopy(uri, source -> {
            if (!Files.exists(target) || !Files.isSameFile(source, target)) {
                Utils$.MODULE$.unpack(source.toFile(), target.toFile());
            }
        });
    }

    private interface Use {
        void of(Path source) throws IOException;
    }

    /** Uses a local file at once, and fetches anything else into a temporary directory that is removed afterwards. */
    private void withLocalCopy(URI uri, Use use) throws IOException {
        URI source = withoutName(uri);
        Path temporary = Files.createTempDirectory("hearth-fetch");
        try {
            String local = DependencyUtils.downloadFile(source.toString(), temporary.toFile(), conf, hadoop);
            use.of(Path.of(Utils$.MODULE$.resolveURI(local).getPath()));
        } finally {
            deleteWithFiles(temporary.toFile());
        }
    }

    private static void deleteWithFiles(File flat) throws IOException {
        File[] files = flat.listFiles();
        for (File file : files == null ? new File[0] : files) {
            Files.delete(file.toPath());
        }
        Files.delete(flat.toPath());
    }

    /** The name in the working directory: what follows {@code #}, else the last part of the path. */
    static String nameOf(URI uri) throws IOException {
        String name = uri.getFragment() != null ? uri.getFragment() : new File(uri.getPath()).getName();
        Path path = Path.of(name).normalize();
        if (name.isEmpty() || path.isAbsolute() || path.startsWith("..") || path.toString().isEmpty()) {
            throw new IOException("'" + uri + "' does not name a place in the working directory");
        }
        return name;
    }

    private static URI withoutName(URI uri) throws IOException {
        try {
            return new URI(uri.getScheme(), uri.getSchemeSpecificPart(), null);
        } catch (URISyntaxException e) {
            throw new IOException("'" + uri + "' is not a location", e);
        }
    }
}
