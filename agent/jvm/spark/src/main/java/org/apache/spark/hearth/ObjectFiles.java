package org.apache.spark.hearth;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.DelegateToFileSystem;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FilterFileSystem;

/**
 * Hadoop's other way to files ({@code FileContext}), for the schemes under which users name objects: Spark takes it for the
 * checkpoints of streaming queries. The object store client's own knows its own scheme alone, and refuses {@code s3://}.
 */
public final class ObjectFiles extends DelegateToFileSystem {
    /** Called by Hadoop, with a URI of the scheme that {@code fs.AbstractFileSystem.SCHEME.impl} names. */
    public ObjectFiles(URI uri, Configuration conf) throws IOException, URISyntaxException {
        super(uri, new Shared(FileSystem.get(uri, conf)), conf, uri.getScheme(), false);
    }

    /** The client that everybody in this JVM shares: Hadoop makes a way for each query, and closes none. */
    private static final class Shared extends FilterFileSystem {
        Shared(FileSystem client) {
            super(client);
        }

        @Override
        public void initialize(URI uri, Configuration conf) {
            // It was when it was made.
        }
    }

    /** Buckets have no ports. */
    @Override
    public int getUriDefaultPort() {
        return -1;
    }
}
