package io.hearth.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class LeaseWatchTest {
    private final LeaseWatch watch = new LeaseWatch(Path.of("/nowhere"));

    private static String lease(Duration freezeAt, Duration killAt) {
        long freeze = freezeAt.toNanos();
        long kill = killAt.toNanos();
        return String.format("%019d %019d %019d%n", freeze, kill, freeze ^ kill);
    }

    private boolean look(long second, String lease) {
        return watch.look(Duration.ofSeconds(second), lease);
    }

    @Test
    void aWorkerThatRunsOnLongAfterItsLeaseIsHeldByNobody() {
        String lease = lease(Duration.ofSeconds(20), Duration.ofSeconds(25));
        assertFalse(look(24, lease));
        for (int second = 26; second < 30; second++) {
            assertFalse(look(second, lease));
        }
        assertTrue(look(30, lease));
    }

    @Test
    void aLeaseThatIsMovedOnStartsAnew() {
        String over = lease(Duration.ofSeconds(20), Duration.ofSeconds(25));
        String good = lease(Duration.ofSeconds(2000), Duration.ofSeconds(2005));
        for (int second = 1000; second < 1004; second++) {
            assertFalse(look(second, over));
        }
        assertFalse(look(1004, good));
        assertFalse(look(1005, over));
    }

    @Test
    void aLeaseWithoutFreezingAndATornOneAreUnderstood() {
        String executor = lease(Duration.ofNanos(Long.MAX_VALUE), Duration.ofSeconds(25));
        for (int second = 30; second < 34; second++) {
            assertFalse(look(second, executor));
        }
        assertFalse(look(34, executor.replaceFirst(" 0000000025", " 0000000024")), "torn");
        assertTrue(look(35, executor));
        assertThrows(RuntimeException.class, () -> look(1, ""));
    }

    @Test
    void uptimeIsReadToTheMillisecond() {
        assertEquals(Duration.ofMillis(16_525_390), LeaseWatch.sinceBoot("16525.39 1234.56\n"));
    }
}
