"""The secret that a job's processes share is nowhere that others can read."""

import os
import textwrap

SCRIPT = textwrap.dedent("""
    import time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    context = spark.sparkContext
    conf = context._jsc.sc().conf()
    assert conf.get("spark.authenticate") == "true", "authentication is off"
    secret = context._jsc.sc().env().securityManager().getSecretKey()
    # For the test alone, and reversed: so it is not itself what the test looks for.
    open("/tmp/secret", "w").write(secret[::-1])
    print("sum", context.parallelize(range(4), 2).sum(), flush=True)
    from urllib.request import urlopen
    page = urlopen(context.uiWebUrl + "/environment/").read().decode()
    assert "spark.app.name" in page, "that is not the environment page"
    print("page", secret in page, flush=True)
    end = time.monotonic() + 30
    import os
    while not os.path.exists("/tmp/seen") and time.monotonic() < end:
        time.sleep(0.1)
    """)


def test_the_shared_secret_is_in_no_log_page_or_command_line(jobs, until, hearth):
    job = jobs.start(jobs.put("secret.py", SCRIPT))
    jobs.wait_until(job, "RUNNING", lambda run: run["state"] == "RUNNING")
    place = until("the secret", lambda: list(hearth.agent_state.glob("workers/*/tmp/secret")), 60)[0]
    secret = until("the whole secret", lambda: place.read_text()[::-1], 5)
    assert len(secret) >= 32
    holders = [pid for pid, command in command_lines() if secret.encode() in command]
    (place.parent / "seen").touch()
    jobs.wait(job)
    assert holders == []
    assert jobs.log(job).splitlines() == ["sum 6", "page False"]
    keys = jobs.keys(jobs.log_prefix(job))
    assert any("SPARK_EXECUTOR/1/stderr" in key for key in keys) and any("sparklogs/" in key for key in keys), keys
    for worker in ("SPARK_DRIVER", "SPARK_EXECUTOR/1"):
        for stream in ("stdout", "stderr"):
            assert secret not in jobs.log(job, stream, worker), f"{worker}/{stream}"
    assert secret not in str(jobs.events(job))
    for log in hearth.logs():
        assert secret not in log.read_text(errors="replace"), log


def test_a_jobs_credentials_are_in_no_command_line_or_log(jobs):
    job = jobs.run(jobs.put("credentials.py", textwrap.dedent("""
        import os
        from urllib.request import Request, urlopen
        import json
        request = Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
                          headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})
        given = json.load(urlopen(request))
        assert given["AccessKeyId"].startswith("ASIA"), given["AccessKeyId"]
        own = [pid for pid in os.listdir("/proc") if pid.isdigit()]
        def command(pid):
            try:
                return open(f"/proc/{pid}/cmdline", "rb").read().decode(errors="replace")
            except OSError:
                return ""
        print("leaks", any(given["SecretAccessKey"] in command(pid) for pid in own))
        """)))["jobRunId"]
    assert jobs.log(job).splitlines() == ["leaks False"]
    assert "AWS_CONTAINER_AUTHORIZATION_TOKEN" not in jobs.log(job, "stderr")


def command_lines():
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                yield int(entry), open(f"/proc/{entry}/cmdline", "rb").read()
            except OSError:
                continue
