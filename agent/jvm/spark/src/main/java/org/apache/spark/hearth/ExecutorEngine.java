package org.apache.spark.hearth;

import io.hearth.launcher.Engine;
import io.hearth.launcher.Order;
import io.hearth.launcher.Outcome;
import java.util.function.BooleanSupplier;
import org.apache.spark.executor.CoarseGrainedExecutorBackend;

/**
 * Turns this JVM into a Spark executor.
 *
 * <p>Spark's own {@code main} would exit the JVM; {@code run} returns when the driver says that the executor is no longer
 * needed. An executor that ends for another reason calls {@link System#exit} itself, and its exit status stands.
 */
public final class ExecutorEngine implements Engine {
    @Override
    public String kind() {
        return "spark-executor";
    }

    @Override
    public void warmUp(BooleanSupplier isOver) throws Exception {
        ExecutorWarmUp.run(isOver);
    }

    @Override
    public Outcome run(Order.Run order) {
        AuthSecret.install(order.secret());
        String[] args = order.args().toArray(String[]::new);
        CoarseGrainedExecutorBackend.run(
                CoarseGrainedExecutorBackend.parseArguments(args, CoarseGrainedExecutorBackend.class.getName()),
                SparkVersions::executor);
        return Outcome.exited(0);
    }

    @Override
    public void cancel() {
        // An executor has nothing to bring to an end; its tasks are the driver's to repeat.
    }
}
