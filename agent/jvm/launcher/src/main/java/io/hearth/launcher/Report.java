package io.hearth.launcher;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A message from this JVM to the agent. All but {@link Progress} are numbered and kept until acknowledged. */
public sealed interface Report {

    /** The message's members, type first, without its sequence number. */
    Map<String, Object> toJson();

    /** The launcher is up and has no job. */
    record Ready() implements Report {
        @Override
        public Map<String, Object> toJson() {
            return members("ready");
        }
    }

    /** The job was accepted and its main is about to be called. */
    record Started() implements Report {
        @Override
        public Map<String, Object> toJson() {
            return members("started");
        }
    }

    /**
     * An application wants executors.
     *
     * @param driverUrl where executors register, {@code spark://CoarseGrainedScheduler@host:port}
     * @param uiPort the port of the live UI, or null without one
     * @param javaOpts the application's JVM options for executors; {@code {{EXECUTOR_ID}}} stands for the executor's id
     * @param env environment of executors
     * @param properties the configuration that executors must start with, without any secret
     * @param classPath entries of executors' class path in front of the engine's, in order
     */
    record RegisterApp(String appId, String driverUrl, Integer uiPort, List<String> javaOpts, Map<String, String> env,
            Map<String, String> properties, List<String> classPath) implements Report {
        @Override
        public Map<String, Object> toJson() {
            Map<String, Object> executor = new LinkedHashMap<>();
            executor.put("java_opts", javaOpts);
            executor.put("env", env);
            executor.put("properties", properties);
            executor.put("class_path", classPath);
            Map<String, Object> members = members("register_app");
            members.put("app_id", appId);
            members.put("driver_url", driverUrl);
            members.put("ui_port", uiPort);
            members.put("executor", executor);
            return members;
        }
    }

    /** How many executors of which size are wanted in all; replaces every earlier target. */
    record SetTarget(List<ProfileTarget> profiles) implements Report {
        @Override
        public Map<String, Object> toJson() {
            Map<String, Object> members = members("set_target");
            members.put("profiles", profiles.stream().map(ProfileTarget::toJson).toList());
            return members;
        }
    }

    /** One resource profile's part of a target; memory in MiB, {@code memoryMib} is the heap. */
    record ProfileTarget(int profileId, int count, int cores, long memoryMib, long overheadMib, long offHeapMib,
            long pysparkMib) {
        /** The memory of one executor in all. */
        public long totalMib() {
            return memoryMib + overheadMib + offHeapMib + pysparkMib;
        }

        Map<String, Object> toJson() {
            Map<String, Object> members = new LinkedHashMap<>();
            members.put("rp_id", profileId);
            members.put("count", count);
            members.put("cores", cores);
            members.put("memory_mib", memoryMib);
            members.put("overhead_mib", overheadMib);
            members.put("offheap_mib", offHeapMib);
            members.put("pyspark_mib", pysparkMib);
            members.put("total_mib", totalMib());
            return members;
        }
    }

    /** These executors are no longer wanted; the target was lowered accordingly or a replacement is wanted. */
    record KillExecutors(List<String> ids) implements Report {
        @Override
        public Map<String, Object> toJson() {
            Map<String, Object> members = members("kill_executors");
            members.put("ids", ids);
            return members;
        }
    }

    /** The application is over; its executors are to go. */
    record UnregisterApp() implements Report {
        @Override
        public Map<String, Object> toJson() {
            return members("unregister_app");
        }
    }

    /** The JVM is about to exit. */
    record Finished(Outcome outcome) implements Report {
        @Override
        public Map<String, Object> toJson() {
            Map<String, Object> members = members("finished");
            members.put("exit_code", outcome.exitCode());
            members.put("error_class", outcome.errorClass());
            members.put("error_message", outcome.errorMessage());
            return members;
        }
    }

    /** Where the job is. Sent without a number: only the latest counts. */
    record Progress(Map<String, Object> figures) implements Report {
        @Override
        public Map<String, Object> toJson() {
            Map<String, Object> members = members("progress");
            members.putAll(figures);
            return members;
        }
    }

    private static Map<String, Object> members(String type) {
        Map<String, Object> members = new LinkedHashMap<>();
        members.put("type", type);
        return members;
    }
}
