package org.apache.spark.hearth;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.LongSupplier;
import org.apache.spark.SparkConf;

/**
 * Counts executors that failed, by the rules and settings of Spark 3.5 ({@code ExecutorFailureTracker}). Earlier versions
 * have them for YARN alone.
 */
final class ExecutorFailures {
    private static final int AT_LEAST = 3;

    private final int limit;
    private final long validMillis;
    private final LongSupplier now;
    private final Deque<Long> failures = new ArrayDeque<>();

    /** @param now a clock in milliseconds that never goes back */
    ExecutorFailures(SparkConf conf, LongSupplier now) {
        this.limit = conf.getInt("spark.executor.maxNumFailures", defaultLimit(conf));
        this.validMillis = conf.getTimeAsMs("spark.executor.failuresValidityInterval", "-1");
        this.now = now;
    }

    /** How many may fail before the job is given up. */
    int limit() {
        return limit;
    }

    /** Counts one more, and says how many count: all, or those of the validity interval. */
    synchronized int add() {
        long time = now.getAsLong();
        failures.add(time);
        while (validMillis > 0 && failures.peekFirst() < time - validMillis) {
            failures.removeFirst();
        }
        return failures.size();
    }

    /** Twice the executors that the job may have. */
    private static int defaultLimit(SparkConf conf) {
        int executors;
        if (conf.getBoolean("spark.streaming.dynamicAllocation.enabled", false)) {
            executors = conf.getInt("spark.streaming.dynamicAllocation.maxExecutors", Integer.MAX_VALUE);
        } else if (conf.getBoolean("spark.dynamicAllocation.enabled", false)) {
            executors = conf.getInt("spark.dynamicAllocation.maxExecutors", Integer.MAX_VALUE);
        } else {
            executors = conf.getInt("spark.executor.instances", 0);
        }
        return (int) Math.max(AT_LEAST, Math.min(Integer.MAX_VALUE, 2L * executors));
    }
}
