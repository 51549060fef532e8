/* agent_wire - the messages between the server and a files agent: one packet each way on a
 * SOCK_SEQPACKET pair, one request at a time, a descriptor beside some answers.
 *
 * Every request has the same seven fields and every reply the same form, so that there is one codec
 * to check. Format: docs/formats/volume.md. The two ends are the same program, so no versions. */
#pragma once
#include "helper/helper.h"

#define VOLUME_PACKET_MAX (64 * 1024) /* fits the default socket buffer several times */

/* X(NAME) - fields used are in brackets. */
#define VOLUME_AGENT_OPS(X)                                                                        \
    X(OPEN_READ)     /* [path, NO_LINKS] -> fd of a regular file, file */                          \
    X(STAT)          /* [path] -> file; a link at the end is not followed */                       \
    X(LIST)          /* [path, other = after this name, number = rows, BY_*, DESC, key = of that   \
                      * name, words = filter] -> rows, MORE */                                     \
    X(MAKE_DIR)      /* [path] with parents -> CREATED */                                          \
    X(RENAME)        /* [path, other, REPLACE, OF_USER] */                                         \
    X(REMOVE)        /* [path, RECURSIVE, UNSYNCED] -> MORE: the rest is in the trash */           \
    X(UPLOAD_OPEN)   /* [other = upload name, CREATE] -> fd read-write, file */                    \
    X(UPLOAD_COMMIT) /* [path, other, number = inode, size_bytes, OF_USER] -> CREATED; again is    \
                        success */                                                                 \
    X(UPLOAD_DROP)   /* [other] */                                                                 \
    X(SWEEP_UPLOADS) /* [number = ms since 1970: older ones go] -> first = removed, second = left  \
                      */                                                                           \
    X(SWEEP_TRASH)   /* -> MORE */                                                                 \
    X(USAGE)         /* -> first = files, second = bytes, MORE: call again, PARTIAL: too deep */   \
    X(READ_DIR)  /* [path, number = where to go on, ONLY_DIRS] -> rows as they come: what is no    \
                  * directory, or the next directory; first = where to go on, second =             \
                  * directories seen, MORE. Follows no link. */                                    \
    X(READ_LINK) /* [path] -> rows = what the link says */
#define VOLUME_AGENT_OP_ENUM(name) VOLUME_AGENT_##name,
enum volume_agent_op { VOLUME_AGENT_OPS(VOLUME_AGENT_OP_ENUM) VOLUME_AGENT_OP_COUNT };

enum volume_agent_flag {
    VOLUME_REPLACE = 1,
    VOLUME_RECURSIVE = 2,
    VOLUME_CREATE = 4,
    VOLUME_MORE = 8,
    VOLUME_CREATED = 16,
    VOLUME_PARTIAL = 32,
    VOLUME_NO_FOLLOW = 64, /* no link anywhere in the path */
    VOLUME_ONLY_DIRS = 128,
    VOLUME_BY_SIZE = 256, /* else by name */
    VOLUME_BY_TIME = 512,
    VOLUME_DESC = 1024,
    VOLUME_OF_USER = 2048,  /* leaves VOLUME_STUDIO alone */
    VOLUME_UNSYNCED = 4096, /* harms nobody when a power cut undoes it */
    VOLUME_FLAGS = 8191
};

struct volume_request {
    enum volume_agent_op op;
    unsigned flags;
    uint64_t number;
    struct str path, other; /* borrowed */
    uint64_t size_bytes;
    int64_t key;
    struct str words; /* borrowed; base/words.h */
};

enum volume_file_type { VOLUME_FILE, VOLUME_DIR, VOLUME_LINK, VOLUME_OTHER, VOLUME_FILE_TYPES };

struct volume_file {
    enum volume_file_type type;
    uint64_t size_bytes, inode;
    int64_t modified_ns, changed_ns;
    unsigned mode; /* permission bits, 07777 */
};

struct volume_reply {
    struct err err; /* kind ERR_NONE: it worked, and the rest is filled */
    unsigned flags;
    uint64_t first, second;
    struct volume_file file;
    struct str rows; /* volume_row_next; borrows from the packet */
};

struct volume_row {
    struct str name;
    struct volume_file file;
};

void volume_request_put(struct buf *b, const struct volume_request *q);
/* Checks every field by itself: known operation and flags, paths as volume_path_check wants them,
 * upload names, no bytes left over. What an operation does not use must be empty. */
int volume_request_get(struct str packet, struct volume_request *q, struct err *e) MUST_USE;

void volume_reply_put(struct buf *b, const struct volume_reply *a);
int volume_reply_get(struct str packet, struct volume_reply *a, struct err *e) MUST_USE;

void volume_row_put(struct buf *b, const struct volume_row *row);
/* 1: a row. 0: that was all. -1: not what an agent sends. */
int volume_row_next(struct str *rows, struct volume_row *row, struct err *e);

/* One packet with at most one descriptor (-1: none), which stays the caller's. -1: the other end is
 * gone (ERR_UNAVAILABLE). */
int volume_packet_send(int sock, struct str packet, int fd, struct err *e) MUST_USE;
/* Into `b`, which is cleared first. 1: a packet; 0: the other end closed; -1: an error. *fd is
 * the caller's, or -1. */
int volume_packet_receive(int sock, struct buf *b, int *fd, struct err *e) MUST_USE;
