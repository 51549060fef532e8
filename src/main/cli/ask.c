/* What a user types: secrets without echo at a terminal, standard input for programs, and the
 * question before something is gone for good. */
#include "main/cli/cli.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static int read_line(const char *what, struct buf *out, struct err *e)
{
    /* Of a terminal one line has at most 4,095 bytes (termios(3), "Canonical mode"): what is longer
     * would come in cut, without a word. */
    size_t size = out->max < 4094 ? out->max + 2 : 4096;
    SCOPED(freep) char *line = xcalloc(1, size);
    int rc = 0;

    if (fgets(line, (int)size, stdin) == NULL) {
        rc = err_set(e, ERR_INVALID, "standard input is empty: %s was expected", what);
    } else if (strchr(line, '\n') == NULL && (!feof(stdin) || strlen(line) == size - 1)) {
        rc = err_set(e, ERR_LIMIT, "%s is longer than a line can be: give it as < FILE", what);
    } else {
        line[strcspn(line, "\r\n")] = '\0';
        buf_clear(out);
        rc = buf_add_c(out, line) < 0 ? err_set(e, ERR_LIMIT, "%s is too long", what) : 0;
    }
    if (line) { /* it always is; gcc's sanitizers do not know */
        explicit_bzero(line, size);
    }
    if (rc == 0 && out->len == 0) {
        return err_set(e, ERR_INVALID, "%s is empty", what);
    }
    return rc;
}

static int read_hidden(const char *prompt, const char *what, struct buf *out, struct err *e)
{
    struct termios before, quiet;
    int rc;

    (void)tcgetattr(STDIN_FILENO, &before);
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet); /* first: who sees the prompt may type */
    (void)fprintf(stderr, "%s: ", prompt);
    rc = read_line(what, out, e);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)fputc('\n', stderr);
    return rc;
}

int ask_password(struct cli *c, struct buf *out, struct err *e)
{
    if (cli_option(c, "password-stdin")) {
        return read_line("a password", out, e);
    }
    if (!isatty(STDIN_FILENO)) {
        return err_set(e, ERR_INVALID, "no terminal to ask for a password: use --password-stdin");
    }
    return read_hidden("Password", "the password", out, e);
}

int ask_old_password(struct buf *out, struct err *e)
{
    return isatty(STDIN_FILENO) ? read_hidden("Old password", "the password", out, e)
                                : read_line("the old password, then the new one", out, e);
}

int ask_new_password(struct buf *out, struct err *e)
{
    SCOPED(buf_done) struct buf again = BUF_MAX(LIMIT_PASSWORD_BYTES + 2);
    bool same;

    if (!isatty(STDIN_FILENO)) {
        return read_line("a password", out, e);
    }
    if (read_hidden("New password", "the password", out, e) < 0 ||
        read_hidden("Again", "the password", &again, e) < 0) {
        return -1;
    }
    same = str_eq(buf_str(out), buf_str(&again));
    explicit_bzero(again.p, again.len);
    return same ? 0 : err_set(e, ERR_INVALID, "the two are not the same: nothing was changed");
}

int ask_secret(struct buf *out, struct err *e)
{
    char part[4096];
    size_t n;

    if (isatty(STDIN_FILENO)) {
        return read_hidden("Value (one line, not shown; a file: < FILE)", "the value", out, e);
    }
    while ((n = fread(part, 1, sizeof(part), stdin)) > 0) {
        if (buf_add(out, str_n(part, n)) < 0) {
            return err_set(e, ERR_LIMIT, "standard input is longer than %zu bytes", out->max);
        }
    }
    return out->len > 0 ? 0 : err_set(e, ERR_INVALID, "standard input is empty: nothing to store");
}

int ask_text(const char *prompt, char *out, size_t size)
{
    if (!isatty(STDIN_FILENO)) {
        return -1;
    }
    (void)fprintf(stderr, "%s: ", prompt);
    if (fgets(out, (int)size, stdin) == NULL) {
        return -1;
    }
    out[strcspn(out, "\r\n")] = '\0';
    return out[0] ? 0 : -1;
}

int ask_sure(struct cli *c, struct err *e, const char *fmt, ...)
{
    char answer[16] = "", question[400];
    va_list ap;

    if (cli_option(c, "yes") || c->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        return 0; /* a program knows what it asks for */
    }
    va_start(ap, fmt);
    (void)vsnprintf(question, sizeof(question), fmt, ap);
    va_end(ap);
    print_safe(stderr, str_of(question));
    if (ask_text(" This cannot be undone. Type yes", answer, sizeof(answer)) == 0 &&
        strcmp(answer, "yes") == 0) {
        return 0;
    }
    return err_set(e, ERR_INVALID, "nothing was deleted");
}
