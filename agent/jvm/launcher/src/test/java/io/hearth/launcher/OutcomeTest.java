package io.hearth.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import org.junit.jupiter.api.Test;

class OutcomeTest {
    @Test
    void aFailureTellsWhatCausedIt() {
        Throwable error = new IllegalStateException("outer", new RuntimeException(new IOException("inner")));
        assertEquals(new Outcome(1, "java.lang.IllegalStateException", "outer\n"
                        + "Caused by: java.lang.RuntimeException: java.io.IOException: inner\n"
                        + "Caused by: java.io.IOException: inner"),
                Outcome.failed(1, error));
        assertEquals(new Outcome(1, "java.lang.RuntimeException", ""), Outcome.failed(1, new RuntimeException()));
    }

    @Test
    void framesOfStackTracesPushNothingOut() {
        String frames = "\tat a.B.c(B.java:1)\n".repeat(1_000) + "\t... 12 more\n";
        Outcome outcome = new Outcome(1, "X", "failed\n" + frames + "Caused by: a.B: why\n" + frames);
        assertEquals("failed\nCaused by: a.B: why", outcome.errorMessage());
    }

    @Test
    void aLongMessageIsCut() {
        String message = new Outcome(1, "X", "x".repeat(10_000)).errorMessage();
        assertEquals(Outcome.MAX_MESSAGE, message.length());
        assertTrue(message.endsWith("…"));
    }
}
