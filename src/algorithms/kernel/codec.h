/* codec - unpacks compressed bytes whose length is known beforehand: what Arrow and Parquet files
 * use. The output is exactly as long as promised, or the bytes are damaged (ERR_DATA).
 *
 * Zstandard and gzip by their libraries; LZ4 is ours, since its format is a page long
 * (LZ4 frame format 1.6.2 and block format). Any thread. */
#pragma once
#include "base/str.h"

int codec_zstd(struct str in, void *out, size_t out_len, struct err *e) MUST_USE;
int codec_lz4_frame(struct str in, void *out, size_t out_len, struct err *e) MUST_USE;
