#include "query.h"

int harbor_terms(struct str text, struct harbor_term out[HARBOR_TERMS_MAX], size_t *n,
                 struct err *e)
{
    *n = 0;
    while (text.len > 0) {
        struct str value = str_cut(&text, ',');
        struct str key = str_trim(str_cut(&value, '='));
        bool is_fuzzy = value.len > 0 && value.p[0] == '~';

        if (value.p == NULL || key.len == 0) {
            return err_set(e, ERR_INVALID, "q: give key=value or key=~value, with commas between");
        }
        /* The list of labels, all of which are meant, is the only one there is. */
        if (value.len > 0 && str_find_char(STR("[{("), value.p[0]) >= 0 &&
            !(value.p[0] == '(' && str_eq_c(key, "labels"))) {
            return err_set(e, ERR_INVALID, "q: ranges and lists of values are not possible here");
        }
        if (*n == HARBOR_TERMS_MAX) {
            return err_set(e, ERR_INVALID, "q: more than %d conditions", HARBOR_TERMS_MAX);
        }
        out[(*n)++] = (struct harbor_term){key, str_trim(str_from(value, is_fuzzy)), is_fuzzy};
    }
    return 0;
}
