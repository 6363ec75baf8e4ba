package io.hearth.launcher;

import java.time.Instant;

/** Lines of the launcher's own in the worker's stderr, recognisable beside the engine's. */
final class Log {
    private Log() {}

    static void warn(String message) {
        System.err.println(Instant.now() + " hearth-launcher: " + message);
    }
}
