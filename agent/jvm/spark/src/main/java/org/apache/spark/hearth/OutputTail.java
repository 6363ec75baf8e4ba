package org.apache.spark.hearth;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * Remembers the end of what went to standard output.
 *
 * <p>SparkSubmit copies both streams of a Python program there, so a traceback is at the end of it when the program
 * failed.
 */
final class OutputTail extends FilterOutputStream {
    /** Enough for a traceback with a Java stack trace in it, whose first lines matter most. */
    private static final int CAPACITY = 64 * 1024;

    private final byte[] ring = new byte[CAPACITY];
    private long written;

    private OutputTail(OutputStream out) {
        super(out);
    }

    /** Puts a tail behind {@link System#out}. */
    static OutputTail install() {
        OutputTail tail = new OutputTail(System.out);
        System.setOut(new PrintStream(tail, true, StandardCharsets.UTF_8));
        return tail;
    }

    @Override
    public synchronized void write(int b) throws IOException {
        out.write(b);
        ring[(int) (written++ % CAPACITY)] = (byte) b;
    }

    @Override
    public synchronized void write(byte[] bytes, int offset, int length) throws IOException {
        out.write(bytes, offset, length);
        int kept = Math.min(length, CAPACITY);
        int from = offset + length - kept;
        written += length - kept;
        int at = (int) (written % CAPACITY);
        int first = Math.min(kept, CAPACITY - at);
        System.arraycopy(bytes, from, ring, at, first);
        System.arraycopy(bytes, from + first, ring, 0, kept - first);
        written += kept;
    }

    /** The last characters written. */
    synchronized String text() {
        int end = (int) (written % CAPACITY);
        if (written <= CAPACITY) {
            return new String(ring, 0, (int) written, StandardCharsets.UTF_8);
        }
        byte[] ordered = new byte[CAPACITY];
        System.arraycopy(ring, end, ordered, 0, CAPACITY - end);
        System.arraycopy(ring, 0, ordered, CAPACITY - end, end);
        return new String(ordered, StandardCharsets.UTF_8);
    }
}
