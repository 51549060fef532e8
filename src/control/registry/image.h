/* image - the configuration of a container image, as far as running it needs.
 * Source: OCI image-spec 1.1 config.md (Docker's is the same in these fields). */
#pragma once
#include "base/arena.h"
#include "content/content.h"

enum { IMAGE_ARGS_MAX = 4096, IMAGE_CONFIG_BYTES_MAX = 4 << 20 };

struct image_config {
    const char *os, *architecture, *variant;
    char (*diff_ids)[CONTENT_DIGEST_MAX];
    size_t n_diff_ids;
    const char **entrypoint, **cmd, **env; /* NULL-terminated */
    const char *cwd, *user;                /* "" when not set */
};

/* Everything is copied into the arena. Unknown keys are left alone. */
int image_config_parse(struct arena *a, struct str text, struct image_config *out,
                       struct err *e) MUST_USE;
