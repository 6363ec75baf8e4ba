package io.hearth.hive;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ScriptTest {
    @Test
    void semicolonsInQuotesAndCommentsEndNoStatement() {
        assertEquals(List.of("select ';', \"a;b\", `c;d`", "select 'it''s; \\'; ok'"),
                Script.statements("-- a; comment\nselect ';', \"a;b\", `c;d` ;\n;; select 'it''s; \\'; ok'\n-- the end;"));
    }

    @Test
    void anEscapedSemicolonIsPartOfTheStatement() {
        assertEquals(List.of("add jar x;y", "select 1"), Script.statements("add jar x\\;y; select 1"));
    }

    @Test
    void commentsKeepTheirLinesSoThatErrorMessagesNameTheRightOnes() {
        assertEquals(List.of("select 1 \nfrom t"), Script.statements("select 1 -- one\nfrom t"));
    }

    @Test
    void theCommandLineIsThatOfHive() {
        Options options = Options.parse(List.of("--hiveconf", "a=b=c", "--hivevar", "x=1", "-i", "s3://b/i", "-f", "s3://b/q"));
        assertEquals(Map.of("a", "b=c"), options.settings());
        assertEquals(Map.of("x", "1"), options.variables());
        assertEquals(Optional.of("s3://b/i"), options.initFile());
        assertEquals("s3://b/q", options.queryFile());
    }
}
