/* archive_http - a folder as a tar: GET .../archive/{path...}. */
#pragma once
#include "net/http.h"
#include "volume/store.h"

/* Answers with everything below the folder, or an error. */
int volume_archive_send(struct volume_store *v, const struct volume_info *i, struct str folder,
                        struct http_req *r, struct err *e);
