package org.apache.spark.hearth;

import java.util.List;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import org.apache.spark.SecurityManager;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkEnv;
import org.apache.spark.SparkEnv$;
import org.apache.spark.rpc.RpcCallContext;
import org.apache.spark.rpc.RpcEndpoint;
import org.apache.spark.rpc.RpcEnv;
import org.apache.spark.storage.BlockManagerMessages.RegisterBlockManager;
import scala.Option;
import scala.PartialFunction;
import scala.runtime.AbstractPartialFunction;
import scala.runtime.BoxedUnit;

/**
 * What an executor's start costs most, done once for nothing while its JVM waits for the driver: authenticated
 * connections, the environment, the block manager. The driver's side is played by this JVM itself.
 *
 * <p>Nothing here may depend on, or fix for later, what the job sets: the configuration is its own, with a secret of its
 * own, and system properties and environment are not touched.
 */
final class ExecutorWarmUp {
    private static final String HOST = "127.0.0.1";
    private static final String NAME = "warm-up";

    /** Endpoints of a driver that an executor's environment looks up. */
    private static final List<String> ENDPOINTS =
            List.of("MapOutputTracker", "BlockManagerMaster", "BlockManagerMasterHeartbeat", "OutputCommitCoordinator");

    private ExecutorWarmUp() {}

    static void run(BooleanSupplier isOver) throws Exception {
        SparkEnv$.MODULE$.log(); // Lets Spark choose the logging configuration before it is silenced.
        Runnable restore = RootLogger.silence();
        try {
            if (!isOver.getAsBoolean()) {
                withDriver(isOver);
            }
        } finally {
            SparkEnv$.MODULE$.set(null);
            restore.run();
        }
    }

    private static void withDriver(BooleanSupplier isOver) {
        SparkConf conf = new SparkConf(false)
                .set("spark.authenticate", "true")
                .set("spark.authenticate.secret", UUID.randomUUID().toString())
                .set("spark.app.id", NAME)
                .set("spark.driver.host", HOST);
        SecurityManager security =
                new SecurityManager(conf, Option.empty(), SecurityManager.$lessinit$greater$default$3());
        RpcEnv driver = RpcEnv.create(NAME, HOST, HOST, 0, conf, security, 1, false);
        try {
            for (String name : ENDPOINTS) {
                driver.setupEndpoint(name, new Agreeing(driver));
            }
            conf.set("spark.driver.port", Integer.toString(driver.address().port()));
            if (!isOver.getAsBoolean()) {
                withExecutor(conf, isOver);
            }
        } finally {
            driver.shutdown();
        }
    }

    private static void withExecutor(SparkConf conf, BooleanSupplier isOver) {
        SparkEnv executor = SparkEnv$.MODULE$.createExecutorEnv(conf, NAME, HOST, HOST, 1, Option.empty(), false);
        try {
            if (!isOver.getAsBoolean()) {
                executor.blockManager().initialize(NAME);
            }
        } finally {
            executor.stop();
        }
    }

    /** Agrees to whatever it is asked. */
    private record Agreeing(RpcEnv rpcEnv) implements RpcEndpoint {
        @Override
        public PartialFunction<Object, BoxedUnit> receiveAndReply(RpcCallContext context) {
            return new AbstractPartialFunction<>() {
                @Override
                public boolean isDefinedAt(Object message) {
                    return true;
                }

                @Override
                public BoxedUnit apply(Object message) {
                    context.reply(message instanceof RegisterBlockManager asked ? asked.blockManagerId() : true);
                    return BoxedUnit.UNIT;
                }
            };
        }
    }
}
