package org.apache.spark.hearth;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.spark.SparkConf;
import org.junit.jupiter.api.Test;

class ExecutorFailuresTest {
    private static ExecutorFailures of(AtomicLong clock, Map<String, String> settings) {
        SparkConf conf = new SparkConf(false);
        settings.forEach(conf::set);
        return new ExecutorFailures(conf, clock::get);
    }

    private static int limit(Map<String, String> settings) {
        return of(new AtomicLong(), settings).limit();
    }

    @Test
    void theLimitIsTwiceTheExecutorsOrWhatIsSet() {
        assertEquals(3, limit(Map.of()));
        assertEquals(3, limit(Map.of("spark.executor.instances", "1")));
        assertEquals(20, limit(Map.of("spark.executor.instances", "10")));
        assertEquals(Integer.MAX_VALUE, limit(Map.of("spark.dynamicAllocation.enabled", "true")));
        assertEquals(10, limit(Map.of(
                "spark.dynamicAllocation.enabled", "true", "spark.dynamicAllocation.maxExecutors", "5")));
        assertEquals(7, limit(Map.of("spark.executor.maxNumFailures", "7", "spark.executor.instances", "10")));
    }

    @Test
    void onlyFailuresOfTheValidityIntervalCount() {
        AtomicLong clock = new AtomicLong(1_000);
        ExecutorFailures all = of(clock, Map.of());
        ExecutorFailures recent = of(clock, Map.of("spark.executor.failuresValidityInterval", "10s"));
        assertEquals(1, all.add());
        assertEquals(1, recent.add());
        clock.addAndGet(10_000);
        assertEquals(2, all.add());
        assertEquals(2, recent.add());
        clock.addAndGet(1);
        assertEquals(3, all.add());
        assertEquals(2, recent.add());
    }
}
