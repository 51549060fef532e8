/* policies - selectors of Harbor's rules for tags, and how ours are written. */
#pragma once
#include "harbor_priv.h"
#include "registry/policy.h"

/* tag_selectors and scope_selectors.repository: one each. Into `rule` as "tags", "repositories",
 * and, where `untagged` is not NULL, what its extras say. */
int selectors_read(struct arena *a, const json_t *body, json_t *rule, bool *untagged,
                   struct err *e) MUST_USE;
void selectors_write(struct jw *w, const struct tag_rule *rule, bool with_extras);
