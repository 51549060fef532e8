/* glob: "pattern LF name" of any bytes gives an error or an answer, in bounded time. */
#include "base/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str name = str_n((const char *)data, size), pattern = str_cut(&name, '\n');
    struct glob g;
    struct err e;

    if (glob_compile(&g, pattern, &e) == 0) {
        (void)glob_match(&g, name.p ? name : STR_EMPTY);
    }
    return 0;
}
