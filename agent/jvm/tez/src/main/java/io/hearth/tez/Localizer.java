package io.hearth.tez;

import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.yarn.api.records.LocalResource;

/** Brings the files that a process is to find in its working directory, as YARN does before it starts one. */
final class Localizer {
    private final Configuration conf;

    Localizer(Configuration conf) {
        this.conf = conf;
    }

    /**
     * Copies every resource to {@code directory} under its name; archives are unpacked into a directory of that name.
     * Returns the jars among them, in the order of their names.
     */
    List<Path> bring(Map<String, LocalResource> resources, Path directory) throws IOException {
        List<Path> jars = new ArrayList<>();
        for (Map.Entry<String, LocalResource> entry : resources.entrySet()) {
            Path target = directory.resolve(entry.getKey());
            if (!target.normalize().startsWith(directory.normalize())) {
                throw new IOException("a resource names a place outside of its directory: " + entry.getKey());
            }
            bring(entry.getValue(), target);
            if (target.toString().endsWith(".jar") && Files.isRegularFile(target)) {
                jars.add(target);
            }
        }
        return jars;
    }

    private void bring(LocalResource resource, Path target) throws IOException {
        org.apache.hadoop.fs.Path source;
        try {
            source = resource.getResource().toPath();
        } catch (URISyntaxException e) {
            throw new IOException("a resource has no valid address", e);
        }
        FileSystem fileSystem = source.getFileSystem(conf);
        switch (resource.getType()) {
            case FILE -> FileUtil.copy(fileSystem, source, target.toFile(), false, conf);
            case ARCHIVE, PATTERN -> {
                Path archive = Files.createTempFile("hearth-resource", source.getName());
                try {
                    FileUtil.copy(fileSystem, source, archive.toFile(), false, conf);
                    unpack(archive.toFile(), source.getName(), target.toFile());
                } finally {
                    Files.deleteIfExists(archive);
                }
            }
        }
    }

    private static void unpack(File archive, String name, File target) throws IOException {
        if (name.endsWith(".jar") || name.endsWith(".zip")) {
            FileUtil.unZip(archive, target);
        } else {
            FileUtil.unTar(archive, target);
        }
    }
}
