/* What a terminal is shown of text from outside, and of errors. */
#include "main/cli/cli.h"

#include <stdlib.h>

/* What steers a terminal in UTF-8, besides ASCII's control characters: C1 (U+0080 to U+009F), and
 * what turns the direction of what follows (U+202A to U+202E, U+2066 to U+2069). Its length, or 0.
 */
static size_t steering(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.len >= 2 && p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
        return 2;
    }
    if (s.len >= 3 && p[0] == 0xe2 &&
        ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
         (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9))) {
        return 3;
    }
    return 0;
}

bool steers_terminal(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (steering(str_from(s, i)) > 0) {
            return true;
        }
    }
    return false;
}

void print_safe(FILE *out, struct str s)
{
    size_t escape_to = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char ch = (unsigned char)s.p[i];

        if (i >= escape_to) {
            escape_to = i + steering(str_from(s, i));
        }
        if ((ch < 32 && ch != '\n' && ch != '\t') || ch == 127 || i < escape_to) {
            (void)fprintf(out, "\\x%02x", ch);
        } else {
            (void)fputc(ch, out);
        }
    }
}

void cli_print_error(const struct cli *c, const struct err *e)
{
    SCOPED(freep) char *text = NULL;
    json_t *j;

    if (!c->json) {
        (void)fprintf(stderr, "strata: ");
        print_safe(stderr, str_of(e->msg));
        (void)fputc('\n', stderr);
        if (e->kind == ERR_UNAUTHENTICATED) {
            (void)fprintf(stderr, "Sign in: strata login --user NAME\n");
        }
        return;
    }
    j = json_pack("{s:{s:s, s:s}}", "error", "kind", err_name(e->kind), "message", e->msg);
    text = j ? json_dumps(j, 0) : NULL;
    (void)fprintf(stderr, "%s\n", text ? text : "{\"error\":{}}");
    json_decref(j);
}
