package io.hearth.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class SocketPathTest {
    @Test
    void aLongPathIsTakenRelativeToTheWorkingDirectory() {
        String worker = "/" + "d".repeat(100) + "/workers/w1";
        assertEquals(Path.of("../run/control.sock"),
                SocketPath.connectable(Path.of(worker + "/run/control.sock"), Path.of(worker + "/work")));
    }

    @Test
    void aShortPathStays() {
        Path path = Path.of("/run/hearth/control.sock");
        assertEquals(path, SocketPath.connectable(path, Path.of("/home/hadoop")));
    }
}
