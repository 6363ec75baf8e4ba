package io.hearth.launcher;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;

/** Ends this JVM exactly once: whoever settles the outcome first reports it and exits, everybody else waits for that. */
final class Ending {
    /** How long the last report may take to be acknowledged before the JVM goes anyway. */
    static final Duration ACKNOWLEDGEMENT = Duration.ofSeconds(2);

    private final AtomicBoolean isSettled = new AtomicBoolean();

    /** Claims the outcome. Returns false if it was claimed before. */
    boolean settle() {
        return isSettled.compareAndSet(false, true);
    }

    /** Reports the outcome and exits; the caller has settled it. Never returns. */
    void exit(ControlChannel channel, Outcome outcome) {
        channel.send(new Report.Finished(outcome));
        channel.awaitAcknowledged(ACKNOWLEDGEMENT);
        channel.close();
        System.exit(outcome.exitCode());
    }

    /** Waits while another thread ends the JVM. Never returns. */
    void awaitExit() {
        while (true) {
            LockSupport.park(this);
        }
    }
}
