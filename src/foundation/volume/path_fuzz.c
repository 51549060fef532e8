#include "volume/path.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_n((const char *)data, size);
    struct buf text = BUF_MAX(3 * 65536), back = BUF_MAX(65536);
    struct err e;

    if (volume_path_check(s, VOLUME_PATH_BELOW_ROOT, &e) == 0 &&
        (s.p[0] == '/' || s.len > LIMIT_VOLUME_PATH_BYTES || memchr(s.p, '\0', s.len) ||
         str_find(s, STR("/../")) >= 0 || str_starts(s, STR("../")) || str_ends(s, STR("/..")) ||
         str_eq_c(s, ".."))) {
        abort();
    }
    if (volume_percent_add(&text, s) == 0) { /* every name comes back, and as plain text between */
        if (!volume_is_utf8(buf_str(&text)) ||
            (volume_percent_decode(buf_str(&text), &back, &e) == 0 && !str_eq(buf_str(&back), s))) {
            abort();
        }
    }
    buf_clear(&back);
    (void)!volume_percent_decode(s, &back, &e);
    buf_done(&text);
    buf_done(&back);
    return 0;
}
