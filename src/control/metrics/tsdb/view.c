#include "tsdb/choose.h"
#include "tsdb/tsdb_priv.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

/* Where a series is in a block; those of one series are chained by number, from 1. */
struct block_ref {
    uint32_t block, series, next;
};

/* A series that was found: where its samples are. */
struct found_series {
    struct series *head;  /* NULL: only in blocks */
    uint32_t appended;    /* what of it the view sees */
    uint32_t first, last; /* block_ref; 0: none */
};

/* A run in the scratch space. */
struct part {
    size_t start, len;
};

struct view_block {
    struct block *b;
    struct block_index *index; /* NULL: not asked for yet, or it cannot be read */
    bool failed;
    struct block_cursor at;
};

struct tsdb_view {
    struct tsdb *db;
    struct user user;
    struct choose_patience patience;
    int64_t from_ms, to_ms;
    int64_t cut_end; /* of the head when it began */
    struct index *index;
    VEC(struct chunk_file *) files;
    VEC(struct view_block) blocks; /* by time */
    VEC(struct found_series) found;
    VEC(struct block_ref) refs;
    VEC(struct deleted_range) deleted; /* of the series that is read */
    struct tsdb_samples scratch;
    VEC(struct part) parts; /* of it */
};

struct tsdb_view *tsdb_view_open(struct tsdb *db, int64_t from_ms, int64_t to_ms)
{
    struct tsdb_view *v = xnew(struct tsdb_view);

    v->db = db;
    v->from_ms = from_ms;
    v->to_ms = to_ms;
    v->user.is_view = true;
    WITH_LOCK(&db->head_lock);
    users_enter(db, &v->user);
    v->cut_end = db->head.cut_end;
    v->index = index_ref(db->head.index);
    for (size_t i = 0; i < db->chunks.files.len; i++) {
        *vec_push(&v->files) = db->chunks.files.p[i];
        db->chunks.files.p[i]->refs++;
    }
    for (size_t i = 0; i < db->blocks.len; i++) {
        struct block *b = db->blocks.p[i];

        if (b->meta.min_ts <= to_ms && b->meta.max_ts > from_ms) {
            b->refs++;
            *vec_push(&v->blocks) = (struct view_block){.b = b};
        }
    }
    return v;
}

int64_t tsdb_view_window_ms(const struct tsdb_view *v)
{
    int64_t widest = 0;

    for (size_t i = 0; i < v->blocks.len; i++) {
        int64_t w = v->blocks.p[i].b->meta.window_ms;

        widest = w > widest ? w : widest;
    }
    return widest;
}

int64_t tsdb_view_window_at(const struct tsdb_view *v, int64_t ts_ms)
{
    int64_t widest = 0;

    for (size_t i = 0; i < v->blocks.len; i++) {
        const struct block *b = v->blocks.p[i].b;
        int64_t w = b->meta.window_ms;

        if (w > widest && ts_ms >= b->meta.min_ts && ts_ms - w <= b->meta.max_ts) {
            widest = w;
        }
    }
    return widest;
}

void tsdb_view_heed(struct tsdb_view *v, bool (*is_over)(void *ctx), void *ctx)
{
    v->patience = (struct choose_patience){is_over, ctx};
}

void tsdb_view_selected(struct tsdb_view *v)
{
    WITH_LOCK(&v->db->head_lock);
    users_want_no_past(v->db, &v->user);
}

void tsdb_view_close(struct tsdb_view *v)
{
    if (v == NULL) {
        return;
    }
    lock_take(&v->db->head_lock);
    users_leave(v->db, &v->user);
    lock_drop(&v->db->head_lock);
    for (size_t i = 0; i < v->files.len; i++) {
        chunk_file_unref(v->files.p[i]);
    }
    for (size_t i = 0; i < v->blocks.len; i++) {
        block_cursor_done(&v->blocks.p[i].at);
        block_index_unref(v->blocks.p[i].index);
        block_unref(v->blocks.p[i].b);
    }
    vec_done(&v->files);
    vec_done(&v->blocks);
    vec_done(&v->found);
    vec_done(&v->refs);
    vec_done(&v->deleted);
    index_unref(v->index);
    tsdb_samples_done(&v->scratch);
    vec_done(&v->parts);
    free(v);
}

void tsdb_samples_done(struct tsdb_samples *s)
{
    free(s->ts_ms);
    free(s->v);
    *s = (struct tsdb_samples){0};
}

/* --- the index of the head as choose_series() wants it --- */

static uint32_t head_pair(void *ctx, struct str name, struct str value)
{
    struct tsdb_view *v = ctx;

    WITH_LOCK(&v->db->head_lock);
    return index_find(v->index, name, value);
}

static void head_values(void *ctx, struct str name, struct index_values *out)
{
    struct tsdb_view *v = ctx;
    const struct index_name *n;

    WITH_LOCK(&v->db->head_lock);
    n = map_get(&v->index->names, name);
    for (size_t i = 0; n != NULL && i < n->pairs.len; i++) {
        const struct pair *p = index_at(v->index, n->pairs.p[i]);

        if (p->len > 0) {
            *vec_push(out) = (struct index_value){p->value, n->pairs.p[i]};
        }
    }
}

static int head_series_of(void *ctx, uint32_t pair, struct ids *out, struct err *e UNUSED)
{
    struct tsdb_view *v = ctx;
    const struct pair *p;

    WITH_LOCK(&v->db->head_lock);
    p = index_at(v->index, pair);
    ids_add(out, pair_ids(p), p->len);
    return 0;
}

static void head_all(void *ctx, struct ids *out)
{
    struct tsdb_view *v = ctx;

    WITH_LOCK(&v->db->head_lock);
    for (uint32_t id = 0; (id = head_next_id(v->db, id)) != 0;) {
        ids_add(out, &id, 1);
    }
}

static const struct index_ops head_ops = {head_pair, head_values, head_series_of, head_all};

/* --- what the view sees of a series --- */

static int by_id_then_seq(const void *a, const void *b)
{
    const struct undo *x = a, *y = b;

    return x->id != y->id ? (x->id < y->id ? -1 : 1) : x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* A copy of the changes after the view began, the first of each series first. head_lock held. */
static size_t changes_since(const struct tsdb *db, uint64_t seq, struct undo **out)
{
    size_t first = db->undo.len, kept = 0;
    struct undo *u;

    while (first > 0 && db->undo.p[first - 1].seq > seq) {
        first--;
    }
    u = xnew_array(struct undo, db->undo.len - first + 1);
    if (db->undo.len > first) {
        memcpy(u, db->undo.p + first, (db->undo.len - first) * sizeof(*u));
        qsort(u, db->undo.len - first, sizeof(*u), by_id_then_seq);
    }
    for (size_t i = 0; i < db->undo.len - first; i++) {
        if (kept == 0 || u[kept - 1].id != u[i].id) {
            u[kept++] = u[i];
        }
    }
    *out = u;
    return kept;
}

static int by_id(const void *key, const void *entry)
{
    uint32_t id = *(const uint32_t *)key, other = ((const struct undo *)entry)->id;

    return id < other ? -1 : id > other;
}

static bool is_seen(const struct tsdb_view *v, const struct series *s, uint32_t appended)
{
    return s->first_ts <= v->to_ms &&
           (atomic_load_explicit(&s->last_ts, memory_order_relaxed) > v->from_ms ||
            s->late != NULL) &&
           s->first_ts != INT64_MAX && (appended > 0 || s->late != NULL);
}

/* Chosen series that have something for the view. */
static void find_in_head(struct tsdb_view *v, const struct ids *chosen, struct arena *a,
                         struct tsdb_found *out, size_t *len)
{
    struct tsdb *db = v->db;
    struct undo *undo;
    size_t n_undo;

    WITH_LOCK(&db->head_lock);
    n_undo = changes_since(db, v->user.seq, &undo);
    for (size_t i = 0; i < chosen->len; i++) {
        struct series *s = head_series(db, chosen->p[i]);
        const struct undo *u =
            s == NULL || n_undo == 0 ? NULL : bsearch(&s->id, undo, n_undo, sizeof(*u), by_id);

        if (s == NULL || !is_seen(v, s, u != NULL ? u->appended : s->appended)) {
            continue;
        }
        out[*len] = (struct tsdb_found){head_labels(v->index, s, a), v->found.len};
        *vec_push(&v->found) =
            (struct found_series){.head = s, .appended = u != NULL ? u->appended : s->appended};
        (*len)++;
    }
    free(undo);
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(((const struct tsdb_found *)a)->labels,
                      ((const struct tsdb_found *)b)->labels);
}

int view_choose_head(struct tsdb_view *v, const struct label_matcher *m, size_t n, struct ids *out,
                     struct err *e)
{
    return choose_series(&head_ops, v, v->patience, m, n, out, e);
}

static int select_head(struct tsdb_view *v, const struct label_matcher *m, size_t n,
                       struct arena *a, struct tsdb_found **out, size_t *len, struct err *e)
{
    struct ids chosen = {0};

    *len = 0;
    if (choose_series(&head_ops, v, v->patience, m, n, &chosen, e) < 0) {
        ids_done(&chosen);
        return -1;
    }
    *out = arena_new_array(a, struct tsdb_found, chosen.len + 1);
    find_in_head(v, &chosen, a, *out, len);
    ids_done(&chosen);
    qsort(*out, *len, sizeof(**out), by_labels);
    return 0;
}

/* --- what blocks have --- */

static void note_damage(struct tsdb *db, uint64_t places)
{
    WITH_LOCK(&db->head_lock);
    db->status.damaged += places;
}

/* Of a block it is said once. */
static void note_damaged_block(struct tsdb *db, struct block *b, const char *why)
{
    bool first;

    lock_take(&db->head_lock);
    first = !b->reported;
    b->reported = true;
    db->status.damaged += first;
    lock_drop(&db->head_lock);
    if (first) {
        log_error("metrics.block", "block=%08x error=%s", b->number, why);
    }
}

static struct block_index *known_index(struct tsdb *db, struct block *b)
{
    WITH_LOCK(&db->head_lock);
    if (b->index != NULL) {
        b->index->refs++;
    }
    b->used_mono_ms = clock_mono_ms();
    return b->index;
}

/* NULL: it cannot be read, which is noted; the rest is served. */
static struct block_index *index_of(struct tsdb_view *v, struct view_block *vb)
{
    struct err e;

    if (vb->index != NULL || vb->failed) {
        return vb->index;
    }
    vb->index = known_index(v->db, vb->b);
    if (vb->index != NULL) {
        return vb->index;
    }
    vb->index = block_index_load(vb->b, &e);
    if (vb->index == NULL) {
        vb->failed = true;
        note_damaged_block(v->db, vb->b, e.msg);
        return NULL;
    }
    WITH_LOCK(&v->db->head_lock);
    if (vb->b->index == NULL) {
        vb->b->index = vb->index;
        vb->index->refs++;
    }
    return vb->index;
}

/* Puts the series of a block, which are in the order of labels, among those that were found. */
static void merge_block(struct tsdb_view *v, uint32_t block, const struct ids *chosen,
                        struct arena *a, struct tsdb_found **found, size_t *len)
{
    const struct block *b = v->blocks.p[block].b;
    const struct block_index *x = v->blocks.p[block].index;
    struct tsdb_found *merged = arena_new_array(a, struct tsdb_found, *len + chosen->len + 1);
    size_t i = 0, n = 0;

    for (size_t k = 0; k < chosen->len; k++) {
        uint32_t series = chosen->p[k], ref;
        struct labels l;
        struct found_series *f;

        if (!block_has(b, x, series, v->from_ms, v->to_ms)) {
            continue;
        }
        l = block_labels(x, series, a);
        while (i < *len && labels_cmp((*found)[i].labels, l) < 0) {
            merged[n++] = (*found)[i++];
        }
        if (i == *len || labels_cmp((*found)[i].labels, l) != 0) {
            merged[n++] = (struct tsdb_found){l, v->found.len};
            *vec_push(&v->found) = (struct found_series){0};
        } else {
            merged[n++] = (*found)[i++];
        }
        *vec_push(&v->refs) = (struct block_ref){block, series, 0};
        ref = (uint32_t)v->refs.len;
        f = &v->found.p[merged[n - 1].id];
        if (f->first == 0) {
            f->first = ref;
        } else {
            v->refs.p[f->last - 1].next = ref;
        }
        f->last = ref;
    }
    while (i < *len) {
        merged[n++] = (*found)[i++];
    }
    *found = merged;
    *len = n;
}

int tsdb_select(struct tsdb_view *v, const struct label_matcher *m, size_t n, struct arena *a,
                struct tsdb_found **out, size_t *len, struct err *e)
{
    struct tsdb_found *found = NULL;
    size_t n_found = 0;

    if (select_head(v, m, n, a, &found, &n_found, e) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < v->blocks.len; i++) {
        SCOPED(ids_done) struct ids chosen = {0};
        struct block_index *x = index_of(v, &v->blocks.p[i]);

        if (x == NULL) {
            continue;
        }
        if (choose_series(&block_ops, x, v->patience, m, n, &chosen, e) < 0) {
            return -1;
        }
        if (chosen.len > 0) {
            merge_block(v, i, &chosen, a, &found, &n_found);
        }
    }
    *out = found;
    *len = n_found;
    return 0;
}

/* --- samples --- */

static struct chunk_file *file_of(struct tsdb_view *v, uint32_t number)
{
    struct chunk_file *f = NULL;

    for (size_t i = 0; i < v->files.len; i++) {
        if (v->files.p[i]->number == number) {
            return v->files.p[i];
        }
    }
    WITH_LOCK(&v->db->head_lock);
    for (size_t i = 0; i < v->db->chunks.files.len; i++) {
        if (v->db->chunks.files.p[i]->number == number) {
            f = v->db->chunks.files.p[i];
            f->refs++;
            *vec_push(&v->files) = f;
        }
    }
    return f;
}

/* 1: read. 0: its file is gone, and what it held is in blocks. */
static int read_chunk(struct tsdb_view *v, uint64_t at, char *room, struct chunk *c, struct err *e)
{
    struct chunk_file *f;
    struct str bytes;

    lock_take(&v->db->head_lock);
    bytes = str_first(chunk_files_in_memory(&v->db->chunks, at), CHUNK_MAX_BYTES);
    if (bytes.len > 0) {
        memcpy(room, bytes.p, bytes.len);
        bytes.p = room;
    }
    lock_drop(&v->db->head_lock);
    if (bytes.len == 0) {
        f = file_of(v, chunk_file_of(at));
        if (f == NULL) {
            return 0;
        }
        if (chunk_file_read(f, at, room, &bytes, e) < 0) {
            return -1;
        }
    }
    return chunk_parse(bytes, c, e) < 0 ? -1 : 1;
}

/* Where the chain goes on behind a damaged chunk. Of late chunks and others one is as good as the
 * other: each time is read once. */
static uint64_t mend_chain(struct tsdb_view *v, uint32_t series, uint64_t at)
{
    uint64_t offset = at & UINT32_MAX, found = 0;

    for (uint32_t number = chunk_file_of(at); number > 0 && found == 0; number--) {
        const struct chunk_file *f = file_of(v, number);

        if (f == NULL) {
            break; /* what was there is in blocks */
        }
        found = chunk_file_find(f, series, offset);
        offset = UINT64_MAX;
    }
    return found;
}

/* The chunks of a chain that reach behind `from_ms` and begin up to `to_ms`, newest first, into the
 * scratch space. */
static void gather_chain(struct tsdb_view *v, const struct series *s, uint64_t at, int64_t from_ms,
                         int64_t to_ms, uint32_t hidden)
{
    char room[CHUNK_MAX_BYTES];
    struct tsdb_samples *out = &v->scratch;
    struct chunk c;
    struct err e;

    while (at != 0) {
        int rc = read_chunk(v, at, room, &c, &e);

        if (rc == 0) {
            return;
        }
        samples_reserve(out, CHUNK_SAMPLES);
        if (rc < 0 || c.series != s->id || c.before >= at ||
            (c.min_ts <= to_ms &&
             chunk_decode(&c, out->ts_ms + out->len, out->v + out->len, &e) < 0)) {
            note_damage(v->db, 1);
            at = mend_chain(v, s->id, at);
            continue;
        }
        if (c.max_ts <= from_ms) {
            return;
        }
        at = c.before;
        if (hidden >= c.n) {
            hidden -= (uint32_t)c.n;
            continue;
        }
        if (c.min_ts <= to_ms) {
            *vec_push(&v->parts) = (struct part){out->len, c.n - hidden};
            out->len += c.n;
        }
        hidden = 0;
    }
}

static bool is_deleted(const struct tsdb_view *v, int64_t ts)
{
    for (size_t i = 0; i < v->deleted.len; i++) {
        if (ts >= v->deleted.p[i].from && ts <= v->deleted.p[i].to) {
            return true;
        }
    }
    return false;
}

static void emit(const struct tsdb_view *v, struct part p, int64_t from_ms, int64_t to_ms,
                 struct tsdb_samples *out)
{
    const struct tsdb_samples *from = &v->scratch;

    samples_reserve(out, p.len);
    for (size_t i = p.start; i < p.start + p.len; i++) {
        if (from->ts_ms[i] > from_ms && from->ts_ms[i] <= to_ms && !is_deleted(v, from->ts_ms[i])) {
            out->ts_ms[out->len] = from->ts_ms[i];
            out->v[out->len++] = from->v[i];
        }
    }
}

/* What is in memory, into the scratch space: the open run and the late ones. */
struct in_memory {
    struct part open, late;
    uint64_t chunks, late_chunks;
    uint32_t late_appended;
    uint32_t hidden; /* newer than the view, not in the open run */
};

static void copy_memory(struct tsdb_view *v, const struct found_series *f, struct in_memory *m)
{
    const struct series *s = f->head;
    struct tsdb_samples *to = &v->scratch;

    to->len = 0;
    samples_reserve(to, RUN_MAX + LATE_MAX);
    WITH_LOCK(&v->db->head_lock);
    m->open = (struct part){0, run_copy(&s->run, to->ts_ms, to->v)};
    m->late = (struct part){m->open.len, s->late == NULL ? 0 : s->late->len};
    if (m->late.len > 0) {
        memcpy(to->ts_ms + m->late.start, s->late->ts, m->late.len * sizeof(int64_t));
        memcpy(to->v + m->late.start, s->late->v, m->late.len * sizeof(double));
    }
    to->len = m->open.len + m->late.len;
    m->hidden = s->appended - f->appended;
    m->chunks = s->chunks;
    m->late_chunks = s->late_chunks;
    m->late_appended = s->late_appended;
    v->deleted.len = 0;
    for (size_t i = 0; i < v->db->deleted.len; i++) {
        if (v->db->deleted.p[i].id == s->id) {
            *vec_push(&v->deleted) = v->db->deleted.p[i];
        }
    }
    if (m->hidden < m->open.len) {
        m->open.len -= m->hidden;
        m->hidden = 0;
    } else {
        m->hidden -= (uint32_t)m->open.len;
        m->open.len = 0;
    }
}

/* Returns what of the late ones was there. */
static uint32_t read_head(struct tsdb_view *v, const struct found_series *f, int64_t from_ms,
                          int64_t to_ms, struct tsdb_samples *out)
{
    size_t in_order;
    int64_t in_order_from = from_ms;
    struct in_memory m;

    if (v->cut_end != INT64_MIN && v->cut_end - 1 > from_ms) {
        in_order_from = v->cut_end - 1;
    }
    copy_memory(v, f, &m);
    v->parts.len = 0;
    gather_chain(v, f->head, m.chunks, in_order_from, to_ms, m.hidden);
    in_order = v->parts.len;
    gather_chain(v, f->head, m.late_chunks, INT64_MIN, to_ms, 0);
    for (size_t i = in_order; i > 0; i--) {
        emit(v, v->parts.p[i - 1], in_order_from, to_ms, out);
    }
    emit(v, m.open, in_order_from, to_ms, out);
    for (size_t i = v->parts.len; i > in_order; i--) {
        emit(v, v->parts.p[i - 1], from_ms, to_ms, out);
    }
    emit(v, m.late, from_ms, to_ms, out);
    return m.late_appended;
}

/* --- each time once, by time --- */

struct placed {
    int64_t ts;
    double v;
    size_t place;
};

static int by_time(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;

    return x->ts != y->ts ? (x->ts < y->ts ? -1 : 1) : x->place < y->place ? -1 : 1;
}

void samples_in_order(struct tsdb_samples *s)
{
    struct placed *p;
    size_t i = 1, kept = 0;

    while (i < s->len && s->ts_ms[i] > s->ts_ms[i - 1]) {
        i++;
    }
    if (i >= s->len) {
        return;
    }
    p = xnew_array(struct placed, s->len);
    for (size_t k = 0; k < s->len; k++) {
        p[k] = (struct placed){s->ts_ms[k], s->v[k], k};
    }
    qsort(p, s->len, sizeof(*p), by_time);
    for (size_t k = 0; k < s->len; k++) {
        if (k == 0 || p[k].ts != p[k - 1].ts) {
            s->ts_ms[kept] = p[k].ts;
            s->v[kept++] = p[k].v;
        }
    }
    s->len = kept;
    free(p);
}

int tsdb_read(struct tsdb_view *v, const struct tsdb_found *series, int64_t from_ms, int64_t to_ms,
              struct tsdb_samples *out, struct err *e UNUSED)
{
    const struct found_series *f = &v->found.p[series->id];

    out->len = 0;
    for (uint32_t r = f->first; r != 0; r = v->refs.p[r - 1].next) {
        const struct block_ref *ref = &v->refs.p[r - 1];
        struct view_block *vb = &v->blocks.p[ref->block];
        uint64_t damaged = 0;

        if (vb->b->meta.min_ts <= to_ms && vb->b->meta.max_ts > from_ms) {
            block_read(vb->b, vb->index, ref->series, from_ms, to_ms, &vb->at, out, &damaged);
        }
        if (damaged > 0) {
            note_damaged_block(v->db, vb->b, "runs of samples cannot be read");
        }
    }
    if (f->head != NULL) {
        (void)read_head(v, f, from_ms, to_ms, out);
    }
    samples_in_order(out);
    return 0;
}

uint32_t view_read_head(struct tsdb_view *v, struct series *s, int64_t from_ms, int64_t to_ms,
                        struct tsdb_samples *out)
{
    struct found_series f = {.head = s};
    uint32_t late;

    lock_take(&v->db->head_lock);
    f.appended = s->appended;
    lock_drop(&v->db->head_lock);
    out->len = 0;
    late = read_head(v, &f, from_ms, to_ms, out);
    samples_in_order(out);
    return late;
}

/* --- names and values --- */

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Sorted, each once, at most `limit`. */
static void make_list(struct str *p, size_t n, size_t limit, struct str **out, size_t *len)
{
    size_t kept = 0;

    qsort(p, n, sizeof(*p), by_text);
    for (size_t i = 0; i < n && (limit == 0 || kept < limit); i++) {
        if (kept == 0 || !str_eq(p[kept - 1], p[i])) {
            p[kept++] = p[i];
        }
    }
    *out = p;
    *len = kept;
}

/* What a list is made of: the names of all labels, or the values of one. */
struct wanted {
    bool names;
    struct str name;
};

static void add_text(struct map *seen, struct str text)
{
    static char there;

    if (text.len > 0 && map_get(seen, text) == NULL) {
        (void)map_put(seen, text, &there);
    }
}

static int of_chosen(struct tsdb_view *v, const struct wanted *w, const struct label_matcher *m,
                     size_t n, struct map *seen, struct err *e)
{
    struct arena a = {0};
    struct tsdb_found *found;
    size_t len;
    int rc = tsdb_select(v, m, n, &a, &found, &len, e);

    for (size_t i = 0; rc == 0 && i < len; i++) {
        for (size_t k = 0; k < found[i].labels.len; k++) {
            const struct label *l = &found[i].labels.p[k];

            if (w->names || str_eq(l->name, w->name)) {
                add_text(seen, w->names ? l->name : l->value);
            }
        }
    }
    arena_done(&a);
    return rc;
}

static void of_head(struct tsdb_view *v, const struct wanted *w, struct map *seen)
{
    struct tsdb *db = v->db;
    struct str key;
    void *value;

    WITH_LOCK(&db->head_lock);
    if (db->head.min_ts > v->to_ms || db->head.max_ts <= v->from_ms) {
        return;
    }
    for (size_t i = 0; map_next(&v->index->names, &i, &key, &value);) {
        const struct index_name *n = value;

        for (size_t k = 0; k < n->pairs.len && (w->names || str_eq(key, w->name)); k++) {
            const struct pair *p = index_at(v->index, n->pairs.p[k]);

            if (p->len > 0) {
                add_text(seen, w->names ? p->name : p->value);
            }
            if (p->len > 0 && w->names) {
                break;
            }
        }
    }
}

static void of_blocks(struct tsdb_view *v, const struct wanted *w, struct map *seen)
{
    for (size_t i = 0; i < v->blocks.len; i++) {
        const struct block_index *x = index_of(v, &v->blocks.p[i]);

        for (uint32_t k = 0; x != NULL && k < x->n_pairs; k++) {
            const struct block_pair *p = &x->pairs[k];

            if (w->names ? k == 0 || p->name.p != p[-1].name.p : str_eq(p->name, w->name)) {
                add_text(seen, w->names ? p->name : p->value);
            }
        }
    }
}

static int list_texts(struct tsdb_view *v, const struct wanted *w, const struct label_matcher *m,
                      size_t n, size_t limit, struct arena *a, struct str **out, size_t *len,
                      struct err *e)
{
    struct map seen = {0};
    struct str *p, key;
    size_t count = 0;
    void *value;

    if (n > 0) {
        if (of_chosen(v, w, m, n, &seen, e) < 0) {
            map_done(&seen);
            return -1;
        }
    } else {
        of_head(v, w, &seen);
        of_blocks(v, w, &seen);
    }
    p = arena_new_array(a, struct str, seen.len + 1);
    for (size_t i = 0; map_next(&seen, &i, &key, &value);) {
        p[count++] = arena_str(a, key);
    }
    map_done(&seen);
    make_list(p, count, limit, out, len);
    return 0;
}

int tsdb_label_names(struct tsdb_view *v, const struct label_matcher *m, size_t n, size_t limit,
                     struct arena *a, struct str **out, size_t *len, struct err *e)
{
    return list_texts(v, &(struct wanted){.names = true}, m, n, limit, a, out, len, e);
}

int tsdb_label_values(struct tsdb_view *v, struct str name, const struct label_matcher *m, size_t n,
                      size_t limit, struct arena *a, struct str **out, size_t *len, struct err *e)
{
    return list_texts(v, &(struct wanted){.name = name}, m, n, limit, a, out, len, e);
}
