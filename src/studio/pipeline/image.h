/* image - strata-ml as an image of one layer with one file, made at start from the program beside
 * ours and kept in content: steps need no registry and no pull. Its digest is a part of every key
 * of the cache. */
#pragma once
#include "jobs/jobs.h"
#include "rootfs/rootfs.h"

struct content;

#define STEP_PROGRAM "/strata-ml"

struct step_image {
    struct rootfs_layer layer;
    struct job_image image; /* its layer is the one above */
};

/* `fd`: of the program, read from its start. */
int step_image_make(struct content *c, int fd, struct step_image *out, struct err *e) MUST_USE;
