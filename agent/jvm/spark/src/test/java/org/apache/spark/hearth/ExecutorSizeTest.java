package org.apache.spark.hearth;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.stream.Stream;
import org.apache.spark.SparkConf;
import org.apache.spark.resource.ExecutorResourceRequests;
import org.apache.spark.resource.ResourceProfile;
import org.apache.spark.resource.ResourceProfileBuilder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ExecutorSizeTest {
    private static SparkConf conf(String settings) {
        SparkConf conf = new SparkConf(false);
        for (String setting : settings.split(" ")) {
            if (!setting.isEmpty()) {
                conf.set(setting.substring(0, setting.indexOf('=')), setting.substring(setting.indexOf('=') + 1));
            }
        }
        return conf;
    }

    static Stream<Arguments> configurations() {
        return Stream.of(
                Arguments.of("", new ExecutorSize(1, 1024, 384, 0, 0)),
                Arguments.of("spark.executor.cores=4 spark.executor.memory=14g", new ExecutorSize(4, 14336, 1433, 0, 0)),
                Arguments.of("spark.executor.memory=14g spark.emr-serverless.memoryOverheadFactor=0.25",
                        new ExecutorSize(1, 14336, 3584, 0, 0)),
                Arguments.of("spark.executor.memory=10g spark.emr-serverless.memoryOverheadFactor=0.25 "
                        + "spark.executor.memoryOverheadFactor=0.5", new ExecutorSize(1, 10240, 5120, 0, 0)),
                Arguments.of("spark.executor.memory=10g spark.executor.memoryOverhead=2g", new ExecutorSize(1, 10240, 2048, 0, 0)),
                Arguments.of("spark.executor.memoryOverhead=100", new ExecutorSize(1, 1024, 100, 0, 0)),
                Arguments.of("spark.memory.offHeap.size=1g", new ExecutorSize(1, 1024, 384, 0, 0)),
                Arguments.of("spark.memory.offHeap.enabled=true spark.memory.offHeap.size=1073741825",
                        new ExecutorSize(1, 1024, 384, 1025, 0)),
                Arguments.of("spark.executor.pyspark.memory=512m", new ExecutorSize(1, 1024, 384, 0, 512)));
    }

    @ParameterizedTest
    @MethodSource("configurations")
    void theDefaultProfileFollowsTheConfiguration(String settings, ExecutorSize expected) {
        SparkConf conf = conf(settings);
        ResourceProfile empty = new ResourceProfileBuilder().build();
        assertEquals(expected, ExecutorSize.of(empty, conf));
    }

    @Test
    void aProfileOverridesTheConfiguration() {
        ResourceProfile profile = new ResourceProfileBuilder().require(new ExecutorResourceRequests()
                .cores(3).memory("20g").offHeapMemory("2g").pysparkMemory("1g")).build();
        assertEquals(new ExecutorSize(3, 20480, 2048, 2048, 1024), ExecutorSize.of(profile, conf("spark.executor.memory=4g")));
        ResourceProfile withOverhead = new ResourceProfileBuilder().require(
                new ExecutorResourceRequests().memoryOverhead("3g")).build();
        assertEquals(new ExecutorSize(1, 4096, 3072, 0, 0), ExecutorSize.of(withOverhead, conf("spark.executor.memory=4g")));
    }
}
