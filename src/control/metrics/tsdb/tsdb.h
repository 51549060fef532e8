/* tsdb - samples of many series, by time.
 *
 *   scrape, remote write, rules --> appender --> WAL, head --> blocks
 *   promql --> select --> series by series, runs of samples
 *
 * Threads: any. Appenders of different threads are committed one after the other; a reader sees
 * whole commits, and sees what there was when it began. On disk: docs/formats/metrics.md. What
 * tsdb_commit() with TSDB_DURABLE acknowledged survives kill -9 and power loss; without it, the
 * last second may be lost with the power. Damaged files are reported, set aside and the rest is
 * served. Limits: series in the head (`max_series`: past it new ones are refused and counted, old
 * ones go on); labels of a series: LIMIT_SERIES_LABELS. */
#pragma once
#include "labels/labels.h"

struct tsdb;

struct tsdb_options {
    int64_t retention_ms, retention_bytes; /* 0: no limit */
    int64_t block_ms;                      /* 2 h; tests take less */
    int64_t out_of_order_ms; /* how much older than the newest of its series a sample may be */
    size_t max_series;
    /* Past retention_ms, what is left of a window of 5 minutes (of an hour) is kept as long as
     * this: the last, least and greatest sample of each series, and where a counter began anew. 0:
     * not. */
    int64_t tier_5m_ms, tier_1h_ms;
    int64_t follow_bytes; /* of the log, kept for followers that are behind; 0: no limit */
};

/* Opens what is in `dir`, creating it. Caller owns it. Reads the checkpoint and the log's tail. */
struct tsdb *tsdb_open(const char *dir, const struct tsdb_options *o, struct err *e) MUST_USE;
/* Writes a checkpoint, so that the next start reads no log. */
void tsdb_close(struct tsdb *db);
DEFINE_SCOPED(struct tsdb, tsdb_close)

/* --- writing --- */

/* The marker of staleness: the series ended. Any other NaN is a value. */
#define TSDB_STALE_BITS 0x7ff0000000000002ULL
double tsdb_stale(void);
bool tsdb_is_stale(double v);

/* A batch: one scrape, one request of remote write, one rule. Nothing of it is seen before the
 * commit. */
struct tsdb_appender;
struct tsdb_appender *tsdb_appender_new(struct tsdb *db);
void tsdb_appender_free(struct tsdb_appender *a); /* without commit: as if it had never been */
DEFINE_SCOPED(struct tsdb_appender, tsdb_appender_free)

typedef uint64_t tsdb_ref; /* of a series; 0: not known. Valid while the store is open. */

/* Why a sample was not taken: the caller counts them, as Prometheus does. */
enum tsdb_taken {
    TSDB_TAKEN,
    TSDB_TOO_OLD,
    TSDB_OUT_OF_ORDER,
    TSDB_DUPLICATE, /* another value at the same time; the same one again is taken */
    TSDB_TOO_MANY_SERIES,
    TSDB_GONE /* no sample for so long that the series was forgotten: ask for it again */
};

/* What a time may be, in milliseconds: 36 million years around 1970. */
#define TSDB_TIME_MAX (1LL << 60)
#define TSDB_TIME_MIN (-TSDB_TIME_MAX)

/* Of this batch: tsdb_series() makes none with this label when the store writes `max` of them. The
 * texts outlive the batch. */
void tsdb_appender_limit(struct tsdb_appender *a, struct label of, size_t max);

/* The reference of a series, made when it is new; 0 when there are too many. Labels as
 * labels_normalize() leaves them; they are copied. */
tsdb_ref tsdb_series(struct tsdb_appender *a, struct labels s);
enum tsdb_taken tsdb_append(struct tsdb_appender *a, tsdb_ref series, int64_t ts_ms, double v);

enum tsdb_durability { TSDB_SOON, TSDB_DURABLE };
int tsdb_commit(struct tsdb_appender *a, enum tsdb_durability d, struct err *e) MUST_USE;

/* --- following --- */

/* Reads every sample that is committed, in that order, from the log, which is kept for him over
 * restarts (up to `follow_bytes`: past that he loses the oldest of it). One thread at a time. */
struct tsdb_follower;
/* `name` is of a file; a new one begins with what comes. Valid until tsdb_follow_only() without the
 * name, or the end of the store. */
struct tsdb_follower *tsdb_follow(struct tsdb *db, struct str name);
/* Of all other followers nothing is kept any more. */
void tsdb_follow_only(struct tsdb *db, const struct str *names, size_t n);

struct tsdb_followed {
    uint32_t series;
    bool late; /* older than the newest of its series */
    int64_t ts_ms;
    double v;
};
/* Some whole batches, as they were committed. */
struct tsdb_piece {
    struct tsdb_followed *p;
    size_t len, cap;
    uint64_t note; /* of one that was begun before a restart: what tsdb_follow_begin() was given */
    bool again;    /* it is such a one: some of it may have been handled */
    bool more;     /* there is more behind it */
};
void tsdb_piece_done(struct tsdb_piece *p);
/* The next piece, which is empty when there is nothing new. Until tsdb_follow_end() it is always
 * the same one; after tsdb_follow_begin() also over a restart. Begin and end are durable; when they
 * cannot be written down, they hold until a restart. */
int tsdb_follow_read(struct tsdb_follower *f, struct tsdb_piece *out, struct err *e) MUST_USE;
int tsdb_follow_begin(struct tsdb_follower *f, uint64_t note, struct err *e) MUST_USE;
int tsdb_follow_end(struct tsdb_follower *f, struct err *e) MUST_USE;
/* 1: the labels of a series of the piece, in the arena. 0: damage took them. -1: they cannot be
 * read now; the piece is not ended, but read again. */
int tsdb_follow_labels(struct tsdb_follower *f, uint32_t series, struct arena *a,
                       struct labels *out, struct err *e) MUST_USE;
struct tsdb_behind {
    uint64_t waiting_bytes, lost_bytes; /* of the log; lost: since the start */
};
/* Of nobody when there is none of the name. Looks at files: not under a lock. */
struct tsdb_behind tsdb_follow_behind(struct tsdb *db, struct str name);

/* --- care --- */

/* Deletes samples with from <= ts <= to of the series that all matchers take (at least one). They
 * are not read any more at once; their room is given back when blocks are merged. Durable. Samples
 * that are put in later count, but late ones within the range. */
int tsdb_delete(struct tsdb *db, const struct label_matcher *m, size_t n, int64_t from_ms,
                int64_t to_ms, struct err *e) MUST_USE;
/* Merges what there is to merge: then no block has deleted samples, but damaged ones. */
int tsdb_clean(struct tsdb *db, struct err *e) MUST_USE;
/* A copy in a new directory on the same disk: what is committed when it returns, at least when it
 * was called. tsdb_open() opens it. Blocks are linked, not copied. */
int tsdb_snapshot(struct tsdb *db, const char *dir, struct err *e) MUST_USE;

/* Takes over a block of Prometheus, or all blocks in its data directory, whose server does not run
 * (what is in its log only, is not taken: stop it after a snapshot). Native histograms are counted
 * and left out. What was imported stays when a later block fails. */
struct tsdb_imported {
    uint64_t blocks, series, samples, histograms;
};
int tsdb_import(struct tsdb *db, const char *path, struct tsdb_imported *out,
                struct err *e) MUST_USE;

/* --- how it is --- */

struct tsdb_status {
    uint64_t samples_appended; /* since the start */
    uint64_t series_refused;   /* by max_series */
    int64_t full_since_ms;     /* the first of them since one was taken; 0: there is room */
    uint64_t samples_lost;     /* in the log, of series that a damaged part of it had named */
    uint64_t damaged;          /* places in files that could not be read; damaged/ has copies */
    uint64_t torn;             /* ends of the log that a crash left half written */
    int64_t paused_since_ms;   /* nothing can be written (the disk is full); 0: it can */
    char paused_why[256];
    int64_t lost_ms; /* when a follower lost some of the log last; 0: never */
    uint64_t series; /* in the head */
    uint64_t chunks; /* full runs, written since the start, and open ones */
    uint64_t blocks, block_bytes, block_samples;
    int64_t min_ms, max_ms, floor_ms; /* of the head */
};
void tsdb_status(struct tsdb *db, struct tsdb_status *out);

/* Names of the copies in damaged/, at most 1000; in the arena. */
int tsdb_damaged_files(struct tsdb *db, struct arena *a, struct str **out, size_t *len,
                       struct err *e) MUST_USE;

/* Of the head, the `limit` largest of each kind, largest first; views into the arena. */
struct tsdb_count {
    struct str name, value; /* value: of a pair */
    uint64_t n;
};
struct tsdb_tops {
    uint64_t label_pairs;
    struct tsdb_count *series_by_name, *values_by_label, *bytes_by_label, *series_by_pair;
    size_t n_names, n_labels, n_bytes, n_pairs;
};
void tsdb_tops(struct tsdb *db, size_t limit, struct arena *a, struct tsdb_tops *out);

/* --- reading --- */

struct tsdb_view; /* what there was at one moment; keeps the files it reads */

/* The longest window of which the view has no more than that, 0 when it has every sample: look back
 * at least as far. */
int64_t tsdb_view_window_ms(const struct tsdb_view *v);
/* The same of what there is around a moment. */
int64_t tsdb_view_window_at(const struct tsdb_view *v, int64_t ts_ms);
#define TSDB_WINDOW_MAX_MS (3600 * 1000)
struct tsdb_view *tsdb_view_open(struct tsdb *db, int64_t from_ms, int64_t to_ms);
/* What is asked now and then while series are chosen: ERR_TIMEOUT when it says so. */
void tsdb_view_heed(struct tsdb_view *v, bool (*is_over)(void *ctx), void *ctx);
/* No other tsdb_select() comes, nor names or values; what was found is read, maybe for long:
 * nothing is remembered any more of what series had when the view began. */
void tsdb_view_selected(struct tsdb_view *v);
void tsdb_view_close(struct tsdb_view *v);
DEFINE_SCOPED(struct tsdb_view, tsdb_view_close)

/* The series that all matchers take, in the order of their labels. In the arena; views valid while
 * `v` is. */
struct tsdb_found {
    struct labels labels;
    uint64_t id;
};
int tsdb_select(struct tsdb_view *v, const struct label_matcher *m, size_t n, struct arena *a,
                struct tsdb_found **out, size_t *len, struct err *e) MUST_USE;
/* Samples of one series with from < ts <= to (both sides as PromQL 3 has its ranges), by time, each
 * time once. Grows the two arrays, which the caller keeps from series to series. */
struct tsdb_samples {
    int64_t *ts_ms;
    double *v;
    size_t len, cap;
};
void tsdb_samples_done(struct tsdb_samples *s);
int tsdb_read(struct tsdb_view *v, const struct tsdb_found *series, int64_t from_ms, int64_t to_ms,
              struct tsdb_samples *out, struct err *e) MUST_USE;
/* Names, and the values of one, of the series that the matchers take; sorted, at most `limit` (0:
 * all). */
int tsdb_label_names(struct tsdb_view *v, const struct label_matcher *m, size_t n, size_t limit,
                     struct arena *a, struct str **out, size_t *len, struct err *e) MUST_USE;
int tsdb_label_values(struct tsdb_view *v, struct str name, const struct label_matcher *m, size_t n,
                      size_t limit, struct arena *a, struct str **out, size_t *len,
                      struct err *e) MUST_USE;
