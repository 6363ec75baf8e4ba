package org.apache.spark.hearth;

import io.hearth.launcher.Report;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.spark.scheduler.JobSucceeded$;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorAdded;
import org.apache.spark.scheduler.SparkListenerExecutorRemoved;
import org.apache.spark.scheduler.SparkListenerJobEnd;
import org.apache.spark.scheduler.SparkListenerJobStart;
import org.apache.spark.scheduler.SparkListenerStageCompleted;
import org.apache.spark.scheduler.SparkListenerStageSubmitted;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.scheduler.SparkListenerTaskStart;
import org.apache.spark.scheduler.StageInfo;

/** Counts what the job has done, for the progress that users see. */
final class JobProgress extends SparkListener {
    /** A progress report names no more active stages than this. */
    private static final int MAX_STAGES = 20;

    /** A stage attempt that has been submitted and not completed. */
    private static final class Stage {
        private final int id;
        private final int attempt;
        private final String name;
        private final int tasks;
        private int active;
        private int completed;
        private int failed;

        Stage(StageInfo info) {
            this.id = info.stageId();
            this.attempt = info.attemptNumber();
            this.name = info.name();
            this.tasks = info.numTasks();
        }

        Map<String, Object> figures() {
            Map<String, Object> figures = new LinkedHashMap<>();
            figures.put("id", id);
            figures.put("attempt", attempt);
            figures.put("name", name);
            figures.put("tasks", tasks);
            figures.put("active", active);
            figures.put("completed", completed);
            figures.put("failed", failed);
            return figures;
        }
    }

    private final Runnable onFirstTask;
    private final Map<Long, Stage> stages = new TreeMap<>();
    private Long firstTaskAtMs;
    private int activeJobs;
    private int completedJobs;
    private int failedJobs;
    private long totalTasks;
    private int activeTasks;
    private long completedTasks;
    private long failedTasks;
    private int executors;
    private boolean isChanged;

    /** {@code onFirstTask} is called once, on the listener's thread, so that the first task is reported at once. */
    JobProgress(Runnable onFirstTask) {
        this.onFirstTask = onFirstTask;
    }

    /** The figures if they have changed since this was last called. */
    synchronized Optional<Report.Progress> takeChanged() {
        if (!isChanged) {
            return Optional.empty();
        }
        isChanged = false;
        return Optional.of(latest());
    }

    /** The figures as they are. */
    synchronized Report.Progress latest() {
        List<Object> active = new ArrayList<>();
        stages.values().stream().limit(MAX_STAGES).forEach(stage -> active.add(stage.figures()));
        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("first_task_at_ms", firstTaskAtMs);
        figures.put("jobs", counts("active", activeJobs, "completed", completedJobs, "failed", failedJobs));
        figures.put("stages", active);
        Map<String, Object> tasks = counts("active", activeTasks, "completed", completedTasks, "failed", failedTasks);
        tasks.put("total", totalTasks);
        figures.put("tasks", tasks);
        figures.put("executors", executors);
        return new Report.Progress(figures);
    }

    private static Map<String, Object> counts(String a, long x, String b, long y, String c, long z) {
        Map<String, Object> counts = new LinkedHashMap<>();
        counts.put(a, x);
        counts.put(b, y);
        counts.put(c, z);
        return counts;
    }

    private static long key(int stageId, int attempt) {
        return ((long) stageId << 32) | attempt;
    }

    @Override
    public synchronized void onJobStart(SparkListenerJobStart event) {
        activeJobs++;
        isChanged = true;
    }

    @Override
    public synchronized void onJobEnd(SparkListenerJobEnd event) {
        activeJobs--;
        if (event.jobResult() == JobSucceeded$.MODULE$) {
            completedJobs++;
        } else {
            failedJobs++;
        }
        isChanged = true;
    }

    @Override
    public synchronized void onStageSubmitted(SparkListenerStageSubmitted event) {
        Stage stage = new Stage(event.stageInfo());
        stages.put(key(stage.id, stage.attempt), stage);
        totalTasks += stage.tasks;
        isChanged = true;
    }

    @Override
    public synchronized void onStageCompleted(SparkListenerStageCompleted event) {
        stages.remove(key(event.stageInfo().stageId(), event.stageInfo().attemptNumber()));
        isChanged = true;
    }

    @Override
    public void onTaskStart(SparkListenerTaskStart event) {
        boolean isFirst;
        synchronized (this) {
            isFirst = firstTaskAtMs == null;
            if (isFirst) {
                firstTaskAtMs = event.taskInfo().launchTime();
            }
            activeTasks++;
            Stage stage = stages.get(key(event.stageId(), event.stageAttemptId()));
            if (stage != null) {
                stage.active++;
            }
            isChanged = true;
        }
        if (isFirst) {
            onFirstTask.run();
        }
    }

    @Override
    public synchronized void onTaskEnd(SparkListenerTaskEnd event) {
        boolean isSuccessful = event.taskInfo().successful();
        activeTasks--;
        if (isSuccessful) {
            completedTasks++;
        } else {
            failedTasks++;
        }
        Stage stage = stages.get(key(event.stageId(), event.stageAttemptId()));
        if (stage != null) {
            stage.active--;
            if (isSuccessful) {
                stage.completed++;
            } else {
                stage.failed++;
            }
        }
        isChanged = true;
    }

    @Override
    public synchronized void onExecutorAdded(SparkListenerExecutorAdded event) {
        executors++;
        isChanged = true;
    }

    @Override
    public synchronized void onExecutorRemoved(SparkListenerExecutorRemoved event) {
        executors--;
        isChanged = true;
    }
}
