package io.hearth.launcher;

import java.util.regex.Pattern;

/**
 * How a job ended.
 *
 * @param exitCode the exit status of this JVM
 * @param errorClass the class of the exception that ended the job (Java's or Python's), or null
 * @param errorMessage its message and then what caused it, without the frames of stack traces; at most {@value #MAX_MESSAGE}
 *     characters, or null
 */
public record Outcome(int exitCode, String errorClass, String errorMessage) {
    /** The longest message that is reported; the log has the rest. */
    public static final int MAX_MESSAGE = 4_000;

    /** Exit status of a cancelled job, as if SIGTERM had ended it. */
    public static final int CANCELLED = 143;

    /** Exit status when the agent cannot be reached or refuses this JVM. */
    public static final int NO_AGENT = 70;

    /** Lines of a stack trace that Java or Spark put into messages; they would push out what matters. */
    private static final Pattern FRAMES = Pattern.compile("^(\\s+at .*|\\s+\\.\\.\\. \\d+ more)\\R?", Pattern.MULTILINE);

    /** Causes that are told, the outermost first; more of them is a circle or nobody's business. */
    private static final int MAX_CAUSES = 8;

    public Outcome {
        if (errorMessage != null) {
            errorMessage = FRAMES.matcher(errorMessage).replaceAll("").stripTrailing();
        }
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
        StringBuilder message = new StringBuilder(error.getMessage() == null ? "" : error.getMessage());
        Throwable cause = error.getCause();
        for (int depth = 0; cause != null && depth < MAX_CAUSES; depth++) {
            message.append("\nCaused by: ").append(cause);
            cause = cause.getCause();
        }
        return new Outcome(exitCode, error.getClass().getName(), message.toString());
    }
}
