package io.hearth.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class OutboxTest {
    private final Outbox outbox = new Outbox();

    private void append(int count) {
        for (int i = 0; i < count; i++) {
            outbox.append(new Report.KillExecutors(List.of(String.valueOf(i))));
        }
    }

    private void expectUnsent(long... numbers) {
        for (long number : numbers) {
            assertEquals(number, outbox.takeUnsent().seq());
        }
        assertNull(outbox.takeUnsent());
    }

    @Test
    void reportsAreNumberedFromOneAndSentOnce() {
        append(2);
        expectUnsent(1, 2);
        append(1);
        expectUnsent(3);
    }

    @Test
    void afterAReconnectOnlyWhatThePeerLacksIsSentAgain() {
        append(4);
        expectUnsent(1, 2, 3, 4);
        outbox.acknowledge(1);
        assertFalse(outbox.resume(3));
        expectUnsent(4);
        assertEquals(1, outbox.size());
    }

    @Test
    void aPeerThatLostItsMemoryIsNoticed() {
        append(3);
        expectUnsent(1, 2, 3);
        outbox.acknowledge(2);
        assertTrue(outbox.resume(0));
        expectUnsent(3);
    }

    @Test
    void anAcknowledgementOfWhatWasNeverSentCountsForWhatWas() {
        append(1);
        expectUnsent(1);
        append(1);
        outbox.acknowledge(99);
        assertEquals(1, outbox.size());
        expectUnsent(2);
    }
}
