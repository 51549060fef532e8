/* metric - the text format of Prometheus 0.0.4: a family's head, and families of one number. */
#pragma once
#include "base/buf.h"

/* `type`: "gauge" or "counter" (then the name ends in _total). */
void metric_head(struct buf *b, const char *name, const char *type, const char *help);
void metric_one(struct buf *b, const char *name, const char *type, const char *help, int64_t value);
