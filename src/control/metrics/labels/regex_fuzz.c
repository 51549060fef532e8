/* regex: any expression is refused or gives an answer for any text, with its limits kept. The first
 * line is the expression, the second a template, the rest the text. */
#include "base/buf.h"
#include "labels/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_n((const char *)data, size), pattern = str_cut(&rest, '\n');
    struct str template = rest.p != NULL ? str_cut(&rest, '\n') : STR_EMPTY;
    struct arena a = {0};
    struct buf out = BUF_MAX(1 << 20);
    struct err e;
    struct label_regex *r = label_regex_new(&a, pattern, &e);

    if (r != NULL) {
        rest = rest.p != NULL ? rest : STR_EMPTY;
        (void)label_regex_match(r, rest, &e);
        (void)label_regex_expand(r, rest, template, &out, &e);
    }
    buf_done(&out);
    arena_done(&a);
    return 0;
}
