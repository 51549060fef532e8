/* rules_priv - reading YAML that knows its keys; used by rule files and their tests. */
#pragma once
#include "rules/rules.h"

struct yaml_node;

void rules_mistake(struct err_list *l, const struct yaml_node *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* False when it is no map at all; every unknown key is a mistake. */
bool rules_only_keys(const struct yaml_node *map, const char *const *keys, size_t n,
                     const char *where, struct err_list *l);
struct str rules_text(const struct yaml_node *map, const char *key, struct err_list *l);
int64_t rules_duration(const struct yaml_node *map, const char *key, int64_t otherwise,
                       struct err_list *l);
/* By name; those without value too. */
struct labels rules_labels(struct arena *a, const struct yaml_node *map, const char *key,
                           struct err_list *l);
