//! The service model's constraints on every member of every request, as one table.
//!
//! Transcribed from the model of 2021-07-13. Three patterns differ: those of `Arn` and `PolicyDocument` lost their control
//! characters in the published model, and that of `UriString` matches everything.

use super::shape::{Shape, Text, optional, required};

// Texts.

static APPLICATION_ID: Shape = Shape::Text(Text::new(1, 64).matching(r"[0-9a-z]+"));
static APPLICATION_NAME: Shape = Shape::Text(Text::new(1, 64).matching(r"[A-Za-z0-9._/#-]+"));
static APPLICATION_STATE: Shape =
    Shape::Enum(&["CREATING", "CREATED", "STARTING", "STARTED", "STOPPING", "STOPPED", "TERMINATED"]);
static ARCHITECTURE: Shape = Shape::Enum(&["ARM64", "X86_64"]);
static ARN: Shape = Shape::Text(
    Text::new(20, 2048)
        .matching(r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]+"),
);
static CLIENT_TOKEN: Shape = Shape::Text(Text::new(1, 64).matching(r"[A-Za-z0-9._-]+"));
static CONFIGURATION_PROPERTY_KEY: Shape = Shape::Text(Text::new(1, 1024).matching(r".*\S.*"));
static CONFIGURATION_PROPERTY_VALUE: Shape = Shape::Text(Text::new(0, 1024).matching(r".*\S.*"));
static CPU_SIZE: Shape = Shape::Text(Text::new(1, 15).matching(r"[1-9][0-9]*(\s)?(vCPU|vcpu|VCPU)?"));
static DISK_SIZE: Shape = Shape::Text(Text::new(1, 15).matching(r"[1-9][0-9]*(\s)?(GB|gb|gB|Gb)"));
static DISK_TYPE: Shape = Shape::Text(
    Text::new(0, usize::MAX).matching(r"(SHUFFLE_OPTIMIZED|[Ss]huffle_[Oo]ptimized|STANDARD|[Ss]tandard)"),
);
static ENCRYPTION_CONTEXT_KEY: Shape = Shape::Text(Text::new(1, 128));
static ENCRYPTION_CONTEXT_VALUE: Shape = Shape::Text(Text::new(1, 384));
static ENCRYPTION_KEY_ARN: Shape = Shape::Text(
    Text::new(20, 2048).matching(r"arn:(aws[a-zA-Z0-9-]*):kms:[a-zA-Z0-9\-]*:([0-9]{12}):key\/[a-zA-Z0-9-]+"),
);
static ENGINE_TYPE: Shape = Shape::Text(Text::new(1, 64));
static ENTRY_POINT_ARGUMENT: Shape = Shape::Text(Text::new(0, usize::MAX).sensitive());
static ENTRY_POINT_PATH: Shape = Shape::Text(Text::new(1, 4096).matching(r".*\S.*").sensitive());
static HIVE_CLI_PARAMETERS: Shape = Shape::Text(Text::new(1, 102400).matching(r".*\S.*").sensitive());
static IAM_ROLE_ARN: Shape = Shape::Text(Text::new(20, 2048).matching(
    r"arn:(aws[a-zA-Z0-9-]*):iam::([0-9]{12}):(role((\u002F)|(\u002F[\u0021-\u007F]+\u002F))[\w+=,.@-]+)",
));
static IDENTITY_CENTER_INSTANCE_ARN: Shape = Shape::Text(
    Text::new(10, 1024).matching(r"arn:(aws[a-zA-Z0-9-]*):sso:::instance/(sso)?ins-[a-zA-Z0-9-.]{16}"),
);
static IMAGE_URI: Shape = Shape::Text(Text::new(1, 1024).matching(r"([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+).([a-z0-9._-]+)\/((?:[a-z0-9]+(?:[-._][a-z0-9]+)*/)*[a-z0-9]+(?:[-._][a-z0-9]+)*)(?::([a-zA-Z0-9_]+[a-zA-Z0-9-._]*)|@(sha256:[0-9a-f]{64}))"));
static INIT_SCRIPT_PATH: Shape = Shape::Text(Text::new(1, 256).matching(r".*\S.*").sensitive());
static JOB_RUN_ID: Shape = Shape::Text(Text::new(1, 64).matching(r"[0-9a-z]+"));
static JOB_RUN_MODE: Shape = Shape::Enum(&["BATCH", "STREAMING"]);
static JOB_RUN_STATE: Shape = Shape::Enum(&[
    "SUBMITTED",
    "PENDING",
    "SCHEDULED",
    "RUNNING",
    "SUCCESS",
    "FAILED",
    "CANCELLING",
    "CANCELLED",
    "QUEUED",
]);
static LOG_GROUP_NAME: Shape = Shape::Text(Text::new(1, 512).matching(r"[\.\-_/#A-Za-z0-9]+"));
static LOG_STREAM_NAME_PREFIX: Shape = Shape::Text(Text::new(1, 512).matching(r"[^:*]*"));
static LOG_TYPE_STRING: Shape = Shape::Text(Text::new(1, 50).matching(r"[a-zA-Z]+[-_]*[a-zA-Z]+"));
static MEMORY_SIZE: Shape = Shape::Text(Text::new(1, 15).matching(r"[1-9][0-9]*(\s)?(GB|gb|gB|Gb)?"));
static NEXT_TOKEN: Shape = Shape::Text(Text::new(1, 1024).matching(r"[A-Za-z0-9_=-]+"));
static POLICY_DOCUMENT: Shape =
    Shape::Text(Text::new(1, 2048).matching(r"[\u0009\u000A\u000D\u0020-\u00FF]+"));
static PROMETHEUS_URL_STRING: Shape = Shape::Text(Text::new(1, 10280).matching(r"https://aps-workspaces.([a-z]{2}-[a-z-]{1,20}-[1-9]).amazonaws(.[0-9A-Za-z]{2,4})+/workspaces/[-_.0-9A-Za-z]{1,100}/api/v1/remote_write"));
static QUERY: Shape = Shape::Text(Text::new(1, 10280).matching(r".*\S.*").sensitive());
static RELEASE_LABEL: Shape = Shape::Text(Text::new(1, 64).matching(r"[A-Za-z0-9._/-]+"));
static RESOURCE_ARN: Shape = Shape::Text(Text::new(60, 1024).matching(r"arn:(aws[a-zA-Z0-9-]*):emr-serverless:.+:(\d{12}):\/applications\/[0-9a-zA-Z]+(\/jobruns\/[0-9a-zA-Z]+|\/sessions\/[0-9a-zA-Z]+)?"));
static RESOURCE_ID: Shape = Shape::Text(Text::new(1, 64).matching(r"[0-9a-z]+"));
static RESOURCE_TYPE: Shape = Shape::Enum(&["SESSION"]);
static SECURITY_GROUP_STRING: Shape = Shape::Text(Text::new(1, 32).matching(r"[-0-9a-zA-Z]+.*"));
static SESSION_ID: Shape = Shape::Text(Text::new(1, 64).matching(r"[0-9a-z]+"));
static SESSION_STATE: Shape =
    Shape::Enum(&["SUBMITTED", "STARTING", "STARTED", "IDLE", "BUSY", "FAILED", "TERMINATING", "TERMINATED"]);
static SPARK_SUBMIT_PARAMETERS: Shape = Shape::Text(Text::new(1, 102400).matching(r".*\S.*").sensitive());
static STRING1024: Shape = Shape::Text(Text::new(1, 1024).matching(r".*\S.*"));
static STRING256: Shape = Shape::Text(Text::new(1, 256).matching(r".*\S.*"));
static SUBNET_STRING: Shape = Shape::Text(Text::new(1, 32).matching(r"[-0-9a-zA-Z]+.*"));
static TAG_KEY: Shape = Shape::Text(Text::new(1, 128).matching(r"[A-Za-z0-9 /_.:=+@-]+"));
static TAG_VALUE: Shape = Shape::Text(Text::new(0, 256).matching(r"[A-Za-z0-9 /_.:=+@-]*"));
static URI_STRING: Shape = Shape::Text(Text::new(1, 10280));
static WORKER_TYPE_STRING: Shape = Shape::Text(Text::new(1, 50).matching(r"[a-zA-Z]+[-_]*[a-zA-Z]+"));

// Numbers and flags.

static ATTEMPT_NUMBER: Shape = Shape::Integer(1, i32::MAX as i64);
static AUTO_STOP_CONFIG_IDLE_TIMEOUT_MINUTES_INTEGER: Shape = Shape::Integer(1, 10080);
static BOOLEAN: Shape = Shape::Boolean;
static DATE: Shape = Shape::Timestamp;
static DURATION: Shape = Shape::Integer(0, 1000000);
static INTEGER: Shape = Shape::Integer(i32::MIN as i64, i32::MAX as i64);
static LIST_APPLICATIONS_REQUEST_MAX_RESULTS_INTEGER: Shape = Shape::Integer(1, 50);
static LIST_JOB_RUN_ATTEMPTS_REQUEST_MAX_RESULTS_INTEGER: Shape = Shape::Integer(1, 50);
static LIST_JOB_RUNS_REQUEST_MAX_RESULTS_INTEGER: Shape = Shape::Integer(1, 50);
static LIST_SESSIONS_REQUEST_MAX_RESULTS_INTEGER: Shape = Shape::Integer(1, 50);
static RETRY_POLICY_MAX_FAILED_ATTEMPTS_PER_HOUR_INTEGER: Shape = Shape::Integer(1, i32::MAX as i64);
static SHUTDOWN_GRACE_PERIOD_IN_SECONDS: Shape = Shape::Integer(i32::MIN as i64, i32::MAX as i64);
static WORKER_COUNTS: Shape = Shape::Integer(1, 1000000);

// Lists and maps.

static APPLICATION_STATE_SET: Shape = Shape::List(&APPLICATION_STATE, 1, 7);
static CONFIGURATION_LIST: Shape = Shape::List(&CONFIGURATION, 0, 100);
static ENCRYPTION_CONTEXT: Shape = Shape::Map(&ENCRYPTION_CONTEXT_KEY, &ENCRYPTION_CONTEXT_VALUE, 0, 8);
static ENTRY_POINT_ARGUMENTS: Shape = Shape::List(&ENTRY_POINT_ARGUMENT, 0, 1024);
static INITIAL_CAPACITY_CONFIG_MAP: Shape = Shape::Map(&WORKER_TYPE_STRING, &INITIAL_CAPACITY_CONFIG, 0, 10);
static JOB_RUN_STATE_SET: Shape = Shape::List(&JOB_RUN_STATE, 0, 8);
static LOG_TYPE_LIST: Shape = Shape::List(&LOG_TYPE_STRING, 1, 5);
static LOG_TYPE_MAP: Shape = Shape::Map(&WORKER_TYPE_STRING, &LOG_TYPE_LIST, 1, 4);
static POLICY_ARN_LIST: Shape = Shape::List(&ARN, 0, 10);
static SECURITY_GROUP_IDS: Shape = Shape::List(&SECURITY_GROUP_STRING, 0, 5);
static SENSITIVE_PROPERTIES_MAP: Shape =
    Shape::Map(&CONFIGURATION_PROPERTY_KEY, &CONFIGURATION_PROPERTY_VALUE, 0, 100);
static SESSION_STATE_SET: Shape = Shape::List(&SESSION_STATE, 1, 8);
static SUBNET_IDS: Shape = Shape::List(&SUBNET_STRING, 0, 16);
static TAG_KEY_LIST: Shape = Shape::List(&TAG_KEY, 1, 200);
static TAG_MAP: Shape = Shape::Map(&TAG_KEY, &TAG_VALUE, 0, 200);
static WORKER_TYPE_SPECIFICATION_INPUT_MAP: Shape =
    Shape::Map(&WORKER_TYPE_STRING, &WORKER_TYPE_SPECIFICATION_INPUT, 0, usize::MAX);

// Structures.

static AUTO_START_CONFIG: Shape = Shape::Structure(&[optional("enabled", &BOOLEAN)]);

static AUTO_STOP_CONFIG: Shape = Shape::Structure(&[
    optional("enabled", &BOOLEAN),
    optional("idleTimeoutMinutes", &AUTO_STOP_CONFIG_IDLE_TIMEOUT_MINUTES_INTEGER),
]);

static CLOUD_WATCH_LOGGING_CONFIGURATION: Shape = Shape::Structure(&[
    required("enabled", &BOOLEAN),
    optional("logGroupName", &LOG_GROUP_NAME),
    optional("logStreamNamePrefix", &LOG_STREAM_NAME_PREFIX),
    optional("encryptionKeyArn", &ENCRYPTION_KEY_ARN),
    optional("logTypes", &LOG_TYPE_MAP),
]);

static CONFIGURATION: Shape = Shape::Structure(&[
    required("classification", &STRING1024),
    optional("properties", &SENSITIVE_PROPERTIES_MAP),
    optional("configurations", &CONFIGURATION_LIST),
]);

static CONFIGURATION_OVERRIDES: Shape = Shape::Structure(&[
    optional("applicationConfiguration", &CONFIGURATION_LIST),
    optional("monitoringConfiguration", &MONITORING_CONFIGURATION),
    optional("diskEncryptionConfiguration", &DISK_ENCRYPTION_CONFIGURATION),
]);

static DISK_ENCRYPTION_CONFIGURATION: Shape = Shape::Structure(&[
    optional("encryptionContext", &ENCRYPTION_CONTEXT),
    optional("encryptionKeyArn", &ENCRYPTION_KEY_ARN),
]);

static FLEX_EXECUTION: Shape = Shape::Structure(&[optional("enabled", &BOOLEAN)]);

static HIVE: Shape = Shape::Structure(&[
    required("query", &QUERY),
    optional("initQueryFile", &INIT_SCRIPT_PATH),
    optional("parameters", &HIVE_CLI_PARAMETERS),
]);

static IDENTITY_CENTER_CONFIGURATION_INPUT: Shape = Shape::Structure(&[
    optional("identityCenterInstanceArn", &IDENTITY_CENTER_INSTANCE_ARN),
    optional("userBackgroundSessionsEnabled", &BOOLEAN),
]);

static IMAGE_CONFIGURATION_INPUT: Shape = Shape::Structure(&[
    optional("imageUri", &IMAGE_URI),
    optional("applicationLevelDigestResolution", &BOOLEAN),
]);

static INITIAL_CAPACITY_CONFIG: Shape = Shape::Structure(&[
    required("workerCount", &WORKER_COUNTS),
    optional("workerConfiguration", &WORKER_RESOURCE_CONFIG),
]);

static INTERACTIVE_CONFIGURATION: Shape = Shape::Structure(&[
    optional("studioEnabled", &BOOLEAN),
    optional("livyEndpointEnabled", &BOOLEAN),
    optional("sessionEnabled", &BOOLEAN),
]);

static JOB_DRIVER: Shape = Shape::Union(&[optional("sparkSubmit", &SPARK_SUBMIT), optional("hive", &HIVE)]);

static JOB_LEVEL_COST_ALLOCATION_CONFIGURATION: Shape = Shape::Structure(&[optional("enabled", &BOOLEAN)]);

static JOB_RUN_EXECUTION_IAM_POLICY: Shape =
    Shape::Structure(&[optional("policy", &POLICY_DOCUMENT), optional("policyArns", &POLICY_ARN_LIST)]);

static MANAGED_PERSISTENCE_MONITORING_CONFIGURATION: Shape =
    Shape::Structure(&[optional("enabled", &BOOLEAN), optional("encryptionKeyArn", &ENCRYPTION_KEY_ARN)]);

static MAXIMUM_ALLOWED_RESOURCES: Shape = Shape::Structure(&[
    required("cpu", &CPU_SIZE),
    required("memory", &MEMORY_SIZE),
    optional("disk", &DISK_SIZE),
]);

static MONITORING_CONFIGURATION: Shape = Shape::Structure(&[
    optional("s3MonitoringConfiguration", &S3_MONITORING_CONFIGURATION),
    optional("managedPersistenceMonitoringConfiguration", &MANAGED_PERSISTENCE_MONITORING_CONFIGURATION),
    optional("cloudWatchLoggingConfiguration", &CLOUD_WATCH_LOGGING_CONFIGURATION),
    optional("prometheusMonitoringConfiguration", &PROMETHEUS_MONITORING_CONFIGURATION),
]);

static NETWORK_CONFIGURATION: Shape = Shape::Structure(&[
    optional("subnetIds", &SUBNET_IDS),
    optional("securityGroupIds", &SECURITY_GROUP_IDS),
]);

static PROMETHEUS_MONITORING_CONFIGURATION: Shape =
    Shape::Structure(&[optional("remoteWriteUrl", &PROMETHEUS_URL_STRING)]);

static RETRY_POLICY: Shape = Shape::Structure(&[
    optional("maxAttempts", &ATTEMPT_NUMBER),
    optional("maxFailedAttemptsPerHour", &RETRY_POLICY_MAX_FAILED_ATTEMPTS_PER_HOUR_INTEGER),
]);

static S3_MONITORING_CONFIGURATION: Shape =
    Shape::Structure(&[optional("logUri", &URI_STRING), optional("encryptionKeyArn", &ENCRYPTION_KEY_ARN)]);

static SCHEDULER_CONFIGURATION: Shape =
    Shape::Structure(&[optional("queueTimeoutMinutes", &INTEGER), optional("maxConcurrentRuns", &INTEGER)]);

static SESSION_CONFIGURATION_OVERRIDES: Shape =
    Shape::Structure(&[optional("runtimeConfiguration", &CONFIGURATION_LIST)]);

static SPARK_SUBMIT: Shape = Shape::Structure(&[
    required("entryPoint", &ENTRY_POINT_PATH),
    optional("entryPointArguments", &ENTRY_POINT_ARGUMENTS),
    optional("sparkSubmitParameters", &SPARK_SUBMIT_PARAMETERS),
]);

static WORKER_RESOURCE_CONFIG: Shape = Shape::Structure(&[
    required("cpu", &CPU_SIZE),
    required("memory", &MEMORY_SIZE),
    optional("disk", &DISK_SIZE),
    optional("diskType", &DISK_TYPE),
]);

static WORKER_TYPE_SPECIFICATION_INPUT: Shape =
    Shape::Structure(&[optional("imageConfiguration", &IMAGE_CONFIGURATION_INPUT)]);

// Requests, their path and query members included.

pub(super) static CANCEL_JOB_RUN_REQUEST: Shape = Shape::Structure(&[
    required("applicationId", &APPLICATION_ID),
    required("jobRunId", &JOB_RUN_ID),
    optional("shutdownGracePeriodInSeconds", &SHUTDOWN_GRACE_PERIOD_IN_SECONDS),
]);

pub(super) static CREATE_APPLICATION_REQUEST: Shape = Shape::Structure(&[
    optional("name", &APPLICATION_NAME),
    required("releaseLabel", &RELEASE_LABEL),
    required("type", &ENGINE_TYPE),
    required("clientToken", &CLIENT_TOKEN),
    optional("initialCapacity", &INITIAL_CAPACITY_CONFIG_MAP),
    optional("maximumCapacity", &MAXIMUM_ALLOWED_RESOURCES),
    optional("tags", &TAG_MAP),
    optional("autoStartConfiguration", &AUTO_START_CONFIG),
    optional("autoStopConfiguration", &AUTO_STOP_CONFIG),
    optional("networkConfiguration", &NETWORK_CONFIGURATION),
    optional("architecture", &ARCHITECTURE),
    optional("imageConfiguration", &IMAGE_CONFIGURATION_INPUT),
    optional("workerTypeSpecifications", &WORKER_TYPE_SPECIFICATION_INPUT_MAP),
    optional("runtimeConfiguration", &CONFIGURATION_LIST),
    optional("monitoringConfiguration", &MONITORING_CONFIGURATION),
    optional("diskEncryptionConfiguration", &DISK_ENCRYPTION_CONFIGURATION),
    optional("interactiveConfiguration", &INTERACTIVE_CONFIGURATION),
    optional("schedulerConfiguration", &SCHEDULER_CONFIGURATION),
    optional("identityCenterConfiguration", &IDENTITY_CENTER_CONFIGURATION_INPUT),
    optional("jobLevelCostAllocationConfiguration", &JOB_LEVEL_COST_ALLOCATION_CONFIGURATION),
]);

pub(super) static DELETE_APPLICATION_REQUEST: Shape =
    Shape::Structure(&[required("applicationId", &APPLICATION_ID)]);

pub(super) static GET_APPLICATION_REQUEST: Shape =
    Shape::Structure(&[required("applicationId", &APPLICATION_ID)]);

pub(super) static GET_DASHBOARD_FOR_JOB_RUN_REQUEST: Shape = Shape::Structure(&[
    required("applicationId", &APPLICATION_ID),
    required("jobRunId", &JOB_RUN_ID),
    optional("attempt", &ATTEMPT_NUMBER),
    optional("accessSystemProfileLogs", &BOOLEAN),
]);

pub(super) static GET_JOB_RUN_REQUEST: Shape = Shape::Structure(&[
    required("applicationId", &APPLICATION_ID),
    required("jobRunId", &JOB_RUN_ID),
    optional("attempt", &ATTEMPT_NUMBER),
]);

pub(super) static GET_RESOURCE_DASHBOARD_REQUEST: Shape = Shape::Structure(&[
    required("applicationId", &APPLICATION_ID),
    required("resourceId", &RESOURCE_ID),
    required("resourceType", &RESOURCE_TYPE),
    optional("accessSystemProfileLogs", &BOOLEAN),
]);

pub(super) static GET_SESSION_REQUEST: Shape =
    Shape::Structure(&[required("applicationId", &APPLICATION_ID), required("sessionId", &SESSION_ID)]);

pub(super) static GET_SESSION_ENDPOINT_REQUEST: Shape =
    Shape::Structure(&[required("applicationId", &APPLICATION_ID), required("sessionId", &SESSION_ID)]);

pub(super) static LIST_APPLICATIONS_REQUEST: Shape = Shape::Structure(&[
    optional("nextToken", &NEXT_TOKEN),
    optional("maxResults", &LIST_APPLICATIONS_REQUEST_MAX_RESULTS_INTEGER),
    optional("states", &APPLICATION_STATE_SET),
]);

pub(super) static LIST_JOB_RUN_ATTEMPTS_REQUEST: Shape = Shape::Structure(&[
    required("applicationId", &APPLICATION_ID),
    required("jobRunId", &JOB_RUN_ID),
    optional("nextToken", &NEXT_TOKEN),
    optional("maxResults", &LIST_JOB_RUN_ATTEMPTS_REQUEST_MAX_RESULTS_INTEGER),
]);

pub(super) static LIST_JOB_RUNS_REQUEST: Shape = Shape::Structure(&[
    required("applicationId", &APPLICATION_ID),
    optional("nextToken", &NEXT_TOKEN),
    optional("maxResults", &LIST_JOB_RUNS_REQUEST_MAX_RESULTS_INTEGER),
    optional("createdAtAfter", &DATE),
    optional("createdAtBefore", &DATE),
    optional("states", &JOB_RUN_STATE_SET),
    optional("mode", &JOB_RUN_MODE),
]);

pub(super) static LIST_SESSIONS_REQUEST: Shape = Shape::Structure(&[
    required("applicationId", &APPLICATION_ID),
    optional("nextToken", &NEXT_TOKEN),
    optional("maxResults", &LIST_SESSIONS_REQUEST_MAX_RESULTS_INTEGER),
    optional("states", &SESSION_STATE_SET),
    optional("createdAtAfter", &DATE),
    optional("createdAtBefore", &DATE),
]);

pub(super) static LIST_TAGS_FOR_RESOURCE_REQUEST: Shape =
    Shape::Structure(&[required("resourceArn", &RESOURCE_ARN)]);

pub(super) static START_APPLICATION_REQUEST: Shape =
    Shape::Structure(&[required("applicationId", &APPLICATION_ID)]);

pub(super) static START_JOB_RUN_REQUEST: Shape = Shape::Structure(&[
    required("applicationId", &APPLICATION_ID),
    required("clientToken", &CLIENT_TOKEN),
    required("executionRoleArn", &IAM_ROLE_ARN),
    optional("executionIamPolicy", &JOB_RUN_EXECUTION_IAM_POLICY),
    optional("jobDriver", &JOB_DRIVER),
    optional("configurationOverrides", &CONFIGURATION_OVERRIDES),
    optional("tags", &TAG_MAP),
    optional("executionTimeoutMinutes", &DURATION),
    optional("name", &STRING256),
    optional("mode", &JOB_RUN_MODE),
    optional("retryPolicy", &RETRY_POLICY),
    optional("flexExecution", &FLEX_EXECUTION),
]);

pub(super) static START_SESSION_REQUEST: Shape = Shape::Structure(&[
    required("applicationId", &APPLICATION_ID),
    required("clientToken", &CLIENT_TOKEN),
    required("executionRoleArn", &IAM_ROLE_ARN),
    optional("configurationOverrides", &SESSION_CONFIGURATION_OVERRIDES),
    optional("tags", &TAG_MAP),
    optional("idleTimeoutMinutes", &DURATION),
    optional("name", &STRING256),
]);

pub(super) static STOP_APPLICATION_REQUEST: Shape =
    Shape::Structure(&[required("applicationId", &APPLICATION_ID)]);

pub(super) static TAG_RESOURCE_REQUEST: Shape =
    Shape::Structure(&[required("resourceArn", &RESOURCE_ARN), required("tags", &TAG_MAP)]);

pub(super) static TERMINATE_SESSION_REQUEST: Shape =
    Shape::Structure(&[required("applicationId", &APPLICATION_ID), required("sessionId", &SESSION_ID)]);

pub(super) static UNTAG_RESOURCE_REQUEST: Shape =
    Shape::Structure(&[required("resourceArn", &RESOURCE_ARN), required("tagKeys", &TAG_KEY_LIST)]);

pub(super) static UPDATE_APPLICATION_REQUEST: Shape = Shape::Structure(&[
    required("applicationId", &APPLICATION_ID),
    required("clientToken", &CLIENT_TOKEN),
    optional("initialCapacity", &INITIAL_CAPACITY_CONFIG_MAP),
    optional("maximumCapacity", &MAXIMUM_ALLOWED_RESOURCES),
    optional("autoStartConfiguration", &AUTO_START_CONFIG),
    optional("autoStopConfiguration", &AUTO_STOP_CONFIG),
    optional("networkConfiguration", &NETWORK_CONFIGURATION),
    optional("architecture", &ARCHITECTURE),
    optional("imageConfiguration", &IMAGE_CONFIGURATION_INPUT),
    optional("workerTypeSpecifications", &WORKER_TYPE_SPECIFICATION_INPUT_MAP),
    optional("interactiveConfiguration", &INTERACTIVE_CONFIGURATION),
    optional("releaseLabel", &RELEASE_LABEL),
    optional("runtimeConfiguration", &CONFIGURATION_LIST),
    optional("monitoringConfiguration", &MONITORING_CONFIGURATION),
    optional("diskEncryptionConfiguration", &DISK_ENCRYPTION_CONFIGURATION),
    optional("schedulerConfiguration", &SCHEDULER_CONFIGURATION),
    optional("identityCenterConfiguration", &IDENTITY_CENTER_CONFIGURATION_INPUT),
    optional("jobLevelCostAllocationConfiguration", &JOB_LEVEL_COST_ALLOCATION_CONFIGURATION),
]);
