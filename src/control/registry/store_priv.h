/* store_priv - shared by the files of the store: work inside a transaction. */
#pragma once
#include "registry_priv.h"
#include "state/state.h"
#include "store.h"

/* Of the project that has the name now: what a deleted one left is not found. ERR_NOT_FOUND,
 * NAME_UNKNOWN. */
int db_repository(struct state_db *db, struct str name, int64_t *id, const char **code,
                  struct err *e) MUST_USE;
/* ERR_NOT_FOUND when the project is gone or being deleted. */
int db_repository_make(struct state_db *db, const struct repo_key *key, int64_t *id,
                       struct err *e) MUST_USE;
/* Size of a blob of the repository, -1 when it has none of that digest. */
int db_blob_size(struct state_db *db, int64_t repository_id, const char *digest,
                 int64_t *size_bytes, struct err *e) MUST_USE;
