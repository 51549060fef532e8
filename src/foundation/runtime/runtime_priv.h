/* runtime_priv - what the files of this module share: the message formats of both ends, the
 * records on disk (docs/formats/runtime.md), users of an image, cgroups, the bundle, the shim. */
#pragma once
#include "runtime/runtime.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "helper/helper.h"

#include <sys/types.h>

/* --- limits --- */
#define RUNTIME_ARGS_MAX 2048             /* LIMIT_JOB_ARGS and an entrypoint */
#define RUNTIME_ENV_MAX 2048              /* LIMIT_JOB_ENV and that of the image */
#define RUNTIME_OOM_SCORE_ADJ 500         /* when the whole machine is out of memory: jobs first */
#define RUNTIME_EXECS_MAX 512             /* shells of the machine: a keeper of 1 MB each */
#define RUNTIME_DEVICES_MAX 64            /* nodes of GPUs */
#define RUNTIME_LABELS_MAX (16U << 10)    /* names of a job, and its GPUs */
#define RUNTIME_MEMORY_MIN (4LL << 20)    /* crun itself needs about 3 MiB inside */
#define RUNTIME_IDS 65536U                /* size of the id range of a container */
#define RUNTIME_RECORD_MAX 4096           /* exit and shim files */
#define RUNTIME_USAGE_MAX (256U << 10)    /* usage file: LIMIT_USAGE_SAMPLES of the longest lines */
#define RUNTIME_PASSWD_MAX (1U << 20)     /* /etc/passwd and /etc/group of an image */
#define RUNTIME_GROUPS_MAX 64             /* supplementary groups */
#define RUNTIME_LIST_MAX 100000           /* containers in one list */
#define RUNTIME_CRUN_TEXT_MAX (16U << 10) /* what crun says when it fails */
#define RUNTIME_CONFIG_MAX (8U << 20)     /* config.json: the message is at most 4 MiB */

/* --- spec.c: CONTAINER_START on the wire, and what is checked at both ends --- */
void spec_put(struct buf *b, const struct runtime_spec *s);
/* Everything in the arena. Counts are checked before memory is taken. Not yet spec_check. */
int spec_get(struct str payload, struct arena *a, struct runtime_spec *out, struct err *e) MUST_USE;
int spec_check(const struct runtime_spec *s, struct err *e) MUST_USE;
/* At or below /proc, /sys or /dev. */
bool spec_path_of_kernel(struct str path);
/* A node of a GPU or of its fabric, by its name alone. */
bool spec_device_ok(struct str path);

/* CONTAINER_EXEC: the same for another process in a container. */
void exec_put(struct buf *b, const struct runtime_exec *x);
int exec_get(struct str payload, struct arena *a, struct runtime_exec *out, struct err *e) MUST_USE;
int exec_check(const struct runtime_exec *x, struct err *e) MUST_USE;

/* What is unknown is 0 there. */
void status_set_figures(struct runtime_status *st, const struct runtime_sample *s);
void status_put(struct buf *b, const struct runtime_status *s);
/* Fails by r->failed. */
void status_get(struct wire_reader *r, struct runtime_status *out);

/* --- record.c: files jobs/<id>/exit and jobs/<id>/shim --- */
/* One "key value" line with the number it sets. */
struct record_field {
    const char *key;
    uint64_t max;
    uint64_t *at;
};
/* A key that is not among the fields is one of a later version: 0. */
int record_set_field(const struct record_field *fields, size_t n, struct str key, struct str value,
                     struct err *e) MUST_USE;
struct shim_record {
    char boot[CLOCK_BOOT_ID];
    pid_t pid;
    uint64_t start; /* field 22 of /proc/<pid>/stat */
    pid_t init;     /* 0 until the container runs */
    uint64_t init_start;
    int64_t started_ms;
};
void shim_record_put(struct buf *b, const struct shim_record *r);
int shim_record_parse(struct str text, struct shim_record *out, struct err *e) MUST_USE;
/* `id` is not part of the file. out->running is false. */
void exit_record_put(struct buf *b, const struct runtime_status *s);
int exit_record_parse(struct str text, struct runtime_status *out, struct err *e) MUST_USE;
/* Start time and flags of a process from the text of /proc/<pid>/stat. */
struct process_stat {
    char state;
    pid_t parent, session;
    uint64_t flags, start;
};
int process_stat_parse(struct str text, struct process_stat *out, struct err *e) MUST_USE;
int process_stat_of(pid_t pid, struct process_stat *out, struct err *e) MUST_USE;
/* A pidfd of `pid` if it is still the process that started at `start`, else -1. */
int process_open(pid_t pid, uint64_t start) MUST_USE;

/* --- usage.c: file jobs/<id>/usage --- */
void usage_head_put(struct buf *b, const struct runtime_usage *u);
void usage_sample_put(struct buf *b, const struct runtime_sample *s);
/* Samples in the arena. A last line without its end is still being written and left out. */
int usage_parse(struct str text, struct arena *a, struct runtime_usage *out,
                struct err *e) MUST_USE;
/* One more; `u->samples` has room for LIMIT_USAGE_SAMPLES. True when that filled it: every second
 * one is dropped, the interval is twice as long. */
bool usage_add(struct runtime_usage *u, const struct runtime_sample *s);

/* The kernel's OOM kills when we first signalled the container, in jobs/<id>/signal: what it killed
 * before did not end the container. Written once; 0 when there is none. */
void ooms_before_signal_note(const char *id, int64_t oom_kills);
int64_t ooms_before_signal(const char *id);

/* --- image_user.c: "name[:group]" by the image's own /etc/passwd and /etc/group --- */
struct image_user {
    uint32_t uid, gid;
    uint32_t groups[RUNTIME_GROUPS_MAX];
    size_t n_groups;
    char home[256];
};
/* Texts may be empty (FROM scratch). As docker does: a number needs no entry; the group defaults to
 * that of the entry, then 0; supplementary groups only when no group is named. */
int image_user_resolve(struct str user, struct str passwd, struct str group, struct image_user *out,
                       struct err *e) MUST_USE;
/* Reads both files below `rootfs` without leaving it. */
int image_user_find(int rootfs, const char *user, struct image_user *out, struct err *e) MUST_USE;

/* --- cgroup.c --- */
enum cgroup_mode { CGROUP_NONE, CGROUP_V1, CGROUP_HYBRID, CGROUP_V2 };
struct cgroup_mount {
    char path[200];
    char controllers[120]; /* ",memory,", ",cpu,cpuacct,"; "" for v2 */
    bool v2;
};
struct cgroups {
    enum cgroup_mode mode;
    struct cgroup_mount mounts[32];
    size_t n;
    char v2_controllers[200]; /* on hybrid hosts: what is left on v2, crun refuses to work then */
    bool counts_io;           /* v1 only: Linux 6.10 and later may not */
};
void cgroups_parse(struct str mountinfo, struct cgroups *out);
int cgroups_load(struct cgroups *out, struct err *e) MUST_USE;
/* Where a controller lives: its v1 mount, or the v2 one. NULL when there is none. */
const struct cgroup_mount *cgroups_find(const struct cgroups *c, const char *controller);
/* "key value" lines. */
bool cgroup_parse_key(struct str text, const char *key, uint64_t *out);
/* The bytes of all devices, from v2's io.stat or v1's blkio.throttle.io_service_bytes. */
void cgroup_parse_io(struct str text, uint64_t *read_bytes, uint64_t *write_bytes);
/* The files of a group's figures, kept open by who reads them often. */
enum { CGROUP_NUMBERS = 4, CGROUP_IO_MAX = 16 << 10 /* some hundred devices */ };
struct cgroup_meter {
    struct cgroup_file {
        int fd; /* -1: this host has none */
        bool v2;
    } numbers[CGROUP_NUMBERS], io;
};
/* `name` is "strata-main/j-1". */
void cgroup_meter_open(const struct cgroups *c, const char *name, struct cgroup_meter *m);
/* What has no file is RUNTIME_UNKNOWN. */
void cgroup_meter_read(const struct cgroup_meter *m, struct runtime_sample *out);
void cgroup_meter_close(struct cgroup_meter *m);
/* The three at once. */
void cgroup_sample(const struct cgroups *c, const char *name, struct runtime_sample *out);
int64_t cgroup_oom_kills(const struct cgroups *c, const char *name);
/* SIGKILL for every process in it until it is empty; false when some were still there at the
 * deadline. */
bool cgroup_kill(const struct cgroups *c, const char *name, int64_t deadline_mono_ms);
/* Every process in it, as the kernel's list has them: one may be gone already. */
void cgroup_each(const struct cgroups *c, const char *name, void (*each)(void *ctx, pid_t pid),
                 void *ctx);
/* Empty ones only. */
void cgroup_remove(const struct cgroups *c, const char *name);
/* Calls `each` for the children of `name` in any hierarchy; one child may come more than once. */
void cgroup_children(const struct cgroups *c, const char *name,
                     void (*each)(void *ctx, const char *child), void *ctx);

/* --- seccomp_profile.c --- */
void seccomp_profile_json(struct jw *w);
/* The compiled filter for this machine in base64: 12 ms of libseccomp's work that crun would
 * repeat for every container. */
int seccomp_profile_bpf(struct buf *base64, struct err *e) MUST_USE;

/* --- bundle.c: config.json --- */
enum tree_names { TREE_NAMES, TREE_NO_NAMES }; /* /etc/hosts, hostname, resolv.conf */
struct bundle {
    const struct runtime_spec *spec;
    const struct image_user *user;
    const struct cgroups *cgroups;
    const char *box; /* where the shim mounted things: <box>/rootfs with the volumes in it */
    enum tree_names names;
    const char *cgroup; /* "/strata-main/j-1" */
    struct str seccomp; /* base64 of the filter, may be empty */
    struct bundle_device *devices;
    size_t n_devices;
};
struct bundle_device {
    const char *path;
    uint32_t major, minor;
};
int bundle_write(const struct bundle *b, struct buf *out, struct err *e) MUST_USE;
/* For another process in this container, runtime-spec's "process" without "terminal" and "args",
 * cut behind the '[' of "env": who adds the two needs no parser. */
int bundle_process(const struct bundle *b, struct buf *out, struct err *e) MUST_USE;

/* --- crun.c: the runtime program --- */
struct crun {
    const char *path; /* "/usr/bin/crun" or runc's */
    bool is_runc;
};
int crun_find(struct crun *out, struct err *e) MUST_USE;
/* What every call of it begins with; returns how many words. */
size_t crun_argv(const struct crun *c, const char *root, const char *log, const char *argv[]);
/* Turns what crun or runc said into a sentence of ours and a kind. `code` receives 127 (not found),
 * 126 (not executable) or 0 (the host's trouble). */
int crun_explain(struct str text, const char *command, int *code, struct err *e);

/* --- child.c: processes of the helper that outlive it --- */
/* A child of the helper and nothing else of it: own session, default signals, a subreaper. */
int child_become(const char *name, struct err *e) MUST_USE;
/* Nothing of the helper stays open in a process that may outlive it by months. */
void child_keep_only(int fd);
/* In a fresh child: becomes the program, which dies with its parent. */
void child_exec(const char *const *argv, const int stdio[3]) __attribute__((noreturn));

/* --- shim.c --- */
struct shim_job {
    const struct runtime_spec *spec;
    struct rootfs_helper *rootfs;
    const struct cgroups *cgroups;
    const char *instance, *run_dir; /* "main", "/run/strata-main" */
    struct str seccomp;
    struct crun crun;
    gid_t group; /* of the log */
    int answer;  /* pipe to the helper */
    pid_t helper;
};
/* In a fresh child of the helper: makes the container, answers, waits for its end, records it. */
void shim_main(const struct shim_job *job) __attribute__((noreturn));
/* The answer's bytes, read by the helper. 0: *init etc. are filled in; -1: *e is the shim's. */
int shim_answer_parse(struct str bytes, struct shim_record *out, struct err *e) MUST_USE;

/* --- keeper.c: holds another process of a container --- */
#define KEEPER_START_MS 30000 /* crun takes 20 ms; a machine that swaps, longer */
#define KEEPER_GRACE_MS 2000  /* between SIGHUP and SIGKILL */
#define KEEPER_MESSAGE_MAX 1024
/* Between keeper and server, a packet each: it runs (with its descriptors: terminal, or the three
 * pipes), or why not; later its end. The server says nothing: its closing is the wish to end. */
struct keeper_job {
    const struct runtime_exec *exec;
    const struct shim_record *container;
    const struct cgroups *cgroups;
    const char *instance, *run_dir;
    struct crun crun;
    int socket; /* SOCK_SEQPACKET to the server */
};
void keeper_main(const struct keeper_job *job) __attribute__((noreturn));
void exec_end_put(struct buf *b, const struct runtime_exec_end *end);
int exec_end_get(struct str packet, struct runtime_exec_end *out, struct err *e) MUST_USE;
/* "It runs", or the error. */
void exec_started_put(struct buf *b, const struct err *why);
int exec_started_get(struct str packet, struct err *e) MUST_USE;
/* Until the keeper says that it runs; fills in the descriptors but the keeper's. */
int exec_wait_for_start(int keeper, enum runtime_terminal terminal, struct runtime_process *out,
                        struct err *e) MUST_USE;

/* --- box.c: the shim's private mount namespace --- */
int box_make(const struct shim_job *job, char box[128], struct err *e) MUST_USE;

/* --- tree.c: the container's directories --- */
/* Mounts the volumes below `root`, where the image is, and makes the working directory. ERR_INVALID
 * when the image or a volume leaves no place for them. */
int tree_fill(int root, const struct runtime_spec *s, struct err *e) MUST_USE;
/* Whether /etc/hosts and its like are mounted: not into a volume, which brings its own /etc. */
int tree_names(int root, enum tree_names *out, struct err *e) MUST_USE;

/* --- remains.c: what a container leaves --- */
/* crun's state and the cgroup; tolerant. */
void remains_sweep(const struct cgroups *c, const char *instance, const char *run_dir,
                   const char *id);

/* --- net_bridge.c --- */
/* Makes strata0 and the NAT rules when missing, takes an address, plugs a cable into the network
 * namespace of `init`. ERR_UNAVAILABLE when ip or nft are missing or not allowed. */
int bridge_attach(const char *run_dir, const char *id, pid_t init, struct err *e) MUST_USE;
void bridge_release(const char *run_dir, const char *id);
/* Gives back what containers that are not `alive` had. */
void bridge_sweep(const char *run_dir, bool (*alive)(void *ctx, const char *id), void *ctx);
/* Text for the container's resolv.conf: the host's without loopback servers. */
void bridge_resolv_conf(struct str host, enum runtime_network network, struct buf *out);

/* --- doctor.c: HOST_CHECK --- */
int doctor_handle(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e);
