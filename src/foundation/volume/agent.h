/* agent - the files agent: one confined process per volume in use, which does every operation on a
 * path inside it.
 *
 *   server -> packet (agent_wire.h) -> volume_agent_serve -> agent_files.c | agent_list.c |
 *   agent_walk.c | agent_uploads.c -> openat2(2) from the root fd -> answer, some with an open fd
 *
 * One thread, no memory that grows with what is in the volume. It never reads or writes the bytes
 * of a file: the server does, through the fd. Everything that is in the volume is hostile
 * (containers write there at the same time): links, fifos, devices, directories that change while
 * we walk them.
 */
#pragma once
#include "volume/agent_wire.h"
#include "volume/path.h"

#include <dirent.h>
#include <sys/stat.h>

#define VOLUME_DEPTH_MAX 128 /* directories inside each other that are counted */

/* A walk that goes on over several requests (USAGE). */
struct volume_walk {
    DIR *stack[VOLUME_DEPTH_MAX];
    size_t depth;
    uint64_t files, bytes;
    unsigned flags; /* VOLUME_PARTIAL */
};

struct volume_agent {
    int root; /* fd of the volume's root directory */
    dev_t root_dev;
    ino_t root_inode;
    struct volume_walk walk;
};

/* Serves requests from `sock` until the other end closes it. The first packet sent is a reply:
 * ready or why not. `root` and `sock` stay the caller's. */
int volume_agent_serve(int sock, int root, struct err *e) MUST_USE;

/* --- agent_path.c: from a path to a descriptor that is surely inside --- */

enum volume_follow { VOLUME_FOLLOW, VOLUME_NO_LINKS };

/* openat2 beneath `dir`, never through magic links or onto another mount; "" is the directory
 * itself. With VOLUME_NO_LINKS no component may be a link. -1 and errno. */
int volume_open_beneath(int dir, struct str path, int flags, mode_t mode,
                        enum volume_follow follow);

/* Where the last component of a path lives. */
struct volume_place {
    int dir; /* readable, so that it can be synced */
    char name[256];
};
enum volume_parents { VOLUME_PARENTS_MUST_EXIST, VOLUME_PARENTS_MADE };
int volume_place_open(const struct volume_agent *a, struct str path, enum volume_parents parents,
                      struct volume_place *out, struct err *e) MUST_USE;
/* Whether it is VOLUME_STUDIO or lies in it, whatever links led there. */
bool volume_place_is_kept(const struct volume_agent *a, const struct volume_place *p);
void volume_place_done(struct volume_place *p);

/* Takes over `fd`, which may be -1. NULL with errno. */
DIR *volume_dir_of(int fd);
/* Whether a directory's entry of that name is for others to see. */
bool volume_entry_shown(const struct volume_agent *a, const struct stat *dir, const char *name);
/* False: the packet is full. */
bool volume_row_fits(const struct buf *rows, struct str name);
/* errno of an operation on `path`, as a sentence for the user. Returns -1. */
int volume_path_error(struct err *e, const char *verb, struct str path);
/* What is done in a directory becomes durable, unless the request spares that. */
int volume_sync_dir(int dir, const struct volume_request *q, struct err *e) MUST_USE;
void volume_file_of(const struct stat *st, struct volume_file *out);

/* --- operations: fill *reply, and *fd where there is one --- */
int volume_op_open_read(struct volume_agent *a, const struct volume_request *q,
                        struct volume_reply *reply, int *fd, struct err *e) MUST_USE;
int volume_op_stat(struct volume_agent *a, const struct volume_request *q,
                   struct volume_reply *reply, struct err *e) MUST_USE;
int volume_op_make_dir(struct volume_agent *a, const struct volume_request *q,
                       struct volume_reply *reply, struct err *e) MUST_USE;
int volume_op_rename(struct volume_agent *a, const struct volume_request *q,
                     struct err *e) MUST_USE;
int volume_op_remove(struct volume_agent *a, const struct volume_request *q,
                     struct volume_reply *reply, struct err *e) MUST_USE;
/* `rows` receives the rows; reply->rows borrows from it. */
int volume_op_list(struct volume_agent *a, const struct volume_request *q, struct buf *rows,
                   struct volume_reply *reply, struct err *e) MUST_USE;
int volume_op_read_dir(struct volume_agent *a, const struct volume_request *q, struct buf *rows,
                       struct volume_reply *reply, struct err *e) MUST_USE;
int volume_op_read_link(struct volume_agent *a, const struct volume_request *q, struct buf *rows,
                        struct volume_reply *reply, struct err *e) MUST_USE;
int volume_op_usage(struct volume_agent *a, struct volume_reply *reply, struct err *e) MUST_USE;
void volume_walk_done(struct volume_walk *w);
int volume_op_upload_open(struct volume_agent *a, const struct volume_request *q,
                          struct volume_reply *reply, int *fd, struct err *e) MUST_USE;
int volume_op_upload_commit(struct volume_agent *a, const struct volume_request *q,
                            struct volume_reply *reply, struct err *e) MUST_USE;
int volume_op_upload_drop(struct volume_agent *a, const struct volume_request *q,
                          struct err *e) MUST_USE;
int volume_op_sweep_uploads(struct volume_agent *a, const struct volume_request *q,
                            struct volume_reply *reply, struct err *e) MUST_USE;
int volume_op_sweep_trash(struct volume_agent *a, struct volume_reply *reply,
                          struct err *e) MUST_USE;

/* Makes VOLUME_HIDDEN and what is in it, 0700; being there already is success. `owner` is used
 * where the caller is not the owner himself (the helper). */
int volume_hidden_make(int root, uid_t owner, struct err *e) MUST_USE;

/* --- trash.c, also used by the helper --- */

/* Removes what is in the directory `trash`, at most `budget` entries of it. 1: there is more; 0:
 * empty. -1: something cannot be removed (all else is). Follows no link, crosses no mount, needs no
 * memory for depth. */
int volume_trash_sweep(int trash, unsigned budget, struct err *e) MUST_USE;
