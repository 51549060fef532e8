/* snappy - the block format that remote write packs its requests with.
 *
 * Threads: any. Private to scrape. Source: format_description.txt of google/snappy. */
#pragma once
#include "base/buf.h"

/* `out` is empty and its ceiling the limit. */
int snappy_unpack(struct str in, struct buf *out, struct err *e) MUST_USE;
/* Appends; fails only when `out` is full (out->failed). */
void snappy_pack(struct str in, struct buf *out);
