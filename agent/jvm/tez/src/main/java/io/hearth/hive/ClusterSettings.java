package io.hearth.hive;

import io.hearth.tez.TezCluster;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;

/** What a Hive job's settings mean for the workers of its Tez (guide:3050-3160). */
final class ClusterSettings {
    private static final String DRIVER_ENVIRONMENT = "hive.emr-serverless.launch.env.";
    private static final String MASTER_ENVIRONMENT = "tez.am.emr-serverless.launch.env.";
    private static final String TASK_ENVIRONMENT = "tez.task.emr-serverless.launch.env.";
    /** Tez's own: the part of a container that is heap. */
    private static final double HEAP_FRACTION = 0.8;

    private ClusterSettings() {}

    static TezCluster.Settings of(Configuration conf, String secret) {
        double fraction = conf.getDouble("tez.container.max.java.heap.fraction", HEAP_FRACTION);
        return new TezCluster.Settings(System.getProperty("hearth.host"), secret, Path.of("").toAbsolutePath(),
                Path.of(System.getProperty("hearth.logs")), System.getProperty("hearth.tez.class_path"),
                environment(conf, MASTER_ENVIRONMENT), words(conf.get("hive.tez.java.opts", "")),
                environment(conf, TASK_ENVIRONMENT), fraction > 0 && fraction < 1 ? fraction : HEAP_FRACTION,
                new TezCluster.Size(conf.getLong("hive.tez.container.size", 6144), conf.getInt("hive.tez.cpu.vcores", 2)),
                conf.getInt("hive.max-task-containers", 1000));
    }

    /** The variables that all of Hive's processes have, and over them those of {@code prefix}. */
    private static Map<String, String> environment(Configuration conf, String prefix) {
        Map<String, String> environment = new TreeMap<>(conf.getPropsWithPrefix(DRIVER_ENVIRONMENT));
        environment.putAll(conf.getPropsWithPrefix(prefix));
        return environment;
    }

    private static List<String> words(String text) {
        return text.isBlank() ? List.of() : List.of(text.strip().split("\\s+"));
    }
}
