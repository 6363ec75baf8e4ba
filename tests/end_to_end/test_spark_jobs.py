"""What people run: Python with modules and environments, jars, Parquet on object storage."""

import json
import subprocess
import tarfile
import textwrap
import zipfile

import pytest
from lab import make_jar

EXAMPLES = "local:///usr/lib/spark/examples/jars/spark-examples.jar"


def script(text):
    return textwrap.dedent(text).lstrip()


def test_python_modules_come_with_py_files(jobs, tmp_path):
    package = tmp_path / "shapes.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("shapes/__init__.py", "def area(side):\n    return side * side\n")
    single = jobs.put("naming.py", "def name(side):\n    return f'square-{side}'\n")
    job = jobs.run(jobs.put("areas.py", script("""
        from pyspark.sql import SparkSession
        spark = SparkSession.builder.getOrCreate()
        def described(side):
            from naming import name
            from shapes import area
            return f"{name(side)}={area(side)}"
        print(spark.sparkContext.parallelize([2, 3], 2).map(described).collect())
        """)), parameters=f"--py-files {jobs.put('shapes.zip', package)},{single}")["jobRunId"]
    assert "['square-2=4', 'square-3=9']" in jobs.log(job)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A virtual environment with a package of its own, packed as `venv-pack` does (guide:5990-6012)."""
    home = tmp_path_factory.mktemp("packed")
    venv = home / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", "--copies", venv], check=True)
    version = subprocess.run([venv / "bin/python", "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"],
                             check=True, capture_output=True, text=True).stdout.strip()
    (venv / "lib" / version / "site-packages" / "onlyhere.py").write_text("ANSWER = 42\n")
    packed = home / "environment.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        for entry in sorted(venv.iterdir()):
            archive.add(entry, arcname=entry.name)
    return packed


def test_a_packed_environment_runs_driver_and_executors(jobs, environment):
    archive = jobs.put("environment.tar.gz", environment)
    job = jobs.run(jobs.put("packed.py", script("""
        import sys
        import onlyhere
        from pyspark.sql import SparkSession
        spark = SparkSession.builder.getOrCreate()
        def there(_):
            import sys
            import onlyhere
            return "environment/bin/python" in sys.executable and onlyhere.ANSWER
        print("driver", "environment/bin/python" in sys.executable, onlyhere.ANSWER)
        print("executors", spark.sparkContext.parallelize([0], 1).map(there).collect())
        """)), conf={
            "spark.archives": f"{archive}#environment",
            "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": "./environment/bin/python",
            "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": "./environment/bin/python",
            "spark.executorEnv.PYSPARK_PYTHON": "./environment/bin/python"})["jobRunId"]
    assert jobs.log(job).splitlines() == ["driver True 42", "executors [42]"]


@pytest.fixture(scope="module")
def jars(tmp_path_factory, hearth, jobs):
    """An application's jar and the library it needs, compiled here with javac."""
    home, spark = tmp_path_factory.mktemp("jars"), hearth.spark_jars()
    library = make_jar(home, "library", "greeting/Greeting.java", """
        package greeting;
        public final class Greeting implements java.io.Serializable {
            public static String to(String name) { return "hello " + name; }
        }""", spark)
    app = make_jar(home, "app", "app/Hello.java", """
        package app;
        import java.util.List;
        import org.apache.spark.api.java.JavaSparkContext;
        import org.apache.spark.SparkConf;
        public final class Hello {
            public static void main(String[] names) {
                try (JavaSparkContext spark = new JavaSparkContext(new SparkConf())) {
                    System.out.println(spark.parallelize(List.of(names), 2).map(greeting.Greeting::to).collect());
                }
            }
        }""", f"{spark}:{library}")
    return {"library": library, "app": app}


def test_a_jar_with_a_main_class_finds_its_libraries(jobs, jars):
    job = jobs.run(jobs.put("app.jar", jars["app"]), "Ada", "Grace",
                   parameters=f"--class app.Hello --jars {jobs.put('library.jar', jars['library'])}")["jobRunId"]
    assert jobs.log(job).splitlines() == ["[hello Ada, hello Grace]"]


def test_the_well_known_examples_are_at_their_well_known_paths(jobs):
    pi = jobs.start(EXAMPLES, 4, parameters="--class org.apache.spark.examples.SparkPi")
    python = jobs.start("/usr/lib/spark/examples/src/main/python/pi.py", 2)
    jobs.wait(pi)
    jobs.wait(python)
    assert "Pi is roughly 3.1" in jobs.log(pi)
    assert "Pi is roughly 3.1" in jobs.log(python)


def test_parquet_on_both_schemes_with_the_magic_committer(jobs):
    # Another writer of the same table is in the middle of its work.
    of_another = {"Bucket": jobs.bucket, "Key": "tables/second/part-of-another"}
    upload = jobs.s3.create_multipart_upload(**of_another)["UploadId"]
    job = jobs.run(jobs.put("parquet.py", script("""
        import sys
        from pyspark.sql import SparkSession
        from pyspark.sql import functions as f
        bucket = sys.argv[1]
        spark = SparkSession.builder.getOrCreate()
        rows = spark.range(1000).withColumn("day", f.concat(f.lit("day="), f.col("id") % 3))
        rows.repartition(2).write.mode("overwrite").parquet(f"s3://{bucket}/tables/first")
        again = spark.read.parquet(f"s3a://{bucket}/tables/first")
        again.write.mode("overwrite").parquet(f"s3a://{bucket}/tables/second")
        print(spark.read.parquet(f"s3://{bucket}/tables/second").agg(f.sum("id")).first()[0])
        """)), jobs.bucket)["jobRunId"]
    assert jobs.log(job).strip().endswith("499500")
    for table in ("first", "second"):
        success = jobs.text(f"tables/{table}/_SUCCESS")
        assert success, f"{table}: _SUCCESS is empty, so no committer of S3A wrote it"
        assert json.loads(success)["committer"] == "magic", success
        assert not [key for key in jobs.keys(f"tables/{table}/") if "__magic" in key or "_temporary" in key]
    pending = jobs.s3.list_multipart_uploads(Bucket=jobs.bucket).get("Uploads", [])
    assert [one["UploadId"] for one in pending] == [upload], "what another writes is not aborted, and the job left nothing pending"
    jobs.s3.abort_multipart_upload(**of_another, UploadId=upload)


def test_dynamic_partition_overwrite_works_unchanged(jobs):
    job = jobs.run(jobs.put("overwrite.py", script("""
        import sys
        from pyspark.sql import SparkSession
        from pyspark.sql import functions as f
        table = f"s3://{sys.argv[1]}/tables/by-day"
        spark = SparkSession.builder.getOrCreate()
        def write(days, value):
            rows = spark.createDataFrame([(day, value) for day in days], "day int, value string")
            rows.write.mode("overwrite").partitionBy("day").parquet(table)
        write([1, 2, 3], "old")
        write([2], "new")
        print(sorted(map(tuple, spark.read.parquet(table).select("day", "value").collect())))
        """)), jobs.bucket, conf={"spark.sql.sources.partitionOverwriteMode": "dynamic"})["jobRunId"]
    assert jobs.log(job).strip().endswith("[(1, 'old'), (2, 'new'), (3, 'old')]")


def test_a_sql_file_is_an_entry_point(jobs):
    job = jobs.run(jobs.put("query.sql", "SELECT 'rows', count(*) FROM range(7);\n"))["jobRunId"]
    assert "rows\t7" in jobs.log(job)


def test_properties_with_blanks_and_quotes_arrive_whole(jobs):
    job = jobs.run(jobs.put("conf.py", script("""
        from pyspark.sql import SparkSession
        conf = SparkSession.builder.getOrCreate().sparkContext.getConf()
        print(repr(conf.get("spark.test.text")))
        """)), parameters="""--conf "spark.test.text=two words and it's quoted" """)["jobRunId"]
    assert jobs.log(job).strip() == repr("two words and it's quoted")


def test_a_role_without_permission_is_refused_at_the_bucket(jobs, aws):
    """The job's temporary credentials carry its role's policies: the gateway refuses the write, not the client."""
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
             "Principal": {"Service": "emr-serverless.amazonaws.com"}}]}
    allowed = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{jobs.bucket}/logs/*"}]}
    role = json.loads(aws("iam", "create-role", "--role-name", "reader", "--assume-role-policy-document",
                          json.dumps(trust)).stdout)["Role"]["Arn"]
    aws("iam", "put-role-policy", "--role-name", "reader", "--policy-name", "read", "--policy-document", json.dumps(allowed))
    entry = jobs.put("forbidden.py", script("""
        import sys
        from pyspark.sql import SparkSession
        spark = SparkSession.builder.getOrCreate()
        spark.range(5).write.csv(f"s3://{sys.argv[1]}/forbidden/")
        """))
    run = jobs.run(entry, jobs.bucket, expect="FAILED", role=role)
    # Spark sends a script's traceback to standard output.
    assert "AccessDenied" in jobs.log(run["jobRunId"]), jobs.log(run["jobRunId"])
    assert jobs.keys("forbidden/") == []


def test_class_paths_and_log4j_classifications_reach_every_jvm(jobs, hearth, tmp_path):
    """What must be there before a JVM starts: entries of the class path, a library path, a Log4j file."""
    app = make_jar(tmp_path, "app", "app/Reach.java", """
        package app;
        import java.util.List;
        import org.apache.logging.log4j.LogManager;
        import org.apache.spark.SparkConf;
        import org.apache.spark.api.java.JavaSparkContext;
        public final class Reach {
            static String seen(String who) throws Exception {
                LogManager.getLogger(Reach.class).info("logged by the {}", who);
                Class<?> found = ClassLoader.getSystemClassLoader().loadClass("org.apache.spark.examples.SparkPi");
                return who + " " + found.getSimpleName() + " " + System.getProperty("java.library.path").startsWith("/opt/native:");
            }
            public static void main(String[] arguments) throws Exception {
                try (JavaSparkContext spark = new JavaSparkContext(new SparkConf())) {
                    System.out.println(seen("driver"));
                    System.out.println(spark.parallelize(List.of("executor"), 1).map(Reach::seen).first());
                }
            }
        }""", hearth.spark_jars())
    conf = {f"spark.{role}.extra{kind}Path": path for role in ("driver", "executor")
            for kind, path in (("Class", "/usr/lib/spark/examples/jars/spark-examples.jar"), ("Library", "/opt/native"))}
    quiet = {"rootLogger.level": "error", "logger.reach.name": "app.Reach", "logger.reach.level": "info"}
    job = jobs.run(jobs.put("reach.jar", app), parameters="--class app.Reach", conf=conf, configurationOverrides={
        "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": jobs.log_uri}},
        "applicationConfiguration": [{"classification": f"spark-{role}-log4j2", "properties": quiet}
                                     for role in ("driver", "executor")]})["jobRunId"]
    assert jobs.log(job).splitlines() == ["driver SparkPi true", "executor SparkPi true"]
    for who, worker in (("driver", "SPARK_DRIVER"), ("executor", "SPARK_EXECUTOR/1")):
        lines = [line for line in jobs.log(job, "stderr", worker).splitlines() if " INFO " in line]
        assert [line.split(" INFO ")[1] for line in lines] == [f"Reach: logged by the {who}"], lines
