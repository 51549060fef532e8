/* spec - what a user asks for: YAML or JSON -> struct job_spec, with every mistake at its line and
 * key.
 *
 *   POST .../jobs -> job_spec_parse -> (store keeps job_spec_json) -> job_spec_parse at the start
 *
 * The keys, their units and defaults: docs/formats/jobs.md. Everything lives in the caller's arena;
 * no text in it holds a NUL byte. Hostile input: limits of base/yaml.h and LIMIT_JOB_*. */
#pragma once
#include "base/arena.h"
#include "base/json.h"

struct job_var {
    const char *name;  /* of an environment variable */
    const char *value; /* its text; for secrets: the name of the secret */
};

struct job_volume {
    const char *name, *path; /* path: absolute, in the container */
    const char *subpath;     /* a directory of the volume; or NULL: all of it */
    bool read_only;
};

enum job_network { JOB_NET_NONE, JOB_NET_BRIDGE, JOB_NET_HOST, JOB_NETS };

/* Of a key in the text, for mistakes that are found later; 0: it is not there. */
struct job_place {
    unsigned line, column;
};

struct job_spec {
    const char *name;
    const char *project; /* or NULL */
    const char *image;
    const char *const *command; /* NULL-terminated; or NULL: the image's entrypoint and cmd */
    const char *const *args;    /* NULL-terminated; or NULL: the image's cmd */
    struct job_var *env;
    struct job_var *secrets;
    size_t n_env, n_secrets;
    const char *workdir; /* or NULL: the image's */
    int64_t cpu_milli, memory_bytes, gpus, pids;
    struct job_place cpu_at, memory_at, gpu_at;
    struct job_volume *volumes;
    size_t n_volumes;
    enum job_network network;
    int64_t timeout_sec; /* 0: none */
    int64_t grace_sec;
    int64_t retries;
};

/* -1: the text is no YAML (*e says where), or `mistakes` holds what is wrong and *e as much of it
 * as fits. The caller ends the list. */
int job_spec_parse(struct arena *a, struct str text, struct job_spec *out,
                   struct err_list *mistakes, struct err *e) MUST_USE;
/* The same spec as JSON with its defaults filled in; job_spec_parse reads it back. */
void job_spec_json(const struct job_spec *s, struct jw *w);
