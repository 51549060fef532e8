/* sd_kubernetes - targets in lists of Kubernetes' API. Private to scrape. */
#pragma once
#include "scrape/config.h"

#include <jansson.h>

/* What a role is made of; those it does not need are NULL. Each the `items` of a list. */
struct k8s_lists {
    const json_t *main, *pods, *services, *nodes, *namespaces;
};

int sd_kubernetes_read(struct arena *a, const struct sd_config *c, const struct k8s_lists *l,
                       struct target_group *out, struct err *e) MUST_USE;
