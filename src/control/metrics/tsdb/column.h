/* column - a run of numbers in few bytes: the values and the times of a chunk.
 *
 *   values    1433.5  1433.5  1434.25  ...      most measurements are decimals of few digits, so
 * they 143350  143350  143425            become whole numbers and one power of ten, 0       75 then
 * differences (of differences), [width 7][32 x 7 bits]            packed by 32, wide ones apart
 *   times     1700000000000 + i * 15000         said in two numbers when they are regular
 *
 * Every value comes back bit for bit: what is no decimal (NaN with its payload, which marks
 * staleness, infinities, -0, 17 digits) is kept apart, or the whole run is kept as it is. Threads:
 * any. Limits: COLUMN_MAX numbers. Decoding hostile bytes gives an error, never more than `n`
 * numbers. The format is in docs/formats/metrics.md. */
#pragma once
#include "base/buf.h"

enum { COLUMN_MAX = 4096 };

/* Appends to `out`, n from 1 to COLUMN_MAX. */
void column_put_values(const double *v, size_t n, struct buf *out);
/* Somewhat larger, in a third of the time: for what is soon written anew. */
void column_put_values_quick(const double *v, size_t n, struct buf *out);
void column_put_times(const int64_t *ms, size_t n, struct buf *out);
/* The series of a target have the same times: what was put the last time is put again. Zeroed at
 * first. */
struct column_times {
    size_t n, len;
    int64_t ms[64];
    char coded[1024];
};
void column_put_times_again(struct column_times *last, const int64_t *ms, size_t n,
                            struct buf *out);
/* Reads n numbers from the front of *in and moves it behind them. */
int column_get_values(struct str *in, double *v, size_t n, struct err *e) MUST_USE;
int column_get_times(struct str *in, int64_t *ms, size_t n, struct err *e) MUST_USE;

/* Numbers of 7 bits a byte, the low ones first; signed ones with the sign in the lowest bit. */
void column_put_varint(uint64_t v, struct buf *out);
int column_get_varint(struct str *in, uint64_t *v) MUST_USE;
