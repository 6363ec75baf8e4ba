package org.apache.spark.hearth;

import java.lang.reflect.Method;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LoggerContext;
import org.apache.logging.log4j.core.config.LoggerConfig;

/** The root logger of Log4j: version 2 since Spark 3.3, version 1 before. */
final class RootLogger {
    private RootLogger() {}

    /** Silences it; what is answered gives it its level back. */
    static Runnable silence() throws ReflectiveOperationException {
        Class<?> version1;
        try {
            Class.forName("org.apache.logging.log4j.core.LoggerContext");
            return Version2.silence();
        } catch (ClassNotFoundException e) {
            version1 = Class.forName("org.apache.log4j.Logger");
        }
        Object root = version1.getMethod("getRootLogger").invoke(null);
        Class<?> levels = Class.forName("org.apache.log4j.Level");
        Object level = version1.getMethod("getLevel").invoke(root);
        Method setLevel = version1.getMethod("setLevel", levels);
        setLevel.invoke(root, levels.getField("OFF").get(null));
        return () -> {
            try {
                setLevel.invoke(root, level);
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException("restoring the level of the root logger", e);
            }
        };
    }

    /** Apart, so that it is not loaded where there is no version 2. */
    private static final class Version2 {
        static Runnable silence() {
            LoggerContext logging = (LoggerContext) LogManager.getContext(false);
            LoggerConfig root = logging.getConfiguration().getRootLogger();
            Level level = root.getLevel();
            setLevel(logging, root, Level.OFF);
            return () -> setLevel(logging, root, level);
        }

        private static void setLevel(LoggerContext logging, LoggerConfig root, Level level) {
            root.setLevel(level);
            logging.updateLoggers();
        }
    }
}
