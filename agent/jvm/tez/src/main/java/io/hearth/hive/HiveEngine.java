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
    private volatile HiveJob job;

    @Override
    public String kind() {
        return "hive-driver";
    }

    @Override
    public Outcome run(Order.Run order) throws Exception {
        // Hive's own configuration of its logging, before any class of its that may log is loaded.
        System.setProperty("log4j2.configurationFile", System.getProperty("log4j2.configurationFile", "hive-log4j2.properties"));
        System.setProperty("hive.log.dir", System.getProperty("hearth.logs"));
        System.setProperty("hive.log.file", "hive.log");
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
