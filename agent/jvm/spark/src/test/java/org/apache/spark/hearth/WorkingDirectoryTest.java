package org.apache.spark.hearth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.net.URI;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkingDirectoryTest {
    @Test
    void theFragmentOrTheFileNameIsTheNameInTheDirectory() throws Exception {
        assertEquals("environment", WorkingDirectory.nameOf(URI.create("s3://bucket/prefix/venv.tar.gz#environment")));
        assertEquals("venv.tar.gz", WorkingDirectory.nameOf(URI.create("s3://bucket/prefix/venv.tar.gz")));
    }

    @ParameterizedTest
    @ValueSource(strings = {"s3://b/x.zip#..", "s3://b/x.zip#../x", "s3://b/x.zip#/etc", "s3://b/x.zip#a/../../b", "s3://b/", "s3://b/x.zip#."})
    void aNameOutsideTheDirectoryIsRefused(String uri) {
        assertThrows(IOException.class, () -> WorkingDirectory.nameOf(URI.create(uri)));
    }
}
