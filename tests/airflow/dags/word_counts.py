"""What a team runs on EMR Serverless, as its DAG file: nothing in here knows of hearth.

Where things are comes from Airflow's variables; whom to ask, and as who, from the environment that boto3 reads.
"""

from airflow.providers.amazon.aws.operators.emr import (
    EmrServerlessCreateApplicationOperator,
    EmrServerlessDeleteApplicationOperator,
    EmrServerlessStartJobOperator,
    EmrServerlessStopApplicationOperator,
)
from airflow.providers.amazon.aws.sensors.emr import EmrServerlessApplicationSensor, EmrServerlessJobSensor
from airflow.sdk import DAG

WORD_COUNT = "s3://us-east-1.elasticmapreduce/emr-containers/samples/wordcount/scripts/wordcount.py"
BUCKET = "s3://{{ var.value.bucket }}"
PARAMETERS = (
    "--conf spark.driver.cores=1 --conf spark.driver.memory=1g --conf spark.executor.cores=1 "
    "--conf spark.executor.memory=1g --conf spark.executor.instances=1 --conf spark.dynamicAllocation.enabled=false")
LOGS = {"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": f"{BUCKET}/logs/"}}}
# By default they look once a minute.
OFTEN = {"waiter_delay": 1, "waiter_max_attempts": 900}


def application(name, **options):
    """An application that is there while the DAG runs: it is deleted in the end, whatever became of the tasks between."""
    made = EmrServerlessCreateApplicationOperator(
        task_id="create", release_label="emr-7.6.0", job_type="SPARK", config={"name": name}, **OFTEN, **options).as_setup()
    deleted = EmrServerlessDeleteApplicationOperator(
        task_id="delete", application_id=made.output, force_stop=True, **OFTEN, **options).as_teardown(setups=made)
    return made, deleted


def job(task, application, script, *arguments, **options):
    return EmrServerlessStartJobOperator(
        task_id=task, name=task, application_id=application.output, execution_role_arn="{{ var.value.job_role }}",
        job_driver={"sparkSubmit": {"entryPoint": script, "entryPointArguments": list(arguments),
                                    "sparkSubmitParameters": PARAMETERS}},
        enable_application_ui_links=True, **{"configuration_overrides": LOGS} | OFTEN | options)


def seen(task, application, started, **options):
    return EmrServerlessJobSensor(
        task_id=task, application_id=application.output, job_run_id=started.output, poke_interval=1, timeout=900, **options)


for mode, waits in {"waiting": {"deferrable": False}, "deferred": {"deferrable": True}}.items():
    with DAG(f"word_counts_{mode}"):
        made, deleted = application(f"word_counts_{mode}", **waits)
        is_there = EmrServerlessApplicationSensor(task_id="is_there", application_id=made.output, poke_interval=1)
        submit = job("submit", made, WORD_COUNT, f"{BUCKET}/{mode}/submitted", wait_for_completion=False, **waits)
        count = job("count", made, WORD_COUNT, f"{BUCKET}/{mode}/counted", configuration_overrides=None, **waits)
        counted = seen("counted", made, submit, **waits)
        endless = job("endless", made, f"{BUCKET}/endless.py", wait_for_completion=False, **waits)
        runs = seen("runs", made, endless, target_states={"RUNNING"}, **waits)
        stop = EmrServerlessStopApplicationOperator(
            task_id="stop", application_id=made.output, force_stop=True, **OFTEN, **waits)
        made >> is_there >> submit >> count >> counted >> endless >> runs >> stop >> deleted

    with DAG(f"broken_{mode}"):
        made, deleted = application(f"broken_{mode}", **waits)
        submit = job("submit", made, f"{BUCKET}/broken.py", "submitted", wait_for_completion=False, **waits)
        broken = job("broken", made, f"{BUCKET}/broken.py", "waited for", **waits)
        made >> submit >> seen("seen", made, submit, **waits) >> deleted
        made >> broken >> deleted

with DAG("killed"):
    made, deleted = application("killed")
    made >> job("endless", made, f"{BUCKET}/endless.py") >> deleted
