package org.apache.spark.hearth;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** Executors that disconnected and of which the agent has yet to say why. */
final class ExecutorVerdicts {
    private final ScheduledExecutorService timers;
    private final Duration limit;
    private final Consumer<String> onNoVerdict;
    private final Map<String, Future<?>> awaited = new ConcurrentHashMap<>();

    /** Calls {@code onNoVerdict} with an executor's id when {@code limit} passes without a verdict. */
    ExecutorVerdicts(ScheduledExecutorService timers, Duration limit, Consumer<String> onNoVerdict) {
        this.timers = timers;
        this.limit = limit;
        this.onNoVerdict = onNoVerdict;
    }

    /** Starts waiting for the verdict on an executor. */
    void await(String id) {
        awaited.computeIfAbsent(id, key -> {
            try {
                return timers.schedule(() -> expire(key), limit.toMillis(), TimeUnit.MILLISECONDS);
            } catch (RejectedExecutionException e) {
                return null; // The application is over; nobody waits for an explanation.
            }
        });
    }

    /** The verdict is there; it may also come before the connection is lost. */
    void settle(String id) {
        Future<?> timer = awaited.remove(id);
        if (timer != null) {
            timer.cancel(false);
        }
    }

    private void expire(String id) {
        if (awaited.remove(id) != null) {
            onNoVerdict.accept(id);
        }
    }
}
