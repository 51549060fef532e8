/* pin - what is settled at submit and must not change until the job is done: the image's digest
 * with its layers and settings, and the project's id range. Tags may move, projects may change;
 * the job runs what was submitted. As JSON in the column jobs.pin. */
#pragma once
#include "base/json.h"
#include "jobs/jobs.h"

struct job_pin {
    uint32_t id_base;
    struct job_image image;
};

/* As docker reads WorkingDir: from /, with "." and ".." taken out and each slash once. */
const char *job_clean_path(struct arena *a, struct str path);
void job_pin_json(const struct job_pin *p, struct jw *w);
/* Everything in the arena. */
int job_pin_parse(struct arena *a, struct str json, struct job_pin *out, struct err *e) MUST_USE;
