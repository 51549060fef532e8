/* Rules as a body has them, and where they lead. */
#include "replication_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(arena_done) struct arena a = {0};
    struct err e;
    SCOPED(json_decrefp) json_t *doc = json_parse(str_n((const char *)data, size), &e);
    struct rule rule = {.repositories = {.text = STR("**")},
                        .tags = {.text = STR("**")},
                        .name = STR("fuzz"),
                        .registry = STR_EMPTY,
                        .destination = STR_EMPTY,
                        .labels = STR_EMPTY,
                        .schedule = STR_EMPTY};
    struct str to;
    struct buf b = BUF_MAX(1024 * 1024);
    struct jw w = JW(&b);

    if (json_is_object(doc) && rule_read_json(&a, doc, &rule, &e) == 0) {
        rule.created_by = STR_EMPTY;
        rule_write_json(&rule, &w);
        (void)!rule_destination(&rule, &a, rule.name, &to, &e);
        (void)pattern_matches(&rule.repositories, str_first(rule.tags.text, 100));
    }
    buf_done(&b);
    return 0;
}
