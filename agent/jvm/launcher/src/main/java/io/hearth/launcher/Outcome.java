package io.hearth.launcher;

/**
 * How a job ended.
 *
 * @param exitCode the exit status of this JVM
 * @param errorClass the class of the exception that ended the job (Java's or Python's), or null
 * @param errorMessage its message, at most {@value #MAX_MESSAGE} characters, or null
 */
public record Outcome(int exitCode, String errorClass, String errorMessage) {
    /** The longest message that is reported; the log has the rest. */
    public static final int MAX_MESSAGE = 4_000;

    /** Exit status of a cancelled job, as if SIGTERM had ended it. */
    public static final int CANCELLED = 143;

    /** Exit status when the agent cannot be reached or refuses this JVM. */
    public static final int NO_AGENT = 70;

    public Outcome {
        if (errorMessage != null && errorMessage.length() > MAX_MESSAGE) {
            errorMessage = errorMessage.substring(0, MAX_MESSAGE - 1) + "…";
        }
    }

    /** An end without an exception. */
    public static Outcome exited(int exitCode) {
        return new Outcome(exitCode, null, null);
    }

    /** An end by an exception that nobody caught. */
    public static Outcome failed(int exitCode, Throwable error) {
        return new Outcome(exitCode, error.getClass().getName(), error.getMessage());
    }
}
