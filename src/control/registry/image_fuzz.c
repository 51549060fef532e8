#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct image_config c;
    struct err e;

    (void)!image_config_parse(&a, str_n((const char *)data, size), &c, &e);
    arena_done(&a);
    return 0;
}
