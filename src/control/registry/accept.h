/* accept - what comes from outside becomes ours: a blob that was written, a manifest that was read.
 * The same for a push over /v2/, a replication, a proxy cache and an import. */
#pragma once
#include "manifest.h"
#include "store.h"

struct content_writer;

/* The upload's file, its row and its place in the repository, under the digest's pin. *w is spent
 * (NULL) when its file is in place. `code` as in store.h. */
int accept_blob(struct registry *r, struct content_writer **w, const struct repo_key *to,
                const char *digest, const char **code, struct err *e) MUST_USE;

/* What put names (repository, tags, body) is parsed, checked and stored; `want` is the digest it
 * must have, "" for its SHA-256. Fills put->digest, ->manifest and ->platform; all in the arena. */
int accept_manifest(struct registry *r, struct arena *a, struct manifest_put *put,
                    struct str content_type, const char *want, const char **code,
                    struct err *e) MUST_USE;

/* Tells those above of a manifest that is here now; accept_manifest has done so. */
void tell_arrived(const struct registry *r, const struct repo_key *to, const char *digest);
