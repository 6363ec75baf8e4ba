package io.hearth.launcher;

import java.util.ArrayDeque;

/** Numbers reports and keeps each until it is acknowledged. Not thread-safe: {@link ControlChannel} guards it. */
final class Outbox {
    /** One numbered report. */
    record Numbered(long seq, Report report) {}

    private final ArrayDeque<Numbered> unacknowledged = new ArrayDeque<>();
    private long lastAppended;
    private long lastSent;
    private long lastAcknowledged;

    /** Adds a report under the next number. */
    void append(Report report) {
        lastAppended++;
        unacknowledged.addLast(new Numbered(lastAppended, report));
    }

    /** The first report that was not yet sent on this connection, now counted as sent; null if there is none. */
    Numbered takeUnsent() {
        if (lastSent == lastAppended) {
            return null;
        }
        for (Numbered numbered : unacknowledged) {
            if (numbered.seq > lastSent) {
                lastSent = numbered.seq;
                return numbered;
            }
        }
        throw new IllegalStateException("an unsent report is never forgotten");
    }

    /** Forgets every report up to {@code seq}; a number never sent is taken as the last one sent. */
    void acknowledge(long seq) {
        lastAcknowledged = Math.max(lastAcknowledged, Math.min(seq, lastSent));
        while (!unacknowledged.isEmpty() && unacknowledged.peekFirst().seq <= lastAcknowledged) {
            unacknowledged.removeFirst();
        }
    }

    /**
     * Starts over on a new connection whose peer has received {@code received}.
     *
     * @return whether the peer has lost reports that it had acknowledged, so that their meaning must be told again
     */
    boolean resume(long received) {
        boolean peerForgot = received < lastAcknowledged;
        acknowledge(received);
        lastSent = lastAcknowledged;
        return peerForgot;
    }

    /** How many reports wait for their acknowledgement. */
    int size() {
        return unacknowledged.size();
    }
}
