package io.hearth.launcher;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * The last guard of a lease: halts this JVM if it still runs although its keeper should have frozen or killed it.
 *
 * <p>The agent keeps the lease's deadlines in a file beside the control socket: when freezing begins and when killing
 * does, in nanoseconds since boot, and the two combined by exclusive or. A JVM that sees itself run for
 * {@value #LOOKS} seconds after the second is held by nobody.
 */
final class LeaseWatch {
    /** How often in a row, a second apart, the lease has to be found over. One look may just follow a suspension. */
    static final int LOOKS = 5;

    private static final Path UPTIME = Path.of("/proc/uptime");

    private final Path lease;
    private int overdue;

    LeaseWatch(Path lease) {
        this.lease = lease;
    }

    /** Watches the lease of the worker whose control socket this is; a worker without a lease has no such file. */
    static void start(Path controlSocket) {
        LeaseWatch watch = new LeaseWatch(controlSocket.resolveSibling("lease"));
        if (!Files.exists(watch.lease)) {
            return;
        }
        Thread thread = new Thread(watch::watch, "hearth-lease");
        thread.setDaemon(true);
        thread.start();
    }

    private void watch() {
        try {
            do {
                Thread.sleep(1000);
            } while (!isHeldByNobody());
        } catch (InterruptedException e) {
            return; // Nobody interrupts it.
        }
        Log.warn("the lease is over and nobody has stopped this worker, halting");
        Runtime.getRuntime().halt(Outcome.NO_AGENT);
    }

    private boolean isHeldByNobody() {
        try {
            // The clock first: whoever is thawed between the two reads a lease that was moved on before.
            Duration now = sinceBoot(Files.readString(UPTIME));
            return look(now, Files.readString(lease));
        } catch (IOException | RuntimeException e) {
            // A directory that is being removed, or a file in the middle of being written.
            return false;
        }
    }

    /** Looks once; true when the lease has been found over so often that nobody can be holding this worker. */
    boolean look(Duration now, String text) {
        String[] numbers = text.trim().split(" ");
        long freezeAt = Long.parseLong(numbers[0]);
        long killAt = Long.parseLong(numbers[1]);
        if ((freezeAt ^ killAt) != Long.parseLong(numbers[2])) {
            return false;
        }
        overdue = now.toNanos() > killAt ? overdue + 1 : 0;
        return overdue >= LOOKS;
    }

    /** Reads seconds with decimals, the first word of {@code /proc/uptime}. It counts suspension. */
    static Duration sinceBoot(String uptime) {
        return Duration.ofMillis(Math.round(Double.parseDouble(uptime.substring(0, uptime.indexOf(' '))) * 1000));
    }
}
