package io.hearth.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OrderTest {
    private static Order parse(String text) throws Json.MalformedException {
        return Order.parse(Json.parseObject(text));
    }

    @Test
    void everyOrderIsRead() throws Exception {
        assertEquals(
                new Order.Run("spark-driver", List.of("a"), Map.of("p", "1"), Map.of("E", "2"), "s", List.of("x.zip#y")),
                parse("{\"type\":\"run\",\"seq\":1,\"kind\":\"spark-driver\",\"args\":[\"a\"],\"properties\":{\"p\":\"1\"},"
                        + "\"env\":{\"E\":\"2\"},\"secret\":\"s\",\"unpack\":[\"x.zip#y\"]}"));
        assertEquals(new Order.ExecutorLaunched("1", "h"), parse("{\"type\":\"executor_launched\",\"id\":\"1\",\"host\":\"h\"}"));
        assertEquals(new Order.ExecutorExited("1", 137, false, "r"),
                parse("{\"type\":\"executor_exited\",\"id\":\"1\",\"exit_code\":137,\"caused_by_app\":false,\"reason\":\"r\"}"));
        assertEquals(new Order.LaunchFailed(0, "full"), parse("{\"type\":\"launch_failed\",\"rp_id\":0,\"reason\":\"full\"}"));
        assertEquals(new Order.Decommission(List.of("1", "2"), "r"),
                parse("{\"type\":\"decommission\",\"ids\":[\"1\",\"2\"],\"reason\":\"r\"}"));
        assertEquals(new Order.Cancel(5000), parse("{\"type\":\"cancel\",\"grace_ms\":5000,\"new_member\":1}"));
        assertEquals(new Order.Unknown("later"), parse("{\"type\":\"later\"}"));
    }

    @Test
    void secretAndUnpackMayBeAbsent() throws Exception {
        Order.Run run = (Order.Run) parse("{\"type\":\"run\",\"kind\":\"k\",\"args\":[],\"properties\":{},\"env\":{},\"secret\":null}");
        assertNull(run.secret());
        assertEquals(List.of(), run.unpack());
    }

    @Test
    void aRunOrderDoesNotPrintWhatItHolds() {
        Order.Run run = new Order.Run("k", List.of("hunter2"), Map.of("p", "hunter2"), Map.of("e", "hunter2"), "hunter2",
                List.of("hunter2"));
        assertFalse(run.toString().contains("hunter2"));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "{}", "{\"type\":1}", "{\"type\":\"cancel\"}", "{\"type\":\"cancel\",\"grace_ms\":\"5\"}",
        "{\"type\":\"decommission\",\"ids\":[1],\"reason\":\"r\"}",
        "{\"type\":\"run\",\"kind\":\"k\",\"args\":[],\"properties\":{\"a\":1},\"env\":{}}",
        "{\"type\":\"executor_exited\",\"id\":\"1\",\"exit_code\":0,\"reason\":\"r\"}"
    })
    void aMalformedOrderIsRefused(String text) {
        assertThrows(Json.MalformedException.class, () -> parse(text));
    }
}
