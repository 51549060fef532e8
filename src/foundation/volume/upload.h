/* upload - bytes of a request into a file of a volume: whole, or in parts that may come days apart.
 *
 *   PUT -> hidden temporary file (opened by the agent) <- read, hash, write in this thread
 *       -> digest right? -> fdatasync -> agent renames it onto its path and syncs the directory
 *
 * Flat memory: one block. A whole PUT that fails leaves nothing; a part that fails leaves what had
 * come, and the next one goes on from there. docs/formats/volume.md. */
#pragma once
#include "volume/store.h"

struct http_req;

/* PUT .../files/{path...}; answers. `path` is checked. */
int volume_upload_put(struct volume_store *v, const struct volume_info *i, struct str path,
                      struct http_req *r, struct err *e) MUST_USE;
/* How far the upload `id` to `path` is; 0 when there is none. */
int volume_upload_offset(struct volume_store *v, const struct volume_info *i, struct str path,
                         struct str id, int64_t *offset, struct err *e) MUST_USE;
int volume_upload_drop(struct volume_store *v, const struct volume_info *i, struct str path,
                       struct str id, struct err *e) MUST_USE;
