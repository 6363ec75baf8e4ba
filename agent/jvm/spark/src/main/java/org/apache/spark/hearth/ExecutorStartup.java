package org.apache.spark.hearth;

import io.hearth.launcher.Report;
import java.io.File;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.apache.spark.util.Utils;
import scala.Tuple2;
import scala.collection.JavaConverters;

/** What an executor needs to know before it can reach its driver. */
final class ExecutorStartup {
    private ExecutorStartup() {}

    /** Describes the application of {@code context} to the agent. */
    static Report.RegisterApp describe(SparkContext context, String appId, String driverUrl) {
        SparkConf conf = context.conf();
        Integer uiPort = context.ui().isDefined() ? (Integer) context.ui().get().boundPort() : null;
        Map<String, String> env = environment(conf, JavaConverters.mapAsJavaMap(context.executorEnvs()));
        return new Report.RegisterApp(
                appId, driverUrl, uiPort, javaOptions(conf, appId), env, properties(conf), classPath(conf));
    }

    /** The application's variables for executors, with its library path, which Spark's launch scripts would put in front. */
    static Map<String, String> environment(SparkConf conf, Map<String, String> own) {
        Map<String, String> environment = new TreeMap<>(own);
        String path = conf.get("spark.executor.extraLibraryPath", "");
        if (!path.isEmpty()) {
            environment.merge("LD_LIBRARY_PATH", path, (given, extra) -> extra + File.pathSeparator + given);
        }
        return environment;
    }

    /** The application's own entries of executors' class path. */
    static List<String> classPath(SparkConf conf) {
        return Pattern.compile(File.pathSeparator, Pattern.LITERAL)
                .splitAsStream(conf.get("spark.executor.extraClassPath", ""))
                .filter(entry -> !entry.isEmpty()).toList();
    }

    /**
     * The configuration that Spark itself would put on an executor's command line: authentication, network, RPC and
     * ports. Spark leaves the secret out by its name; anything else that looks like one is left out here, because these
     * values pass through the agent's files.
     */
    static Map<String, String> properties(SparkConf conf) {
        Map<String, String> properties = new TreeMap<>();
        for (Tuple2<String, String> setting : conf.getAll()) {
            String name = setting._1();
            if (SparkConf.isExecutorStartupConf(name) && !isSecret(name)) {
                properties.put(name, setting._2());
            }
        }
        return properties;
    }

    private static boolean isSecret(String name) {
        return name.startsWith("spark.authenticate.secret") || name.toLowerCase(java.util.Locale.ROOT).contains("password");
    }

    /**
     * The application's own JVM options, split as a shell would, with the application's id filled in. Spark's module
     * options, which it puts in front of them, are left out: every worker JVM is started with those anyway.
     */
    static List<String> javaOptions(SparkConf conf, String appId) {
        String options = conf.get("spark.executor.defaultJavaOptions", "") + " "
                + conf.get("spark.executor.extraJavaOptions", "").replace(SparkVersions.moduleOptionsOfItsOwn(), "");
        return List.copyOf(JavaConverters.seqAsJavaList(Utils.splitCommandString(Utils.substituteAppId(options, appId))));
    }
}
