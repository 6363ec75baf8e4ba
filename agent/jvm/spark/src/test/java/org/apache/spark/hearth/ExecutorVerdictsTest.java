package org.apache.spark.hearth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ExecutorVerdictsTest {
    private final ScheduledThreadPoolExecutor timers = new ScheduledThreadPoolExecutor(1);
    private final BlockingQueue<String> unexplained = new LinkedBlockingQueue<>();

    @AfterEach
    void stop() {
        timers.shutdownNow();
    }

    @Test
    void silenceIsReportedOnce() throws Exception {
        ExecutorVerdicts verdicts = new ExecutorVerdicts(timers, Duration.ofMillis(1), unexplained::add);
        verdicts.await("1");
        assertEquals("1", unexplained.poll(10, TimeUnit.SECONDS));
        timers.submit(() -> {}).get();
        assertTrue(unexplained.isEmpty());
    }

    @Test
    void aVerdictEndsTheWait() throws Exception {
        timers.setRemoveOnCancelPolicy(true);
        ExecutorVerdicts verdicts = new ExecutorVerdicts(timers, Duration.ofHours(1), unexplained::add);
        verdicts.await("1");
        verdicts.await("1");
        assertEquals(1, timers.getQueue().size());
        verdicts.settle("1");
        assertEquals(0, timers.getQueue().size());
    }

    @Test
    void aLostConnectionAfterTheEndOfTheApplicationIsNothing() {
        timers.shutdownNow();
        ExecutorVerdicts verdicts = new ExecutorVerdicts(timers, Duration.ofMillis(1), unexplained::add);
        verdicts.await("1");
        verdicts.settle("1");
        assertTrue(unexplained.isEmpty());
    }
}
