package io.hearth.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {
    @Test
    void valuesSurviveWritingAndParsing() throws Exception {
        String text = "{\"a\":[1,-2,3.5,1.0E30,true,false,null],\"b\":{\"\":\"\"},\"c\":\"é 😀 \\\" \\\\ \\u0001 \\n\"}";
        Map<String, Object> parsed = Json.parseObject(text);
        assertEquals(parsed, Json.parseObject(Json.write(parsed)));
        assertEquals(text, Json.write(parsed));
    }

    @Test
    void escapesAreRead() throws Exception {
        assertEquals("/\b\f\n\r\té😀", Json.parseObject("{\"s\":\"\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"}").get("s"));
    }

    @Test
    void numbersKeepTheirKind() throws Exception {
        Map<String, Object> numbers = Json.parseObject(" { \"i\" : 9223372036854775807 , \"d\" : -0.5e-3 } ");
        assertEquals(Long.MAX_VALUE, numbers.get("i"));
        assertEquals(-0.0005, numbers.get("d"));
    }

    @Test
    void aLoneSurrogateIsReplaced() {
        assertEquals("\"\uFFFDx\uFFFD\"", Json.write("\ud83dx\ude00"));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", "{", "[]", "1", "null", "{}x", "{}{}", "{\"a\":1,}", "{\"a\"}", "{\"a\":}", "{a:1}", "{'a':1}", "{\"a\":01}",
        "{\"a\":+1}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1e}", "{\"a\":-}", "{\"a\":NaN}", "{\"a\":tru}", "{\"a\":[1,]}",
        "{\"a\":\"\t\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"", "{\"a\":1,\"a\":2}",
        "{\"a\":9223372036854775808}", "\uFEFF{}"
    })
    void whatIsNotOneStrictObjectIsRefused(String text) {
        assertThrows(Json.MalformedException.class, () -> Json.parseObject(text));
    }

    @Test
    void deepNestingIsRefusedBeforeTheStackEnds() {
        String text = "{\"a\":" + "[".repeat(100_000);
        assertThrows(Json.MalformedException.class, () -> Json.parseObject(text));
    }

    @Test
    void anErrorDoesNotQuoteTheText() {
        Exception error = assertThrows(Json.MalformedException.class, () -> Json.parseObject("{\"secret\":\"hunter2\"!}"));
        assertFalse(error.getMessage().contains("hunter2"));
    }

    @Test
    void whatJsonCannotHoldIsABug() {
        for (Object value : new Object[] {Double.NaN, new Object(), List.of(new ArrayList<>(), 'c')}) {
            assertThrows(IllegalArgumentException.class, () -> Json.write(value));
        }
    }
}
