#include "tsdb/tsdb_priv.h"

#include <string.h>

/* --- series by number --- */

struct series *head_series(struct tsdb *db, uint32_t id)
{
    struct series_dir *d = atomic_load_explicit(&db->head.dir, memory_order_acquire);

    struct series_page *page;

    if (id == 0 || d == NULL || id / SERIES_PER_PAGE >= d->n) {
        return NULL;
    }
    page = atomic_load_explicit(&d->pages[id / SERIES_PER_PAGE], memory_order_acquire);
    return page == NULL
               ? NULL
               : atomic_load_explicit(&page->at[id % SERIES_PER_PAGE], memory_order_acquire);
}

uint32_t head_next_id(struct tsdb *db, uint32_t after)
{
    struct series_dir *d = db->head.dir;

    for (uint64_t id = after + 1ULL; d != NULL && id / SERIES_PER_PAGE < d->n;) {
        const struct series_page *page = d->pages[id / SERIES_PER_PAGE];

        if (page == NULL) {
            id = (id / SERIES_PER_PAGE + 1) * SERIES_PER_PAGE;
        } else if (page->at[id % SERIES_PER_PAGE] != NULL) {
            return (uint32_t)id;
        } else {
            id++;
        }
    }
    return 0;
}

/* Pages without series; the last one is still filled. */
void head_free_pages(struct tsdb *db)
{
    struct series_dir *d = db->head.dir;

    for (uint32_t p = 0; d != NULL && p + 1 < d->n; p++) {
        bool any = false;

        for (uint32_t i = 0; d->pages[p] != NULL && i < SERIES_PER_PAGE && !any; i++) {
            any = d->pages[p]->at[i] != NULL;
        }
        if (d->pages[p] != NULL && !any) {
            retire(db, d->pages[p], NULL);
            atomic_store(&d->pages[p], NULL);
        }
    }
}

/* Readers may hold the old directory: it is retired, and pages are shared. */
static struct series_page *page_of(struct tsdb *db, uint32_t id)
{
    struct series_dir *d = atomic_load(&db->head.dir), *bigger;
    uint32_t page = id / SERIES_PER_PAGE, n = d == NULL ? 0 : d->n;

    if (page < n && d->pages[page] != NULL) {
        return d->pages[page];
    }
    n = page >= n ? page + 1 : n;
    bigger = xcalloc(1, sizeof(*bigger) + n * sizeof(bigger->pages[0]));
    if (d != NULL) {
        for (uint32_t i = 0; i < d->n; i++) {
            bigger->pages[i] = d->pages[i];
        }
    }
    bigger->n = n;
    bigger->pages[page] = xnew(struct series_page);
    atomic_store_explicit(&db->head.dir, bigger, memory_order_release);
    if (d != NULL) {
        retire(db, d, NULL);
    }
    return bigger->pages[page];
}

/* --- series by labels --- */

struct sought {
    struct tsdb *db;
    struct labels labels;
};

static bool is_sought(const void *ctx, uint32_t id)
{
    const struct sought *k = ctx;
    const struct series *s = head_series(k->db, id);

    if (s == NULL || s->n_pairs != k->labels.len) {
        return false;
    }
    for (size_t i = 0; i < s->n_pairs; i++) {
        const struct pair *p = index_at(k->db->head.index, s->pairs[i]);

        if (!str_eq(p->value, k->labels.p[i].value) || !str_eq(p->name, k->labels.p[i].name)) {
            return false;
        }
    }
    return true;
}

struct series *head_find(struct tsdb *db, struct labels l, uint64_t hash)
{
    struct sought k = {db, l};

    return head_series(db, id_table_find(&db->head.by_labels, hash, is_sought, &k));
}

void head_put_series(struct tsdb *db, struct series *s)
{
    struct head *h = &db->head;
    struct series_page *page = page_of(db, s->id);

    for (size_t i = 0; i < s->n_pairs; i++) {
        pair_add(index_at(h->index, s->pairs[i]), s->id);
    }
    id_table_add(&h->by_labels, s->hash, s->id);
    h->last_id = s->id > h->last_id ? s->id : h->last_id;
    h->n_series++;
    atomic_store_explicit(&page->at[s->id % SERIES_PER_PAGE], s, memory_order_release);
}

struct series *head_add(struct tsdb *db, uint32_t id, struct labels l, uint64_t hash)
{
    struct series *s = xcalloc(1, sizeof(*s) + l.len * sizeof(s->pairs[0]));

    s->id = id;
    s->hash = hash;
    s->last_ts = INT64_MIN;
    s->first_ts = INT64_MAX;
    s->n_pairs = (uint8_t)l.len;
    for (size_t i = 0; i < l.len; i++) {
        s->pairs[i] = index_intern(db->head.index, l.p[i].name, l.p[i].value);
    }
    head_put_series(db, s);
    return s;
}

struct labels head_labels(const struct index *x, const struct series *s, struct arena *a)
{
    struct labels l = {arena_new_array(a, struct label, s->n_pairs + 1U), s->n_pairs};

    for (size_t i = 0; i < l.len; i++) {
        const struct pair *p = index_at(x, s->pairs[i]);

        l.p[i] = (struct label){p->name, p->value};
    }
    return l;
}

/* --- runs --- */

static int64_t run_time(const struct series *s, size_t i)
{
    return s->t0 + (int64_t)(s->offsets != NULL ? s->offsets[i] : i * (uint64_t)s->step);
}

size_t run_copy(const struct series *s, int64_t *ts, double *v)
{
    for (size_t i = 0; i < s->len; i++) {
        ts[i] = run_time(s, i);
    }
    if (s->len > 0) {
        memcpy(v, s->v, s->len * sizeof(*v));
    }
    return s->len;
}

void head_flush_run(struct tsdb *db, struct series *s)
{
    int64_t ts[RUN_MAX];
    double v[RUN_MAX];
    size_t n = run_copy(s, ts, v);

    if (n > 0) {
        s->chunks = chunk_files_add(&db->chunks, s->id, s->chunks, ts, v, n);
    }
    free(s->offsets);
    s->offsets = NULL;
    s->len = 0;
}

static void make_irregular(struct series *s)
{
    s->offsets = xnew_array(uint32_t, RUN_MAX);
    for (size_t i = 0; i < s->len; i++) {
        s->offsets[i] = (uint32_t)(i * s->step);
    }
}

static void add_to_run(struct series *s, int64_t ts, double v)
{
    uint64_t offset;

    if (s->len == s->cap) {
        s->cap = s->cap == 0 ? 8 : (uint8_t)(s->cap * 2);
        s->v = xrealloc(s->v, s->cap * sizeof(*s->v));
    }
    if (s->len == 0) {
        s->t0 = ts;
        s->step = 0;
    }
    offset = (uint64_t)ts - (uint64_t)s->t0;
    if (s->len == 1 && s->offsets == NULL) {
        s->step = (uint32_t)offset;
    } else if (s->offsets == NULL && offset != s->len * (uint64_t)s->step) {
        make_irregular(s);
    }
    if (s->offsets != NULL) {
        s->offsets[s->len] = (uint32_t)offset;
    }
    s->v[s->len++] = v;
}

static void note_times(struct tsdb *db, struct series *s, int64_t ts)
{
    struct head *h = &db->head;

    s->first_ts = ts < s->first_ts ? ts : s->first_ts;
    if (ts < atomic_load_explicit(&h->min_ts, memory_order_relaxed)) {
        h->min_ts = ts;
    }
    if (ts > atomic_load_explicit(&h->max_ts, memory_order_relaxed)) {
        h->max_ts = ts;
    }
}

static void note_undo(struct tsdb *db, const struct series *s)
{
    if (db->n_views > 0) {
        *vec_push(&db->undo) = (struct undo){db->head.seq, s->id, s->appended};
    }
}

static void flush_late(struct tsdb *db, struct series *s)
{
    s->late_chunks =
        chunk_files_add(&db->chunks, s->id, s->late_chunks, s->late->ts, s->late->v, s->late->len);
    if (s->late->ts[s->late->len - 1] > s->late->chunks_max) {
        s->late->chunks_max = s->late->ts[s->late->len - 1];
    }
    s->late->len = 0;
}

bool head_append_late(struct tsdb *db, struct series *s, int64_t ts, double v)
{
    struct late *l = s->late;
    uint32_t at;

    if (l == NULL) {
        l = s->late = xnew(struct late);
        l->chunks_max = INT64_MIN;
    }
    for (at = l->len; at > 0 && l->ts[at - 1] >= ts; at--) {
        if (l->ts[at - 1] == ts) {
            return false;
        }
    }
    if (l->len == LATE_MAX) {
        flush_late(db, s);
        at = 0;
    }
    memmove(l->ts + at + 1, l->ts + at, (l->len - at) * sizeof(*l->ts));
    memmove(l->v + at + 1, l->v + at, (l->len - at) * sizeof(*l->v));
    l->ts[at] = ts;
    l->v[at] = v;
    l->len++;
    s->late_appended++;
    note_times(db, s, ts);
    return true;
}

bool head_append(struct tsdb *db, struct series *s, int64_t ts, double v)
{
    uint64_t bits;

    if (ts <= atomic_load_explicit(&s->last_ts, memory_order_relaxed)) {
        return false;
    }
    if (ts < atomic_load_explicit(&db->head.floor, memory_order_relaxed)) {
        return head_append_late(db, s, ts, v); /* blocks were cut since it was taken */
    }
    note_undo(db, s);
    if (s->len == RUN_MAX || (s->len > 0 && (uint64_t)ts - (uint64_t)s->t0 > UINT32_MAX)) {
        head_flush_run(db, s);
    }
    add_to_run(s, ts, v);
    s->appended++;
    memcpy(&bits, &v, sizeof(bits));
    atomic_store_explicit(&s->last_bits, bits, memory_order_relaxed);
    atomic_store_explicit(&s->last_ts, ts, memory_order_relaxed);
    note_times(db, s, ts);
    return true;
}

/* --- texts that no series has any more --- */

static void index_again(struct tsdb *db)
{
    struct index *old = db->head.index, *x = index_new();

    for (uint32_t id = 0; (id = head_next_id(db, id)) != 0;) {
        struct series *s = head_series(db, id);

        for (size_t i = 0; s != NULL && i < s->n_pairs; i++) {
            const struct pair *p = index_at(old, s->pairs[i]);

            s->pairs[i] = index_intern(x, p->name, p->value);
            pair_add(index_at(x, s->pairs[i]), id);
        }
    }
    db->head.index = x;
    index_unref(old);
}

void head_drop_texts(struct tsdb *db)
{
    const struct index *x = db->head.index;
    uint32_t dead = 0;

    WITH_LOCK(&db->head_lock);
    if (db->indexed_at == db->forgotten || !list_empty(&db->users)) {
        return; /* somebody may look at pairs by their number */
    }
    db->indexed_at = db->forgotten;
    for (uint32_t i = 1; i <= x->n_pairs; i++) {
        dead += index_at(x, i)->len == 0;
    }
    if (dead > x->n_pairs / 2) {
        index_again(db);
    }
}

/* --- all of it --- */

void head_init(struct head *h)
{
    h->index = index_new();
    h->min_ts = INT64_MAX;
    h->max_ts = INT64_MIN;
    h->floor = h->cut_end = INT64_MIN;
}

void head_done(struct tsdb *db)
{
    struct head *h = &db->head;
    struct series_dir *d = h->dir;

    for (uint32_t p = 0; d != NULL && p < d->n; p++) {
        for (uint32_t i = 0; d->pages[p] != NULL && i < SERIES_PER_PAGE; i++) {
            if (d->pages[p]->at[i] != NULL) {
                series_free(d->pages[p]->at[i]);
            }
        }
        free(d->pages[p]);
    }
    free(d);
    id_table_done(&h->by_labels);
    index_unref(h->index);
}
