/* cfg - settings: every one a row of a const table with type, default and prose; read from one
 * strata.yaml. Unknown keys are refused with the nearest name. Read-only after loading, so any
 * thread may read. Nested maps and dotted keys mean the same: "net.listen". */
#pragma once
#include "base/buf.h"

enum cfg_type { CFG_STRING, CFG_INT, CFG_BOOL, CFG_BYTES, CFG_SECONDS, CFG_MILLI };

struct cfg_item {
    const char *key;
    enum cfg_type type;
    const char *def;
    const char *help; /* one sentence with the unit and the effect */
};

struct cfg;
struct jw;

/* `tables` ends with NULL, each table with a zero row; both must outlive the result. */
struct cfg *cfg_new(const struct cfg_item *const *tables) MUST_USE;
void cfg_free(struct cfg *c);
DEFINE_SCOPED(struct cfg, cfg_free)

/* Adds what the text sets; collects every mistake with its line. */
void cfg_load(struct cfg *c, struct str yaml, struct err_list *errors);
/* One setting from the command line: "net.listen=0.0.0.0:8080". */
int cfg_set(struct cfg *c, struct str assignment, struct err *e) MUST_USE;

/* The key must be a row of a table of the same type (asserted). */
struct str cfg_str(const struct cfg *c, const char *key);
int64_t cfg_i64(const struct cfg *c, const char *key); /* CFG_INT, _BYTES, _SECONDS, _MILLI */
bool cfg_bool(const struct cfg *c, const char *key);

/* The whole configuration as strata.yaml with prose; `strata config` prints it. */
void cfg_print(const struct cfg *c, struct buf *out);
/* The same as objects into an open array; `changed` tells what differs from its default. */
void cfg_json(const struct cfg *c, struct jw *w);
