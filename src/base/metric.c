#include "base/metric.h"

void metric_head(struct buf *b, const char *name, const char *type, const char *help)
{
    (void)buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metric_one(struct buf *b, const char *name, const char *type, const char *help, int64_t value)
{
    metric_head(b, name, type, help);
    (void)buf_printf(b, "%s %lld\n", name, (long long)value);
}
