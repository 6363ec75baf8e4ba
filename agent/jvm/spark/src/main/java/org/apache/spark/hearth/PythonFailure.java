package org.apache.spark.hearth;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The exception that ended a Python program, read from its traceback.
 *
 * @param type the exception's class as Python prints it, such as {@code ZeroDivisionError}
 * @param message what follows it, lines and all; empty if there is nothing
 */
record PythonFailure(String type, String message) {
    /** After the header come indented lines of frames; the first that is not indented names the exception. */
    private static final Pattern TRACEBACK = Pattern.compile(
            "^Traceback \\(most recent call last\\):\\R(?:[ \\t].*\\R)+([\\w.]+)(?:: ?((?s).*))?", Pattern.MULTILINE);

    /** A syntax error of the program itself has no traceback; where it is stands before it. */
    private static final Pattern SYNTAX = Pattern.compile(
            "^  File \"(?:.*/)?(.*)\", line (\\d+)\\R(?:[ \\t].*\\R)*(\\w*Error): (.*)", Pattern.MULTILINE);

    /** Finds the last exception in the end of a program's output. */
    static Optional<PythonFailure> in(String output) {
        int header = output.lastIndexOf("Traceback (most recent call last):");
        return header >= 0 ? exception(TRACEBACK.matcher(output.substring(header))) : syntaxError(SYNTAX.matcher(output));
    }

    private static Optional<PythonFailure> exception(Matcher found) {
        if (!found.find()) {
            return Optional.empty();
        }
        String message = found.group(2);
        return Optional.of(new PythonFailure(found.group(1), message == null ? "" : message.strip()));
    }

    private static Optional<PythonFailure> syntaxError(Matcher found) {
        if (!found.find()) {
            return Optional.empty();
        }
        String where = " (" + found.group(1) + ", line " + found.group(2) + ")";
        return Optional.of(new PythonFailure(found.group(3), found.group(4).strip() + where));
    }
}
