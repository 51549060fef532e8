/* relabel: any rule on any labels keeps, drops or says why not. Lines: action, regex, replacement,
 * target_label, source, then labels as name=value. */
#include "scrape/relabel.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_n((const char *)data, size), source = STR("a");
    struct relabel_rule r = {.source_labels = &source, .n_source_labels = 1, .modulus = 0};
    struct label list[64];
    struct labels s = {list, 0};
    struct arena a = {0};
    struct err e;

    if (relabel_action_of(str_cut(&rest, '\n'), &r.action) == 0 && rest.p != NULL) {
        r.modulus = r.action == RELABEL_HASHMOD ? 7 : 0;
        r.regex = str_cut(&rest, '\n');
        r.replacement = rest.p != NULL ? str_cut(&rest, '\n') : STR_EMPTY;
        r.target_label = rest.p != NULL ? str_cut(&rest, '\n') : STR_EMPTY;
        while (rest.p != NULL && s.len < ARRAY_LEN(list)) {
            struct str value = str_cut(&rest, '\n'), name = str_cut(&value, '=');

            list[s.len++] = (struct label){name, value.p != NULL ? value : STR_EMPTY};
        }
        if (relabel_init(&r, &a, &e) == 0 &&
            relabel_apply((struct relabel){&r, 1}, &a, &s, &e) == 1) {
            for (size_t i = 0; i < s.len; i++) {
                if (s.p[i].value.len == 0) {
                    abort();
                }
            }
        }
    }
    arena_done(&a);
    return 0;
}
