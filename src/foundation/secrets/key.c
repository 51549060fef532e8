#include "secrets_priv.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES = 2 * KEY_BYTES + 1 };

static int check_file(int fd, const char *path, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return err_sys(e, "stat %s", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_mode & 077) {
        return err_set(e, ERR_INVALID, "others may read %s: chmod 600 it, and set the secrets anew",
                       path);
    }
    return 0;
}

int secrets_key_read(const char *path, unsigned char key[KEY_BYTES], struct err *e)
{
    SCOPED(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char text[FILE_BYTES + 1];
    ssize_t n;
    int r;

    if (fd < 0) {
        return errno == ENOENT ? 1 : err_sys(e, "open %s", path);
    }
    if (check_file(fd, path, e) < 0) {
        return -1;
    }
    n = read(fd, text, sizeof(text));
    if (n < 0) {
        return err_sys(e, "read %s", path);
    }
    r = n == FILE_BYTES && text[n - 1] == '\n'
            ? hex_decode(str_n(text, 2 * KEY_BYTES), key, KEY_BYTES)
            : -1;
    explicit_bzero(text, sizeof(text));
    return r == 0 ? 0
                  : err_set(e, ERR_INVALID,
                            "%s is no key: %d hexadecimal digits are wanted; "
                            "restore it from the backup",
                            path, 2 * KEY_BYTES);
}

int secrets_key_make(const char *path, unsigned char key[KEY_BYTES], struct err *e)
{
    unsigned char made[KEY_BYTES];
    char text[FILE_BYTES + 1];
    int r;

    random_bytes(made, sizeof(made));
    hex_encode(made, sizeof(made), text);
    text[FILE_BYTES - 1] = '\n';
    r = fs_write_atomic(AT_FDCWD, path, str_n(text, FILE_BYTES), 0600, e);
    if (r == 0) {
        memcpy(key, made, sizeof(made));
    }
    explicit_bzero(made, sizeof(made));
    explicit_bzero(text, sizeof(text));
    return r;
}
