package org.apache.spark.hearth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.ArrayList;
import java.util.List;
import org.apache.spark.scheduler.ExecutorExited;
import org.apache.spark.scheduler.ExecutorLossReason;
import org.apache.spark.scheduler.ExecutorProcessLost;
import org.apache.spark.scheduler.cluster.CoarseGrainedClusterMessages.RemoveExecutor;
import org.junit.jupiter.api.Test;
import scala.Option;
import scala.runtime.AbstractPartialFunction;
import scala.runtime.BoxedUnit;

class MissedHeartbeatsTest {
    private final List<Object> heard = new ArrayList<>();
    private final List<String> missed = new ArrayList<>();

    /** An endpoint that takes everything but numbers. */
    private final MissedHeartbeats endpoint = new MissedHeartbeats(new AbstractPartialFunction<Object, BoxedUnit>() {
        @Override
        public boolean isDefinedAt(Object message) {
            return !(message instanceof Integer);
        }

        @Override
        public <A, B> B applyOrElse(A message, scala.Function1<A, B> otherwise) {
            heard.add(message);
            return null;
        }
    }, missed::add);

    private Object hears(Object message) {
        endpoint.applyOrElse(message, null);
        return heard.get(heard.size() - 1);
    }

    @Test
    void theApplicationIsNotBlamedForAnExecutorWhoseHeartbeatsWereMissed() {
        ExecutorLossReason timedOut = new ExecutorProcessLost("Executor heartbeat timed out", Option.apply("host"), true);
        Object expected = new RemoveExecutor("7", new ExecutorProcessLost("Executor heartbeat timed out", Option.apply("host"), false));
        assertEquals(expected, hears(new RemoveExecutor("7", timedOut)));
        assertEquals(List.of("7"), missed);
    }

    @Test
    void allElseIsHeardAsItWasSaid() {
        Object exited = new RemoveExecutor("7", new ExecutorExited(52, true, "out of memory"));
        assertSame(exited, hears(exited));
        Object lost = new RemoveExecutor("7", new ExecutorProcessLost("gone", Option.empty(), false));
        assertSame(lost, hears(lost));
        assertEquals("anything", hears("anything"));
        assertFalse(endpoint.isDefinedAt(1));
        assertEquals(List.of(), missed);
    }
}
