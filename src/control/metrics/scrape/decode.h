/* decode - YAML into structs by tables of keys, so that a key that we do not have is refused with
 * file, line and what to do, never ignored.
 *
 * Threads: any. Memory: the arena. Private to scrape. */
#pragma once
#include "base/err.h"
#include "base/yaml.h"
#include "labels/labels.h"

struct fetch_deny;

struct decoder {
    struct arena *a;
    const char *file; /* as people gave it: for sentences, and relative paths begin in its folder */
    struct err *e;
    const struct fetch_deny *deny; /* for the http_config of what is read */
    struct err_list *all;          /* of mistakes, so that it goes on; NULL: it ends at the first */
};

struct strs {
    struct str *p;
    size_t len;
};

enum key_type {
    KEY_STR,    /* struct str */
    KEY_PATH,   /* struct str: from the file's folder */
    KEY_URL,    /* struct str: http or https */
    KEY_BOOL,   /* bool */
    KEY_MS,     /* int64_t: "1h30m" */
    KEY_BYTES,  /* int64_t: "10MB" */
    KEY_COUNT,  /* uint64_t */
    KEY_STRS,   /* struct strs */
    KEY_LABELS, /* struct labels: a map */
    KEY_FN,     /* fn(decoder, node, base + at) */
    KEY_NOT     /* refused; `text` says what to do */
};

typedef int key_fn(const struct decoder *d, const struct yaml_node *n, void *out);

struct key {
    const char *name;
    enum key_type type;
    size_t at;
    key_fn *fn;
    const char *text;
};

/* -1 with "FILE:LINE: what"; the key of `n` in front of it when it has one. */
int decode_refuse(const struct decoder *d, const struct yaml_node *n, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
#define decode_refuse(...) err_minus_one(decode_refuse(__VA_ARGS__))
/* A map by its table into `base`; null leaves defaults. */
int decode_map(const struct decoder *d, const struct yaml_node *n, const struct key *keys,
               size_t n_keys, void *base) MUST_USE;
int decode_strs(const struct decoder *d, const struct yaml_node *n, struct strs *out) MUST_USE;
int decode_labels(const struct decoder *d, const struct yaml_node *n, struct labels *out) MUST_USE;
int decode_ms(struct str s, int64_t *out) MUST_USE; /* "1h30m", "0" */
/* "1m30s" as Prometheus writes it. */
char *decode_ms_text(struct arena *a, int64_t ms);
struct str decode_path(const struct decoder *d, struct str path);
