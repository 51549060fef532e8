#include "tsdb/tsdb_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <string.h>

void batch_begin(struct tsdb_appender *a)
{
    a->samples.len = a->late.len = a->fresh.len = 0;
    a->number = atomic_fetch_add(&a->db->appenders, 1) + 1;
    a->is_contested = a->repeats = false;
}

struct tsdb_appender *tsdb_appender_new(struct tsdb *db)
{
    struct tsdb_appender *a = xnew(struct tsdb_appender);

    a->db = db;
    a->record = BUF_MAX(RECORD_MAX);
    list_init(&a->link);
    batch_begin(a);
    WITH_LOCK(&db->head_lock);
    a->forgotten = db->forgotten;
    users_enter(db, &a->user);
    return a;
}

void tsdb_appender_free(struct tsdb_appender *a)
{
    if (a == NULL) {
        return;
    }
    lock_take(&a->db->head_lock);
    users_leave(a->db, &a->user);
    lock_drop(&a->db->head_lock);
    vec_done(&a->samples);
    vec_done(&a->late);
    vec_done(&a->fresh);
    buf_done(&a->record);
    free(a);
}

void tsdb_appender_limit(struct tsdb_appender *a, struct label of, size_t max)
{
    a->limited = of;
    a->limit = max;
}

/* head_lock held */
static bool is_over_limit(const struct tsdb_appender *a)
{
    const struct index *x = a->db->head.index;
    uint32_t pair = a->limited.name.len > 0 ? index_find(x, a->limited.name, a->limited.value) : 0;

    return a->limited.name.len > 0 && (pair == 0 ? 0 : index_at(x, pair)->len) >= a->limit;
}

/* 0: refused; `full` is set when it is the first one for want of room. */
static tsdb_ref find_or_add(struct tsdb_appender *a, struct labels l, bool *full)
{
    struct tsdb *db = a->db;
    uint64_t hash = labels_hash(l);
    struct series *s = head_find(db, l, hash);
    bool room = db->head.n_series < db->o.max_series;

    if (s != NULL) {
        return s->id;
    }
    if (!room || l.len > LIMIT_SERIES_LABELS || db->head.last_id >= UINT32_MAX / 2 ||
        is_over_limit(a)) {
        db->status.series_refused += !room; /* who has a limit of his own is told of it */
        *full = !room && db->status.full_since_ms == 0;
        db->status.full_since_ms = *full ? clock_wall_ms() : db->status.full_since_ms;
        return 0;
    }
    db->status.full_since_ms = 0;
    return head_add(db, db->head.last_id + 1, l, hash)->id;
}

tsdb_ref tsdb_series(struct tsdb_appender *a, struct labels l)
{
    bool full = false;
    tsdb_ref id;

    lock_take(&a->db->head_lock);
    id = find_or_add(a, l, &full);
    lock_drop(&a->db->head_lock);
    if (full) {
        log_error("metrics.full", "max_series=%zu: new series are refused", a->db->o.max_series);
    }
    return id;
}

/* The newest sample of the series, this batch's included. */
static void newest_of(const struct tsdb_appender *a, const struct series *s, int64_t *ts,
                      uint64_t *bits)
{
    uint64_t touched = atomic_load_explicit(&s->touched, memory_order_relaxed);
    uint32_t place = (uint32_t)touched;

    *ts = atomic_load_explicit(&s->last_ts, memory_order_relaxed);
    *bits = atomic_load_explicit(&s->last_bits, memory_order_relaxed);
    if (touched >> 32 == a->number && place < a->samples.len && a->samples.p[place].s == s) {
        *ts = a->samples.p[place].ts;
        memcpy(bits, &a->samples.p[place].v, sizeof(*bits));
    }
}

/* Where its newest sample is in this batch. When samples may be late, a newer appender keeps its
 * mark: without one, what this batch has of the series is told apart at its commit. */
static void touch(struct tsdb_appender *a, struct series *s)
{
    uint64_t mine = (uint64_t)a->number << 32 | a->samples.len;
    uint64_t before = atomic_load_explicit(&s->touched, memory_order_relaxed);

    if (a->db->o.out_of_order_ms <= 0) {
        atomic_store_explicit(&s->touched, mine, memory_order_relaxed);
        return;
    }
    do {
        if (before >> 32 > a->number) {
            a->is_contested = true;
            return;
        }
    } while (!atomic_compare_exchange_weak_explicit(&s->touched, &before, mine,
                                                    memory_order_relaxed, memory_order_relaxed));
}

/* Not the newest: whether the window takes it. */
static enum tsdb_taken judge_late(struct tsdb *db, int64_t newest, int64_t ts)
{
    int64_t window = db->o.out_of_order_ms;
    int64_t floor = atomic_load_explicit(&db->head.floor, memory_order_relaxed);
    int64_t from = newest == INT64_MIN ? floor : newest;

    if (window <= 0) {
        return ts < newest ? TSDB_OUT_OF_ORDER : TSDB_TOO_OLD;
    }
    return ts < from && from - ts > window ? TSDB_TOO_OLD : TSDB_TAKEN;
}

static int by_series_and_time(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;

    if (x->id != y->id) {
        return x->id < y->id ? -1 : 1;
    }
    return x->ts < y->ts ? -1 : x->ts > y->ts;
}

bool batch_order(struct tsdb_appender *a)
{
    struct tsdb *db = a->db;
    size_t kept = 0, n = a->samples.len;

    if (db->o.out_of_order_ms <= 0) {
        return false;
    }
    if (a->is_contested) {
        qsort(a->samples.p, n, sizeof(struct sample), by_series_and_time);
    }
    for (size_t i = 0; i < n; i++) {
        struct sample x = a->samples.p[i];
        int64_t newest = atomic_load_explicit(&x.s->last_ts, memory_order_relaxed);

        if (x.ts >= newest) {
            a->samples.p[kept++] = x;
        } else if (judge_late(db, newest, x.ts) == TSDB_TAKEN) {
            *vec_push(&a->late) = x;
        }
    }
    a->samples.len = kept;
    return a->is_contested || kept < n;
}

enum tsdb_taken tsdb_append(struct tsdb_appender *a, tsdb_ref series, int64_t ts, double v)
{
    struct tsdb *db = a->db;
    struct series *s = series > UINT32_MAX ? NULL : head_series(db, (uint32_t)series);
    int64_t newest;
    uint64_t newest_bits, bits;
    enum tsdb_taken taken = TSDB_TAKEN;

    if (s == NULL) {
        return series == 0 ? TSDB_TOO_MANY_SERIES : TSDB_GONE;
    }
    if (ts < TSDB_TIME_MIN || ts > TSDB_TIME_MAX) {
        return TSDB_TOO_OLD;
    }
    newest_of(a, s, &newest, &newest_bits);
    memcpy(&bits, &v, sizeof(bits));
    if (ts == newest) {
        a->repeats = a->repeats || bits == newest_bits;
        return bits == newest_bits ? TSDB_TAKEN : TSDB_DUPLICATE;
    }
    if (bits == TSDB_STALE_BITS && newest_bits == bits && ts > newest && newest != INT64_MIN) {
        return TSDB_TAKEN; /* it has ended, or was deleted: nobody shall find it by its end */
    }
    if (newest == INT64_MIN) {
        *vec_push(&a->fresh) = s;
    }
    if (ts > newest && ts >= atomic_load_explicit(&db->head.floor, memory_order_relaxed)) {
        touch(a, s);
        *vec_push(&a->samples) = (struct sample){s, ts, v, s->id};
        return TSDB_TAKEN;
    }
    taken = judge_late(db, newest, ts);
    if (taken == TSDB_TAKEN) {
        *vec_push(&a->late) = (struct sample){s, ts, v, s->id};
    }
    return taken;
}
