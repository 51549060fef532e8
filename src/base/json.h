/* json - reading with limits (jansson) and streaming writing.
 *
 * Reading: nesting is checked before jansson sees the text (it recurses), duplicate keys are
 * refused, the size is checked by whoever received the bytes. The caller owns the result. */
#pragma once
#include "base/buf.h"

#include <jansson.h>

/* The error names line and column. */
json_t *json_parse(struct str text, struct err *e) MUST_USE;
/* The same with \u0000 in values: labels of metrics have any bytes. */
json_t *json_parse_answer(struct str text, struct err *e) MUST_USE;

/* SCOPED(json_decrefp) json_t *j; is jansson's own. */

/* Fields of an object, typed. `key` missing: *out is left alone and 0 is returned, except for
 * json_need_*; of another type: ERR_INVALID naming the key. Views live as long as the object. */
int json_get_str(const json_t *obj, const char *key, struct str *out, struct err *e) MUST_USE;
int json_get_i64(const json_t *obj, const char *key, int64_t *out, struct err *e) MUST_USE;
int json_get_bool(const json_t *obj, const char *key, bool *out, struct err *e) MUST_USE;
int json_need_str(const json_t *obj, const char *key, struct str *out, struct err *e) MUST_USE;
/* Refuses keys outside `names`, suggesting the nearest. */
int json_only_keys(const json_t *obj, const char *const *names, size_t n, struct err *e) MUST_USE;

/* A writer over a buffer. Commas and escapes are its business; nesting <= 63. Errors stick in the
 * buffer (buf.failed).
 *
 *   struct jw w = JW(&b);
 *   jw_object(&w); jw_key(&w, "name"); jw_str(&w, name); jw_end(&w);        {"name":"..."} */
struct jw {
    struct buf *out;
    uint64_t is_array; /* bit = depth */
    uint64_t has_items;
    unsigned depth;
    bool after_key;
};
#define JW(buffer) ((struct jw){.out = (buffer)})

void jw_object(struct jw *w);
void jw_array(struct jw *w);
void jw_end(struct jw *w); /* of the innermost object or array */
void jw_key(struct jw *w, const char *key);
void jw_str(struct jw *w, struct str s); /* bytes that are no UTF-8 become U+FFFD */
void jw_i64(struct jw *w, int64_t v);
void jw_double(struct jw *w, double v); /* null for NaN and infinities */
void jw_bool(struct jw *w, bool v);
void jw_null(struct jw *w);
void jw_raw(struct jw *w, struct str json); /* a value that is JSON already */
/* "key": value */
void jw_kv_str(struct jw *w, const char *key, struct str s);
void jw_kv_c(struct jw *w, const char *key, const char *cstr);       /* NULL writes null */
void jw_kv_str_or_null(struct jw *w, const char *key, struct str s); /* p == NULL: null */
void jw_kv_i64(struct jw *w, const char *key, int64_t v);
void jw_kv_bool(struct jw *w, const char *key, bool v);
/* RFC 3339, or null for 0. */
void jw_kv_time(struct jw *w, const char *key, int64_t wall_ms);
