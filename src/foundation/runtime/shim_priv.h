/* shim_priv - what shim.c and shim_crun.c share. */
#pragma once
#include "runtime/runtime_priv.h"

/* The samples of a container on their way to jobs/<id>/usage. */
struct usage_log {
    struct runtime_usage usage;
    struct cgroup_meter meter;
    int fd;              /* O_APPEND; -1: not made yet */
    bool stale;          /* the file must be written anew */
    int64_t due_mono_ms; /* the next one */
};

/* One container, from before crun to after its end. */
struct shim {
    const struct shim_job *job;
    const char *id;
    char dir[72];     /* jobs/<id> */
    char cgroup[104]; /* strata-<instance>/<id> */
    char box[128];
    int log;           /* O_APPEND */
    int output;        /* what the container writes: reading end, never blocks */
    int output_writer; /* until crun has it */
    int64_t logged;    /* bytes of output in the log */
    uint64_t lost;     /* bytes of output the disk did not take */
    uint64_t cut;      /* bytes of output beyond the limit */
    int exit;          /* exit.tmp: the room for the exit record, taken before the start */
    int init;          /* pidfd */
    struct shim_record record;
    struct usage_log usage;
    int start_code; /* why it could not start: 126, 127, or 0 for the host's trouble */
};

/* Makes the container and waits until its command runs; fills s->init and the init part of the
 * record. What the command writes goes to s->output_writer. */
int shim_start_crun(struct shim *s, struct err *e) MUST_USE;

/* --- shim_usage.c: samples are best effort, nothing fails for them --- */
void shim_usage_begin(struct shim *s);
/* For poll(2): until the next sample. */
int shim_usage_wait_ms(const struct shim *s);
/* Takes a sample when one is due. */
void shim_usage_tick(struct shim *s);
void shim_usage_add(struct shim *s, const struct runtime_sample *sample);
