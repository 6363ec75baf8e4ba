package org.apache.spark.hearth;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;

class HearthCommitProtocolTest {
    @Test
    void aWriteThatReplacesPartitionsGetsFileCommittersThroughout() {
        Configuration configuration = new Configuration(false);
        configuration.set("mapreduce.outputcommitter.factory.scheme.s3a", "magic");
        configuration.set(
                "spark.sql.sources.outputCommitterClass",
                "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter");
        HearthCommitProtocol.useFileCommitters(configuration);
        assertEquals(
                "org.apache.hadoop.mapreduce.lib.output.FileOutputCommitterFactory",
                configuration.get("mapreduce.outputcommitter.factory.class"));
        assertEquals(
                "org.apache.parquet.hadoop.ParquetOutputCommitter",
                configuration.get("spark.sql.sources.outputCommitterClass"));
    }

    @Test
    void aFormatsOwnCommitterIsLeftAlone() {
        Configuration configuration = new Configuration(false);
        configuration.set("spark.sql.sources.outputCommitterClass", "com.example.Own");
        HearthCommitProtocol.useFileCommitters(configuration);
        assertEquals("com.example.Own", configuration.get("spark.sql.sources.outputCommitterClass"));
    }
}
