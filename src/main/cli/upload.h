/* upload - files from this machine into a volume.
 *
 *   data put FILE   -> upload_file
 *   data put FOLDER -> upload_folder: what is there already is passed over, so that it goes on when
 *                      it is run again */
#pragma once
#include "main/cli/cli.h"

struct upload {
    struct cli *c;
    const char *url; /* kept by the caller, as the meter */
    int fd;
    int64_t size;
    char id[25];
    bool is_known;                    /* the id is that of an earlier try, perhaps */
    bool began;                       /* the server has taken bytes: worth waiting for */
    struct meter *meter;              /* of this file alone, or of many: */
    int64_t whole_bytes;              /* of all */
    int64_t sent_bytes, spared_bytes; /* of those before: over the line, or there already */
    int64_t offset;                   /* what was there of this one */
};
/* A connection that breaks is taken up again where the server stopped. */
int upload_file(struct upload *u, json_t **out, struct err *e) MUST_USE;
/* All files below `local`, to `path` in the volume. Appends what was sent to `all`. Links are not
 * followed, and said. */
int upload_folder(struct cli *c, const char *local, const char *volume, const char *path,
                  json_t *all, struct err *e) MUST_USE;
