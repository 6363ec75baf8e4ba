package io.hearth.tez;

import io.hearth.launcher.Engine;
import io.hearth.launcher.Main;
import io.hearth.launcher.Order;
import io.hearth.launcher.Outcome;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Runs any program that submits to Tez as the driver of a job, for the stories of {@code it/tez_scenarios.py}. */
public final class MainEngine implements Engine {
    @Override
    public String kind() {
        return "tez-main";
    }

    /** Arguments: the class, then its own. */
    @Override
    public Outcome run(Order.Run order) throws Exception {
        TezCluster.Settings settings = new TezCluster.Settings(System.getProperty("hearth.host"), order.secret(),
                Path.of("").toAbsolutePath(), Path.of(System.getProperty("hearth.logs")),
                System.getProperty("hearth.tez.class_path"), Map.of(), List.of(), Map.of(), 0.8,
                new TezCluster.Size(Long.getLong("hearth.task.memory_mib"), 1), Integer.getInteger("hearth.task.most"));
        TezCluster cluster = TezCluster.open(settings, Main.control());
        try {
            List<String> args = order.args();
            Class.forName(args.get(0)).getMethod("main", String[].class)
                    .invoke(null, (Object) args.subList(1, args.size()).toArray(String[]::new));
        } finally {
            cluster.close();
        }
        return Outcome.exited(0);
    }

    @Override
    public void cancel() {}
}
