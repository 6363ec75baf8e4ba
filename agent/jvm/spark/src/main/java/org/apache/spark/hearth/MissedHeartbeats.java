package org.apache.spark.hearth;

import java.util.function.Consumer;
import org.apache.spark.scheduler.ExecutorProcessLost;
import org.apache.spark.scheduler.cluster.CoarseGrainedClusterMessages.RemoveExecutor;
import scala.PartialFunction;
import scala.runtime.AbstractPartialFunction;
import scala.runtime.BoxedUnit;

/**
 * What the driver's endpoint hears, with the blame taken from executors whose heartbeats it missed.
 *
 * <p>Spark charges their tasks to the application. But this driver may itself have been frozen by its lease, and thawed it
 * looks at the time before it reads what its executors sent meanwhile; or their host may be cut off. The executor is
 * replaced all the same, and told to {@code onMissed} so that one that keeps hanging is noticed.
 */
final class MissedHeartbeats extends AbstractPartialFunction<Object, BoxedUnit> {
    private final PartialFunction<Object, BoxedUnit> endpoint;
    private final Consumer<String> onMissed;

    MissedHeartbeats(PartialFunction<Object, BoxedUnit> endpoint, Consumer<String> onMissed) {
        this.endpoint = endpoint;
        this.onMissed = onMissed;
    }

    @Override
    public boolean isDefinedAt(Object message) {
        return endpoint.isDefinedAt(message);
    }

    @Override
    public <A, B> B applyOrElse(A message, scala.Function1<A, B> otherwise) {
        @SuppressWarnings("unchecked") // What stands for a message is a message; B is what the endpoint answers.
        PartialFunction<A, B> typed = (PartialFunction<A, B>) (PartialFunction<?, ?>) endpoint;
        @SuppressWarnings("unchecked")
        A heard = (A) unblamed(message);
        return typed.applyOrElse(heard, otherwise);
    }

    /** Spark's {@code HeartbeatReceiver} alone removes executors for a lost process through the endpoint. */
    private Object unblamed(Object message) {
        if (message instanceof RemoveExecutor remove && remove.reason() instanceof ExecutorProcessLost lost
                && lost.causedByApp()) {
            onMissed.accept(remove.executorId());
            return new RemoveExecutor(
                    remove.executorId(), new ExecutorProcessLost(lost._message(), lost.workerHost(), false));
        }
        return message;
    }
}
