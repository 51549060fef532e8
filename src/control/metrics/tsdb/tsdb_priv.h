/* tsdb_priv - what the files of this module share.
 *
 *   commit --> leader: one thread at a time writes the log, puts into the head, writes full runs
 *   reader --> copies under `head`, reads files without a lock
 *
 * Locks: `log` (who leads, what is durable), then `head` (series, index, runs, lists of files). */
#pragma once
#include "tsdb/block.h"
#include "tsdb/chunks.h"
#include "tsdb/index.h"
#include "tsdb/log.h"
#include "tsdb/run.h"
#include "tsdb/tsdb.h"

#include "base/list.h"
#include "base/lock.h"

#include <stdatomic.h>

enum { SERIES_PER_PAGE = 4096, LATE_MAX = 32 };

/* Samples older than the newest of their series, by time. */
struct late {
    uint32_t len;
    int64_t chunks_max; /* of its full runs; INT64_MIN: none */
    int64_t ts[LATE_MAX];
    double v[LATE_MAX];
};

struct series {
    uint32_t id;
    uint32_t appended; /* samples put in, in order; wraps */
    uint64_t hash;
    _Atomic int64_t last_ts;    /* INT64_MIN: none yet */
    _Atomic uint64_t last_bits; /* its value */
    /* The appender that touched it last, and where in its batch: (number << 32) | place. */
    _Atomic uint64_t touched;
    int64_t first_ts;             /* of what the head holds, late ones included; INT64_MAX: nothing,
                                   * or all of it was deleted */
    uint64_t chunks, late_chunks; /* where its last one is; 0: none */
    struct run run;               /* what came since */
    struct late *late;
    uint32_t late_appended;
    uint8_t n_pairs;
    bool gone;   /* taken out of the head */
    bool logged; /* the log or the checkpoint has its labels */
    uint32_t pairs[];
};

struct series_page {
    _Atomic(struct series *) at[SERIES_PER_PAGE];
};

/* The pages by number; replaced as a whole when it grows, so that it is read without a lock. */
struct series_dir {
    uint32_t n;
    _Atomic(struct series_page *) pages[];
};

struct head {
    _Atomic(struct series_dir *) dir;
    uint32_t last_id;
    size_t n_series;
    struct id_table by_labels;
    struct index *index;
    struct run_memo memo;
    _Atomic int64_t min_ts, max_ts; /* of what it holds; INT64_MAX, INT64_MIN: nothing */
    _Atomic int64_t floor;          /* older ones are late; INT64_MIN: nothing was cut */
    int64_t cut_end;                /* what is older and in order is read from blocks */
    uint64_t seq;                   /* commits */
};

/* What the series had before a commit, while readers are there that began before it. */
struct undo {
    uint64_t seq;
    uint32_t id, appended;
};

/* Memory that some reader or appender may still look at. */
struct retired {
    uint64_t epoch;
    void *p;
    struct series *series;
};

/* What the log calls `id` is the series `is`. */
struct alias {
    uint32_t id, is;
};

struct deleted_range {
    uint32_t id;
    int64_t from, to; /* both of them too */
};

struct tsdb {
    int dir;
    struct tsdb_options o;
    struct lock log, head_lock;

    /* guarded by log */
    bool leading, syncing, stopping;
    uint64_t synced;       /* a position of the log: what is before is on the disk */
    uint32_t lost_segment; /* a sync of it failed, and no checkpoint has it all again; 0: none */
    struct list waiting;
    uint64_t logged; /* samples since the last checkpoint */
    struct wal_place log_end;
    VEC(struct tsdb_follower *) followers;
    struct wal wal; /* leader only, but synced */

    struct chunk_files chunks; /* leader writes; guarded by head_lock */
    /* guarded by head_lock */
    struct head head;
    struct list users; /* views and appenders, by epoch */
    uint64_t epoch;
    VEC(struct retired) retired;
    VEC(struct undo) undo;
    VEC(struct deleted_range) deleted;
    VEC(struct alias) aliases; /* by number; made at the start, then only read */
    struct buf gone;           /* names of forgotten series, for a file wal/NNNN.gone */
    size_t n_views;
    _Atomic uint32_t appenders; /* their numbers */

    VEC(struct block *) blocks; /* by time; guarded by head_lock */
    int blocks_dir, followers_dir;
    bool checkpoint_damaged;    /* the one that was read at the start */
    uint32_t first_segment;     /* of the log, that a start reads; whoever is `working` */
    uint32_t last_block;        /* whoever is `working` */
    bool working;               /* guarded by log: one at a time changes what is on disk */
    _Atomic uint32_t forgotten; /* how often series were taken out of the head */
    uint32_t indexed_at;        /* what it was when texts were dropped; guarded by head_lock */
    int64_t retry_mono_ms;      /* keeper only: something failed, and is not tried before */
    _Atomic bool no_room;       /* the disk has only its reserve left */
    struct tsdb_status status;  /* counters: guarded by head_lock */
    pthread_t keeper;
    bool has_keeper;
};

/* --- tsdb.c --- */
/* Numbers of the files "%08x" in a directory, ascending. */
int numbered_files(int dir, struct ids *out, struct err *e) MUST_USE;
/* A damaged file is kept in damaged/ for who wants to look at it; the rest of it is served. false:
 * there is no copy (the disk is full). */
bool tsdb_set_aside(struct tsdb *db, int at, const char *name);

/* --- users.c: who may look at what is retired --- */
struct user {
    struct list link;
    uint64_t epoch;
    bool is_view;
    uint64_t seq; /* of a view: the commits it sees */
};
void users_enter(struct tsdb *db, struct user *u);        /* head_lock held */
void users_leave(struct tsdb *db, struct user *u);        /* head_lock held */
void users_want_no_past(struct tsdb *db, struct user *u); /* a view selects no more */
void retire(struct tsdb *db, void *p, struct series *s);  /* head_lock held */
void series_free(struct series *s);

/* --- head.c; head_lock held unless said --- */
void head_init(struct head *h);
void head_done(struct tsdb *db);
/* No lock. NULL: no such series (any more). */
struct series *head_series(struct tsdb *db, uint32_t id);
uint32_t head_next_id(struct tsdb *db, uint32_t after); /* of a series; 0: there is none */
void head_free_pages(struct tsdb *db);
/* Whoever is `working`, without the lock: makes the index anew when most of it is of the past. */
void head_drop_texts(struct tsdb *db);
struct series *head_find(struct tsdb *db, struct labels l, uint64_t hash);
struct series *head_add(struct tsdb *db, uint32_t id, struct labels l, uint64_t hash);
void head_put_series(struct tsdb *db, struct series *s); /* a made one, into table and index */
struct labels head_labels(const struct index *x, const struct series *s, struct arena *a);
/* Puts it in; false: it was not taken. */
bool head_append(struct tsdb *db, struct series *s, int64_t ts, double v);
bool head_append_late(struct tsdb *db, struct series *s, int64_t ts, double v);
void head_flush_run(struct tsdb *db, struct series *s);

/* --- a batch --- */
#define RECORD_MAX (1 * GIB) /* it has as many samples as its caller lets in */

struct sample {
    struct series *s;
    int64_t ts;
    double v;
    uint32_t id; /* of the series, which is far away in memory */
};
struct tsdb_appender {
    struct tsdb *db;
    struct user user;
    uint32_t number, forgotten;
    bool is_contested; /* another one wrote to a series of it meanwhile */
    bool repeats;      /* some of it was there before, and may not be on the disk yet */
    VEC(struct sample) samples, late;
    VEC(struct series *) fresh; /* series whose labels the log may lack */
    struct buf record;
    struct label limited; /* name empty: no limit of its own */
    size_t limit;
    struct list link; /* of waiting */
    bool done;
    struct err err;
    int rc;
    uint64_t end; /* of its record in the log */
};
/* --- append.c --- */
void batch_begin(struct tsdb_appender *a);
/* The leader, before the record is written: what other appenders made late meanwhile goes to the
 * late ones. true: the record has to be made anew. */
bool batch_order(struct tsdb_appender *a);

/* --- commit.c: only one leads, and writes the log and the files --- */
void lead_begin(struct tsdb *db);
void lead_end(struct tsdb *db);
int lead_write_chunks(struct tsdb *db, size_t at_least, struct err *e) MUST_USE;
int lead_write_log(struct tsdb *db, struct str records, struct err *e) MUST_USE;
int lead_rotate(struct tsdb *db, struct err *e) MUST_USE; /* the next segment */
/* A checkpoint has all that was before `position`, and is on the disk; `segment` is the first that
 * it does not stand for. */
void log_is_safe(struct tsdb *db, uint64_t position, uint32_t segment);
int log_sync(struct tsdb *db, uint64_t position, struct err *e) MUST_USE;

/* --- records.c: what stands in the log --- */
int apply_record(struct tsdb *db, uint8_t type, struct str payload); /* replay */
/* The series of a number in the log; NULL: it is forgotten. head_lock held, or at the start. */
struct series *head_series_named(struct tsdb *db, uint32_t id);
void wal_put_samples(uint8_t type, const struct sample *p, size_t n, struct buf *out);
void wal_put_series(const struct tsdb *db, const struct series *s, struct buf *out);
/* `l` has room for LIMIT_SERIES_LABELS. */
int wal_get_series(struct str in, uint32_t *id, struct labels *l) MUST_USE;
struct wal_samples {
    struct str in;
    int64_t base, ts;
    uint32_t id;
    double v;
};
int wal_samples_begin(struct str payload, struct wal_samples *out) MUST_USE;
int wal_samples_next(struct wal_samples *r); /* 1; 0: no more; -1: it is no such record */

/* --- follow.c: who has not yet taken what of the log --- */
int followers_load(struct tsdb *db, struct err *e) MUST_USE;
void followers_done(struct tsdb *db);
/* Nobody is behind the end of the log, whatever his file says. */
void followers_clamp(struct tsdb *db);
/* The first segment that is needed, when a start needs those from `first` on. */
uint32_t followers_need(struct tsdb *db, uint32_t first);
/* Whoever is `working`: segments before `first` go when nobody waits for them, or when they are
 * too much. */
void followers_trim(struct tsdb *db, uint32_t first);
/* --- gone.c --- */
/* Names of series that were forgotten, to the disk: before the checkpoint that lacks them. */
int gone_save(struct tsdb *db, struct err *e) MUST_USE;

/* --- view.c --- */
void samples_in_order(struct tsdb_samples *s); /* each time once */
int view_choose_head(struct tsdb_view *v, const struct label_matcher *m, size_t n, struct ids *out,
                     struct err *e) MUST_USE;
/* All of it, whatever the view saw when it began; returns how many late samples it has taken. */
uint32_t view_read_head(struct tsdb_view *v, struct series *s, int64_t from_ms, int64_t to_ms,
                        struct tsdb_samples *out);

/* --- blocks.c: what is on disk besides the head --- */
/* One at a time cuts, merges, deletes, takes a snapshot. */
void work_begin(struct tsdb *db);
void work_end(struct tsdb *db);
int blocks_load(struct tsdb *db, struct err *e) MUST_USE;
/* Puts one into the list, by time; takes it. */
void blocks_add(struct tsdb *db, struct block *b);
/* Takes one out, with its file. */
void blocks_remove(struct tsdb *db, uint32_t number);
int blocks_compact(struct tsdb *db, bool *any, struct err *e) MUST_USE;
/* What is too old or too much goes, or becomes a block of wider windows. */
int blocks_retain(struct tsdb *db, struct err *e) MUST_USE;
void blocks_unload_idle(struct tsdb *db);

/* --- cut.c --- */
/* Everything of the head before `end` becomes blocks. */
int head_cut(struct tsdb *db, int64_t end, struct err *e) MUST_USE;
/* When it is time; *any: it was. */
int head_cut_when_due(struct tsdb *db, bool *any, struct err *e) MUST_USE;

/* --- delete.c --- */
void deleted_put(uint32_t series, int64_t from, int64_t to, struct buf *out);
int deleted_get(struct str *in, uint32_t *series, int64_t *from, int64_t *to) MUST_USE;
/* When that is all the head holds of it: nobody finds the series until more comes, and its end
 * needs no marker any more. head_lock held. */
void series_note_deleted(struct series *s, int64_t from, int64_t to);
/* Reads 0000002a.del beside the block, if there is one. */
int block_load_deleted(int dir, struct block *b, struct err *e) MUST_USE;

/* --- thin.c --- */
void samples_thin(struct tsdb_samples *s, int64_t window_ms);
