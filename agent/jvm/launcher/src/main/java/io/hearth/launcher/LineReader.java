package io.hearth.launcher;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.charset.StandardCharsets;

/** Reads UTF-8 lines of bounded length from a blocking channel. */
final class LineReader {
    /** The longest line that either side may send, in bytes. */
    static final int MAX_LINE = 1 << 20;

    private final ReadableByteChannel channel;
    private final ByteBuffer received = ByteBuffer.allocate(8 * 1024).flip();
    private byte[] line = new byte[8 * 1024];

    LineReader(ReadableByteChannel channel) {
        this.channel = channel;
    }

    /** The next line without its end. Fails at the end of the stream, and on a line above {@link #MAX_LINE}. */
    String readLine() throws IOException {
        int length = 0;
        while (true) {
            while (received.hasRemaining()) {
                byte b = received.get();
                if (b == '\n') {
                    return new String(line, 0, length, StandardCharsets.UTF_8);
                }
                if (length == line.length) {
                    if (length >= MAX_LINE) {
                        throw new IOException("a line is longer than " + MAX_LINE + " bytes");
                    }
                    line = java.util.Arrays.copyOf(line, length * 2);
                }
                line[length++] = b;
            }
            received.clear();
            int count = channel.read(received);
            received.flip();
            if (count < 0) {
                throw new EOFException("the agent closed the control channel");
            }
        }
    }
}
