package io.hearth.launcher;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Brings the control socket's path within what the kernel accepts. */
final class SocketPath {
    /** The kernel's {@code sun_path} holds 108 bytes with the final zero. */
    static final int MAX_BYTES = 107;

    private SocketPath() {}

    /**
     * The path itself if it is short enough, else its form relative to the working directory. A state directory deep
     * in a home directory is too long, while a worker's own directory is always near its socket.
     */
    static Path connectable(Path socket) {
        return connectable(socket, Path.of("").toAbsolutePath());
    }

    static Path connectable(Path socket, Path workingDirectory) {
        if (bytes(socket) <= MAX_BYTES || !socket.isAbsolute()) {
            return socket;
        }
        Path relative = workingDirectory.relativize(socket);
        return bytes(relative) <= MAX_BYTES ? relative : socket;
    }

    private static int bytes(Path path) {
        return path.toString().getBytes(StandardCharsets.UTF_8).length;
    }
}
