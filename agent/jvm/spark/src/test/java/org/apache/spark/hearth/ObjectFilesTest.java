package org.apache.spark.hearth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.net.URI;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.AbstractFileSystem;
import org.apache.hadoop.fs.InvalidPathException;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.junit.jupiter.api.Test;

class ObjectFilesTest {
    /** Stands for the object store's client. */
    public static final class Client extends RawLocalFileSystem {
        private URI given;

        @Override
        public void initialize(URI uri, Configuration conf) {
            given = uri;
            setConf(conf);
        }

        @Override
        public URI getUri() {
            return given == null ? super.getUri() : given; // Asked before it is initialised, too.
        }
    }

    @Test
    void filesAreFoundUnderTheSchemeThatUsersName() throws Exception {
        Configuration conf = new Configuration(false);
        conf.set("fs.s3.impl", Client.class.getName());
        conf.set("fs.AbstractFileSystem.s3.impl", ObjectFiles.class.getName());
        AbstractFileSystem files = AbstractFileSystem.createFileSystem(URI.create("s3://bucket/"), conf);
        assertEquals(URI.create("s3://bucket/"), files.getUri());
        files.checkPath(new Path("s3://bucket/checkpoint/offsets/0"));
        assertThrows(InvalidPathException.class, () -> files.checkPath(new Path("s3://other/checkpoint")));
    }
}
