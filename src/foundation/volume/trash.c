#include "volume/agent.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The depth of a tree made by others has no bound, so there is no recursion: a directory inside a
 * directory is moved up beside it, under a name that nobody can have taken. */

struct sweep {
    int trash;
    unsigned budget;
    bool progress;
    struct err failed; /* the first thing that could not be removed */
};

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void note_failure(struct sweep *s, const char *name)
{
    if (errno != ENOENT && s->failed.kind == ERR_NONE) {
        err_sys(&s->failed, "remove %s", Q(str_of(name)));
    }
}

/* Returns a stream of the directory, or NULL with errno. */
static DIR *open_dir(int dir, const char *name)
{
    int fd = volume_open_beneath(dir, str_of(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                                 VOLUME_NO_LINKS);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (d == NULL && fd >= 0) {
        (void)close(fd);
    }
    return d;
}

/* unlink(2) of a directory is EISDIR on Linux, EPERM by POSIX. */
static bool remove_plain(int dir, const char *name)
{
    return unlinkat(dir, name, 0) == 0 ||
           ((errno == EISDIR || errno == EPERM) && unlinkat(dir, name, AT_REMOVEDIR) == 0);
}

static void move_up(struct sweep *s, int dir, const char *name)
{
    char up[24];

    random_name(up, 20);
    if (renameat2(dir, name, s->trash, up, RENAME_NOREPLACE) < 0) {
        note_failure(s, name);
    } else {
        s->progress = true;
    }
}

static void empty_one(struct sweep *s, const char *name)
{
    DIR *d = open_dir(s->trash, name);
    struct dirent *ent;

    if (d == NULL) {
        note_failure(s, name);
        return;
    }
    while (s->budget > 0 && (ent = readdir(d)) != NULL) {
        if (is_dots(ent->d_name)) {
            continue;
        }
        s->budget--;
        if (remove_plain(dirfd(d), ent->d_name)) {
            s->progress = true;
        } else if (errno == ENOTEMPTY) {
            move_up(s, dirfd(d), ent->d_name);
        } else {
            note_failure(s, ent->d_name);
        }
    }
    (void)closedir(d);
}

/* One pass over the trash. Returns how many entries it saw, or -1. */
static long pass(struct sweep *s, struct err *e)
{
    DIR *d = open_dir(s->trash, ".");
    struct dirent *ent;
    long seen = 0;

    if (d == NULL) {
        return err_sys(e, "open the trash");
    }
    while (s->budget > 0 && (ent = readdir(d)) != NULL) {
        if (is_dots(ent->d_name)) {
            continue;
        }
        seen++;
        s->budget--;
        if (!remove_plain(s->trash, ent->d_name)) {
            if (errno == ENOTEMPTY) {
                empty_one(s, ent->d_name);
            } else {
                note_failure(s, ent->d_name);
            }
            continue;
        }
        s->progress = true;
    }
    (void)closedir(d);
    return seen;
}

int volume_trash_sweep(int trash, unsigned budget, struct err *e)
{
    struct sweep s = {.trash = trash, .budget = budget};

    while (s.budget > 0) {
        long seen;

        s.progress = false;
        seen = pass(&s, e);
        if (seen < 0) {
            return -1;
        }
        if (seen == 0 && s.budget > 0) {
            return 0;
        }
        if (!s.progress && s.budget > 0) {
            if (s.failed.kind == ERR_NONE) {
                return err_set(e, ERR_CONFLICT, "the trash changes all the time");
            }
            *e = s.failed;
            return -1;
        }
    }
    return 1;
}
