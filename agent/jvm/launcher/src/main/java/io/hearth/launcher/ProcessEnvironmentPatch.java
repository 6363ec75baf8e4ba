package io.hearth.launcher;

import java.lang.reflect.Field;
import java.util.Map;

/**
 * Changes the environment of the running process, as {@link System#getenv} and {@link ProcessBuilder#environment} see it.
 *
 * <p>A worker JVM may be up long before its job is known, so the job's variables cannot come from {@code exec}. Java
 * offers no call for this; the JDK's own map is changed through reflection. Needs {@code --add-opens} of
 * {@code java.base/java.lang} and {@code java.base/java.util}, which Spark's options include.
 *
 * <p>A child that is started without a look at {@link ProcessBuilder#environment} gets the environment of {@code exec}
 * instead, unchanged. Spark always looks; for user code that does not, whoever starts a JVM for a known job passes the
 * variables to {@code exec} as well.
 */
public final class ProcessEnvironmentPatch {
    private ProcessEnvironmentPatch() {}

    /** Sets every variable of {@code variables}; the others stay. Fails if the JDK's packages are not opened. */
    public static void merge(Map<String, String> variables) throws ReflectiveOperationException {
        Field environment = Class.forName("java.lang.ProcessEnvironment").getDeclaredField("theUnmodifiableEnvironment");
        environment.setAccessible(true);
        Object unmodifiable = environment.get(null);
        Field wrapped = Class.forName("java.util.Collections$UnmodifiableMap").getDeclaredField("m");
        wrapped.setAccessible(true);
        @SuppressWarnings("unchecked") // It is the JDK's map of strings over the bytes that child processes get.
        Map<String, String> modifiable = (Map<String, String>) wrapped.get(unmodifiable);
        modifiable.putAll(variables);
    }
}
