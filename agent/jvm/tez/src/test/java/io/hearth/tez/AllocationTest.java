package io.hearth.tez;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.hearth.tez.Allocation.Ask;
import io.hearth.tez.TezCluster.Size;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class AllocationTest {
    private static final Size SMALL = new Size(512, 1);
    private static final Size LARGE = new Size(4096, 2);

    private final Allocation allocation = new Allocation();

    @Test
    void theMostUrgentAskOfAWorkersSizeGetsIt() {
        allocation.ask(new Ask(20, 0, SMALL), 1);
        allocation.ask(new Ask(10, 0, SMALL), 1);
        allocation.ask(new Ask(1, 0, LARGE), 1);
        assertTrue(allocation.join("1", SMALL, "h", 7));
        assertEquals(List.of(10), allocation.takeGrants().stream().map(grant -> grant.ask().priority()).toList());
        assertEquals(List.of(), allocation.takeGrants());
    }

    @Test
    void aGrantIsTakenOffItsAskAndStaysInTheTarget() {
        allocation.ask(new Ask(1, 0, SMALL), 2);
        assertEquals(Map.of(SMALL, 2), allocation.targets());
        assertTrue(allocation.join("1", SMALL, "h", 7));
        assertEquals(Map.of(SMALL, 2), allocation.targets());
        allocation.ask(new Ask(1, 0, SMALL), 0);
        assertEquals(Map.of(SMALL, 1), allocation.targets());
        assertEquals(SMALL, allocation.inUse());
    }

    @Test
    void aWorkerThatNobodyWantsAnyMoreIsTurnedAway() {
        allocation.ask(new Ask(1, 0, SMALL), 1);
        allocation.ask(new Ask(1, 0, SMALL), 0);
        assertFalse(allocation.join("1", SMALL, "h", 7));
        assertFalse(allocation.end("1", 0, ""));
        assertEquals(List.of(), allocation.takeEnds());
    }

    @Test
    void anEndIsToldOnceAndLowersTheTarget() {
        allocation.ask(new Ask(1, 0, SMALL), 1);
        allocation.join("1", SMALL, "h", 7);
        assertTrue(allocation.end("1", 137, "killed"));
        assertFalse(allocation.end("1", 0, "again"));
        assertEquals(List.of(new Allocation.End("1", 137, "killed")), allocation.takeEnds());
        assertEquals(Map.of(), allocation.targets());
    }
}
