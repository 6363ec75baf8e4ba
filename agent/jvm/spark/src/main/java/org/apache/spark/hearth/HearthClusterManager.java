package org.apache.spark.hearth;

import io.hearth.launcher.Main;
import org.apache.spark.SparkContext;
import org.apache.spark.scheduler.ExternalClusterManager;
import org.apache.spark.scheduler.SchedulerBackend;
import org.apache.spark.scheduler.TaskScheduler;
import org.apache.spark.scheduler.TaskSchedulerImpl;

/** Makes Spark's scheduler ask hearth's agent for executors when the master is {@code spark-hearth://…}. */
public final class HearthClusterManager implements ExternalClusterManager {
    @Override
    public boolean canCreate(String masterUrl) {
        return masterUrl.startsWith("spark-hearth://");
    }

    @Override
    public TaskScheduler createTaskScheduler(SparkContext context, String masterUrl) {
        return new TaskSchedulerImpl(context);
    }

    @Override
    public SchedulerBackend createSchedulerBackend(SparkContext context, String masterUrl, TaskScheduler scheduler) {
        return new HearthSchedulerBackend((TaskSchedulerImpl) scheduler, context, Main.control());
    }

    @Override
    public void initialize(TaskScheduler scheduler, SchedulerBackend backend) {
        ((TaskSchedulerImpl) scheduler).initialize(backend);
    }
}
