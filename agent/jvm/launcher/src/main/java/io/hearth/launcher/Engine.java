package io.hearth.launcher;

import java.util.function.BooleanSupplier;

/** What a kind of worker runs. Implementations are found by {@link java.util.ServiceLoader} on the engine's class path. */
public interface Engine {
    /** The {@code kind} of {@link Order.Run} that this engine serves. */
    String kind();

    /**
     * Uses the time until the job is known: does what every job's start does, on nothing of value, and leaves no trace.
     * Returns soon after {@code isOver} says so. What it throws is ignored.
     */
    default void warmUp(BooleanSupplier isOver) throws Exception {}

    /**
     * Runs the job and returns when it is over and its resources are given back. The environment and the system
     * properties of the order are already in place. A job that calls {@link System#exit} itself never returns: its
     * exit status is then the process's, and no {@link Report.Finished} is sent. What it throws ends the job
     * as a failure.
     */
    Outcome run(Order.Run order) throws Exception;

    /** Makes {@link #run} return soon, called from another thread when the job is cancelled. May do nothing. */
    void cancel();
}
