package io.hearth.tez;

import java.util.Collection;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What hearth has to know of JVM options that users write. */
final class JavaOptions {
    private static final Pattern HEAP = Pattern.compile("-Xmx(\\d+)([kKmMgGtT]?)");
    private static final String UNITS = "kmgt";

    private JavaOptions() {}

    /** The heap in MiB that the last {@code -Xmx} sets; empty without one. */
    static OptionalLong heapMib(Collection<String> options) {
        OptionalLong heap = OptionalLong.empty();
        for (String option : options) {
            Matcher matcher = HEAP.matcher(option);
            if (matcher.matches()) {
                int unit = matcher.group(2).isEmpty() ? 0 : UNITS.indexOf(Character.toLowerCase(matcher.group(2).charAt(0))) + 1;
                heap = OptionalLong.of((Long.parseLong(matcher.group(1)) << (10 * unit)) >> 20);
            }
        }
        return heap;
    }
}
