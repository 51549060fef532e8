/* sd_labels - building targets of a discovery, label by label. Private to scrape. */
#pragma once
#include "scrape/config.h"

#include <jansson.h>

/* A set that grows; bytes in the arena. */
struct sd_set {
    struct arena *a;
    struct labels s;
    size_t cap;
};
struct sd_set sd_set_copy(const struct sd_set *from);
void sd_put(struct sd_set *to, const char *name, struct str value); /* copies both */
void sd_putf(struct sd_set *to, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* PREFIX + name with every odd byte as _ : value, of an object of strings. With `present` (may be
 * NULL) another label that only says that it is there. */
void sd_put_map(struct sd_set *to, const char *prefix, const char *present, const json_t *map);
void sd_put_all(struct sd_set *to, const struct sd_set *from);
/* "host:port", IPv6 in brackets. */
void sd_put_address(struct sd_set *to, struct str host, struct str port);
/* A member as text ("" without), numbers and booleans too. Views, or in the arena. */
struct str sd_text(struct arena *a, const json_t *obj, const char *key);
/* By a path "a.b.c"; NULL without. */
const json_t *sd_at(const json_t *obj, const char *path);

/* A group that grows. */
struct sd_group {
    struct target_group g;
    size_t cap;
};
void sd_group_add(struct arena *a, struct sd_group *g, const struct sd_set *target);
