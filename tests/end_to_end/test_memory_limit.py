"""A worker's memory limit is the kernel's: whoever exceeds it dies alone, and the job run says which limit it was."""

import os
import textwrap

import pytest
from lab import make_jar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="limits are only advisory for an ordinary user")

# Touched page by page, in the Python process of the driver: Java's own heap limit does not see it.
GREEDY = textwrap.dedent("""
    held = []
    while True:
        held.append(bytearray(64 << 20))
        for at in range(0, 64 << 20, 4096):
            held[-1][at] = 1
        print(len(held) * 64, flush=True)
    """)


def test_a_driver_over_its_limit_fails_and_the_limit_is_named(jobs):
    run = jobs.run(jobs.put("greedy.py", GREEDY), expect="FAILED")
    details = run["stateDetails"]
    assert "memory" in details.lower(), details
    assert "2" in details and ("GB" in details or "GiB" in details or "MiB" in details), details
    # What it wrote before its death is there (promise P9).
    written = [int(line) for line in jobs.log(run["jobRunId"]).splitlines()]
    assert written and written == list(range(64, 64 * len(written) + 1, 64))
    assert written[-1] < 2048 + 64


# Memory that the JVM takes beside its heap: the JVM itself exceeds the limit, on the first try of one task.
GREEDY_TASK = """
    package app;
    import java.lang.reflect.Field;
    import java.util.List;
    import org.apache.spark.SparkConf;
    import org.apache.spark.TaskContext;
    import org.apache.spark.api.java.JavaSparkContext;
    import sun.misc.Unsafe;
    public final class GreedyTask {
        public static void main(String[] arguments) {
            try (JavaSparkContext spark = new JavaSparkContext(new SparkConf())) {
                System.out.println("sum " + spark.parallelize(List.of(0, 1, 2, 3), 4).map(GreedyTask::task).reduce(Integer::sum));
            }
        }
        static int task(int number) throws Exception {
            if (number == 0 && TaskContext.get().attemptNumber() == 0) {
                Field field = Unsafe.class.getDeclaredField("theUnsafe");
                field.setAccessible(true);
                Unsafe memory = (Unsafe) field.get(null);
                for (int block = 0; block < 64; block++) {
                    memory.setMemory(memory.allocateMemory(64 << 20), 64 << 20, (byte) 1);
                }
            }
            return number;
        }
    }"""


def test_an_executor_over_its_limit_is_replaced_and_the_job_goes_on(jobs, hearth, tmp_path):
    jar = make_jar(tmp_path, "greedy", "app/GreedyTask.java", GREEDY_TASK, hearth.spark_jars())
    job = jobs.run(jobs.put("greedy.jar", jar), parameters="--class app.GreedyTask")["jobRunId"]
    assert jobs.log(job).splitlines() == ["sum 6"]
    removed = [event for event in jobs.events(job) if event["Event"] == "SparkListenerExecutorRemoved"]
    assert any("memory" in event["Removed Reason"].lower() for event in removed), removed
