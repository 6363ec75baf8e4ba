package io.hearth.launcher;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A message from the agent to this JVM. Every order carries a sequence number on the wire and may arrive again. */
public sealed interface Order {

    /**
     * Says what this JVM is to be.
     *
     * @param kind {@code spark-driver} or {@code spark-executor}; selects the {@link Engine}
     * @param args the argument list of the engine's own main class
     * @param properties become system properties
     * @param env is merged into the process environment
     * @param secret what driver and executors authenticate each other with, or null; never to be logged or passed on
     * @param unpack archives and files ({@code URI} or {@code URI#name}) for the driver's working directory, beyond
     *     those that {@code args} name
     */
    record Run(String kind, List<String> args, Map<String, String> properties, Map<String, String> env, String secret,
            List<String> unpack) implements Order {
        /** Keeps secret, environment and arguments out of every log line. */
        @Override
        public String toString() {
            return "Run[kind=" + kind + "]";
        }
    }

    /** An executor process was started on {@code host}; it has not registered yet. */
    record ExecutorLaunched(String id, String host) implements Order {}

    /** An executor ended. {@code causedByApp} is false when host, agent or preemption ended it. */
    record ExecutorExited(String id, int exitCode, boolean causedByApp, String reason) implements Order {}

    /** An executor that was asked for cannot be had for now; the target stands. */
    record LaunchFailed(int profileId, String reason) implements Order {}

    /** The executors are to move their data away and leave. */
    record Decommission(List<String> ids, String reason) implements Order {}

    /** The job is to stop, and this JVM to exit with 143 within {@code graceMs}. */
    record Cancel(long graceMs) implements Order {}

    /** A kind of order that a newer agent knows; it is acknowledged and has no effect. */
    record Unknown(String type) implements Order {}

    /** Reads an order from its JSON object; unknown members are ignored. */
    static Order parse(Map<String, Object> message) throws Json.MalformedException {
        String type = string(message, "type");
        return switch (type) {
            case "run" -> new Run(string(message, "kind"), strings(message, "args"), stringMap(message, "properties"),
                    stringMap(message, "env"), (String) optional(message, "secret", String.class),
                    message.get("unpack") == null ? List.of() : strings(message, "unpack"));
            case "executor_launched" -> new ExecutorLaunched(string(message, "id"), string(message, "host"));
            case "executor_exited" -> new ExecutorExited(string(message, "id"), (int) number(message, "exit_code"),
                    required(message, "caused_by_app", Boolean.class), string(message, "reason"));
            case "launch_failed" -> new LaunchFailed((int) number(message, "rp_id"), string(message, "reason"));
            case "decommission" -> new Decommission(strings(message, "ids"), string(message, "reason"));
            case "cancel" -> new Cancel(number(message, "grace_ms"));
            default -> new Unknown(type);
        };
    }

    private static <T> T required(Map<String, Object> message, String name, Class<T> type)
            throws Json.MalformedException {
        T value = optional(message, name, type);
        if (value == null) {
            throw new Json.MalformedException("message without '" + name + "'");
        }
        return value;
    }

    private static <T> T optional(Map<String, Object> message, String name, Class<T> type)
            throws Json.MalformedException {
        Object value = message.get(name);
        if (value != null && !type.isInstance(value)) {
            throw new Json.MalformedException("'" + name + "' is not a " + type.getSimpleName());
        }
        return type.cast(value);
    }

    /** Reads a string member that must be there. */
    static String string(Map<String, Object> message, String name) throws Json.MalformedException {
        return required(message, name, String.class);
    }

    /** Reads an integer member that must be there. */
    static long number(Map<String, Object> message, String name) throws Json.MalformedException {
        return required(message, name, Long.class);
    }

    private static List<String> strings(Map<String, Object> message, String name) throws Json.MalformedException {
        List<String> strings = new ArrayList<>();
        for (Object item : required(message, name, List.class)) {
            if (!(item instanceof String string)) {
                throw new Json.MalformedException("'" + name + "' holds something other than strings");
            }
            strings.add(string);
        }
        return List.copyOf(strings);
    }

    private static Map<String, String> stringMap(Map<String, Object> message, String name)
            throws Json.MalformedException {
        Map<String, String> strings = new LinkedHashMap<>();
        for (Object item : required(message, name, Map.class).entrySet()) {
            Map.Entry<?, ?> entry = (Map.Entry<?, ?>) item;
            if (!(entry.getValue() instanceof String value)) {
                throw new Json.MalformedException("'" + name + "' holds something other than strings");
            }
            strings.put((String) entry.getKey(), value);
        }
        return strings;
    }
}
