"""Executors come and go: asked for when tasks wait, given back when they idle."""

import textwrap

SCRIPT = textwrap.dedent("""
    import time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    tracker = spark.sparkContext._jsc.sc().statusTracker
    def executors():
        # The driver is one of them in this list.
        return spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1
    def until(wanted, deadline):
        end = time.monotonic() + deadline
        while executors() != wanted:
            if time.monotonic() > end:
                raise SystemExit(f"{executors()} executors, not {wanted}, after {deadline} s")
            time.sleep(0.1)
        print("executors", wanted, flush=True)
    def busy(_):
        import time
        time.sleep(4)
        return 1
    until(1, 30)
    import threading
    work = threading.Thread(target=lambda: spark.sparkContext.parallelize(range(6), 6).map(busy).sum())
    work.start()
    until(2, 60)
    work.join()
    until(0, 60)
    print("sum", spark.sparkContext.parallelize(range(10), 2).sum(), flush=True)
    """)


def test_executors_grow_with_the_work_and_shrink_without(jobs):
    job = jobs.run(jobs.put("breathing.py", SCRIPT), conf={
        "spark.dynamicAllocation.enabled": "true", "spark.executor.instances": None,
        "spark.dynamicAllocation.initialExecutors": "1", "spark.dynamicAllocation.minExecutors": "0",
        "spark.dynamicAllocation.maxExecutors": "2", "spark.dynamicAllocation.executorIdleTimeout": "3s",
        "spark.dynamicAllocation.schedulerBacklogTimeout": "1s"})["jobRunId"]
    assert jobs.log(job).splitlines() == ["executors 1", "executors 2", "executors 0", "sum 45"]
    # It asked for a new one after it had given back all: no id is used twice.
    added = [event["Executor ID"] for event in jobs.events(job) if event["Event"] == "SparkListenerExecutorAdded"]
    assert len(added) == len(set(added)) >= 3, added
