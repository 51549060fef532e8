/* machine - what this machine has for jobs and what is taken: CPU, memory, GPUs.
 *
 * Found at start: CPUs and memory as the kernel and the cgroup we live in allow, GPUs as the device
 * nodes /dev/nvidia<n>; cut by the settings jobs.cpu, jobs.memory, jobs.memory_reserve.
 * Threads: none of its own; guarded by the caller (jobs.lock). */
#pragma once
#include "base/cfg.h"

enum { MACHINE_GPUS = 64 };

struct machine {
    int64_t cpu_milli, memory_bytes; /* for all jobs together */
    size_t gpus;
    unsigned gpu_minor[MACHINE_GPUS]; /* bit i of a mask is /dev/nvidia<gpu_minor[i]> */
    int64_t cpu_used, memory_used;
    uint64_t gpu_used;
};

struct machine_need {
    int64_t cpu_milli, memory_bytes, gpus;
};

/* `rootfd` is / (a tree like it in tests); `cpus` is what the kernel runs us on. `cfg` may be NULL.
 */
void jobs_machine_probe(struct machine *m, int rootfd, int cpus, const struct cfg *cfg);
enum machine_resource { MACHINE_CPU, MACHINE_MEMORY, MACHINE_GPU, MACHINE_RESOURCES };
struct machine_lack {
    enum machine_resource resource;
    char text[160]; /* "asks for 64 CPUs; this machine has 2 for jobs" */
};
/* All that it asks for beyond what exists; how many. */
size_t jobs_machine_lacks(const struct machine *m, const struct machine_need *n,
                          struct machine_lack out[MACHINE_RESOURCES]);
const char *jobs_machine_key(enum machine_resource r); /* "resources.cpu" */
/* 0: it could run here when nothing else does. ERR_INVALID says what is asked and what exists. */
int jobs_machine_could(const struct machine *m, const struct machine_need *n,
                       struct err *e) MUST_USE;
bool jobs_machine_fits(const struct machine *m, const struct machine_need *n);
/* Takes it, also beyond what there is (a container that runs already). `want` names GPUs that must
 * be these, 0: any that are free. Returns the mask of GPUs. */
uint64_t jobs_machine_take(struct machine *m, const struct machine_need *n, uint64_t want);
void jobs_machine_give(struct machine *m, const struct machine_need *n, uint64_t gpu_mask);
int64_t jobs_machine_cpu_free(const struct machine *m);
int64_t jobs_machine_memory_free(const struct machine *m);
int64_t jobs_machine_gpus_free(const struct machine *m);
/* "waits for 2.0 CPUs: 1.0 of 2.0 free" */
void jobs_machine_why_waiting(const struct machine *m, const struct machine_need *n, char *out,
                              size_t size);
