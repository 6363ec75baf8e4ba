package org.apache.spark.hearth;

import io.hearth.launcher.Report;
import org.apache.spark.SparkConf;
import org.apache.spark.resource.ExecutorResourceRequest;
import org.apache.spark.resource.ResourceProfile;
import scala.Option;

/**
 * The cores and the memory, in MiB, of one executor of a resource profile.
 *
 * <p>The rules are those of Spark's own cluster managers. They are computed here because Spark's function for it changes
 * its signature between releases. What a profile does not say comes from the configuration.
 */
record ExecutorSize(int cores, long heapMib, long overheadMib, long offHeapMib, long pysparkMib) {
    /** The least overhead, Spark's own constant. */
    static final long MIN_OVERHEAD_MIB = 384;

    private static final double DEFAULT_OVERHEAD_FACTOR = 0.1;

    /** Works out the size of an executor of {@code profile} under {@code conf}. */
    static ExecutorSize of(ResourceProfile profile, SparkConf conf) {
        int cores = (int) requested(profile, ResourceProfile.CORES(), conf.getInt("spark.executor.cores", 1));
        long heap = requested(profile, ResourceProfile.MEMORY(), conf.getSizeAsMb("spark.executor.memory", "1g"));
        long configuredOverhead = conf.contains("spark.executor.memoryOverhead")
                ? conf.getSizeAsMb("spark.executor.memoryOverhead")
                : Math.max((long) (overheadFactor(conf) * heap), MIN_OVERHEAD_MIB);
        long overhead = requested(profile, ResourceProfile.OVERHEAD_MEM(), configuredOverhead);
        long configuredOffHeap = conf.getBoolean("spark.memory.offHeap.enabled", false)
                ? bytesToMib(conf.getSizeAsBytes("spark.memory.offHeap.size", "0"))
                : 0;
        long offHeap = requested(profile, ResourceProfile.OFFHEAP_MEM(), configuredOffHeap);
        long pyspark = requested(profile, ResourceProfile.PYSPARK_MEM(),
                conf.getSizeAsMb("spark.executor.pyspark.memory", "0"));
        return new ExecutorSize(cores, heap, overhead, offHeap, pyspark);
    }

    /** The wish for {@code count} executors of this size. */
    Report.ProfileTarget times(int profileId, int count) {
        return new Report.ProfileTarget(profileId, count, cores, heapMib, overheadMib, offHeapMib, pysparkMib);
    }

    /** Spark's own setting wins over the service's (guide:2916), which is the older name users know. */
    private static double overheadFactor(SparkConf conf) {
        double service = conf.getDouble("spark.emr-serverless.memoryOverheadFactor", DEFAULT_OVERHEAD_FACTOR);
        return conf.getDouble("spark.executor.memoryOverheadFactor", service);
    }

    /** Rounds up: a request must never be larger than the room made for it. */
    private static long bytesToMib(long bytes) {
        return (bytes + (1 << 20) - 1) >> 20;
    }

    private static long requested(ResourceProfile profile, String resource, long otherwise) {
        Option<ExecutorResourceRequest> request = profile.executorResources().get(resource);
        return request.isDefined() ? request.get().amount() : otherwise;
    }
}
