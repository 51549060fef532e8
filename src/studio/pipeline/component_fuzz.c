/* Any bytes: refused with mistakes, or a component whose command can be told for any values. */
#include "pipeline/component.h"

#include "base/limits.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tell(const struct component *c, struct arena *a, const char *value)
{
    const char *params[MODULE_PARAMS], *inputs[MODULE_PORTS], *outputs[MODULE_PORTS];
    struct buf words = BUF_MAX(16 * MIB);
    struct jw w = JW(&words);
    struct err e;
    json_t *j;

    for (size_t i = 0; i < MODULE_PARAMS; i++) {
        params[i] = value;
    }
    for (size_t i = 0; i < MODULE_PORTS; i++) {
        inputs[i] = value;
        outputs[i] = "/out/x";
    }
    jw_array(&w);
    component_words(c, &(struct component_values){params, inputs, outputs}, a, &w);
    jw_end(&w);
    j = words.failed ? NULL : json_parse(buf_str(&words), &e);
    if (!words.failed && j == NULL && e.kind != ERR_INVALID) {
        abort();
    }
    json_decref(j);
    buf_done(&words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct err_list mistakes = {0};
    struct component c;
    struct err e;

    if (component_parse(&a, STR("module"), str_n((const char *)data, size), &c, &mistakes, &e) ==
        0) {
        tell(&c, &a, NULL);
        tell(&c, &a, "a \"b\"");
    }
    err_list_done(&mistakes);
    arena_done(&a);
    return 0;
}
