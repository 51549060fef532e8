/* transfer - images from one registry to another through this machine: manifests with all that
 * belongs to them, byte for byte.
 *
 *   image migrate, image copy -> transfer_image -> remote (there) -> a file per blob in the spool
 * -> remote (here)
 *
 * What is there already is not moved; a manifest comes after its parts, so an image is whole or not
 * there. On disk: <spool>/<sha256>.part, gone once its blob has arrived; one that a kill left is
 * gone on with. */
#pragma once
#include "registry/remote.h"

struct cli;
struct transfer;

/* This server's registry, as whoever is signed in. remote_close. */
struct remote *transfer_here(struct cli *c, struct err *e) MUST_USE;
/* --spool, or a folder of the user's cache; the caller frees it. */
char *transfer_spool(const struct cli *c) MUST_USE;

struct transfer_options {
    struct remote *from, *to; /* kept by the caller */
    const char *spool;        /* directory; made when missing */
};
struct transfer *transfer_open(const struct transfer_options *o, struct err *e) MUST_USE;
void transfer_close(struct transfer *t);
DEFINE_SCOPED(struct transfer, transfer_close)

/* The manifest that `reference` (tag or digest) means there, by its digest, with what it lists and
 * what refers to it. `*out` is that manifest, for its tags; buf_done(&out->body). 1: all of it was
 * here already; 0: something was missing. */
int transfer_image(struct transfer *t, struct str from, struct str reference, struct str to,
                   struct remote_manifest *out, struct err *e) MUST_USE;

/* Only what refers to `digest`, which is here already. 1: all of it was. */
int transfer_referrers(struct transfer *t, struct str from, const char *digest, struct str to,
                       struct err *e) MUST_USE;

struct transfer_total {
    int64_t manifests, blobs, mounted, bytes; /* blobs and bytes that went over the line */
};
void transfer_totals(const struct transfer *t, struct transfer_total *out);
