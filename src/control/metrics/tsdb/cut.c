#include "base/clock.h"
#include "base/fs.h"
#include "tsdb/checkpoint.h"
#include "tsdb/tsdb_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the head holds before some time becomes blocks, one for each span that has samples. Late
 * samples may be of many spans: past this many, spans are made wider. */
enum { SPANS_MAX = 64 };

struct cutting {
    struct tsdb *db;
    struct tsdb_view *view;
    int64_t end, span;
    size_t n;
    struct block_writer *writers[SPANS_MAX];
    int64_t starts[SPANS_MAX];
    struct series **series; /* in the order of their labels */
    uint32_t *late;         /* how many late samples of it were taken */
    size_t n_series;
    uint32_t filling; /* the file of the head that was written to when it began */
};

static int64_t align_down(int64_t ts, int64_t span)
{
    int64_t rest = ts % span;

    return ts - (rest < 0 ? rest + span : rest);
}

static int by_labels(const void *a, const void *b, void *ctx)
{
    struct pair *const *pages = ctx;
    const struct series *s = *(struct series *const *)a, *t = *(struct series *const *)b;

    for (size_t i = 0; i < s->n_pairs && i < t->n_pairs; i++) {
        const struct pair *p, *q;
        int r;

        if (s->pairs[i] == t->pairs[i]) {
            continue;
        }
        p = pair_at(pages, s->pairs[i]);
        q = pair_at(pages, t->pairs[i]);
        r = str_cmp(p->name, q->name);
        r = r != 0 ? r : str_cmp(p->value, q->value);
        if (r != 0) {
            return r;
        }
    }
    return s->n_pairs < t->n_pairs ? -1 : s->n_pairs > t->n_pairs;
}

/* From now on nothing older than `end` is put in as in order. */
static void collect(struct cutting *c)
{
    struct head *h = &c->db->head;
    struct pair **pages; /* stay where they are; their list grows meanwhile */
    size_t n_pages;

    lock_take(&c->db->head_lock);
    h->floor = c->end > h->floor ? c->end : h->floor;
    c->filling = c->db->chunks.files.p[c->db->chunks.files.len - 1]->number;
    c->series = xnew_array(struct series *, h->n_series + 1);
    for (uint32_t id = 0; (id = head_next_id(c->db, id)) != 0;) {
        struct series *s = head_series(c->db, id);

        if (s != NULL &&
            (s->first_ts < c->end || (s->first_ts == INT64_MAX && s->last_ts < c->end &&
                                      s->last_ts != INT64_MIN /* deleted */))) {
            c->series[c->n_series++] = s;
        }
    }
    n_pages = h->index->pages.len;
    pages = xnew_array(struct pair *, n_pages + 1);
    for (size_t i = 0; i < n_pages; i++) {
        pages[i] = h->index->pages.p[i];
    }
    lock_drop(&c->db->head_lock);
    c->late = xnew_array(uint32_t, c->n_series + 1);
    qsort_r(c->series, c->n_series, sizeof(struct series *), by_labels, pages);
    free(pages);
}

static uint32_t next_number(struct tsdb *db)
{
    return ++db->last_block;
}

static struct block_writer *writer_for(struct cutting *c, int64_t ts, struct err *e)
{
    int64_t start = align_down(ts, c->span);

    for (size_t i = 0; i < c->n; i++) {
        if (c->starts[i] == start) {
            return c->writers[i];
        }
    }
    if (c->n == SPANS_MAX) {
        err_set(e, ERR_LIMIT, "too many spans"); /* tried again with wider ones */
        return NULL;
    }
    c->writers[c->n] = block_writer_new(c->db->blocks_dir, next_number(c->db), e);
    if (c->writers[c->n] == NULL) {
        return NULL;
    }
    c->starts[c->n] = start;
    return c->writers[c->n++];
}

static int write_one(struct cutting *c, const struct series *s, const struct tsdb_samples *all,
                     struct arena *a, struct err *e)
{
    struct labels l;
    size_t from = 0;

    arena_reset(a);
    lock_take(&c->db->head_lock);
    l = head_labels(c->db->head.index, s, a);
    lock_drop(&c->db->head_lock);
    while (from < all->len) {
        int64_t stop = align_down(all->ts_ms[from], c->span) + c->span;
        struct block_writer *w = writer_for(c, all->ts_ms[from], e);
        size_t n = 1;

        while (from + n < all->len && all->ts_ms[from + n] < stop) {
            n++;
        }
        if (w == NULL || block_writer_add(w, l, all->ts_ms + from, all->v + from, n, e) < 0) {
            return -1;
        }
        from += n;
    }
    return 0;
}

static int write_all(struct cutting *c, struct err *e)
{
    struct tsdb_samples samples = {0};
    struct arena a = {0};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < c->n_series; i++) {
        c->late[i] = view_read_head(c->view, c->series[i], INT64_MIN, c->end - 1, &samples);
        rc = write_one(c, c->series[i], &samples, &a, e);
    }
    tsdb_samples_done(&samples);
    arena_done(&a);
    return rc;
}

static int publish(struct cutting *c, struct err *e)
{
    struct block_meta meta = {.floor = INT64_MIN};

    for (size_t i = 0; i < c->n; i++) {
        uint32_t number;
        struct block *b;

        number = block_writer_number(c->writers[i]);
        if (i + 1 == c->n) {
            meta.floor = c->end; /* only when all are there */
        }
        if (block_writer_finish(c->writers[i], &meta, e) < 0) {
            return -1;
        }
        b = block_open(c->db->blocks_dir, number, e);
        if (b == NULL) {
            return -1;
        }
        blocks_add(c->db, b);
    }
    return 0;
}

static void drop_writers(struct cutting *c)
{
    for (size_t i = 0; i < c->n; i++) {
        block_writer_free(c->writers[i]);
    }
    c->n = 0;
}

/* --- what is in blocks leaves the head --- */

/* Late samples that were taken go; head_lock held. */
static void drop_late(struct series *s, int64_t end, uint32_t taken)
{
    struct late *l = s->late;
    uint32_t kept = 0;

    if (l == NULL || s->late_appended != taken) {
        return; /* more have come: all are written again, and read once */
    }
    for (uint32_t i = 0; i < l->len; i++) {
        if (l->ts[i] >= end) {
            l->ts[kept] = l->ts[i];
            l->v[kept++] = l->v[i];
        }
    }
    l->len = kept;
    if (l->chunks_max < end) {
        s->late_chunks = 0;
        l->chunks_max = INT64_MIN;
    }
    if (l->len == 0 && s->late_chunks == 0) {
        free(s->late);
        s->late = NULL;
    }
}

static bool is_gone(const void *ctx, uint32_t id)
{
    return head_series((struct tsdb *)(uintptr_t)ctx, id) == NULL;
}

/* Leader, head_lock held. */
static void forget_series(struct cutting *c, bool followed)
{
    struct tsdb *db = c->db;
    struct head *h = &db->head;
    size_t gone = 0;

    for (size_t i = 0; i < c->n_series; i++) {
        struct series *s = c->series[i];

        drop_late(s, c->end, c->late[i]);
        if (s->late == NULL) {
            s->first_ts = s->first_ts < c->end ? c->end : s->first_ts;
        }
        if (s->late == NULL && s->last_ts < c->end) {
            h->dir->pages[s->id / SERIES_PER_PAGE]->at[s->id % SERIES_PER_PAGE] = NULL;
            id_table_del(&h->by_labels, s->hash, s->id);
            s->gone = true;
            if (followed) {
                wal_put_series(db, s, &db->gone);
            }
            h->n_series--;
            retire(db, NULL, s);
            gone++;
        }
    }
    for (uint32_t i = 1; gone > 0 && i <= h->index->n_pairs; i++) {
        pair_sweep(index_at(h->index, i), is_gone, db);
    }
    head_free_pages(db);
    db->forgotten += gone > 0;
}

static void narrow_head(struct tsdb *db)
{
    int64_t least = INT64_MAX;

    for (uint32_t id = 0; (id = head_next_id(db, id)) != 0;) {
        const struct series *s = head_series(db, id);

        least = s->first_ts < least ? s->first_ts : least;
    }
    db->head.min_ts = least;
    if (least == INT64_MAX) {
        db->head.max_ts = INT64_MIN;
    }
}

static void forget_deleted(struct tsdb *db)
{
    size_t kept = 0;

    for (size_t i = 0; i < db->deleted.len; i++) {
        const struct series *s = head_series(db, db->deleted.p[i].id);

        if (s != NULL && (s->late != NULL || db->deleted.p[i].to >= db->head.cut_end)) {
            db->deleted.p[kept++] = db->deleted.p[i];
        }
    }
    db->deleted.len = kept;
}

/* A new file, so that the old ones are soon of the past only. */
static int turn_file(struct tsdb *db, struct err *e)
{
    struct chunk_file *next;

    if (lead_write_chunks(db, 0, e) < 0) {
        return -1;
    }
    next = chunk_files_next(&db->chunks, db->chunks.files.p[db->chunks.files.len - 1]->number, e);
    if (next == NULL) {
        return -1;
    }
    lock_take(&db->head_lock);
    chunk_files_push(&db->chunks, next);
    lock_drop(&db->head_lock);
    return 0;
}

/* Files whose samples are all in blocks leave the list; they are removed after the checkpoint that
 * does not name them. What was written to since the cut began may hold late samples that came after
 * their series was read. */
static void drop_files(const struct cutting *c, struct ids *dropped)
{
    struct tsdb *db = c->db;
    size_t kept = 0;

    for (size_t i = 0; i < db->chunks.files.len; i++) {
        struct chunk_file *f = db->chunks.files.p[i];

        if (f->max_ts < c->end && f->number < c->filling) {
            ids_add(dropped, &f->number, 1);
            chunk_file_unref(f);
        } else {
            db->chunks.files.p[kept++] = f;
        }
    }
    db->chunks.files.len = kept;
}

static int shrink_head(struct cutting *c, struct err *e)
{
    SCOPED(ids_done) struct ids dropped = {0};
    struct tsdb *db = c->db;
    char name[16];
    bool followed;
    int rc;

    lead_begin(db);
    lock_take(&db->log);
    followed = db->followers.len > 0;
    lock_drop(&db->log);
    rc = turn_file(db, e);
    lock_take(&db->head_lock);
    db->head.cut_end = c->end > db->head.cut_end ? c->end : db->head.cut_end;
    forget_series(c, followed);
    narrow_head(db);
    forget_deleted(db);
    drop_files(c, &dropped);
    lock_drop(&db->head_lock);
    lead_end(db);
    if (rc < 0 || checkpoint_write(db, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < dropped.len; i++) {
        (void)snprintf(name, sizeof(name), "%08x", dropped.p[i]);
        (void)unlinkat(db->chunks.dir, name, 0);
    }
    return 0;
}

int head_cut(struct tsdb *db, int64_t end, struct err *e)
{
    struct cutting c = {.db = db, .end = end, .span = db->o.block_ms};
    int rc;

    c.view = tsdb_view_open(db, INT64_MIN, INT64_MAX);
    collect(&c);
    while ((rc = write_all(&c, e)) < 0 && e->kind == ERR_LIMIT && c.span < INT64_MAX / 4) {
        drop_writers(&c);
        c.span *= 2;
    }
    rc = rc < 0 || publish(&c, e) < 0 ? -1 : 0;
    drop_writers(&c);
    rc = rc < 0 ? -1 : shrink_head(&c, e);
    tsdb_view_close(c.view);
    free(c.series);
    free(c.late);
    return rc;
}

int head_cut_when_due(struct tsdb *db, bool *any, struct err *e)
{
    int64_t now = clock_wall_ms(), newest = db->head.max_ts, oldest = db->head.min_ts, end;

    *any = false;
    newest = newest < now ? newest : now; /* a clock that is ahead cuts nothing early */
    if (oldest == INT64_MAX || newest == INT64_MIN) {
        return 0;
    }
    end = align_down(newest - db->o.block_ms / 2, db->o.block_ms);
    if (end <= oldest) {
        return 0;
    }
    *any = true;
    return head_cut(db, end, e);
}
