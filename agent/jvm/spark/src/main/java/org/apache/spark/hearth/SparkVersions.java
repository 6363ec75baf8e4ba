package org.apache.spark.hearth;

import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkEnv;
import org.apache.spark.executor.CoarseGrainedExecutorBackend;
import org.apache.spark.resource.ResourceProfile;
import org.apache.spark.rpc.RpcEnv;
import scala.collection.immutable.Nil$;

/** Where Spark 3.2 to 3.5 differ in what this module calls; it is compiled against the latest of them. */
final class SparkVersions {
    /** What Spark 3.3 and later open to themselves, for versions that do not know of JDK 17. */
    private static final List<String> OPENED = List.of("java.base/java.lang", "java.base/java.lang.invoke",
            "java.base/java.lang.reflect", "java.base/java.io", "java.base/java.net", "java.base/java.nio",
            "java.base/java.util", "java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic",
            "java.base/jdk.internal.ref", "java.base/sun.nio.ch", "java.base/sun.nio.cs", "java.base/sun.security.action",
            "java.base/sun.util.calendar", "java.security.jgss/sun.security.krb5");

    private SparkVersions() {}

    /** The options that Spark puts in front of executors' own; none before 3.3. */
    static String moduleOptionsOfItsOwn() {
        try {
            return (String) Class.forName("org.apache.spark.launcher.JavaModuleOptions")
                    .getMethod("defaultModuleOptions").invoke(null);
        } catch (ClassNotFoundException e) {
            return "";
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("Spark's module options", e);
        }
    }

    /** The options that a JVM of Spark needs. */
    static List<String> moduleOptions() {
        String own = moduleOptionsOfItsOwn();
        return own.isEmpty()
                ? OPENED.stream().map(opened -> "--add-opens=" + opened + "=ALL-UNNAMED").collect(Collectors.toList())
                : List.of(own.split(" "));
    }

    /** Stops a context; before 3.4 its event log does not tell with which status. */
    static void stop(SparkContext context, int exitCode) {
        Method stop;
        try {
            stop = SparkContext.class.getMethod("stop", int.class);
        } catch (NoSuchMethodException e) {
            context.stop();
            return;
        }
        call(() -> stop.invoke(context, exitCode));
    }

    /** An executor's endpoint; 3.2 also wants the class path of its own class loader, which nobody sets here. */
    static CoarseGrainedExecutorBackend executor(
            RpcEnv rpcEnv, CoarseGrainedExecutorBackend.Arguments arguments, SparkEnv env, ResourceProfile profile) {
        Constructor<?> constructor = CoarseGrainedExecutorBackend.class.getConstructors()[0];
        boolean hasClassPath = constructor.getParameterCount() == 10;
        return (CoarseGrainedExecutorBackend) call(() -> hasClassPath
                ? constructor.newInstance(rpcEnv, arguments.driverUrl(), arguments.executorId(), arguments.bindAddress(),
                        arguments.hostname(), arguments.cores(), Nil$.MODULE$, env, arguments.resourcesFileOpt(), profile)
                : constructor.newInstance(rpcEnv, arguments.driverUrl(), arguments.executorId(), arguments.bindAddress(),
                        arguments.hostname(), arguments.cores(), env, arguments.resourcesFileOpt(), profile));
    }

    private interface Call {
        Object call() throws ReflectiveOperationException;
    }

    /** Passes on what the called code throws. */
    private static Object call(Call call) {
        try {
            return call.call();
        } catch (InvocationTargetException e) {
            throw SparkVersions.<RuntimeException>sneak(e.getCause());
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("This version of Spark is not one that hearth knows", e);
        }
    }

    @SuppressWarnings("unchecked") // Scala's code throws checked exceptions without saying so.
    private static <E extends Throwable> E sneak(Throwable cause) throws E {
        throw (E) cause;
    }
}
