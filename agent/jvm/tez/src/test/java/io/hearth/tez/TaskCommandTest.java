package io.hearth.tez;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class TaskCommandTest {
    @Test
    void propertiesMainClassAndArgumentsAreTakenFromTheStartLine() {
        TaskCommand command = TaskCommand.parse("$JAVA_HOME/bin/java -server -Dlog4j.configuration=x.properties "
                + "-Xmx409m --add-opens java.base/java.net=ALL-UNNAMED -Dflag '-Dname=two words' -Djava.io.tmpdir=$PWD/tmp org.apache.tez.runtime.task.TezChild "
                + "host 4711 container_1_0001_01_000002 application_1_0001 1 1>/logs/stdout 2>/logs/stderr ");
        assertEquals(Map.of("log4j.configuration", "x.properties", "flag", "", "name", "two words"), command.properties());
        assertEquals("org.apache.tez.runtime.task.TezChild", command.mainClass());
        assertEquals(List.of("host", "4711", "container_1_0001_01_000002", "application_1_0001", "1"), command.args());
    }

    @Test
    void theLastHeapOptionCounts() {
        assertEquals(OptionalLong.of(2048), JavaOptions.heapMib(List.of("-Xmx512m", "-Dx=-Xmx1m", "-Xmx2G")));
        assertEquals(OptionalLong.of(3), JavaOptions.heapMib(List.of("-Xmx3145728")));
        assertEquals(OptionalLong.empty(), JavaOptions.heapMib(List.of("-Xms1g")));
    }
}
