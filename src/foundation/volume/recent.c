/* The files below the root of a volume that changed within a time, the newest ones. */
#include "base/clock.h"
#include "base/mem.h"
#include "volume/walk.h"

#include <stdlib.h>
#include <string.h>

struct recent {
    const struct volume_recent *q;
    struct volume_recent_found *out;
    int64_t deadline_ms; /* clock_mono_ms */
};

/* When it changed within the time: its bytes, or else its name, mode or place. 0: it did not. */
static int64_t changed_within(const struct volume_recent *q, const struct volume_file *f)
{
    if (f->modified_ns >= q->since_ns && f->modified_ns <= q->until_ns) {
        return f->modified_ns;
    }
    return f->changed_ns >= q->since_ns && f->changed_ns <= q->until_ns ? f->changed_ns : 0;
}

static bool is_older(const struct volume_recent_file *a, const struct volume_recent_file *b)
{
    return a->changed_ns != b->changed_ns ? a->changed_ns < b->changed_ns
                                          : strcmp(a->path, b->path) > 0;
}

static void swap(struct volume_recent_file *a, struct volume_recent_file *b)
{
    struct volume_recent_file t = *a;

    *a = *b;
    *b = t;
}

/* A heap with the oldest on top, so that it is the one to go. */
static void sift_down(struct volume_recent_found *out)
{
    for (size_t i = 0;;) {
        size_t top = i;

        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < out->n; child++) {
            top = is_older(&out->files[child], &out->files[top]) ? child : top;
        }
        if (top == i) {
            return;
        }
        swap(&out->files[i], &out->files[top]);
        i = top;
    }
}

static void sift_up(struct volume_recent_found *out)
{
    for (size_t i = out->n - 1; i > 0 && is_older(&out->files[i], &out->files[(i - 1) / 2]);
         i = (i - 1) / 2) {
        swap(&out->files[i], &out->files[(i - 1) / 2]);
    }
}

static void keep(struct recent *r, const struct volume_recent_file *one)
{
    struct volume_recent_found *out = r->out;
    struct volume_recent_file copy = *one;

    if (out->n == r->q->max && !is_older(&out->files[0], one)) {
        return;
    }
    copy.path = xstrdup(one->path);
    if (out->n < r->q->max) {
        out->files[out->n++] = copy;
        sift_up(out);
        return;
    }
    free(out->files[0].path);
    out->files[0] = copy;
    sift_down(out);
}

static int on_entry(void *ctx, struct str path, struct str rel UNUSED, const struct volume_file *f,
                    struct err *e UNUSED)
{
    struct recent *r = ctx;
    char text[LIMIT_VOLUME_PATH_BYTES + 1];
    struct volume_recent_file one = {.volume = r->q->volume,
                                     .path = text,
                                     .changed_ns = changed_within(r->q, f),
                                     .size_bytes = f->size_bytes,
                                     .is_link = f->type == VOLUME_LINK};

    if (r->out->looked_at >= LIMIT_RECENT_ENTRIES || clock_mono_ms() > r->deadline_ms) {
        r->out->is_partial = true;
        return 1;
    }
    r->out->looked_at++;
    if ((f->type == VOLUME_FILE || f->type == VOLUME_LINK) && one.changed_ns != 0 &&
        str_copy(path, text, sizeof(text)) == 0) {
        r->out->matched++;
        keep(r, &one);
    }
    return 0;
}

static void on_skipped(void *ctx, struct str rel UNUSED, const struct err *why)
{
    struct recent *r = ctx;

    r->out->is_partial = r->out->is_partial || why->kind != ERR_NOT_FOUND;
}

int volume_recent(struct volume_store *v, const struct volume_recent *q, const char *id,
                  struct volume_recent_found *out, struct err *e)
{
    static const struct volume_walk_ops ops = {.entry = on_entry, .skipped = on_skipped};
    struct recent r = {.q = q, .out = out, .deadline_ms = q->deadline_ms};
    struct volume_info i;

    if (volume_row_find(v, q->project_id, str_of(q->name), &i, e) < 0) {
        return -1;
    }
    if (strcmp(i.id, id) != 0) {
        return err_set(e, ERR_NOT_FOUND, "the volume \"%s\" is another one by now", q->name);
    }
    if (out->files == NULL) {
        out->files = xnew_array(struct volume_recent_file, q->max);
    }
    return volume_walk(v, &i, STR_EMPTY, &ops, &r, e) < 0 ? -1 : 0;
}

static int newest_first(const void *a, const void *b)
{
    return is_older(a, b) ? 1 : -1;
}

void volume_recent_sort(struct volume_recent_found *f)
{
    if (f->n > 0) {
        qsort(f->files, f->n, sizeof(f->files[0]), newest_first);
    }
}

void volume_recent_done(struct volume_recent_found *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->files[i].path);
    }
    free(f->files);
    *f = (struct volume_recent_found){0};
}
