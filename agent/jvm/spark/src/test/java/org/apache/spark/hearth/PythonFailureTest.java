package org.apache.spark.hearth;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Optional;
import org.junit.jupiter.api.Test;

class PythonFailureTest {
    private static Optional<PythonFailure> failure(String type, String message) {
        return Optional.of(new PythonFailure(type, message));
    }

    @Test
    void theLastTracebackNamesTheException() {
        String output = """
                some output
                Traceback (most recent call last):
                  File "a.py", line 1, in <module>
                    first()
                KeyError: 'x'

                During handling of the above exception, another exception occurred:

                Traceback (most recent call last):
                  File "a.py", line 3, in <module>
                    1 / 0
                    ~~^~~
                ZeroDivisionError: division by zero
                """;
        assertEquals(failure("ZeroDivisionError", "division by zero"), PythonFailure.in(output));
    }

    @Test
    void aMessageMayHaveManyLinesOrNone() {
        String head = "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f()\n";
        assertEquals(failure("py4j.protocol.Py4JJavaError", "An error occurred\n: java.io.IOException: x\n\tat y"),
                PythonFailure.in(head + "py4j.protocol.Py4JJavaError: An error occurred\n: java.io.IOException: x\n\tat y\n"));
        assertEquals(failure("AssertionError", ""), PythonFailure.in(head + "AssertionError\n"));
    }

    @Test
    void aSyntaxErrorHasNoTraceback() {
        assertEquals(failure("SyntaxError", "invalid syntax (bad.py, line 3)"),
                PythonFailure.in("  File \"/x/bad.py\", line 3\n    if x\n        ^\nSyntaxError: invalid syntax\n"));
    }

    @Test
    void otherOutputIsNoFailure() {
        assertEquals(Optional.empty(), PythonFailure.in("ValueError: printed by the program\n"));
    }
}
