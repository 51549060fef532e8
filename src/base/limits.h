/* limits - every ceiling on what we take from outside or keep in memory, with its reason. */
#pragma once

#define KIB 1024ULL
#define MIB (1024ULL * KIB)
#define GIB (1024ULL * MIB)

#define LIMIT_ERR_ITEMS 32 /* mistakes reported at once: more are not read */

/* Never taken by layers and uploads, or 5 % of the disk when that is less: for the database, logs
 * and what jobs write. */
#define LIMIT_DISK_RESERVE_BYTES (512 * MIB)

/* net */
#define LIMIT_HEAD_BYTES (32 * KIB)     /* request line + headers; nginx allows 4 x 8 KiB */
#define LIMIT_HEADERS 100               /* docker sends about 20 */
#define LIMIT_TARGET_BYTES (8 * KIB)    /* request target; OCI names + _state stay far below */
#define LIMIT_JSON_BODY_BYTES (1 * MIB) /* every JSON request of our API */
#define LIMIT_JSON_DEPTH 64             /* jansson recurses */
#define LIMIT_WORKERS 256               /* request threads; each 512 KiB of stack, on demand */
/* Of them, that may wait for slow peers: past this, none for peers who are not signed in... */
#define LIMIT_WAITS 192
#define LIMIT_USER_WAITS 128              /* ...and no more than this for one user */
#define LIMIT_CONNECTIONS 16384           /* also clamped by RLIMIT_NOFILE */
#define LIMIT_HEAD_SECONDS 20             /* a request head must be complete by then */
#define LIMIT_IDLE_SECONDS 120            /* keep-alive */
#define LIMIT_BODY_MIN_BYTES_PER_SEC 1024 /* slower senders are cut, after a grace of 10 s */

/* state */
#define LIMIT_STATE_BATCH 256 /* transactions in one group commit */

/* content, registry */
#define LIMIT_MANIFEST_BYTES (4 * MIB) /* OCI dist-spec: registries SHOULD take 4 MiB */
#define LIMIT_REPO_NAME_BYTES 255      /* as in distribution */
#define LIMIT_TAG_BYTES 128            /* OCI dist-spec: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
/* The trash copies what goes: in one transaction, and in one entry that is restored in one, no more
 * than this; a large repository becomes several... */
#define LIMIT_TRASH_ENTRY_MANIFESTS 1000
#define LIMIT_TRASH_ENTRY_BYTES (16 * MIB) /* of manifests; one that is larger comes alone */
/* ...and what cannot be parted (an image with all that refers to it) is gone at once when it is
 * more than this. */
#define LIMIT_TRASH_WHOLE_MANIFESTS 5000
#define LIMIT_TRASH_WHOLE_BYTES (128 * MIB)
/* Of the trash as a whole, in the database; past it the oldest of whoever has most goes before
 * its time. */
#define LIMIT_TRASH_MANIFESTS 500000
#define LIMIT_TRASH_BYTES (2 * GIB)
#define LIMIT_LAYERS 127 /* overlay takes 500 lowers; docker stops at 127 */

/* rootfs */
#define LIMIT_LAYER_BYTES (256 * GIB) /* unpacked; AI images have layers of 80 GB */
#define LIMIT_LAYER_ENTRIES 4000000   /* files in a layer */
#define LIMIT_PATH_BYTES 4096         /* PATH_MAX */

/* runtime */
#define LIMIT_USAGE_SAMPLES 720 /* of an attempt: 12 minutes of seconds, then coarser; 75 KB */

/* jobs */
#define LIMIT_SPEC_BYTES (256 * KIB)
#define LIMIT_JOB_ARGS 1024
#define LIMIT_JOB_ENV 512
#define LIMIT_EXEC_STRING_BYTES 131071    /* execve(2): MAX_ARG_STRLEN without its NUL */
#define LIMIT_EXEC_BYTES (2 * MIB - 8192) /* execve(2): a quarter of a stack of 8 MiB */
#define LIMIT_JOB_MOUNT_PATH_BYTES 1024   /* sources, targets and options fit a page of mount(2) */
#define LIMIT_IMAGE_USER_BYTES 255        /* two names of useradd(8) and more */
#define LIMIT_JOB_VOLUMES 32
#define LIMIT_JOB_RETRIES 100
#define LIMIT_JOBS_QUEUED 100000
#define LIMIT_JOB_SHELLS 16  /* open in one job: they share its memory and processes */
#define LIMIT_USER_SHELLS 32 /* open for one user */
#define LIMIT_SHELLS 256     /* of all: 2.5 MiB each at most here, a keeper of 1 MB beside them */
#define LIMIT_SHELL_INPUT_BYTES (MIB + 64 * KIB) /* a message that the program has not read */

/* volume */
#define LIMIT_VOLUME_PATH_BYTES 4096
#define LIMIT_LIST_ROWS 1000        /* rows in one page of any list */
#define LIMIT_SORTED_ENTRIES 200000 /* of a directory, by size or time: each is looked at */
#define LIMIT_FILTER_BYTES 200      /* of ?q=, */
#define LIMIT_FILTER_WORDS 8        /* each of which is looked for in every row */

/* Walks through volumes at once (a folder as tar, the files of a job): each holds a worker... */
#define LIMIT_WALKS 16
#define LIMIT_USER_WALKS 4           /* ...and no more than this for one user */
#define LIMIT_RECENT_ENTRIES 1000000 /* looked at for the files of a job; the rest is not */
#define LIMIT_RECENT_MS 5000         /* nor what takes longer */
/* Of the note in an archive: more names are only counted. */
#define LIMIT_LEFT_OUT_BYTES (64 * KIB)

#define LIMIT_JOB_LABELS_BYTES (16 * KIB) /* of the file jobs/<id>/labels */

/* metrics */
#define LIMIT_EXPOSITION_BYTES (64 * MIB) /* of a page that our exporter makes */
#define LIMIT_NODE_FILE_BYTES (16 * MIB)  /* of /proc and /sys: /proc/net/udp of a large server */
#define LIMIT_NODE_NAMES 65536            /* interfaces, disks, mounts: in one directory */
#define LIMIT_NODE_CPUS 1024
#define LIMIT_NODE_FIELD_BYTES 256 /* names that a regular expression chooses among */
#define LIMIT_NODE_STUCK 64        /* mounts that hold a thread each because they do not answer */
#define LIMIT_NODE_CONTAINERS 4096
#define LIMIT_LUSTRE_SAMPLES                                                                       \
    200000 /* jobs that a server of Lustre remembers, each with all its operations */
#define LIMIT_CONTAINER_NAME_BYTES 1024
#define LIMIT_LABEL_NAME_BYTES 4096
#define LIMIT_LABEL_VALUE_BYTES (64 * KIB)
#define LIMIT_SERIES_LABELS 128           /* GPU and Kubernetes targets have up to 40 */
#define LIMIT_REGEX_BYTES (64 * KIB)      /* "a|b|c|..." of a dashboard's variable */
#define LIMIT_QUERY_BYTES (128 * KIB)     /* of PromQL: generated dashboards have 20 */
#define LIMIT_QUERY_NOTES 10              /* warnings and infos of a query */
#define LIMIT_RULE_REPORT_BYTES (4 * MIB) /* of what failed in a file of tests */
#define LIMIT_TEST_POINTS 1000000         /* values on a line of a test of rules */
#define LIMIT_QUERY_DEPTH 150  /* levels of nesting: the parser recurses, 2 KiB of stack each */
#define LIMIT_QUERY_HEIGHT 400 /* of the tree: a + b + c + ... is as high as it is long */

/* scraping */
#define LIMIT_SCRAPE_CONFIG_BYTES (16 * MIB) /* generated for Kubernetes: 1 MB and more */
#define LIMIT_SCRAPE_CONFIG_NODES 1000000
#define LIMIT_SCRAPE_FILES 10000            /* that one pattern names */
#define LIMIT_SCRAPE_TARGETS 100000         /* of a pool before relabeling */
#define LIMIT_SCRAPE_DROPPED 1000           /* of a pool, shown */
#define LIMIT_SCRAPE_METADATA 100000        /* in one answer */
#define LIMIT_SCRAPE_TARGET_METADATA 20000  /* families kept of a target */
#define LIMIT_SCRAPE_BODY_BYTES (256 * MIB) /* of a page: 2.5 million samples */
#define LIMIT_DISCOVERY_BYTES (64 * MIB)    /* of an answer of Kubernetes: 10,000 pods */
#define LIMIT_RELABEL_RULES 1000
#define LIMIT_RELABEL_LABELS 4096                 /* on the way: annotations of Kubernetes */
#define LIMIT_REMOTE_WRITE_BYTES (32 * MIB)       /* packed */
#define LIMIT_REMOTE_WRITE_WHOLE_BYTES (32 * MIB) /* as in Prometheus */
#define LIMIT_RULE_ALERTS 20000                   /* of one rule, 16 KiB each */

/* metrics over HTTP */
#define LIMIT_QUERY_POINTS 11000 /* of one series, as Prometheus has it: more than any screen */
#define LIMIT_QUERIES_WAITING 64 /* each holds a worker: the others serve who does not query */
#define LIMIT_MATCHES 100        /* match[] of one request */
#define LIMIT_ANSWERS_BYTES (512 * MIB)     /* that wait for slow clients; past it queries wait */
#define LIMIT_ANSWER_PIECE_BYTES (32 * MIB) /* unsent at once: a series with long labels */

/* supply */
#define LIMIT_TRUST_KEYS 50               /* of a project: each is tried on each signature */
#define LIMIT_PUBLIC_KEY_BYTES (8 * KIB)  /* RSA of 16384 bits in PEM takes 3 */
#define LIMIT_SIGNATURE_BYTES (256 * KIB) /* what was signed, with certificates beside it */
#define LIMIT_SIGNATURES 1000             /* looked at for one manifest, the newest first */
/* Of one judgement whether an image is signed, with all indexes above it. What was looked at is
 * remembered, so that the next one comes further. */
#define LIMIT_JUDGED_LAYERS 2000
#define LIMIT_JUDGED_BYTES (64 * MIB)
#define LIMIT_JUDGED_MS 30000 /* caches fetch what they look at */
#define LIMIT_ALLOWED_CVES 1000
#define LIMIT_SCANNER_AUTH_BYTES (4 * KIB)
#define LIMIT_REPORT_BYTES (16 * MIB) /* of a scanner: large images have thousands of findings */
#define LIMIT_FINDINGS 20000
#define LIMIT_FINDING_TEXT 300 /* bytes of each of its texts; the rest is left out */

/* labels of images, and the logo of a project */
#define LIMIT_LABELS 500            /* global ones, and of each project */
#define LIMIT_IMAGE_LABELS 50       /* on one image: each is shown in every row of a list */
#define LIMIT_IMAGE_LABEL_BYTES 128 /* as in Harbor */
#define LIMIT_LABELS_ASKED 10       /* in a filter or a rule */
#define LIMIT_LOGS_LOOKED_AT 50000  /* entries of the audit, by whoever asks in Harbor's way */
#define LIMIT_LABEL_STEP 1000       /* images that a transaction takes a deleted label from */
#define LIMIT_LOGO_BYTES (64 * KIB) /* it is shown 24 pixels wide */
#define LIMIT_LOGO_PIXELS 1024      /* of a side: what a browser unpacks stays below 4 MiB */

/* webhooks */
#define LIMIT_WEBHOOKS 20                   /* of a project: each event is written once for each */
#define LIMIT_WEBHOOK_QUEUE 1000            /* waiting deliveries of one; the oldest give way */
#define LIMIT_WEBHOOK_LOG 100               /* ended deliveries of one that are kept */
#define LIMIT_WEBHOOK_PAYLOAD (256 * KIB)   /* 100 images with the longest names take 100 KiB */
#define LIMIT_WEBHOOK_URL_BYTES 2000        /* what servers take */
#define LIMIT_WEBHOOK_VALUE_BYTES (4 * KIB) /* header and signing secret */
#define LIMIT_WEBHOOK_CA_BYTES (64 * KIB)   /* some twenty certificates */
#define LIMIT_WEBHOOK_NOTES 4096            /* pulls of a second, in memory: 1 KiB each */

/* pipeline */
#define LIMIT_PIPELINE_BYTES MIB    /* of a document */
#define LIMIT_PIPELINE_VALUES 50000 /* nodes of its tree: 500 nodes with all they may have */
#define LIMIT_PIPELINE_NODES 500    /* what people still see in an editor */
#define LIMIT_PIPELINE_ID_BYTES 63  /* of a node; a port's and a parameter's names too */
#define LIMIT_PIPELINE_PARAMS 64    /* of a node */
#define LIMIT_PIPELINE_PORTS 16     /* inputs of a node */
#define LIMIT_PIPELINE_VARS 64      /* parameters of the pipeline */
#define LIMIT_PIPELINE_COMMENTS 200
#define LIMIT_PIPELINE_TEXT_BYTES 4096           /* a title, a comment */
#define LIMIT_PIPELINE_VALUE_BYTES (64 * 1024)   /* of a parameter: SQL, expressions */
#define LIMIT_COMPONENT_BYTES (64 * KIB)         /* of the file of a container module */
#define LIMIT_MODULES 200                        /* of a project: all are read for a check */
#define LIMIT_PIPELINES 2000                     /* of a project */
#define LIMIT_PIPELINE_VERSIONS 1000             /* kept of one; the oldest give way */
#define LIMIT_PIPELINE_VERSIONS_BYTES (16 * MIB) /* of one, kept; the oldest give way */
#define LIMIT_RUNS_ACTIVE 1000                   /* at once: each is in memory, with its document */
#define LIMIT_RUNS_ACTIVE_PROJECT 300            /* so that one project leaves room for others */
#define LIMIT_RUN_FOLLOWERS 1000            /* streams of events: 2 MiB each when nobody reads */
#define LIMIT_RUN_FOLLOWERS_USER 100        /* tabs of a browser, and scripts */
#define LIMIT_RUNS_KEPT 10000               /* finished ones of a project; the oldest give way */
#define LIMIT_STEP_LINE_BYTES (64 * KIB)    /* of a step's log, for programs */
#define LIMIT_STEP_WARNINGS_BYTES (4 * KIB) /* the first of a step */
#define LIMIT_STEP_METRICS_BYTES (8 * KIB)  /* kept of one: all of a run's fit an answer */

/* access */
#define LIMIT_NAME_BYTES 64 /* users, projects, volumes: [a-z0-9][a-z0-9._-]* */
#define LIMIT_LOGIN_BYTES (7 + 2 * LIMIT_NAME_BYTES) /* "robot$PROJECT+NAME" */
#define LIMIT_DESCRIPTION_BYTES 500
#define LIMIT_REPOSITORY_TEXT_BYTES 16384 /* Markdown; a page of 100 fits an answer */
#define LIMIT_ROBOTS 200                  /* of one project, and of the system */
#define LIMIT_ROBOT_GRANTS 100            /* projects that one robot is given by name */
#define LIMIT_GROUPS 2000
#define LIMIT_GROUP_USERS 1000 /* a change of a group tells each of them */
#define LIMIT_PASSWORD_BYTES 256
#define LIMIT_AUDIT_PATH_BYTES 1024   /* of what was done: as long as our longest names */
#define LIMIT_AUDIT_REFUSED_BYTES 256 /* of what was not: enough to see what was tried */
#define LIMIT_AUDIT_REFUSALS 60 /* entries of a user and minute: 30 KiB; the rest is counted */
#define LIMIT_AUDIT_USERS 4096  /* counted side by side; 280 bytes each, for a minute */
#define LIMIT_PASSWORD_WAITS 32 /* workers that wait for one user's yescrypt */
#define LIMIT_SECRET_BYTES (64 * KIB)
