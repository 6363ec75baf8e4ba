package org.apache.spark.hearth;

import java.io.Serializable;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.mapreduce.JobContext;
import org.apache.hadoop.mapreduce.TaskAttemptContext;
import org.apache.spark.internal.io.FileCommitProtocol;
import org.apache.spark.internal.io.FileNameSpec;
import scala.Option;
import scala.collection.Seq;

/**
 * Commits a write's output: through the object store's own committer, except where a write replaces only the partitions
 * it touches.
 *
 * <p>Spark's cloud protocol refuses such writes with Hadoop 3.3, and a job chooses them write by write, at run time. They
 * get Spark's own protocol with Hadoop's file committer, which stages beside the table and renames; both must go together,
 * since the object store's committers would put files straight into their final place.
 */
public final class HearthCommitProtocol extends FileCommitProtocol implements Serializable {
    private static final long serialVersionUID = 1L;
    private static final String OBJECT_STORE = "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol";
    private static final String RENAMING =
            "org.apache.spark.sql.execution.datasources.SQLHadoopMapReduceCommitProtocol";
    private static final String COMMITTER_FACTORY = "mapreduce.outputcommitter.factory.class";
    private static final String FILE_COMMITTERS =
            "org.apache.hadoop.mapreduce.lib.output.FileOutputCommitterFactory";
    /** Where a format (Parquet) that insists on a committer of its own names it. */
    private static final String FORMAT_COMMITTER = "spark.sql.sources.outputCommitterClass";
    private static final String BINDING = "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter";
    private static final String PARQUET = "org.apache.parquet.hadoop.ParquetOutputCommitter";

    private final FileCommitProtocol chosen;
    private final boolean replacesPartitions;

    /** Called by Spark for each write; the last argument says whether it replaces only the partitions it touches. */
    public HearthCommitProtocol(String jobId, String path, boolean dynamicPartitionOverwrite) {
        this.replacesPartitions = dynamicPartitionOverwrite;
        this.chosen = FileCommitProtocol.instantiate(
                dynamicPartitionOverwrite ? RENAMING : OBJECT_STORE, jobId, path, dynamicPartitionOverwrite);
    }

    /** The configuration reaches the tasks after this, so what is set here holds for them too. */
    @Override
    public void setupJob(JobContext jobContext) {
        if (replacesPartitions) {
            useFileCommitters(jobContext.getConfiguration());
        }
        chosen.setupJob(jobContext);
    }

    static void useFileCommitters(Configuration configuration) {
        configuration.set(COMMITTER_FACTORY, FILE_COMMITTERS);
        if (BINDING.equals(configuration.get(FORMAT_COMMITTER))) {
            configuration.set(FORMAT_COMMITTER, PARQUET);
        }
    }

    @Override
    public void commitJob(JobContext jobContext, Seq<TaskCommitMessage> taskCommits) {
        chosen.commitJob(jobContext, taskCommits);
    }

    @Override
    public void abortJob(JobContext jobContext) {
        chosen.abortJob(jobContext);
    }

    @Override
    public void setupTask(TaskAttemptContext taskContext) {
        chosen.setupTask(taskContext);
    }

    @Override
    @Deprecated
    public String newTaskTempFile(TaskAttemptContext taskContext, Option<String> dir, String ext) {
        return chosen.newTaskTempFile(taskContext, dir, ext);
    }

    @Override
    public String newTaskTempFile(TaskAttemptContext taskContext, Option<String> dir, FileNameSpec spec) {
        return chosen.newTaskTempFile(taskContext, dir, spec);
    }

    @Override
    @Deprecated
    public String newTaskTempFileAbsPath(TaskAttemptContext taskContext, String absoluteDir, String ext) {
        return chosen.newTaskTempFileAbsPath(taskContext, absoluteDir, ext);
    }

    @Override
    public String newTaskTempFileAbsPath(TaskAttemptContext taskContext, String absoluteDir, FileNameSpec spec) {
        return chosen.newTaskTempFileAbsPath(taskContext, absoluteDir, spec);
    }

    @Override
    public TaskCommitMessage commitTask(TaskAttemptContext taskContext) {
        return chosen.commitTask(taskContext);
    }

    @Override
    public void abortTask(TaskAttemptContext taskContext) {
        chosen.abortTask(taskContext);
    }

    @Override
    public boolean deleteWithJob(FileSystem fileSystem, Path path, boolean recursive) {
        return chosen.deleteWithJob(fileSystem, path, recursive);
    }

    @Override
    public void onTaskCommit(TaskCommitMessage taskCommit) {
        chosen.onTaskCommit(taskCommit);
    }
}
