package org.apache.spark.hearth;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.apache.spark.SparkConf;
import org.apache.spark.launcher.JavaModuleOptions;
import org.junit.jupiter.api.Test;

class ExecutorStartupTest {
    @Test
    void executorsStartWithAuthenticationNetworkAndPortsAndNoSecret() {
        SparkConf conf = new SparkConf(false)
                .set("spark.authenticate", "true").set("spark.authenticate.secret", "hunter2")
                .set("spark.authenticate.secret.file", "/hunter2").set("spark.network.crypto.enabled", "true")
                .set("spark.rpc.askTimeout", "5s").set("spark.blockManager.port", "7000")
                .set("spark.ssl.keyPassword", "hunter2").set("spark.ssl.rpc.keyStorePassword", "hunter2")
                .set("spark.app.name", "x").set("spark.executor.memory", "1g");
        assertEquals(Map.of("spark.authenticate", "true", "spark.network.crypto.enabled", "true", "spark.rpc.askTimeout",
                "5s", "spark.blockManager.port", "7000"), ExecutorStartup.properties(conf));
    }

    @Test
    void classPathAndLibraryPathComeBeforeWhatIsThere() {
        SparkConf conf = new SparkConf(false)
                .set("spark.executor.extraClassPath", "/usr/lib/spark/x.jar::lib/*")
                .set("spark.executor.extraLibraryPath", "/opt/native");
        assertEquals(List.of("/usr/lib/spark/x.jar", "lib/*"), ExecutorStartup.classPath(conf));
        assertEquals(Map.of("LD_LIBRARY_PATH", "/opt/native:/own", "A", "b"),
                ExecutorStartup.environment(conf, Map.of("LD_LIBRARY_PATH", "/own", "A", "b")));
        SparkConf empty = new SparkConf(false);
        assertEquals(List.of(), ExecutorStartup.classPath(empty));
        assertEquals(Map.of("A", "b"), ExecutorStartup.environment(empty, Map.of("A", "b")));
    }

    @Test
    void javaOptionsAreSplitAndWithoutTheModuleOptionsOfEveryWorker() {
        SparkConf conf = new SparkConf(false)
                .set("spark.executor.defaultJavaOptions", "-Da=1")
                .set("spark.executor.extraJavaOptions",
                        JavaModuleOptions.defaultModuleOptions() + " -Db='two words' -Dapp={{APP_ID}} -Did={{EXECUTOR_ID}}");
        assertEquals(List.of("-Da=1", "-Db=two words", "-Dapp=app-1", "-Did={{EXECUTOR_ID}}"),
                ExecutorStartup.javaOptions(conf, "app-1"));
    }
}
