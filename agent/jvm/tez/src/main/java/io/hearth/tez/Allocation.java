package io.hearth.tez;

import io.hearth.tez.TezCluster.Size;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What one application master wants and has. Decides alone; threads are its owner's concern.
 *
 * <p>A worker counts from the moment it joins, ready to run; who it was started for is decided only then. As in YARN an
 * ask is absolute: it replaces the former one of its kind, and each grant takes one off it.
 */
final class Allocation {
    /** A kind of ask; the lower {@code priority} comes first, as in YARN. */
    record Ask(int priority, long requestId, Size size) implements Comparable<Ask> {
        @Override
        public int compareTo(Ask other) {
            return Comparator.comparingInt(Ask::priority).thenComparingLong(Ask::requestId).thenComparing(Ask::size)
                    .compare(this, other);
        }
    }

    /** A worker that was given to an ask; {@code host} and {@code shufflePort} are where its output is fetched. */
    record Grant(String worker, Ask ask, String host, int shufflePort) {}

    /** The end of a granted worker, with YARN's exit status. */
    record End(String worker, int exitStatus, String diagnostics) {}

    private final Map<Ask, Integer> wanted = new TreeMap<>();
    private final Map<String, Grant> held = new LinkedHashMap<>();
    private final List<Grant> grants = new ArrayList<>();
    private final List<End> ends = new ArrayList<>();

    /** Sets how many workers are wanted for an ask, beside those granted already. */
    void ask(Ask ask, int count) {
        if (count > 0) {
            wanted.put(ask, count);
        } else {
            wanted.remove(ask);
        }
    }

    /** Gives a worker that is ready to the first ask it suits. Returns false if nobody wants it any more. */
    boolean join(String worker, Size size, String host, int shufflePort) {
        for (Map.Entry<Ask, Integer> entry : wanted.entrySet()) {
            if (entry.getKey().size().equals(size)) {
                Grant grant = new Grant(worker, entry.getKey(), host, shufflePort);
                ask(entry.getKey(), entry.getValue() - 1);
                held.put(worker, grant);
                grants.add(grant);
                return true;
            }
        }
        return false;
    }

    /** Takes note of a worker's end. Returns false for one that was never granted, or has ended before. */
    boolean end(String worker, int exitStatus, String diagnostics) {
        Grant grant = held.remove(worker);
        if (grant == null) {
            return false;
        }
        ends.add(new End(worker, exitStatus, diagnostics));
        return true;
    }

    boolean holds(String worker) {
        return held.containsKey(worker);
    }

    /** The grants since this was last called, oldest first. */
    List<Grant> takeGrants() {
        List<Grant> taken = List.copyOf(grants);
        grants.clear();
        return taken;
    }

    /** The ends since this was last called, oldest first. */
    List<End> takeEnds() {
        List<End> taken = List.copyOf(ends);
        ends.clear();
        return taken;
    }

    /** How many workers of each size are wanted in all: those held and those asked for. */
    Map<Size, Integer> targets() {
        Map<Size, Integer> targets = new TreeMap<>();
        held.values().forEach(grant -> targets.merge(grant.ask().size(), 1, Integer::sum));
        wanted.forEach((ask, count) -> targets.merge(ask.size(), count, Integer::sum));
        return targets;
    }

    /** The memory of all held workers. */
    Size inUse() {
        long memory = 0;
        int cores = 0;
        for (Grant grant : held.values()) {
            memory += grant.ask().size().memoryMib();
            cores += grant.ask().size().cores();
        }
        return new Size(memory, cores);
    }
}
