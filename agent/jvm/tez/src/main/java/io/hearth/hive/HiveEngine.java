package io.hearth.hive;

import io.hearth.launcher.Engine;
import io.hearth.launcher.Order;
import io.hearth.launcher.Outcome;

/**
 * Turns this JVM into a Hive driver: runs a script, as Hive's own command line does, on a Tez of hearth's.
 *
 * <p>Arguments are those of that command line: {@code --hiveconf property=value}, {@code --hivevar name=value},
 * {@code -i} an init file and {@code -f} the query file, both by URI.
 */
public final class HiveEngine implements Engine {
    private static final String LOGGING = "log4j2.configurationFile";

    private volatile HiveJob job;

    @Override
    public String kind() {
        return "hive-driver";
    }

    @Override
    public Outcome run(Order.Run order) throws Exception {
        // Before any class of Hive's that may log is loaded. A job's own configuration comes as a JVM option and wins.
        if (System.getProperty(LOGGING) == null) {
            System.setProperty(LOGGING, "hearth-hive-log4j2.properties");
        }
        job = new HiveJob(Options.parse(order.args()), order.secret());
        return job.run();
    }

    @Override
    public void cancel() {
        HiveJob running = job;
        if (running != null) {
            running.cancel();
        }
    }
}
