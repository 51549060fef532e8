/* value - what flows between modules: a table, a model, a transform or a report. */
#pragma once
#include "algorithms/kernel/model.h"
#include "algorithms/kernel/transform.h"
#include "base/buf.h"

enum value_type { VALUE_NONE, VALUE_TABLE, VALUE_MODEL, VALUE_TRANSFORM, VALUE_REPORT, VALUE_FILE };

/* FILE: bytes that only some modules know; no value in memory has that type, ports have paths. */
struct value {
    enum value_type type;
    union {
        struct table *table;
        struct model *model;
        struct transform *transform;
        struct buf report; /* one JSON document */
    };
};

const char *value_type_name(enum value_type type);
void value_done(struct value *v);
int value_load(struct value *v, enum value_type type, const char *path, struct err *e) MUST_USE;
int value_save(const struct value *v, const char *path, struct err *e) MUST_USE;
