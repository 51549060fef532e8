/* copy - one image from another registry to ours (copy_pull.c), or the other way (copy_push.c):
 * with the images of an index and, when asked for, what refers to it (signatures, SBOMs). What is
 * there already is not moved again; a manifest comes last, so a copy is whole or not there. */
#pragma once
#include "content/content.h"
#include "registry/remote.h"

struct registry;
struct repo_key;

enum copy_kind { COPY_ALL, COPY_IMAGES, COPY_ARTIFACTS, COPY_KINDS };

/* How far it is, as differences. */
struct copy_bytes {
    int64_t total; /* belong to it */
    int64_t done;  /* of them that are in place; negative where something is begun again */
    int64_t moved; /* went over the line */
};

struct copy_hooks { /* none may be NULL */
    void (*bytes)(void *ctx, const struct copy_bytes *more);
    /* Where an upload that was cut goes on: kept between tries and over restarts. "": nowhere. */
    void (*session_find)(void *ctx, struct str repository, const char *digest, char out[2048]);
    void (*session_keep)(void *ctx, struct str repository, const char *digest, const char *url);
};

struct copy {
    struct registry *registry;
    struct remote *remote;
    bool with_referrers;
    enum copy_kind kind; /* of the image that is named; what belongs to it always comes along */
    const struct copy_hooks *hooks;
    void *ctx;
};

struct copy_result {
    char digest[CONTENT_DIGEST_MAX];
    bool changed; /* something was stored */
    bool is_other_kind;
};

/* `reference` of `from` there becomes `tag` (p == NULL: by digest only) of `to` here. What was cut
 * is gone on with at the next call, also after a restart. */
int copy_pull(const struct copy *c, struct str from, struct str reference,
              const struct repo_key *to, struct str tag, struct copy_result *out,
              struct err *e) MUST_USE;
/* One blob: linked when the project has it, else fetched. */
struct descriptor;
int copy_pull_blob(const struct copy *c, struct str from, const struct repo_key *to,
                   const struct descriptor *d, struct err *e) MUST_USE;
int copy_push(const struct copy *c, struct str from, struct str reference, struct str to,
              struct str tag, struct copy_result *out, struct err *e) MUST_USE;
/* The other side of it, for mirrors: deletes a tag here, and tells of it. ERR_NOT_FOUND. */
int copy_delete_here(struct registry *r, struct str repository, struct str tag, struct str by,
                     struct err *e) MUST_USE;
