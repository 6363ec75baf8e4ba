package org.apache.spark.hearth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.spark.SparkEnv;
import org.junit.jupiter.api.Test;

class ExecutorWarmUpTest {
    @Test
    void leavesNothingThatTheJobCouldMeet() throws Exception {
        Level level = LogManager.getRootLogger().getLevel();
        Properties before = (Properties) System.getProperties().clone();
        AtomicInteger looks = new AtomicInteger();
        ExecutorWarmUp.run(() -> {
            looks.incrementAndGet();
            return false;
        });
        assertEquals(3, looks.get(), "every step was done");
        assertNull(SparkEnv.get());
        assertEquals(before, System.getProperties());
        assertEquals(level, LogManager.getRootLogger().getLevel());
    }

    @Test
    void stopsAtTheNextStepOnceTheJobIsKnown() throws Exception {
        AtomicInteger looks = new AtomicInteger();
        ExecutorWarmUp.run(() -> looks.incrementAndGet() > 1);
        assertEquals(2, looks.get());
        assertNull(SparkEnv.get());
    }
}
