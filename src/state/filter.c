/* has_words(q, text, ...): the filter of lists (base/words.h) for SQL. The words are parsed once a
 * statement, as q is one of its parameters. */
#include "state_priv.h"

#include "base/mem.h"
#include "base/words.h"

#include <stdlib.h>

static void words_free(void *p)
{
    words_done(p);
    free(p);
}

static struct str text_of(sqlite3_value *v)
{
    const void *p = sqlite3_value_text(v);

    return str_n(p ? p : "", p ? (size_t)sqlite3_value_bytes(v) : 0);
}

/* NULL: the error is set. */
static struct words *words_of(sqlite3_context *ctx, sqlite3_value *q)
{
    struct words *w = sqlite3_get_auxdata(ctx, 0);
    struct err e;

    if (w) {
        return w;
    }
    w = xnew(struct words);
    if (words_init(w, text_of(q), &e) < 0) {
        words_free(w);
        sqlite3_result_error(ctx, e.msg, -1);
        return NULL;
    }
    sqlite3_set_auxdata(ctx, 0, w, words_free);
    return sqlite3_get_auxdata(ctx, 0); /* it may have been freed at once */
}

static void has_words(sqlite3_context *ctx, int n, sqlite3_value **values)
{
    struct words *w = n > 0 ? words_of(ctx, values[0]) : NULL;

    if (w == NULL) {
        return;
    }
    words_begin(w);
    for (int i = 1; i < n && w->n > 0; i++) {
        words_add(w, text_of(values[i]));
    }
    sqlite3_result_int(ctx, words_fit(w));
}

int state_filter_register(sqlite3 *h)
{
    return sqlite3_create_function_v2(h, "has_words", -1,
                                      SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL,
                                      has_words, NULL, NULL, NULL);
}
