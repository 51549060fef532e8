/* codec - packs bytes, and unpacks those whose length is known beforehand: what Arrow and Parquet
 * files use. The output is exactly as long as promised, or the bytes are damaged (ERR_DATA).
 *
 * Zstandard and gzip by their libraries; LZ4 and Snappy are ours, since their formats are a page
 * long each (LZ4 frame format 1.6.2 and block format; Snappy format description). Any thread. */
#pragma once
#include "base/buf.h"

int codec_zstd(struct str in, void *out, size_t out_len, struct err *e) MUST_USE;
/* Members of gzip or zlib, one or several. */
int codec_gzip(struct str in, void *out, size_t out_len, struct err *e) MUST_USE;
int codec_snappy(struct str in, void *out, size_t out_len, struct err *e) MUST_USE;
int codec_lz4_block(struct str in, void *out, size_t out_len, struct err *e) MUST_USE;
int codec_lz4_frame(struct str in, void *out, size_t out_len, struct err *e) MUST_USE;

/* Packs; appends to `out`. ERR_DATA past its ceiling. */
int codec_pack_zstd(struct str in, struct buf *out, struct err *e) MUST_USE;
int codec_pack_gzip(struct str in, struct buf *out, struct err *e) MUST_USE;
int codec_pack_snappy(struct str in, struct buf *out, struct err *e) MUST_USE;
