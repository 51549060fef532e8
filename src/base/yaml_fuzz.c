/* YAML and settings: hostile text gives an error, never a crash. */
#include "base/cfg.h"
#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cfg_item items[] = {
        {"net.listen", CFG_STRING, "x", "X."}, {"jobs.memory", CFG_BYTES, "1Gi", "X."}, {0}};
    static const struct cfg_item *const tables[] = {items, NULL};
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(cfg_freep) struct cfg *c = cfg_new(tables);
    SCOPED(err_list_done) struct err_list errors = {0};
    struct err e;

    (void)!yaml_parse(&a, str_n((const char *)data, size), &e);
    cfg_load(c, str_n((const char *)data, size), &errors);
    return 0;
}
