/* artifacts - manifests of the registry, for those who judge them (supply). Reads only.
 *
 * Threads: any. Bodies past ARTIFACT_BODY_MAX are left out: what signs or describes an image is
 * small, and a list of them stays so. */
#pragma once
#include "base/arena.h"
#include "content/content.h"

struct registry;

enum { ARTIFACT_BODY_MAX = 128 * 1024, ARTIFACTS_LIST_MAX = 200 };

struct artifact {
    int64_t id, project_id, pushed_ms, total_bytes;
    char digest[CONTENT_DIGEST_MAX];
    struct str repository;                           /* full name */
    struct str pushed_by;                            /* empty: nobody knows any more */
    struct str media_type, artifact_type, tag, body; /* empty: none, or left out */
};
struct artifact_list {
    struct artifact *items; /* in the arena */
    size_t n;
};

/* `ref`: a tag or a digest. ERR_NOT_FOUND. */
int artifact_find(struct registry *r, struct arena *a, struct str repository, struct str ref,
                  struct artifact *out, struct err *e) MUST_USE;
/* What refers to a manifest: by its subject, and by the tags sha256-<hex>.sig, .att and .sbom that
 * cosign gives. The newest first. */
int artifacts_about(struct registry *r, struct arena *a, const struct artifact *of,
                    struct artifact_list *out, struct err *e) MUST_USE;
/* Those of them that may be signatures, by their type, so that nothing else hides one: a page of
 * what came before the manifest numbered `before` (0: the newest). */
int artifacts_signatures(struct registry *r, struct arena *a, const struct artifact *of,
                         int64_t before, struct artifact_list *out, struct err *e) MUST_USE;
/* The indexes that list it, and what an index lists. */
int artifacts_above(struct registry *r, struct arena *a, const struct artifact *of,
                    struct artifact_list *out, struct err *e) MUST_USE;
int artifacts_below(struct registry *r, struct arena *a, const struct artifact *of,
                    struct artifact_list *out, struct err *e) MUST_USE;
