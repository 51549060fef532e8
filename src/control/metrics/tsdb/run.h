/* run - the newest samples of a series, not yet a chunk: in few bytes, and one more is put in at
 * once.
 *
 *   times    t0, and i * step when it is regular; else a list that runs of one target share
 *   values   the first, and how far the i-th is from it; nothing more when it is constant
 *
 * How far is a whole number of 1, 2 or 4 bytes for most of what is counted or measured, as wide for
 * all as for the farthest. A run with a value that does not come back so, bit for bit, has 8 bytes
 * of each. Not thread-safe: the head locks. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUN_MAX = 64 };

struct narrow;
struct run_times;

/* The lists that runs got the last, by their t0. */
struct run_memo {
    struct run_times *last[8];
};
void run_memo_done(struct run_memo *m);

struct run {
    int64_t t0;
    double first;
    struct run_times *times; /* NULL: regular */
    struct narrow *values;   /* NULL: constant */
    uint32_t step;
    uint8_t len;
};

/* Whether it takes a time: newer than all that it has, as run_push() expects it. */
bool run_has_room(const struct run *r, int64_t ts);
void run_push(struct run *r, struct run_memo *m, int64_t ts, double v);
/* Asks for the memory that run_push() will write to, which is far away: what the first one asked
 * for, the second one needs. */
void run_fetch(const struct run *r);
void run_fetch_place(const struct run *r);
/* All of it; returns how many. */
size_t run_copy(const struct run *r, int64_t *ts, double *v);
/* Empties it. Its room stays for the next samples, which will be like these. */
void run_clear(struct run *r);
void run_done(struct run *r);
