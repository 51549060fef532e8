/* copy - one image from another registry to ours, or the other way: with the images of an index
 * and, when asked for, what refers to it (signatures, SBOMs). What is there already is not moved
 * again; a manifest comes last, so a copy is whole or not there. */
#pragma once
#include "remote.h"
#include "store.h"

struct copy {
    struct registry *registry;
    struct remote *remote;
    bool with_referrers;
    void (*progress)(void *ctx, int64_t bytes); /* so many more were moved; may be NULL */
    void *ctx;
};

/* `reference` of `from` there becomes `tag` (p == NULL: by digest only) of `to` here. What was cut
 * is gone on with at the next call, also after a restart. Fills the digest. */
int copy_pull(const struct copy *c, struct str from, struct str reference,
              const struct repo_key *to, struct str tag, char digest[CONTENT_DIGEST_MAX],
              struct err *e) MUST_USE;
int copy_push(const struct copy *c, struct str from, struct str reference, struct str to,
              struct str tag, char digest[CONTENT_DIGEST_MAX], struct err *e) MUST_USE;
